"""What is usual for one metric, learned from its healthy minutes: a centre and a standard deviation."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.verdict.detector_settings import Ewma, MovingAverage, Seasonal, ZScore, minutes

Floats: TypeAlias = NDArray[np.float64]
Learning: TypeAlias = ZScore | Ewma | MovingAverage | Seasonal

_HOURS_OF_DAY, _HOURS_OF_WEEK = 24, 168
# Of a Gaussian, the standard deviation is this many median (mean) absolute deviations.
_SIGMAS_PER_MEDIAN_DEVIATION = 1.4826022185056018
_SIGMAS_PER_MEAN_DEVIATION = math.sqrt(math.pi / 2)


class Learner(Protocol):
    """What a detector measures a minute by; `slot` is its hour, counted from 1970, for those that ask."""

    def reference(self, slot: int) -> tuple[float, float] | None:
        """Return centre and standard deviation, or None where too little was learned."""
        ...

    def learn(self, value: float, slot: int) -> None:
        """Take a healthy value."""
        ...

    def learn_breached(self, value: float) -> None:
        """Take a value of a breach, which must not change what the breach is measured by."""
        ...

    def restart(self, values: Sequence[float]) -> None:
        """Forget everything but these values."""
        ...


def learner_of(settings: Learning) -> Learner:
    """Return an empty learner as the detector's settings say."""
    match settings:
        case ZScore():
            return Trailing(minutes(settings.window), settings.minimum_points)
        case Seasonal():
            return _Weekly(settings.weeks, settings.minimum_points)
        case Ewma() | MovingAverage():
            return Trailing(minutes(settings.reference), settings.minimum_points)


class Trailing:
    """Mean and standard deviation of the last values, in constant time each."""

    def __init__(self, size: int, minimum_points: int) -> None:
        """Begin with nothing; `size` values are remembered at most."""
        self._size, self._minimum = size, minimum_points
        self.restart(())

    def reference(self, slot: int) -> tuple[float, float] | None:  # noqa: ARG002  part of the protocol
        """Return mean and standard deviation, or None where too little was learned."""
        count = len(self._values)
        if count < self._minimum:
            return None
        mean = self._sum / count
        return self._pivot + mean, math.sqrt(max(self._squares - mean * self._sum, 0.0) / (count - 1))

    def mean(self) -> float:
        """Return the mean of at least one value."""
        return self._pivot + self._sum / len(self._values)

    def learn(self, value: float, slot: int) -> None:  # noqa: ARG002  part of the protocol
        """Take a value, and forget the oldest where there are enough."""
        values = self._values
        if len(values) == self._size:
            gone = values.popleft() - self._pivot
            self._sum -= gone
            self._squares -= gone * gone
        values.append(value)
        come = value - self._pivot
        self._sum += come
        self._squares += come * come
        self._since += 1
        if self._since == 1 or self._since > self._size:
            self._recount()

    def learn_breached(self, value: float) -> None:
        """Leave it out."""

    def restart(self, values: Sequence[float]) -> None:
        """Forget everything but these values."""
        self._values = deque(values[-self._size :])
        self._pivot = self._sum = self._squares = 0.0
        self._since = 0
        if self._values:
            self._recount()

    def _recount(self) -> None:
        # Running sums gather rounding, and far from zero they cancel: once a window, begin near its value.
        self._pivot = self._values[-1]
        self._sum = math.fsum(v - self._pivot for v in self._values)
        self._squares = math.fsum((v - self._pivot) ** 2 for v in self._values)
        self._since = 1


class _Weekly:
    """Median and robust standard deviation of each hour of the week, taken anew when an hour begins.

    Until an hour has its own, mean and standard deviation of all hours of the last week stand in, from the
    second day on: they are wide enough for the swing of a day, which is no outlier.
    """

    _slot: int | None
    _reference: tuple[float, float] | None

    def __init__(self, weeks: int, minimum_points: int) -> None:
        self._weeks, self._minimum = weeks, minimum_points
        self.restart(())

    def reference(self, slot: int) -> tuple[float, float] | None:
        if slot != self._slot:
            self._file_away()
            self._slot = slot
            self._reference = self._look_up(slot % _HOURS_OF_WEEK)
        return self._reference

    def learn(self, value: float, slot: int) -> None:  # noqa: ARG002  `reference` was asked for it before
        self._healthy.append(value)

    def learn_breached(self, value: float) -> None:
        # What all hours together call bad may be what this hour is always like: it could never be learned else.
        if not self._has_own:
            self._doubtful.append(value)

    def restart(self, values: Sequence[float]) -> None:
        self._hours: dict[int, deque[Floats]] = {}
        self._all: deque[Floats] = deque(maxlen=_HOURS_OF_WEEK)
        self._healthy, self._doubtful = list[float](), list[float]()
        self._slot = None
        self._reference = None
        self._has_own = False
        self._hours_needed = 1 if values else _HOURS_OF_DAY
        if values:
            self._all.append(np.array(values))

    def _file_away(self) -> None:
        if self._slot is None:
            return
        if self._healthy or self._doubtful:
            hour = self._hours.setdefault(self._slot % _HOURS_OF_WEEK, deque(maxlen=self._weeks))
            hour.append(np.array(self._healthy + self._doubtful))
        if self._healthy:
            self._all.append(np.array(self._healthy))
        self._healthy, self._doubtful = [], []

    def _look_up(self, hour: int) -> tuple[float, float] | None:
        own = self._hours.get(hour, ())
        self._has_own = sum(part.size for part in own) >= self._minimum
        if self._has_own:
            return _median_and_deviation(np.concatenate(list(own)))
        if len(self._all) < self._hours_needed or sum(part.size for part in self._all) < self._minimum:
            return None
        return mean_and_deviation(np.concatenate(list(self._all)))


def mean_and_deviation(points: Floats) -> tuple[float, float]:
    """Return mean and standard deviation of at least two points (of a constant: itself and 0)."""
    # A constant's mean and spread in floating point are not exactly the constant and zero.
    if np.ptp(points) == 0:
        return float(points[0]), 0.0
    return float(points.mean()), float(points.std(ddof=1))


def _median_and_deviation(points: Floats) -> tuple[float, float]:
    centre = float(np.median(points))
    away = np.abs(points - centre)
    spread = float(np.median(away)) * _SIGMAS_PER_MEDIAN_DEVIATION
    if spread == 0:  # more than half are equal, as with an error rate of zero, though others are not
        spread = float(away.mean()) * _SIGMAS_PER_MEAN_DEVIATION
    return centre, spread
