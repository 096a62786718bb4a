"""The portal's two limits: how often, and how much working time."""

from collections import defaultdict, deque
from collections.abc import Callable

_BASKET_SECONDS = 60
_BASKETS = 10


class LeakyBucket:
    """Lets `burst` calls through at once and `per_second` in the long run.

    Args:
        burst: 0 means no limit.
        per_second: how fast the bucket empties.
        clock: seconds that only grow.
    """

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._level = 0.0
        self._seen_at = clock()

    def take(self) -> bool:
        """Count one call; False when the bucket is full, and the call must be refused."""
        if not self._burst:
            return True
        now = self._clock()
        self._level = max(0.0, self._level - (now - self._seen_at) * self._per_second)
        self._seen_at = now
        if self._level + 1 > self._burst:
            return False
        self._level += 1
        return True


class OperatingTime:
    """Sums up the working time of each method over ten one-minute baskets.

    Args:
        limit_seconds: 0 means no limit.
        clock: seconds since the epoch; clients are told when a basket expires.
    """

    def __init__(self, limit_seconds: float, clock: Callable[[], float]) -> None:
        self._limit = limit_seconds
        self._clock = clock
        self._baskets: dict[str, deque[list[float]]] = defaultdict(deque)

    def add(self, method: str, seconds: float) -> None:
        """Count working time of a method."""
        minute = self._clock() // _BASKET_SECONDS * _BASKET_SECONDS
        baskets = self._current(method)
        if baskets and baskets[-1][0] == minute:
            baskets[-1][1] += seconds
        else:
            baskets.append([minute, seconds])

    def used(self, method: str) -> float:
        """Return the working time within the window, in seconds."""
        return sum(seconds for _, seconds in self._current(method))

    def is_over(self, method: str) -> bool:
        """Whether further calls of the method must be refused now."""
        return bool(self._limit) and self.used(method) >= self._limit

    def reset_at(self, method: str) -> int:
        """Say when the oldest basket falls out, in seconds since the epoch."""
        baskets = self._current(method)
        oldest = baskets[0][0] if baskets else self._clock() // _BASKET_SECONDS * _BASKET_SECONDS
        return int(oldest) + _BASKETS * _BASKET_SECONDS

    def _current(self, method: str) -> deque[list[float]]:
        baskets = self._baskets[method]
        expired = self._clock() - _BASKETS * _BASKET_SECONDS
        while baskets and baskets[0][0] <= expired:
            baskets.popleft()
        return baskets
