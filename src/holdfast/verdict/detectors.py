"""From one metric's minutes to "breached or not", always looking back only.

A detector gives each minute a reference and an allowed deviation, from the minutes before it. Hysteresis then
turns single bad minutes into breaches. What is breached is not learned from.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from holdfast.verdict.detector_settings import (
    Detector,
    Direction,
    Ewma,
    Fixed,
    Hysteresis,
    MovingAverage,
    Seasonal,
    Sigmas,
    check_direction,
    minutes,
)
from holdfast.verdict.hysteresis import Bools, Memory, hold
from holdfast.verdict.learners import Floats, Learner, Learning, Trailing, learner_of, mean_and_deviation

# Decimal inputs are not binary fractions: 0.75 is not beyond 0.7 + 0.05. Below this share it is rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Detection:
    """One entry a minute in each array.

    Attributes:
        statistic: the number that was compared: the value itself, or smoothed by a chart; NaN without data.
        low, high: the limits it was compared with; infinite on a side that cannot be bad, NaN without data or
            where too little was learned.
        used: deviation in the bad direction / allowed deviation; infinite where nothing is allowed, NaN where
            the limits are.
        raw: outside the limits in this minute.
        breach: in a breach, after hysteresis; never in a minute without data.
        begins: the minute in which a breach begins.
    """

    statistic: Floats
    low: Floats
    high: Floats
    used: Floats
    raw: Bools
    breach: Bools
    begins: Bools


def judge_series(
    settings: Detector,
    bad_when: Direction,
    values: Sequence[float] | Floats,
    *,
    times: NDArray[np.datetime64] | None = None,
    history: Sequence[float] | Floats | None = None,
) -> Detection:
    """Judge a series minute by minute; each minute's result rests on it and on those before it.

    Args:
        settings: which detector, and how it is set.
        bad_when: the direction in which the metric gets worse.
        values: one a minute, shape (n,); NaN and infinities are minutes without data.
        times: when each was, ascending; needed by the seasonal detector, which takes hours as they are given
            (pass local times for a local week).
        history: the minutes just before the first value. `sigmas` takes its baseline from them and judges
            nothing without; detectors that learn begin with them. A breach within them is not carried on.

    Raises:
        ValueError: the shapes do not fit, times are missing, or the detector cannot judge this direction.
    """
    check_direction(settings, bad_when)
    series, past = _clean(values), _clean([] if history is None else history)
    if times is not None and times.shape != series.shape:
        raise ValueError(f"there are {times.size} times for {series.size} values")
    if isinstance(settings, Fixed):
        return _judge_at_once(settings.hysteresis, bad_when, series, *_around(settings, bad_when))
    if isinstance(settings, Sigmas):
        return _judge_at_once(settings.hysteresis, bad_when, series, *_baseline(settings, past))
    slots = _slots(settings, series.size, past.size, times)
    learner = learner_of(settings)
    _judge_in_turn(settings, bad_when, learner, past, slots[: past.size])
    return _judge_in_turn(settings, bad_when, learner, series, slots[past.size :])


def _clean(values: Sequence[float] | Floats) -> Floats:
    series = np.array(values, dtype=np.float64)
    if series.ndim != 1:
        raise ValueError(f"a series has one dimension, not {series.ndim}")
    series[~np.isfinite(series)] = np.nan
    return series


def _around(settings: Fixed, bad_when: Direction) -> tuple[float, float]:
    """Return centre and allowed deviation; a single limit counts from zero, so that `used` is value / limit."""
    limit, low = settings.limit, settings.low
    if bad_when == "either" and low is not None:
        return (limit + low) / 2, (limit - low) / 2
    away = abs(limit)
    return (limit - away if bad_when == "rising" else limit + away), away


def _baseline(settings: Sigmas, past: Floats) -> tuple[float, float]:
    known = past[~np.isnan(past)]
    if known.size < settings.minimum_points:
        return math.nan, math.nan
    centre, scale = mean_and_deviation(known)
    floor = max(settings.at_least_percent * abs(centre) / 100, settings.points)
    return centre, max(settings.k * scale, floor)


def _judge_at_once(
    hysteresis: Hysteresis, bad_when: Direction, series: Floats, centre: float, allowed: float
) -> Detection:
    known = ~np.isnan(series)
    judged = known if not math.isnan(centre) else np.zeros_like(known)
    low, high = _limits(bad_when, np.where(judged, centre, np.nan), np.where(judged, allowed, np.nan))
    worse = _worse(bad_when, series - centre)
    raw = worse > allowed + _ROUNDING * max(abs(centre), allowed)
    used = _used(np.where(judged, worse, np.nan), np.full(series.shape, allowed))
    breach, begins = hold(hysteresis, raw, known)
    return Detection(series, low, high, used, raw, breach, begins)


def _limits(bad_when: Direction, centre: Floats, allowed: Floats) -> tuple[Floats, Floats]:
    unlimited = np.where(np.isnan(centre), np.nan, np.inf)
    low = -unlimited if bad_when == "rising" else centre - allowed
    high = unlimited if bad_when == "falling" else centre + allowed
    return low, high


def _worse(bad_when: Direction, deviation: Floats) -> Floats:
    if bad_when == "either":
        return np.abs(deviation)
    return np.maximum(deviation if bad_when == "rising" else -deviation, 0.0)


def _used(worse: Floats, allowed: Floats) -> Floats:
    none_allowed = np.where(worse > 0, np.inf, worse)
    return np.divide(worse, allowed, out=none_allowed, where=allowed != 0)


def _slots(settings: Learning, size: int, before: int, times: NDArray[np.datetime64] | None) -> Sequence[int]:
    """Return the hour, counted from 1970, of each minute of history and series; only the seasonal one asks."""
    if not isinstance(settings, Seasonal):
        return [0] * (before + size)
    if times is None:
        raise ValueError("the seasonal detector needs times")
    start = times[:1] if size else np.zeros(1, "datetime64[m]")
    past = start - np.arange(before, 0, -1) * np.timedelta64(1, "m")
    hours: list[int] = np.concatenate([past, times]).astype("datetime64[h]").astype(np.int64).tolist()
    return hours


def _judge_in_turn(
    settings: Learning, bad_when: Direction, learner: Learner, series: Floats, slots: Sequence[int]
) -> Detection:
    """Judge with a detector that learns on; `learner` has then learned the healthy part of the series."""
    centre, allowed, statistic = (np.full(series.shape, np.nan) for _ in range(3))
    raw, breach, begins = (np.zeros(series.shape, np.bool_) for _ in range(3))
    chart = _Chart(settings, bad_when, learner)
    for minute, value in enumerate(series.tolist()):
        if math.isnan(value):
            continue
        judged = chart.see(minute, value, slots[minute])
        if judged is None:
            statistic[minute] = value
            continue
        centre[minute], allowed[minute], statistic[minute], raw[minute], breach[minute], begins[minute] = judged
    low, high = _limits(bad_when, centre, allowed)
    used = _used(_worse(bad_when, statistic - centre), allowed)
    return Detection(statistic, low, high, used, raw, breach, begins)


class _Chart:
    """One series under a detector that learns on: smoothing, limits, hysteresis, and what may be learned."""

    def __init__(self, settings: Learning, bad_when: Direction, learner: Learner) -> None:
        self._bad_when: Direction = bad_when
        self._learner = learner
        self._smooth = partial(_smoother, settings)
        self._smoothed = self._smooth()
        self._memory = Memory(settings.hysteresis)
        self._k, self._share, self._points = settings.k, settings.at_least_percent / 100, settings.points
        self._patience = minutes(settings.relearn_after)
        self._breached: list[float] = []

    def see(self, minute: int, value: float, slot: int) -> tuple[float, float, float, bool, bool, bool] | None:
        """Judge one value: centre, allowed deviation, statistic, raw, breach, begins; None while learning."""
        reference = self._learner.reference(slot)
        if reference is None:
            self._learner.learn(value, slot)
            self._memory.see(minute, bad=False)
            return None
        centre, scale = reference
        floor = max(self._share * abs(centre), self._points)
        statistic, narrower = self._smoothed.see(value, centre)
        allowed = max(self._k * scale * narrower, floor)
        raw = self._beyond(statistic - centre, allowed + _ROUNDING * max(abs(centre), allowed))
        breach = self._memory.see(minute, bad=raw)
        begins = self._memory.begun
        if begins:
            self._breached.clear()
        if breach:
            self._hold_out(value)
        else:
            self._take_in(value, slot, centre, max(self._k * scale, floor))
        return centre, allowed, statistic, raw, breach, begins

    def _beyond(self, deviation: float, allowed: float) -> bool:
        if self._bad_when == "rising":
            return deviation > allowed
        return (-deviation if self._bad_when == "falling" else abs(deviation)) > allowed

    def _hold_out(self, value: float) -> None:
        self._breached.append(value)
        self._learner.learn_breached(value)
        # A level that lasts is what is usual from then on; otherwise a real change would be a breach for ever.
        if len(self._breached) >= self._patience:
            self._learner.restart(self._breached)
            self._memory.forget()
            self._smoothed = self._smooth()
            self._breached = []

    def _take_in(self, value: float, slot: int, centre: float, most: float) -> None:
        # A lone outlier is learned as the limit it passed: else it widens the limits and hides what follows.
        # A constant has no such limit: better values are learned as they are, worse ones not at all.
        if most:
            value = min(max(value, centre - most), centre + most)
        elif self._beyond(value - centre, _ROUNDING * abs(centre)):
            return
        self._learner.learn(value, slot)


class _Smoother(Protocol):
    def see(self, value: float, centre: float) -> tuple[float, float]:
        """Return the smoothed value and its standard deviation as a share of a single value's."""
        ...


