"""From columns of numbers to the level of each metric, minute by minute, looking back only.

The comparison is with the control at the same moment where it speaks, else with the past: whatever hits both
sides alike is no fault of the canary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from holdfast.verdict.detector_settings import Fixed, Hysteresis, Seasonal, Sigmas
from holdfast.verdict.detectors import Detection, judge_series
from holdfast.verdict.hysteresis import hold
from holdfast.verdict.minutes import Flags, Floats, Minutes, Pair
from holdfast.verdict.observation import Baseline, Level, SignalBaseline
from holdfast.verdict.settings import Metric, Scoring, Threshold

Levels = npt.NDArray[np.int8]
Counts = npt.NDArray[np.int64]
Number = TypeVar("Number", np.int8, np.float64)

# Neither green nor red: the risk is a lower bound then, enough to stop on and never to go on
# (docs/decisions/0001).
UNKNOWN = -1
# Decimal inputs are not binary fractions: 0.75 is not beyond 0.7 + 0.05. Below this part it is rounding.
_ROUNDING = 1e-9
_SIGMAS_PER_MEDIAN_DEVIATION = 1.4826022185056018
_HOUR_SECONDS = 3600
_MONDAY_HOURS = 3 * 24  # 1970-01-01 was a Thursday
_HOURS_OF_WEEK = 168


@dataclass(frozen=True)
class Reference:
    """What a query is compared with, and how far it may be from it; NaN where there is no such number.

    Attributes:
        names: what it is, minute by minute, as an index into `REFERENCES`.
    """

    centre: Floats
    allowed: Floats
    names: npt.NDArray[np.int8]


REFERENCES = ("control now", "past weeks, same hour", "baseline", "limit")
CONTROL, SAME_HOUR, BASELINE, LIMIT = range(4)


@dataclass(frozen=True)
class Grade:
    """One metric, minute by minute; of its queries the worst at that minute.

    Attributes:
        query: which of its queries that was.
        level: 0 to 2 in this minute alone; `UNKNOWN` where a query has no number, or nothing to be compared
            with.
        held: 0 to 2 after hysteresis: enough of the newest minutes with data were that bad.
        used: percent of the allowed deviation; infinite where nothing is allowed and it got worse.
        silent: how many minutes in a row, up to this one, the canary was silent while the control spoke.
        missing: whether any query has no level in this minute, even where another one is red.
    """

    query: Counts
    value: Floats
    control: Floats
    reference: Reference
    used: Floats
    level: Levels
    held: Levels
    silent: Counts
    missing: Flags


def grade(name: str, scoring: Scoring, baseline: Baseline, minutes: Minutes, *, discount_shared: bool) -> Grade:
    """Grade one metric.

    Args:
        name: a metric of `scoring`.
        scoring: its threshold or detector, direction, edges between levels and hysteresis.
        baseline: what was usual.
        minutes: what was seen.
        discount_shared: whether a deviation from the past counts only where the control did not make it too.
    """
    metric = scoring.metrics[name]
    graded = [
        _query(metric, scoring, signal, pair, minutes, discount_shared=discount_shared)
        for signal, pair in zip(baseline.signals[name], minutes.metrics[name], strict=True)
    ]
    worst = _worst(graded)
    hysteresis = metric.detector.hysteresis if metric.detector else scoring.hysteresis
    unclear = thin(scoring, minutes) | minutes.provider_down
    level = np.where(unclear, UNKNOWN, worst.level).astype(np.int8)
    if metric.worst_level == "yellow":
        level = np.minimum(level, int(Level.YELLOW)).astype(np.int8)
    silent = np.logical_and.reduce([np.isnan(p.canary) for p in minutes.metrics[name]])
    speaks = np.logical_or.reduce([np.isfinite(p.control) for p in minutes.metrics[name]])
    missing = np.logical_or.reduce([g.level == UNKNOWN for g in graded]) | unclear
    return replace(
        worst, level=level, held=held(hysteresis, level), silent=runs(silent & speaks), missing=missing
    )


def thin(scoring: Scoring, minutes: Minutes) -> Flags:
    """Say in which minutes too few requests met the canary; nowhere where requests are not counted."""
    few: Flags = minutes.canary_requests < scoring.minimum_requests
    return few


def held(hysteresis: Hysteresis, level: Levels) -> Levels:
    """Return the level that enough of the newest minutes reached; minutes without a level do not count."""
    known = level != UNKNOWN
    # Forgetful: a live watch carries only so many minutes, and must say what a replay of all of them says.
    red, _ = hold(hysteresis, level >= Level.RED, known, forgetful=True)
    yellow, _ = hold(hysteresis, level >= Level.YELLOW, known, forgetful=True)
    return (red.astype(np.int8) + yellow.astype(np.int8)).astype(np.int8)


def runs(flags: Flags) -> Counts:
    """Return for each minute how many flags in a row end with it."""
    count = np.arange(1, len(flags) + 1)
    broken = np.maximum.accumulate(np.where(flags, 0, count)) if len(flags) else count
    return count - broken


def _query(
    metric: Metric,
    scoring: Scoring,
    signal: SignalBaseline,
    pair: Pair,
    minutes: Minutes,
    *,
    discount_shared: bool,
) -> Grade:
    sign = 1.0 if metric.bad_when == "rising" else -1.0
    if metric.detector is None or isinstance(metric.detector, Sigmas | Seasonal):
        reference = _reference(metric, signal, pair, minutes)
        used = _used(np.maximum(sign * (pair.canary - reference.centre), 0.0), reference)
    else:
        seen = judge_series(metric.detector, metric.bad_when, pair.canary, history=signal.recent)
        reference = _limit_of(seen, metric)
        used = np.round(100 * seen.used, 7)
    if discount_shared:
        shared = _shared(signal, pair, sign, scoring) & (reference.names != CONTROL)
        used = np.where(shared & ~np.isnan(used), 0.0, used)
    # A fixed limit is a limit: half of it is no half-way to anything.
    yellow = scoring.red_from_percent if isinstance(metric.detector, Fixed) else scoring.yellow_from_percent
    # Edges belong to the milder side: exactly 50 % is green, exactly 100 % is yellow (docs/decisions/0001).
    level = np.select(
        [np.isnan(used), used > scoring.red_from_percent, used > yellow],
        [UNKNOWN, Level.RED, Level.YELLOW],
        Level.GREEN,
    ).astype(np.int8)
    count = np.zeros(len(minutes), dtype=np.int64)
    return Grade(count, pair.canary, pair.control, reference, used, level, level, count, level == UNKNOWN)


def _used(worse: Floats, reference: Reference) -> Floats:
    slack = _ROUNDING * np.maximum(np.abs(reference.centre), reference.allowed)
    worse = np.where(worse <= slack, 0.0, worse)
    with np.errstate(divide="ignore", invalid="ignore"):
        used = 100 * worse / reference.allowed
    used = np.where((reference.allowed == 0) & (worse == 0), 0.0, used)
    return np.where(np.isnan(worse), np.nan, np.round(used, 7))


def _shared(signal: SignalBaseline, pair: Pair, sign: float, scoring: Scoring) -> Flags:
    """Say where the control made enough of the canary's way from what was usual."""
    past = past_of(signal)[0]
    if past is None:
        return np.zeros(len(pair.canary), dtype=bool)
    rise, control = sign * (pair.canary - past), sign * (pair.control - past)
    return (rise > 0) & (control >= rise * scoring.attribution.shared_percent / 100)


