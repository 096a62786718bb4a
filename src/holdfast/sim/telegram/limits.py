"""Flood limits of one bot token, as pure functions of a monotonic clock in nanoseconds.

Integers keep the arithmetic exact: a caller who waits what `delay_ns` said passes, not a tick later.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

SECOND_NS = 1_000_000_000


class Limit(Protocol):
    """Something that admits events at a bounded rate."""

    def delay_ns(self, now_ns: int) -> int:
        """Time until an event would be admitted, 0 when it would be admitted now."""
        ...

    def take(self, now_ns: int) -> None:
        """Count one admitted event."""
        ...


class SlidingWindow:
    """At most `limit` events in any half-open window of `window_ns`."""

    def __init__(self, limit: int, window_ns: int) -> None:
        self._window_ns = window_ns
        self._taken: deque[int] = deque(maxlen=limit)

    def delay_ns(self, now_ns: int) -> int:
        """Time until the oldest of the last `limit` events leaves the window."""
        if len(self._taken) < (self._taken.maxlen or 0):
            return 0
        return max(0, self._taken[0] + self._window_ns - now_ns)

    def take(self, now_ns: int) -> None:
        """Count one admitted event."""
        self._taken.append(now_ns)


class Gcra:
    """`burst` events at once, then one each `interval_ns`.

    Any closed window of length w admits at most `burst + w / interval_ns` events.
    """

    def __init__(self, burst: int, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._tolerance_ns = (burst - 1) * interval_ns
        self._arrival_ns: int | None = None

    def delay_ns(self, now_ns: int) -> int:
        """Time until the theoretical arrival comes within the tolerance."""
        if self._arrival_ns is None:
            return 0
        return max(0, self._arrival_ns - self._tolerance_ns - now_ns)

    def take(self, now_ns: int) -> None:
        """Count one admitted event."""
        arrival_ns = now_ns if self._arrival_ns is None else max(self._arrival_ns, now_ns)
        self._arrival_ns = arrival_ns + self._interval_ns


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """How much one bot may send; edits count like messages.

    Attributes:
        paid_broadcast: whether bots may pay for more than 30 messages a second.
    """

    overall_per_second: int = 30
    private_burst: int = 3
    private_interval_seconds: float = 1.0
    group_per_minute: int = 20
    paid_broadcast: bool = False


class Budget:
    """All limits of one bot token: overall, and one a chat."""

    def __init__(self, settings: LimitSettings, clock_ns: Callable[[], int]) -> None:
        self._settings = settings
        self._clock_ns = clock_ns
        self._overall = SlidingWindow(settings.overall_per_second, SECOND_NS)
        self._chats: dict[int, Limit] = {}

    def admit(self, chat_id: int) -> int:
        """Count one message to a chat, unless a limit stands against it.

        Returns:
            0 when it was admitted and counted; else the whole seconds after which it will be.
        """
        now_ns = self._clock_ns()
        # All are asked before any is charged: a refused message must not cost what it did not get.
        limits = (self._overall, self._chat(chat_id))
        delay_ns = max(limit.delay_ns(now_ns) for limit in limits)
        if delay_ns > 0:
            return -(-delay_ns // SECOND_NS)
        for limit in limits:
            limit.take(now_ns)
        return 0

    def _chat(self, chat_id: int) -> Limit:
        if chat_id not in self._chats:
            self._chats[chat_id] = self._new_chat_limit(is_group=chat_id < 0)
        return self._chats[chat_id]

    def _new_chat_limit(self, *, is_group: bool) -> Limit:
        settings = self._settings
        # Groups are documented as a count in a minute, private chats as a rate with short bursts.
        if is_group:
            return SlidingWindow(settings.group_per_minute, 60 * SECOND_NS)
        return Gcra(settings.private_burst, round(settings.private_interval_seconds * SECOND_NS))
