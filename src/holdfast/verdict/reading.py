"""From the values of one metric to its level: how much of the allowed deviation is used up.

Numbers are compared as the decimals that people read (0.75 against 0.7 plus 0.05 is exactly on the edge), not
as binary fractions, so that an edge lies where the file puts it.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from holdfast.verdict.observation import Level, MetricReading, NoData, SignalBaseline
from holdfast.verdict.settings import Metric, Scoring, Threshold


def read_metric(
    name: str, scoring: Scoring, values: Sequence[float | NoData], baselines: Sequence[SignalBaseline]
) -> MetricReading:
    """Judge one metric by the worst of its queries.

    A query without data or baseline leaves the metric without a level, unless another one is red already: it
    could not get worse.

    Args:
        name: a metric of `scoring`.
        scoring: its threshold, direction and the edges between levels.
        values: one entry for each of the metric's queries.
        baselines: likewise.
    """
    metric = scoring.metrics[name]
    readings = [
        _read_query(name, scoring, value, signal).model_copy(
            update={"unit": metric.unit_of(query), "query": metric.queries[query]}
        )
        for query, (value, signal) in enumerate(zip(values, baselines, strict=True))
    ]
    worst = max(readings, key=_badness)
    missing = next((reading for reading in readings if reading.level is None), None)
    return missing if missing and worst.level is not Level.RED else worst


def _badness(reading: MetricReading) -> tuple[int, float]:
    if reading.level is None:
        return -1, 0
    return reading.level, math.inf if reading.used_percent is None else reading.used_percent


def _read_query(name: str, scoring: Scoring, value: float | NoData, signal: SignalBaseline) -> MetricReading:
    metric = scoring.metrics[name]
    reading = MetricReading(metric=name, weight_percent=metric.weight_percent, baseline_mean=signal.mean)
    if isinstance(value, NoData):
        return reading.model_copy(update={"no_data": value})
    if signal.mean is None or signal.standard_deviation is None:
        return reading.model_copy(update={"value": value})
    allowed = _allowed(metric.threshold, _exact(signal.mean), _exact(signal.standard_deviation))
    worse = _worse_by(metric, _exact(value), _exact(signal.mean))
    used_percent = _used_percent(worse, allowed)
    return reading.model_copy(
        update={
            "value": value,
            "allowed": float(allowed),
            "used_percent": None if used_percent is None else math.ceil(used_percent),
            "level": _level(scoring, used_percent),
        }
    )


def _exact(value: float) -> Fraction:
    return Fraction(str(value))


def _allowed(threshold: Threshold, mean: Fraction, standard_deviation: Fraction) -> Fraction:
    return max(
        _exact(threshold.sigmas or 0) * standard_deviation,
        _exact(threshold.at_least_percent or 0) * abs(mean) / 100,
        _exact(threshold.points or 0),
    )


def _worse_by(metric: Metric, value: Fraction, mean: Fraction) -> Fraction:
    rise = value - mean
    return max(rise if metric.bad_when == "rising" else -rise, Fraction(0))


def _used_percent(worse: Fraction, allowed: Fraction) -> Fraction | None:
    if not allowed:
        return None if worse else Fraction(0)
    return 100 * worse / allowed


def _level(scoring: Scoring, used_percent: Fraction | None) -> Level:
    if used_percent is None or used_percent > scoring.red_from_percent:
        return Level.RED
    return Level.YELLOW if used_percent > scoring.yellow_from_percent else Level.GREEN
