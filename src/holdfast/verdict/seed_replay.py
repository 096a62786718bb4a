"""The seed model over many minutes at once, with the same levels to the last decimal.

Numbers far from an edge are compared as floats; those near one are read again exactly, one by one.
"""

import numpy as np

from holdfast.verdict.grading import UNKNOWN, Levels
from holdfast.verdict.minutes import Floats, Minutes
from holdfast.verdict.observation import Baseline, Level, Outcome, SignalBaseline
from holdfast.verdict.reading import read_metric
from holdfast.verdict.settings import Metric, Scoring
from holdfast.verdict.weighted_seed import outcome_of

# Percent of the allowed deviation; and how far floats of a few terms may be off, as a part of their size.
_NEAR = 1e-6
_FLOAT = 1e-13


def outcomes_of(scoring: Scoring, baseline: Baseline, minutes: Minutes) -> list[Outcome]:
    """Judge every minute by itself, as `weighted_seed` does."""
    risk = np.zeros(len(minutes), dtype=np.int64)
    missing = np.zeros(len(minutes), dtype=bool)
    for name, metric in scoring.metrics.items():
        level = _metric(name, scoring, baseline, minutes)
        risk += metric.weight_percent * np.maximum(level, 0).astype(np.int64)
        missing |= level == UNKNOWN
    rows = zip(risk.tolist(), missing.tolist(), minutes.provider_down.tolist(), strict=True)
    return [outcome_of(scoring, each, missing=m, provider_down=d) for each, m, d in rows]


def _metric(name: str, scoring: Scoring, baseline: Baseline, minutes: Minutes) -> Levels:
    """Take the worst query, or a missing one unless another is red."""
    levels = np.stack(
        [
            _query(name, scoring, pair.canary, signal)
            for pair, signal in zip(minutes.metrics[name], baseline.signals[name], strict=True)
        ]
    )
    worst: Levels = levels.max(axis=0)
    return np.where((levels == UNKNOWN).any(axis=0) & (worst < Level.RED), UNKNOWN, worst).astype(np.int8)


def _query(name: str, scoring: Scoring, values: Floats, signal: SignalBaseline) -> Levels:
    if signal.mean is None or signal.standard_deviation is None:
        return np.full(len(values), UNKNOWN, dtype=np.int8)
    metric = scoring.metrics[name]
    allowed = _allowed(metric, signal.mean, signal.standard_deviation)
    worse = np.maximum((values - signal.mean) * (1 if metric.bad_when == "rising" else -1), 0.0)
    used = 100 * worse / allowed if allowed else np.where(worse > 0, np.inf, worse)
    red, yellow = scoring.red_from_percent, scoring.yellow_from_percent
    level = np.select([np.isnan(values), used > red, used > yellow], [UNKNOWN, 2, 1], 0).astype(np.int8)
    slack = _NEAR + 100 * _FLOAT * (np.abs(values) + abs(signal.mean)) / allowed if allowed else np.inf
    near = ~np.isnan(values) & ((np.abs(used - red) <= slack) | (np.abs(used - yellow) <= slack))
    for minute in np.flatnonzero(near).tolist():
        exact = read_metric(name, scoring, [float(values[minute])], [signal])
        level[minute] = UNKNOWN if exact.level is None else exact.level
    return level


def _allowed(metric: Metric, mean: float, deviation: float) -> float:
    threshold = metric.threshold
    return max(
        (threshold.sigmas or 0) * deviation,
        (threshold.at_least_percent or 0) * abs(mean) / 100,
        threshold.points or 0,
    )