def _smoother(settings: Learning) -> _Smoother:
    match settings:
        case Ewma():
            return _Exponential(settings.weight)
        case MovingAverage():
            return _Average(minutes(settings.window))
        case _:
            return _Unsmoothed()


class _Unsmoothed:
    def see(self, value: float, centre: float) -> tuple[float, float]:  # noqa: ARG002  part of the protocol
        return value, 1.0


class _Exponential:
    """Starts at the centre; the variance is that of Roberts' chart (1959), exact from its first minute."""

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self._smoothed: float | None = None
        self._of_start = 1.0

    def see(self, value: float, centre: float) -> tuple[float, float]:
        before = centre if self._smoothed is None else self._smoothed
        self._smoothed = before + self._weight * (value - before)
        self._of_start *= (1 - self._weight) ** 2
        return self._smoothed, math.sqrt(self._weight / (2 - self._weight) * (1 - self._of_start))


class _Average:
    def __init__(self, size: int) -> None:
        self._values = Trailing(size, 1)
        self._size, self._count = size, 0

    def see(self, value: float, centre: float) -> tuple[float, float]:  # noqa: ARG002  part of the protocol
        self._values.learn(value, 0)
        self._count = min(self._count + 1, self._size)
        return self._values.mean(), 1 / math.sqrt(self._count)
