"""How late a generator is, what it leaves out when it cannot catch up, and how busy it is."""

import math
import time
from time import monotonic

# A generator that has been late for so long will not catch up.
_OVERLOADED_SECONDS = 1.0


class Backlog:
    """How late a request may be to be sent at all.

    A hiccup is made up for, late. But a generator that is asked for more than it can do falls back for ever,
    and all its requests would be late; then what is overdue is left out, so that the rest goes out in time.

    Args:
        on_time: seconds that a request may be late.
        too_late: how late a request may be that is sent.
    """

    def __init__(self, on_time: float, too_late: float) -> None:
        self._on_time = on_time
        self._too_late = too_late
        self._late_since = math.inf
        self._left_out = -math.inf

    def longest(self, lag: float, now: float) -> float:
        """Return it for a generator that is so late, in seconds."""
        if now - self._left_out <= _OVERLOADED_SECONDS:
            # Half of what is allowed is for the way to the target.
            if lag > self._on_time / 2:
                self._left_out = now
            return self._on_time / 2
        if lag <= self._on_time:
            self._late_since = math.inf
        elif self._late_since == math.inf:
            self._late_since = now
        elif now - self._late_since > _OVERLOADED_SECONDS:
            self._late_since, self._left_out = math.inf, now
            return self._on_time / 2
        return self._too_late


class HealthMeter:
    """How busy this process is, second by second of the test.

    Args:
        zero: the agreed start on the monotonic clock.
    """

    def __init__(self, zero: float) -> None:
        self._zero = zero
        self._second = math.floor(monotonic() - zero)
        self._wall = monotonic()
        self._cpu = time.process_time()

    def is_due(self, offset: float) -> bool:
        """Whether a second has ended."""
        return math.floor(offset) > self._second

    def taken(self, offset: float) -> tuple[int, float]:
        """Return the second that has ended and how busy the process was since the last time, in percent."""
        wall, cpu = monotonic(), time.process_time()
        busy = 100 * (cpu - self._cpu) / max(wall - self._wall, 1e-3)
        self._wall, self._cpu = wall, cpu
        number = max(self._second, math.floor(offset) - 1)
        self._second = math.floor(offset)
        return number, busy
