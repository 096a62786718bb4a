"""How long a bot waits while nothing gets through."""

import random
from collections.abc import Callable
from typing import Final

_FIRST_NS: Final = 500_000_000
_LONGEST_NS: Final = 30_000_000_000


def _spread() -> float:
    return random.uniform(0.5, 1.0)  # noqa: S311  not a secret


def doubling(times: int, *, first: int = _FIRST_NS, longest: int = _LONGEST_NS) -> int:
    """Return the wait after so many failures, 1 or more: `first`, doubled each time, at most `longest`."""
    return min(longest, first << min(times - 1, 30))


class Backoff:
    """The pause of a whole bot. All moments are nanoseconds of one monotonic clock.

    Args:
        spread: gives the part of a pause that is waited.
    """

    def __init__(self, spread: Callable[[], float] = _spread) -> None:
        self._spread = spread
        self._times = 0
        self._set_at = -1
        self._until = 0
        self._success = -1

    def delay(self, now: int) -> int:
        """Return the nanoseconds until the next try."""
        return max(0, self._until - now)

    def failed(self, began: int, now: int) -> bool:
        """Count a try that did not get through; return whether all of the bot's wait for that.

        Not so where another try has succeeded since this one began: then it is this chat that has trouble.
        Tries that were under way together count once.
        """
        if began <= self._success:
            return False
        if began > self._set_at:
            self._times += 1
            self._set_at = now
            self._until = now + round(doubling(self._times) * self._spread())
        return True

    def succeeded(self, now: int) -> None:
        """Count a try that got through: no more waiting."""
        self._success = now
        self._times = 0
        self._until = 0
