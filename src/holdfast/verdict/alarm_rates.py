"""How often a detector alarms on a healthy metric: Gaussian minutes, as the settings of the detector say.

A bad minute has the probability of a Student t tail, because mean and spread are themselves estimated (a
prediction interval). Episodes then follow from the Markov chain of the last minutes, solved exactly. Minutes
that resemble the one before (autocorrelation) are taken for a chain in which a minute's badness depends on the
one before: exact for independent minutes, an approximation otherwise.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

from holdfast.verdict.detector_settings import (
    Detector,
    Direction,
    Ewma,
    Fixed,
    Hysteresis,
    MovingAverage,
    Seasonal,
    ZScore,
    check_direction,
    minutes,
)
from holdfast.verdict.episodes import episodes_per_minute

MINUTES_PER_DAY = 1440
_NORMAL = NormalDist()
# Of Gaussian points, median and median deviation vary more than mean and standard deviation: asymptotic ratios.
_MEDIAN_VARIANCE_RATIO = math.pi / 2
_MEDIAN_DEVIATION_EFFICIENCY = 0.3675
_GRID = 0.1  # between the limits, in standard deviations, at which a rate is solved; between them it is smooth


@dataclass(frozen=True, slots=True)
class Healthy:
    """What the metric is like in health, in its own unit."""

    mean: float
    standard_deviation: float


def per_check(
    settings: Detector,
    bad_when: Direction = "rising",
    *,
    points: int | None = None,
    healthy: Healthy | None = None,
) -> float:
    """Return the probability that one healthy Gaussian minute is outside the limits.

    Args:
        settings: which detector, and how it is set.
        bad_when: the direction in which the metric gets worse.
        points: how many points mean and spread are estimated from. Where not given: as many as the detector's
            window or full profile holds; for `sigmas`, so many that they are known.
        healthy: needed for a fixed limit, and for the floors: without it they are left out (this is the most).

    Raises:
        ValueError: a fixed limit without `healthy`, fewer than two points, or a direction it cannot judge.
    """
    limits = _Limits.of(settings, bad_when, points, healthy)
    if limits.floor or limits.degrees is None:
        return math.fsum(weight * limits.outside(shift, scale) for shift, scale, weight in limits.estimates())
    sides = 2 if bad_when == "either" else 1
    tail = student_tail(limits.k / math.sqrt(1 + limits.shift**2), limits.degrees)
    return sides * tail


def per_day(
    settings: Detector,
    bad_when: Direction = "rising",
    *,
    metrics: int = 1,
    points: int | None = None,
    healthy: Healthy | None = None,
    autocorrelation: float = 0.0,
) -> float:
    """Return the expected false-alarm episodes of a day of minutes, after hysteresis.

    Averaged over the baselines that could have been estimated: one short baseline serves many minutes, so a
    bad one alarms all day. Charts smooth, so their minutes always resemble the one before.

    Args:
        settings: as for `per_check`.
        bad_when: likewise.
        points: likewise.
        healthy: likewise.
        metrics: how many such metrics are watched.
        autocorrelation: of each minute with the one before, 0 up to below 1; only where nothing is smoothed.

    Raises:
        ValueError: as for `per_check`; or the autocorrelation is outside its range, or given for a chart.
    """
    limits = _Limits.of(settings, bad_when, points, healthy)
    rates = _Rates(settings.hysteresis, _resemblance(settings, autocorrelation), two_sided=bad_when == "either")
    if limits.degrees is None:
        episodes = rates.exact(limits.outside(0.0, 1.0))
    else:
        episodes = math.fsum(
            weight * rates.at(limits.outside(shift, scale)) for shift, scale, weight in limits.estimates()
        )
    return metrics * MINUTES_PER_DAY * episodes


def chance_within(episodes_per_day: float, minutes_watched: float) -> float:
    """Return the probability of at least one false alarm in a watch, for rare episodes (a Poisson process)."""
    return -math.expm1(-episodes_per_day * minutes_watched / MINUTES_PER_DAY)


def student_tail(t: float, degrees: float) -> float:
    """Return P(T > t) of Student's t; the degrees of freedom need not be whole."""
    within = t * t / (degrees + t * t)
    if within < 1.5 / (
        2.5 + degrees / 2
    ):  # here the fraction converges fast for this side, there for the other
        half = 0.5 - 0.5 * _incomplete_beta(0.5, degrees / 2, within)
    else:
        half = 0.5 * _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))
    return half if t >= 0 else 1 - half


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function (DLMF 8.17.22, by Lentz's method)."""
    if x <= 0:
        return 0.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    fraction, numerator, denominator = 1.0, 1.0, 0.0
    for step in range(1000):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        denominator = 1 / (1 + term * denominator)
        numerator = 1 + term / numerator
        fraction *= numerator * denominator
        if abs(numerator * denominator - 1) < 1e-15:  # noqa: PLR2004  as exact as a double is
            break
    return front * (fraction - 1) / a


def _tail(x: float) -> float:
    return 0.5 * math.erfc(x / math.sqrt(2))


def _resemblance(settings: Detector, autocorrelation: float) -> float:
    """Return how much the compared number resembles the one of the minute before."""
    if not 0 <= autocorrelation < 1:
        raise ValueError(f"autocorrelation must be from 0 to below 1, not {autocorrelation:g}")
    if not isinstance(settings, Ewma | MovingAverage):
        return autocorrelation
    if autocorrelation:
        raise ValueError(f"no rate is known for {settings.kind} on autocorrelated minutes: measure it")
    return 1 - settings.weight if isinstance(settings, Ewma) else 1 - 1 / minutes(settings.window)


@dataclass(frozen=True, slots=True)
class _Limits:
    """Limits in standard deviations of the compared number, and how well they are known.

    Attributes:
        shift: standard deviation of the estimated centre.
        degrees: degrees of freedom of the estimated spread; None where both are known.
        low, high: fixed limits, in place of k and floor.
    """

    two_sided: bool
    k: float = 0.0
    floor: float = 0.0
    shift: float = 0.0
    degrees: float | None = None
    low: float = -math.inf
    high: float = math.inf
    is_fixed: bool = False

    @classmethod
    def of(
        cls, settings: Detector, bad_when: Direction, points: int | None, healthy: Healthy | None
    ) -> "_Limits":
        check_direction(settings, bad_when)
        if points is not None and points < 2:  # noqa: PLR2004  one point has no spread
            raise ValueError(f"a spread needs at least two points, not {points}")
        if healthy is not None and healthy.standard_deviation <= 0:
            raise ValueError("a healthy metric needs a standard deviation above zero")
        if isinstance(settings, Fixed):
            return cls._fixed(settings, bad_when, healthy)
        floor = 0.0
        if healthy is not None:
            allowed = max(settings.at_least_percent * abs(healthy.mean) / 100, settings.points)
            floor = allowed / (healthy.standard_deviation * _narrower(settings))
        shift, degrees = _estimated(settings, points)
        return cls(bad_when == "either", settings.k, floor, shift, degrees)

    @classmethod
    def _fixed(cls, settings: Fixed, bad_when: Direction, healthy: Healthy | None) -> "_Limits":
        if healthy is None:
            raise ValueError("for a fixed limit, say what the metric is like in health")
        limit = (settings.limit - healthy.mean) / healthy.standard_deviation
        if bad_when == "rising":
            return cls(two_sided=False, high=limit, is_fixed=True)
        if bad_when == "falling" or settings.low is None:
            return cls(two_sided=False, low=limit, is_fixed=True)
        low = (settings.low - healthy.mean) / healthy.standard_deviation
        return cls(two_sided=True, low=low, high=limit, is_fixed=True)

    def outside(self, shift: float, scale: float) -> float:
        """Return the probability of a bad minute, given how wrong centre and spread were estimated."""
        if self.is_fixed:
            return _tail(self.high) + _tail(-self.low)
        allowed = max(self.k * scale, self.floor)
        return _tail(allowed + shift) + (_tail(allowed - shift) if self.two_sided else 0.0)

    def estimates(self) -> Iterator[tuple[float, float, float]]:
        """Yield errors of the centre, estimated / true spread, and how probable the two are (together 1)."""
        if self.degrees is None:
            yield 0.0, 1.0, 1.0
            return
        # Trapezoids on smooth densities that vanish at both ends are exact to many digits.
        shifts = (
            [(0.25 * i, math.exp(-((0.25 * i) ** 2) / 2)) for i in range(-28, 29)]
            if self.shift
            else [(0.0, 1.0)]
        )
        spreads = list(_spreads(self.degrees))
        total = math.fsum(w for _, w in shifts) * math.fsum(w for _, w in spreads)
        for error, weight in shifts:
            for spread, of_spread in spreads:
                yield self.shift * error, spread, weight * of_spread / total


def _spreads(degrees: float) -> Iterator[tuple[float, float]]:
    """Yield estimated / true spread on an even grid of its logarithm, with the chi density there."""
    width = 7 / math.sqrt(2 * degrees)
    first, last = -width - 23 / degrees, width
    steps = 160
    for i in range(steps + 1):
        log = first + (last - first) * i / steps
        yield math.exp(log), math.exp(degrees * (log - (math.exp(2 * log) - 1) / 2))


def _narrower(settings: Detector) -> float:
    if isinstance(settings, Ewma):
        return math.sqrt(settings.weight / (2 - settings.weight))
    return 1 / math.sqrt(minutes(settings.window)) if isinstance(settings, MovingAverage) else 1.0


def _estimated(settings: Detector, points: int | None) -> tuple[float, float | None]:
    """Return the centre's standard deviation, in those of a minute, and the spread's degrees of freedom."""
    match settings:
        case ZScore():
            count = points or minutes(settings.window)
        case Seasonal():
            count = points or 60 * settings.weeks
            return math.sqrt(_MEDIAN_VARIANCE_RATIO / count), _MEDIAN_DEVIATION_EFFICIENCY * count
        case Ewma() | MovingAverage():
            # The reference holds the smoothed minutes too: its error goes along with theirs.
            return 0.0, (points or minutes(settings.reference)) - 1.0
        case _:
            if points is None:
                return 0.0, None
            count = points
    return 1 / math.sqrt(count), count - 1.0


class _Rates:
    """Episodes a minute by the probability of a bad minute, solved once for each limit on a grid."""

    def __init__(self, hysteresis: Hysteresis, autocorrelation: float, *, two_sided: bool) -> None:
        self._hysteresis = hysteresis
        self._autocorrelation = autocorrelation
        self._sides = 2 if two_sided else 1
        self._solved: dict[int, float] = {}

    def exact(self, outside: float) -> float:
        """Return the rate for this probability."""
        if not self._sensible(outside):
            return 0.0
        limit = -_NORMAL.inv_cdf(outside / self._sides)
        return episodes_per_minute(self._hysteresis, *self._chances(limit, outside))

    def at(self, outside: float) -> float:
        """Return the rate for this probability, from the cubic through the logarithms at four limits around."""
        if not self._sensible(outside):
            return 0.0
        place = -_NORMAL.inv_cdf(outside / self._sides) / _GRID
        first = math.floor(place)
        x = place - first
        around = [self._solved_at(first + i) for i in range(-1, 3)]
        if min(around) <= 0:
            return around[1] + (around[2] - around[1]) * x
        weights = (
            -x * (x - 1) * (x - 2) / 6,
            (x + 1) * (x - 1) * (x - 2) / 2,
            -(x + 1) * x * (x - 2) / 2,
            (x + 1) * x * (x - 1) / 6,
        )
        return math.exp(math.fsum(w * math.log(rate) for w, rate in zip(weights, around, strict=True)))

    def _sensible(self, outside: float) -> bool:
        # Never, or for ever: no limit in standard deviations says it, and no episode begins.
        return 1e-290 < outside / self._sides < (1 - 1e-12) / self._sides  # noqa: PLR2004  all a double can tell

    def _solved_at(self, index: int) -> float:
        if index not in self._solved:
            self._solved[index] = self.exact(min(self._sides * _tail(index * _GRID), 1.0))
        return self._solved[index]

    def _chances(self, limit: float, outside: float) -> tuple[float, float]:
        if not self._autocorrelation or outside in {0.0, 1.0}:
            return outside, outside
        leaves = _leaves(limit, self._autocorrelation, two_sided=self._sides == 2)  # noqa: PLR2004  low and high
        return leaves / (1 - outside), max(1 - leaves / outside, 0.0)


def _leaves(limit: float, autocorrelation: float, *, two_sided: bool) -> float:
    """Return P(within the limit, then outside) of two neighbours, jointly Gaussian: by Simpson's rule."""
    first, steps = -limit if two_sided else min(-9.0, limit - 1), 400
    apart = math.sqrt(1 - autocorrelation**2)
    total = 0.0
    for i in range(steps + 1):
        at = first + (limit - first) * i / steps
        outside = _tail((limit - autocorrelation * at) / apart)
        if two_sided:
            outside += _tail((limit + autocorrelation * at) / apart)
        total += (1 if i in {0, steps} else 4 if i % 2 else 2) * math.exp(-at * at / 2) * outside
    return total * (limit - first) / steps / 3 / math.sqrt(2 * math.pi)
