"""What a KPI usually is at this hour of the week, and how far from that it stands."""

import math
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import BaseModel

from holdfast.slo.spec import Kpi

# The median absolute deviation of a normal distribution times this is its standard deviation.
SIGMAS_PER_MAD: Final = 1.4826022185056018
# What never moved has no spread, so any step from it would be endlessly far.
MOST_SIGMAS: Final = 1_000.0
FEWEST_POINTS: Final = 20
# Half of what Prometheus gives at most for one range; more would not move a median.
_MOST_POINTS: Final = 5_000


class Usual(BaseModel):
    """What a KPI usually is.

    Attributes:
        median: of the points.
        mad: the median of their distances from it.
        points: how many they were.
        same_hour: they are of this hour of earlier weeks; otherwise of all hours.
    """

    median: float
    mad: float
    points: int
    same_hour: bool = False


def baseline_step(baseline: timedelta, *, interval: timedelta) -> timedelta:
    """Return the distance at which a KPI's past is asked for: the interval, or what keeps it affordable."""
    if baseline // interval < _MOST_POINTS:
        return interval
    return timedelta(seconds=math.ceil(baseline.total_seconds() / (_MOST_POINTS - 1)))


def usual(
    points: Sequence[tuple[datetime, float]], *, at: datetime, fewest: int = FEWEST_POINTS
) -> Usual | None:
    """Summarise a KPI's past: the same hour of the week where it has enough points, else all hours.

    Hours are UTC. The hour that `at` lies in is left out of both: what was seen minutes ago is no memory of
    earlier weeks.

    Args:
        points: with aware times; numbers that are not finite do not count.
        at: the moment that is judged.
        fewest: points that are needed, for either.

    Returns:
        None where there are too few.
    """
    begins = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    past = [(when, value) for when, value in points if when < begins and math.isfinite(value)]
    same = [value for when, value in past if _hour_of_week(when) == _hour_of_week(at)]
    if len(same) >= fewest:
        return _summary(same, same_hour=True)
    return _summary([value for _, value in past], same_hour=False) if len(past) >= max(1, fewest) else None


def distance(kpi: Kpi, value: float, past: Usual) -> float:
    """Return how many robust standard deviations the value is worse than usual; negative: better.

    At most `MOST_SIGMAS` either way; 0 for a KPI that is only shown.
    """
    worse = _worse_by(kpi, value, past)
    spread = SIGMAS_PER_MAD * past.mad
    if spread > 0:
        return max(-MOST_SIGMAS, min(MOST_SIGMAS, worse / spread))
    return math.copysign(MOST_SIGMAS, worse) if worse else 0.0


def deviates(kpi: Kpi, value: float, past: Usual) -> bool:
    """Whether the value is worse than usual by more than the KPI's sigmas and percent, both."""
    least = kpi.at_least_percent / 100 * abs(past.median)
    return _worse_by(kpi, value, past) > least and distance(kpi, value, past) > kpi.sigmas


def _worse_by(kpi: Kpi, value: float, past: Usual) -> float:
    match kpi.bad_when:
        case "rising":
            return value - past.median
        case "falling":
            return past.median - value
        case "never":
            return 0.0


def _summary(values: Sequence[float], *, same_hour: bool) -> Usual | None:
    median = statistics.median(values)
    mad = statistics.median([abs(value - median) for value in values])
    if not (math.isfinite(median) and math.isfinite(mad)):
        return None  # numbers so large that their sums are none
    return Usual(median=median, mad=mad, points=len(values), same_hour=same_hour)


def _hour_of_week(at: datetime) -> int:
    utc = at.astimezone(UTC)
    return utc.weekday() * 24 + utc.hour