def _worst(graded: Sequence[Grade]) -> Grade:
    """Take at each minute the worst query, or a missing one unless another is red: it could not get worse."""
    if len(graded) == 1:
        return graded[0]
    levels = np.stack([g.level for g in graded])
    useds = np.stack([np.nan_to_num(g.used, nan=-1.0, posinf=np.inf) for g in graded])
    missing = levels == UNKNOWN
    blind = missing.any(axis=0) & (levels.max(axis=0) < Level.RED)
    first_missing: Counts = missing.argmax(axis=0).astype(np.int64)
    most_used: Counts = useds.argmax(axis=0).astype(np.int64)
    chosen: Counts = np.where(blind, first_missing, most_used)
    pick = partial(_pick, chosen=chosen)
    reference = Reference(
        centre=pick([g.reference.centre for g in graded]),
        allowed=pick([g.reference.allowed for g in graded]),
        names=pick([g.reference.names for g in graded]),
    )
    return Grade(
        query=chosen,
        value=pick([g.value for g in graded]),
        control=pick([g.control for g in graded]),
        reference=reference,
        used=pick([g.used for g in graded]),
        level=pick([g.level for g in graded]),
        held=pick([g.level for g in graded]),
        silent=np.zeros_like(chosen),
        missing=missing.any(axis=0),
    )


