"""Which context saturates first, at which rate, by which resource, and what can be carried.

A context has a knee where one of these begins and lasts while the rate is as high: its 95th percentile is far
above that of the low rates, more requests are sent than end (its queue grows), errors exceed a bound, or a
threshold of its own breaks. The knee at the lowest offered rate is the first; contexts that only wait for that
one come later.

The resource is one of the same context that is nearly full at the knee *and* moves with the latency around it
(Spearman's rank correlation at the best lag). Many things grow with the load. So where nobody says at which
value a resource is full, a line is fitted below the knee, and only what the resource does beyond it is
correlated with the latency. The double prewhitening of `holdfast.verdict.correlation` confirms what also moves
together from second to second.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.i18n import SOURCE, speaking
from holdfast.loadgen.result import Capacity, LoadResult, PhaseResult, Saturation, Series
from holdfast.loadgen.words import saturation_words
from holdfast.runbook.kinds.load import ANY_STEP
from holdfast.verdict.correlation import moved_together

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_FEWEST_POINTS: Final = 10
_WINDOW: Final = 5  # points that are looked at together
_LASTING_PART: Final = 0.8
_TIMES_BASE, _SPREADS, _LEAST_RISE_SECONDS = 4.0, 6.0, 0.005
_BEHIND_PART, _BEHIND_SIGMAS = 0.05, 3.0
_LEAST_LIMIT_PART: Final = 0.3
_MOST_LAG: Final = 5
_NEARLY_FULL, _FULL = 0.8, 0.9
_WEAK, _STRONG = 0.4, 0.6
_AS_GOOD: Final = 0.15


@dataclass(frozen=True)
class Resource:
    """What one resource of a context did.

    Attributes:
        times: seconds from the test's start, rising.
        values: in any unit; NaN where not known.
        full_at: at which value it is used up: 100 for percent, the size of a pool; None where not known.
    """

    times: Sequence[float]
    values: Sequence[float]
    full_at: float | None = None


@dataclass(frozen=True)
class _Knee:
    context: str
    rate: float
    at: float
    sign: str


@dataclass(frozen=True)
class _Course:
    """One context over the time in which sessions began."""

    at: Floats
    rate: Floats
    sent: Floats
    ended: Floats
    failed: Floats
    p95: Floats = field(repr=False)


@dataclass(frozen=True)
class _Suspect:
    name: str
    correlation: float
    utilisation: float | None
    full_since: float
    score: float
    sure: str


def find(
    result: LoadResult,
    resources: Mapping[str, Mapping[str, Resource]] | None = None,
    *,
    most_errors_percent: float = 1.0,
) -> Capacity:
    """Return what a test showed of the capacity; the test must not be void.

    Args:
        result: of the test.
        resources: of each context, by name.
        most_errors_percent: of a context's requests; more is saturation.
    """
    saturation = first_saturated(result, resources or {}, most_errors_percent=most_errors_percent)
    rate = _carried(result.phases, saturation)
    failed = any(phase.held is False for phase in result.phases)
    peak, factor = result.expected_peak, result.safety_factor
    return Capacity(
        rate=rate,
        at_least=rate is not None and not failed and saturation is None,
        failed=failed or saturation is not None,
        expected_peak=peak,
        safety_factor=factor,
        headroom_percent=_headroom(rate, peak),
        headroom_with_factor_percent=_headroom(rate, peak and peak * factor),
        saturation=saturation,
    )


def first_saturated(
    result: LoadResult, resources: Mapping[str, Mapping[str, Resource]], *, most_errors_percent: float = 1.0
) -> Saturation | None:
    """Return the context that saturates at the lowest rate, and by what; None where none does."""
    knees = [knee for series in result.series for knee in _knees(result, series, most_errors_percent)]
    knees += _by_thresholds(result)
    if not knees:
        return None
    knee = min(knees, key=lambda k: (k.rate, k.at))
    found = Saturation(context=knee.context, rate=knee.rate, at=knee.at, sign=knee.sign)
    series = next(s for s in result.series if s.name == knee.context)
    suspect = _suspect(_course(result, series), knee, resources.get(knee.context, {}))
    if suspect:
        found.resource, found.correlation = suspect.name, suspect.correlation
        found.utilisation, found.sure = suspect.utilisation, suspect.sure
    with speaking(SOURCE):
        found.why = saturation_words(found)
    return found


# --- what can be carried ------------------------------------------------------------------------------------


def _carried(phases: Sequence[PhaseResult], saturation: Saturation | None) -> float | None:
    """Return the highest rate before the first failure, and below the rate of that failure."""
    best: list[float] = []
    limit = math.inf
    for phase in phases:
        knee = saturation if saturation and phase.begins <= saturation.at < phase.ends else None
        if phase.held is None and not knee:
            break
        if phase.held is not True or knee:
            limit = phase.rate_to
            if phase.held is not False and knee and phase.rate_from < knee.rate < phase.rate_to:
                best.append(knee.rate)  # on a ramp, it held until then
            break
        best.append(max(phase.rate_from, phase.rate_to))
    return max((rate for rate in best if 0 < rate < limit), default=None)


def _headroom(rate: float | None, needed: float | None) -> float | None:
    return None if rate is None or not needed else 100 * (rate / needed - 1)


# --- the knee -----------------------------------------------------------------------------------------------


def _course(result: LoadResult, series: Series) -> _Course:
    every, last = result.every_seconds, min(result.lasts, result.offset)
    held = [(n, p) for n, p in enumerate(series.points) if p is not None and (n + 1) * every <= last + 1e-9]
    nan = math.nan
    rows = [
        ((n + 0.5) * every, result.rates[n], p.sent, p.ended, p.failed, nan if p.p95 is None else p.p95)
        for n, p in held
    ]
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), 6).T
    return _Course(*columns)


def _knees(result: LoadResult, series: Series, most_errors_percent: float) -> Iterator[_Knee]:
    """Yield the first point of each sign that a context shows."""
    if series.name == ANY_STEP:
        return
    course = _course(result, series)
    if course.at.size < _FEWEST_POINTS:
        return
    signs = {
        "latency": _slow(course),
        "throughput": _behind(course),
        "errors": _failing(course, most_errors_percent),
    }
    for sign, shown in signs.items():
        first = _first_lasting(shown, course.rate)
        if first is not None:
            yield _refined(course, _Knee(series.name, float(course.rate[first]), float(course.at[first]), sign))


def _refined(course: _Course, knee: _Knee) -> _Knee:
    """Put a knee back to the rate at which a queue overflows: it is seen only when the queue has grown.

    What ends in a second levels off there, whatever comes in; sessions are counted by their mean number of
    requests.
    """
    overload = (course.at >= knee.at) & (course.rate >= 0.98 * knee.rate)
    each = course.sent.sum() / max(course.rate.sum(), 1e-9)
    limit = float(course.ended[overload].mean() / each) if each else math.inf
    if not _LEAST_LIMIT_PART * knee.rate <= limit < knee.rate:
        return knee
    first = int(np.argmax(course.rate >= limit))
    return _Knee(knee.context, limit, min(knee.at, float(course.at[first])), knee.sign)


def _slow(course: _Course) -> Bools:
    """Say where the 95th percentile is far above its level at low rates."""
    known = np.flatnonzero(np.isfinite(course.p95))
    if known.size < _FEWEST_POINTS:
        return np.zeros(course.at.size, dtype=bool)
    low = known[np.lexsort((course.at[known], course.rate[known]))][: max(_WINDOW, known.size // 3)]
    base = float(np.median(course.p95[low]))
    spread = 1.4826 * float(np.median(np.abs(course.p95[low] - base)))
    level = max(_TIMES_BASE * base, base + _SPREADS * spread, base + _LEAST_RISE_SECONDS)
    bridged = np.interp(course.at, course.at[known], course.p95[known])
    slow: Bools = _rolling_median(bridged) > level
    return slow


def _behind(course: _Course) -> Bools:
    """Say where clearly more requests are sent than end."""
    sent, ended = _rolling_sum(course.sent), _rolling_sum(course.ended)
    behind: Bools = sent - ended > _BEHIND_PART * sent + _BEHIND_SIGMAS * np.sqrt(sent)
    return behind


def _failing(course: _Course, most_percent: float) -> Bools:
    sent, failed = _rolling_sum(course.sent), _rolling_sum(course.failed)
    failing: Bools = (failed > sent * most_percent / 100) & (failed >= _BEHIND_SIGMAS)
    return failing


def _first_lasting(shown: Bools, rate: Floats) -> int | None:
    """Return the first point from which on a sign is nearly always there while the rate is as high."""
    for first in np.flatnonzero(shown):
        later = shown[first:][rate[first:] >= 0.98 * rate[first]]
        if later.size >= min(_WINDOW, 3) and later.mean() >= _LASTING_PART:
            return int(first)
    return None


def _by_thresholds(result: LoadResult) -> Iterator[_Knee]:
    """Yield the thresholds of a context, or of a step of it, that broke."""
    context_of = {f.name: f.context for f in reversed(result.figures) if f.kind != "all"}
    for broken in result.broken:
        if broken.step in context_of:
            sign = "errors" if broken.what == "errors_percent" else "latency"
            yield _Knee(context_of[broken.step], broken.rate, broken.since, sign)


def _rolling_median(values: Floats) -> Floats:
    padded = np.pad(values, 1, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 3), axis=1), dtype=np.float64)


def _rolling_sum(values: Floats) -> Floats:
    """Return of each point the sum of it and the ones after it, so that a sign begins where it begins."""
    padded = np.pad(values, (0, _WINDOW - 1), mode="edge")
    sums = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW).sum(axis=1)
    return np.asarray(sums, dtype=np.float64)


# --- the resource -------------------------------------------------------------------------------------------


def _suspect(course: _Course, knee: _Knee, resources: Mapping[str, Resource]) -> _Suspect | None:
    """Return the resource that ran out; of several that fit as well, the one that was full first."""
    found = [s for name, each in resources.items() if (s := _judged(name, each, course, knee))]
    if not found:
        return None
    best = max(s.score for s in found)
    return min((s for s in found if s.score >= best - _AS_GOOD), key=lambda s: (s.full_since, -s.score))


def _judged(name: str, resource: Resource, course: _Course, knee: _Knee) -> _Suspect | None:
    """Return a resource as a suspect; None where it has nothing to do with the knee."""
    times, values = np.asarray(resource.times, dtype=float), np.asarray(resource.values, dtype=float)
    known = np.isfinite(values)
    if known.sum() < _FEWEST_POINTS:
        return None
    used = np.interp(course.at, times[known], values[known])
    around = _around(course, knee)
    if resource.full_at is None:
        return _judged_by_residuals(name, used, course, knee, around)
    correlation = _at_best_lag(used, course.p95, around)
    utilisation = _utilisation(used / resource.full_at, course, knee)
    if utilisation < _NEARLY_FULL or correlation < _WEAK:
        return None
    full = np.flatnonzero(used >= _FULL * resource.full_at)
    since = float(course.at[full[0]]) if full.size else math.inf
    sure = utilisation >= _FULL and (correlation >= _STRONG or _confirmed(used, course, around))
    score = correlation * min(utilisation, 1.0)
    return _Suspect(name, correlation, utilisation, since, score, "sure" if sure else "likely")


def _judged_by_residuals(
    name: str, used: Floats, course: _Course, knee: _Knee, around: Bools
) -> _Suspect | None:
    before, after = around & (course.at < knee.at), around & (course.at >= knee.at)
    if min(before.sum(), after.sum()) < _WINDOW:
        return None
    columns = np.column_stack([course.rate, np.ones_like(course.rate)])
    fit = np.linalg.lstsq(columns[before], used[before], rcond=None)[0]
    rest = used - columns @ fit
    noise = max(float(np.std(rest[before])), 1e-9 * float(np.abs(used).max() + 1))
    correlation = _at_best_lag(rest, course.p95, around, either_way=True)
    if abs(correlation) < _STRONG or float(np.abs(np.median(rest[after]))) < _SPREADS * noise:
        return None
    sure = "sure" if _confirmed(used, course, around) else "likely"
    return _Suspect(name, correlation, None, math.inf, _STRONG * abs(correlation), sure)


def _around(course: _Course, knee: _Knee) -> Bools:
    """Choose the points around the knee: as many after it as before, at least twenty where there are."""
    distance = np.abs(course.at - knee.at)
    before, after = (int((course.at < knee.at).sum()), int((course.at >= knee.at).sum()))
    each = max(min(before, after), 10)
    every = float(np.median(np.diff(course.at))) if course.at.size > 1 else 1.0
    chosen: Bools = (distance <= each * every) & np.isfinite(course.p95)
    return chosen


def _utilisation(share: Floats, course: _Course, knee: _Knee) -> float:
    """Return how full it is right after the knee, a few points before it included."""
    every = float(np.median(np.diff(course.at)))
    near = (course.at >= knee.at - 2 * every) & (course.at <= knee.at + 2 * _WINDOW * every)
    return float(np.percentile(share[near], 75)) if near.any() else 0.0


def _at_best_lag(used: Floats, latency: Floats, chosen: Bools, *, either_way: bool = False) -> float:
    """Return the rank correlation at the lag where it is strongest; scrapes are late, and so are queues."""
    best = 0.0
    for lag in range(-_MOST_LAG, _MOST_LAG + 1):
        moved = np.roll(used, lag)
        pairs = chosen.copy()
        pairs[: max(lag, 0)] = False
        pairs[len(pairs) + min(lag, 0) :] = False
        if pairs.sum() < _FEWEST_POINTS:
            continue
        rho = _spearman(moved[pairs], latency[pairs])
        if (abs(rho) if either_way else rho) > abs(best):
            best = rho
    return best


def _spearman(x: Floats, y: Floats) -> float:
    ranks = [_ranks(x), _ranks(y)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Floats) -> Floats:
    """Rank, equal values by the mean of their ranks."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2.0


def _confirmed(used: Floats, course: _Course, around: Bools) -> bool:
    """Say whether it also moves with the latency from point to point, more than chance allows."""
    series = {"latency": _listed(course.p95[around]), "resource": _listed(used[around])}
    return bool(moved_together(series, step=timedelta(seconds=1), longest_lag=_MOST_LAG))


def _listed(values: Floats) -> list[float | None]:
    return [float(v) if math.isfinite(v) else None for v in values]
