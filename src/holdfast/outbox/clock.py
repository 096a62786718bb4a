"""The two clocks of the outbox: one that people and rows agree on, one that never jumps."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """Where the time comes from; pauses are the event loop's, whose clock has to agree.

    Attributes:
        now: aware moments, for rows and leases.
        monotonic: nanoseconds, for limits and for how long a lease is good.
    """

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], int] = time.monotonic_ns

    def at(self, monotonic: int) -> datetime:
        """Return the moment of a reading of the monotonic clock, past or future."""
        return self.now() + timedelta(microseconds=(monotonic - self.monotonic()) / 1000)

    def reading(self, moment: datetime) -> int:
        """Return what the monotonic clock shows, or showed, at a moment."""
        return self.monotonic() + round((moment - self.now()) / timedelta(microseconds=1) * 1000)
