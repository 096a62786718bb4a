"""What one running server is made of."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from holdfast.sim.telegram.limits import LimitSettings
from holdfast.sim.telegram.people import People


class SettingsError(Exception):
    """The settings do not fit together; the text says which and what to change."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that is decided before the server starts.

    Attributes:
        tokens: one bot each, written `id:secret`.
        people: who exists.
        state: the file that keeps the state, ":memory:" for none.
        callback_seconds: how long a pressed button can be answered.
        monotonic_ns: the clock of the limits.
        unix_time: the clock of dates and ages, in seconds.
    """

    tokens: Sequence[str]
    people: People
    state: str = ":memory:"
    limits: LimitSettings = field(default_factory=LimitSettings)
    callback_seconds: float = 15.0
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    unix_time: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        """Check what only all settings together can show.

        Raises:
            SettingsError: when two bots, or a bot and a user, have the same id.
        """
        bots = [int(token.partition(":")[0]) for token in self.tokens]
        users = {person.id for person in self.people.users}
        for bot_id in bots:
            if bots.count(bot_id) > 1:
                raise SettingsError(f"token: {bot_id} is given twice; give each bot a number of its own")
            if bot_id in users:
                raise SettingsError(f"token: {bot_id} is also a user's id; give the bot another number")
