"""Unknown people: each gets a polite refusal, and a flood of them gets none of the bot's time."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Final

import structlog
from prometheus_client import Counter

from holdfast.apps.bot.services import Services
from holdfast.domain.errors import Unavailable
from holdfast.ports.audit import AuditEntry, AuditKind

ANSWERS_A_MINUTE: Final = 20  # over all strangers: Telegram lets a bot write about 1,800 messages a minute
_EACH_SECONDS: Final = 3600
_MINUTE_SECONDS: Final = 60
_MOST_REMEMBERED: Final = 10_000
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Strangers:
    """Decides which strangers are answered.

    Args:
        ignored: counts those who are not.
        each_seconds: each one is answered once in this time.
        a_minute: how many are answered in a minute, over all.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        ignored: Counter,
        *,
        each_seconds: float = _EACH_SECONDS,
        a_minute: int = ANSWERS_A_MINUTE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ignored = ignored
        self._each_seconds = each_seconds
        self._a_minute = a_minute
        self._clock = clock
        self._answered_at: OrderedDict[Hashable, float] = OrderedDict()
        self._minute_began = float("-inf")
        self._answered = 0
        self._unlogged = 0
        self._logged_at = float("-inf")

    def may_be_answered(self, *key: Hashable) -> bool:
        """Whether this stranger has an answer due; it then counts as given."""
        now = self._clock()
        if now - self._minute_began >= _MINUTE_SECONDS:
            self._minute_began, self._answered = now, 0
        had_one = now - self._answered_at.get(key, float("-inf")) < self._each_seconds
        if had_one or self._answered >= self._a_minute:
            self._ignore(now)
            return False
        self._answered += 1
        self._answered_at[key] = now
        self._answered_at.move_to_end(key)
        if len(self._answered_at) > _MOST_REMEMBERED:
            self._answered_at.popitem(last=False)
        return True

    def _ignore(self, now: float) -> None:
        self._ignored.inc()
        self._unlogged += 1
        if now - self._logged_at >= _MINUTE_SECONDS:
            _log.warning("bot_strangers_ignored", count=self._unlogged)
            self._logged_at, self._unlogged = now, 0


async def record_refusal(services: Services, sender: int, what: str, *, told: str = "") -> None:
    """Put on record that a stranger was refused; once an hour, whatever the stranger does."""
    now = services.now()
    entry = AuditEntry(
        key=f"refusal/telegram/stranger/{sender}/{now:%Y-%m-%dT%H}",
        at=now,
        kind=AuditKind.REFUSAL,
        channel="telegram",
        text=f"{what} by Telegram id {sender} was refused{': ' if told else ''}{told}"[:1000],
        data={"answer": "stranger", "telegram_id": sender},
    )
    with suppress(Unavailable):
        await services.audit.append([entry])
