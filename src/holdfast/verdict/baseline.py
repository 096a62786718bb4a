"""Baselines: what the control looked like before the change, and how much history that rests on."""

import math
import statistics
from collections.abc import Sequence
from datetime import timedelta

from holdfast.verdict.observation import SignalBaseline

# Half of what Prometheus gives at most; more would cost the database time and not move a mean.
_MOST_POINTS = 5_000


def affordable_step(window: timedelta, step: timedelta) -> timedelta:
    """Return `step`, or the shortest whole seconds that keep the window within 5,000 points."""
    if window // step < _MOST_POINTS:
        return step
    return timedelta(seconds=math.ceil(window.total_seconds() / (_MOST_POINTS - 1)))


def signal_baseline(query: str, points: Sequence[float], *, minimum_points: int) -> SignalBaseline:
    """Summarise finite points: their mean and sample standard deviation, or neither below `minimum_points`."""
    if len(points) < minimum_points:
        return SignalBaseline(query=query, mean=None, standard_deviation=None, points=len(points))
    return SignalBaseline(
        query=query,
        mean=statistics.fmean(points),
        standard_deviation=statistics.stdev(points),
        points=len(points),
    )


def covered_seconds(spans: Sequence[timedelta], *, wanted: timedelta) -> float:
    """Say how much history all signals that have a baseline share: the shortest span, at most `wanted`.

    Args:
        spans: for each such signal, its points times their distance.
        wanted: the window that was asked for.
    """
    return min((min(span, wanted).total_seconds() for span in spans), default=0.0)
