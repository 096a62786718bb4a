"""Baselines: what the control looked like before the change, and how much history that rests on."""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from holdfast.verdict.detector_settings import Detector, Ewma, MovingAverage, ZScore, minutes
from holdfast.verdict.observation import EdgeBaseline, SignalBaseline, Summary
from holdfast.verdict.settings import Scoring

Point: TypeAlias = tuple[datetime, float]

# Half of what Prometheus gives at most; more would cost the database time and not move a mean.
MOST_POINTS: Final = 5_000
# They travel in the run's history: 1,000 are about 20 kB, and enough for any window but the longest.
_MOST_RECENT = 1_000


def affordable_step(window: timedelta, step: timedelta, *, most_points: int = MOST_POINTS) -> timedelta:
    """Return `step`, or the shortest whole seconds that keep the window within `most_points`."""
    if window // step < most_points:
        return step
    return timedelta(seconds=math.ceil(window.total_seconds() / (most_points - 1)))


def signal_baseline(query: str, points: Sequence[float], *, minimum_points: int) -> SignalBaseline:
    """Summarise finite points, whenever they were: mean, sample standard deviation, median and MAD.

    Below `minimum_points` there is none of them.
    """
    if len(points) < minimum_points:
        return SignalBaseline(query=query, mean=None, standard_deviation=None, points=len(points))
    median, mad = _middle(points)
    return SignalBaseline(
        query=query,
        mean=statistics.fmean(points),
        standard_deviation=statistics.stdev(points),
        points=len(points),
        median=median,
        mad=mad,
    )


def dated_baseline(
    query: str, points: Sequence[Point], *, at: datetime, minimum_points: int, by_hour: bool = False
) -> SignalBaseline:
    """Summarise finite points with their times: all of them, and those of the same hour of the week.

    Hours of the week are UTC. The hour that `at` lies in is left out of them: what was seen minutes ago is no
    memory of earlier weeks.

    Args:
        query: what gave the points.
        points: oldest first.
        at: when the baseline ends.
        minimum_points: below this there is no summary, neither of all nor of an hour.
        by_hour: whether to summarise every hour of the week as well.
    """
    hours = _by_hour_of_week(points, before=_hour_begins(at))
    known = {hour: of_hour for hour, of_hour in hours.items() if len(of_hour) >= minimum_points}
    same = known.get(_hour_of_week(at))
    return signal_baseline(query, [value for _, value in points], minimum_points=minimum_points).model_copy(
        update={
            "days": _days(points),
            "same_hour": _summary(same) if same else None,
            "hours": {hour: _summary(known[hour]) for hour in sorted(known)} if by_hour else {},
        }
    )


def edge_baseline(caller: str, callee: str, error_percents: Sequence[float]) -> EdgeBaseline:
    """Summarise the points of all members of one call edge; at least one point."""
    return EdgeBaseline(
        caller=caller,
        callee=callee,
        mean_error_percent=statistics.fmean(error_percents),
        worst_error_percent=max(error_percents),
        points=len(error_percents),
    )


def points_to_learn_from(detector: Detector | None) -> int:
    """Say how many points just before the first verdict a detector begins with; at most 1,000."""
    match detector:
        case ZScore():
            return min(minutes(detector.window), _MOST_RECENT)
        case Ewma() | MovingAverage():
            return min(minutes(detector.reference), _MOST_RECENT)
        case _:
            return 0


def points_wanted(scoring: Scoring, detector: Detector | None) -> int:
    """Say how many of the newest points are kept: for the detector, and for a judge without a control."""
    judges = "judge" in {scoring.model, *scoring.shadow}
    return max(points_to_learn_from(detector), scoring.judge.window_points if judges else 0)


def covered_seconds(spans: Sequence[timedelta], *, wanted: timedelta) -> float:
    """Say how much history all signals that have a baseline share: the shortest span, at most `wanted`.

    Args:
        spans: for each such signal, its points times their distance.
        wanted: the window that was asked for.
    """
    return min((min(span, wanted).total_seconds() for span in spans), default=0.0)


def _summary(points: Sequence[Point]) -> Summary:
    values = [value for _, value in points]
    median, mad = _middle(values)
    return Summary(
        mean=statistics.fmean(values),
        standard_deviation=statistics.stdev(values),
        median=median,
        mad=mad,
        points=len(values),
        days=_days(points),
    )


def _middle(values: Sequence[float]) -> tuple[float, float]:
    median = statistics.median(values)
    return median, statistics.median([abs(value - median) for value in values])


def _days(points: Sequence[Point]) -> int:
    return len({at.astimezone(UTC).date() for at, _ in points})


def _by_hour_of_week(points: Sequence[Point], *, before: datetime) -> dict[int, list[Point]]:
    hours: dict[int, list[Point]] = defaultdict(list)
    for at, value in points:
        if at < before:
            hours[_hour_of_week(at)].append((at, value))
    return hours


def _hour_begins(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _hour_of_week(at: datetime) -> int:
    utc = at.astimezone(UTC)
    return utc.weekday() * 24 + utc.hour
