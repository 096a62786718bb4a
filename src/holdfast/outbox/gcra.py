"""The generic cell rate algorithm: a token bucket that is one number, exact at every moment."""

from datetime import timedelta
from typing import Self

from holdfast.runbook.priorities import Rate

_NS_PER_US = 1000
LONG_AGO = -(1 << 62)  # a monotonic clock may begin at 0, and what happened before counts


def nanoseconds(span: timedelta) -> int:
    """Return a span in nanoseconds, exactly."""
    return span // timedelta(microseconds=1) * _NS_PER_US


class Gcra:
    """Lets `burst` through at once, then one in each `interval`.

    In any window `w`, ends included, at most `burst + w // interval` pass. All moments are nanoseconds of one
    monotonic clock. Source: ITU-T I.371, virtual scheduling; `_tat` is its theoretical arrival time.

    Args:
        interval: nanoseconds from one to the next in the long run, at least 1.
        burst: at least 1.
    """

    __slots__ = ("_interval", "_slack", "_tat")

    def __init__(self, interval: int, burst: int) -> None:
        self._interval = interval
        self._slack = interval * (burst - 1)
        self._tat = LONG_AGO

    @classmethod
    def of(cls, rate: Rate, *, percent: int = 100) -> Self:
        """Make a full bucket for a rate of the policy, or for some percent of it."""
        # Rounded up, so that it is never faster than the policy says.
        interval = -(-nanoseconds(rate.per) * 100 // (rate.count * percent))
        return cls(max(1, int(interval)), rate.burst)

    def at_rate(self, rate: Rate) -> "Gcra":
        """Return a bucket of another rate that is full again at the same moment."""
        bucket = Gcra.of(rate)
        bucket._tat = self._tat  # noqa: SLF001  its own kind
        return bucket

    @property
    def interval(self) -> int:
        """Nanoseconds from one to the next in the long run."""
        return self._interval

    def full_again_in(self, now: int) -> int:
        """Return the nanoseconds until it is full; 0 where it is."""
        return max(0, self._tat - now)

    def tokens(self, now: int) -> int:
        """Return how many may pass at this moment."""
        spent = max(0, self._tat - now)
        return max(0, (self._slack - spent) // self._interval + 1)

    def delay(self, now: int, *, keep: int = 0) -> int:
        """Return the nanoseconds until one may pass and `keep` more tokens stay; 0 for at once."""
        return max(0, self._tat + keep * self._interval - self._slack - now)

    def take(self, now: int) -> None:
        """Let one pass. It is for the caller to have seen that it may; a debt is paid back otherwise."""
        self._tat = max(self._tat, now) + self._interval