def _pick(columns: Sequence[npt.NDArray[Number]], *, chosen: Counts) -> npt.NDArray[Number]:
    """Return at each minute the number of the query that was chosen there."""
    picked: npt.NDArray[Number] = np.take_along_axis(np.stack(columns), chosen[np.newaxis], axis=0)[0]
    return picked


# --- what a query is compared with ------------------------------------------------------------------------


def _reference(metric: Metric, signal: SignalBaseline, pair: Pair, minutes: Minutes) -> Reference:
    if isinstance(metric.detector, Seasonal):
        return _of_season(metric.detector, signal, minutes)
    mean, deviation, name = past_of(signal)
    if isinstance(metric.detector, Sigmas) and signal.points < metric.detector.minimum_points:
        mean = deviation = None
    # On ChangeRCA a concurrent control in place of the past nearly halved the good releases that were stopped:
    # 15 of 166, not 27.
    centre = np.where(np.isnan(pair.control), np.nan if mean is None else mean, pair.control)
    names = np.where(np.isnan(pair.control), name, CONTROL).astype(np.int8)
    return Reference(centre, allowed_around(metric, centre, deviation), names)


def allowed_around(metric: Metric, centre: Floats, deviation: float | None) -> Floats:
    """Return how far a metric may be from each of these; NaN where that is sigmas of what is not known."""
    threshold = _threshold(metric)
    # The floors are for a steady past, which has almost no spread: by sigmas alone any ripple would be red
    # (docs/decisions/0001).
    if deviation is None and threshold.sigmas and not (threshold.at_least_percent or threshold.points):
        return np.full(len(centre), np.nan)
    least = max((threshold.sigmas or 0) * (deviation or 0), threshold.points or 0)
    return np.maximum(least, (threshold.at_least_percent or 0) / 100 * np.abs(centre))


def _threshold(metric: Metric) -> Threshold:
    if isinstance(metric.detector, Sigmas):
        d = metric.detector
        return Threshold(sigmas=d.k, at_least_percent=d.at_least_percent, points=d.points)
    return metric.threshold


def past_of(signal: SignalBaseline) -> tuple[float | None, float | None, int]:
    """Return mean and standard deviation of the past: of the same hour of the week where that is known."""
    if signal.same_hour:
        return signal.same_hour.mean, signal.same_hour.standard_deviation, SAME_HOUR
    return signal.mean, signal.standard_deviation, BASELINE


def _limit_of(seen: Detection, metric: Metric) -> Reference:
    limit = seen.high if metric.bad_when == "rising" else seen.low
    names = np.full(len(limit), LIMIT, dtype=np.int8)
    return Reference(limit, np.full(len(limit), np.nan), names)


def _of_season(detector: Seasonal, signal: SignalBaseline, minutes: Minutes) -> Reference:
    hours = ((minutes.at // _HOUR_SECONDS).astype(np.int64) + _MONDAY_HOURS) % _HOURS_OF_WEEK
    centre, allowed = np.full(len(minutes), np.nan), np.full(len(minutes), np.nan)
    names = np.full(len(minutes), BASELINE, dtype=np.int8)
    for hour in np.unique(hours).tolist():
        here, known = hours == hour, signal.hours.get(hour)
        if known is not None and known.points >= detector.minimum_points:
            median, mad = known.median, known.mad
            names[here] = SAME_HOUR
        elif signal.median is not None and signal.mad is not None:
            median, mad = signal.median, signal.mad
        else:
            continue
        floor = max(detector.at_least_percent / 100 * abs(median), detector.points)
        centre[here] = median
        allowed[here] = max(detector.k * _SIGMAS_PER_MEDIAN_DEVIATION * mad, floor)
    return Reference(centre, allowed, names)
