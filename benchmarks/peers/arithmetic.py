"""What is computed from a schedule alone: who was on time, and what a stalled target does to latencies."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def on_time_percent(arrivals: Floats, due: Floats, tolerance: float) -> float:
    """Return the percentage of requests that came at most `tolerance` after their moment.

    Requests need no numbers: the first to arrive is taken as the first that was due, and so on. That pairing is
    the kindest of all, and for a generator that sends in order it is the true one. What never came was not on
    time; what came early was.

    Args:
        arrivals: when requests reached the target, in seconds.
        due: the moments at which they had to, in the same clock.
        tolerance: in seconds.
    """
    if not due.size:
        return 100.0
    came = np.sort(arrivals)[: due.size]
    return float(100 * np.count_nonzero(came <= np.sort(due)[: came.size] + tolerance) / due.size)


def even_schedule(first: float, rate: float, seconds: float) -> Floats:
    """Return the moments of even arrivals: so many a second, from the first one on."""
    return first + np.arange(round(rate * seconds)) / rate


def judged(
    arrivals: Floats, rate: float, *, first: float, skip: float, seconds: float, tolerance: float, anew: bool
) -> float:
    """Return the percentage on time of even arrivals, without those of the beginning.

    Args:
        arrivals: when requests reached the target, in seconds.
        rate: that was asked for.
        first: when the first one had to come.
        skip: how long the beginning is, in seconds, while connections are opened.
        seconds: how long it is looked at afterwards.
        tolerance: in seconds.
        anew: take the first arrival after the beginning as the start of the schedule, so that what was not sent
            in the beginning is forgiven. Otherwise a backlog from there counts.
    """
    came = np.sort(arrivals)
    if not anew:
        due = even_schedule(first, rate, skip + seconds)
        begun = round(rate * skip)
        return on_time_percent(came[begun:], due[begun:], tolerance)
    came = came[came >= first + skip]
    start = float(came[0]) if came.size else first
    return on_time_percent(came, even_schedule(start, rate, seconds), tolerance)


@dataclass(frozen=True)
class Stall:
    """A target that answers everything `delay` after it came, and stands still once; times in seconds."""

    at: float
    lasts: float
    delay: float

    def latencies(self, due: Floats) -> Floats:
        """Return the latency of each request that is sent at its moment.

        What comes while the target stands still is read when it goes on. What was read before and would be
        answered meanwhile is answered when it goes on.
        """
        end = self.at + self.lasts
        read = np.where((due >= self.at) & (due < end), end, due)
        answered = read + self.delay
        # Half a nanosecond: a sum of decimals may fall short of the moment that it means.
        held_up = (answered > self.at - 5e-10) & (answered < end)
        answered = np.where(held_up, end, answered)
        return answered - due


def nearest_rank(values: Floats, percent: float) -> float:
    """Return the smallest value that so many percent of all do not exceed; not a number for none."""
    if not values.size:
        return float("nan")
    rank = int(np.ceil(values.size * percent / 100))
    return float(np.sort(values)[max(rank, 1) - 1])


@dataclass
class RateSearch:
    """Looks for the highest rate that is kept: multiplies until one is not, then closes in between.

    A rate that failed is tried once more before it is believed: a shared machine hiccups.

    Attributes:
        rate: to try next.
        factor: by which the rate is raised, or lowered, while only one side is known.
        within: how near the two sides must come, as a ratio.
        tries: how many runs there may be.
        best: the highest rate that was kept; 0 for none.
        worst: the lowest that failed twice.
    """

    rate: float
    factor: float = 2.0
    within: float = 1.06
    tries: int = 14
    best: float = 0.0
    worst: float = float("inf")
    _failed: float = field(default=0.0, repr=False)

    @property
    def over(self) -> bool:
        """Whether there is nothing more to try."""
        return self.tries <= 0 or self.worst <= self.best * self.within or self.rate < 1

    def note(self, *, kept: bool) -> None:
        """Take what came out at `rate`, and choose the next one."""
        self.tries -= 1
        if not kept and self._failed != self.rate:
            self._failed = self.rate
            return
        if kept:
            self.best = max(self.best, self.rate)
        else:
            self.worst = min(self.worst, self.rate)
        self.rate = self._next()

    def _next(self) -> float:
        if self.worst == float("inf"):
            return float(round(self.best * self.factor))
        if not self.best:
            return float(round(self.worst / self.factor))
        return float(round((self.best * self.worst) ** 0.5))
