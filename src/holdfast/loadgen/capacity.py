"""Which context saturates first, at which rate, by which resource, and what can be carried.

The knee at the lowest offered rate is the first; contexts that only wait for that one come later. Those whose
knees cannot be told from it by rate or moment are one event with it. See `holdfast.loadgen.knees`.

The resource is one of the same context that is nearly full at the knee *and* moves with the latency around it
(Spearman's rank correlation at the best lag). Many things grow with the load. So where nobody says at which
value a resource is full, a line is fitted below the knee, and only what the resource does beyond it is
correlated with the latency. The double prewhitening of `holdfast.verdict.correlation` confirms what also moves
together from second to second.

Where none of its own fits, contexts may share a pool, a processor or a database: those of the others are looked
at by the same latency, the contexts of the same event first. Such a find is likely at most, and has to fill up
as the load grows: what is full all the time is full for another reason.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import numpy as np

from holdfast.i18n import SOURCE, speaking
from holdfast.loadgen.knees import (
    FEWEST_POINTS,
    WINDOW,
    Bools,
    Course,
    Floats,
    Knee,
    course_of,
    first_knees,
    one_event,
)
from holdfast.loadgen.result import Capacity, LoadResult, PhaseResult, Saturation
from holdfast.loadgen.words import saturation_words
from holdfast.verdict.correlation import moved_together

_MOST_LAG: Final = 5
_NEARLY_FULL, _FULL = 0.8, 0.9
_WEAK, _STRONG = 0.4, 0.6
_AS_GOOD: Final = 0.15
_LEAST_FILLED_UP: Final = 0.2
_BEYOND_NOISE: Final = 6.0


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
class _Suspect:
    name: str
    correlation: float
    utilisation: float | None
    full_since: float
    score: float
    sure: str
    of: str = ""


def find(
    result: LoadResult,
    resources: Mapping[str, Mapping[str, Resource]] | None = None,
    *,
    most_errors_percent: float = 1.0,
) -> Capacity:
    """Return what a test showed of the capacity; the test must not be void.

    Args:
        result: of the test.
        resources: of each context, by name; also of contexts that the test does not load.
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
    firsts = first_knees(result, most_errors_percent)
    if not firsts:
        return None
    knee = firsts[0]
    together = [other.context for other in firsts[1:] if one_event(result, knee, other)]
    found = Saturation(context=knee.context, rate=knee.rate, at=knee.at, sign=knee.sign, together=together)
    course = course_of(result, next(s for s in result.series if s.name == knee.context))
    others = [name for name in resources if name not in {knee.context, *together}]
    suspect = (
        _suspect(course, knee, resources.get(knee.context, {}))
        or _shared(course, knee, resources, together)
        or _shared(course, knee, resources, others)
    )
    if suspect:
        found.resource, found.resource_of = suspect.name, suspect.of
        found.correlation, found.utilisation, found.sure = (
            suspect.correlation,
            suspect.utilisation,
            suspect.sure,
        )
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


# --- the resource -------------------------------------------------------------------------------------------


def _suspect(course: Course, knee: Knee, resources: Mapping[str, Resource]) -> _Suspect | None:
    """Return the resource that ran out; of several that fit as well, the one that was full first."""
    found = [s for name, each in resources.items() if (s := _judged(name, each, course, knee))]
    if not found:
        return None
    best = max(s.score for s in found)
    return min((s for s in found if s.score >= best - _AS_GOOD), key=lambda s: (s.full_since, -s.score))


def _shared(
    course: Course, knee: Knee, resources: Mapping[str, Mapping[str, Resource]], contexts: Sequence[str]
) -> _Suspect | None:
    """Return the resource of another context that ran out: likely at most, nobody says that it is shared."""
    found: list[_Suspect] = []
    for context in contexts:
        grew = {n: r for n, r in resources.get(context, {}).items() if _filled_up(r, course, knee)}
        suspect = _suspect(course, knee, grew)
        if suspect and abs(suspect.correlation) >= _STRONG:
            found.append(replace(suspect, sure="likely", of=context))
    return max(found, key=lambda s: s.score, default=None)


def _filled_up(resource: Resource, course: Course, knee: Knee) -> bool:
    """Say whether it is clearly fuller from the knee on than at the lowest rates before; unknown is yes."""
    if resource.full_at is None:
        return True
    used, before = _used(resource, course), np.flatnonzero(course.at < knee.at)
    if used is None or not before.size:
        return False
    share = used / resource.full_at
    low = before[np.argsort(course.rate[before], kind="stable")][: max(WINDOW, before.size // 3)]
    return bool(_utilisation(share, course, knee) - np.median(share[low]) >= _LEAST_FILLED_UP)


def _used(resource: Resource, course: Course) -> Floats | None:
    """Return its values at the points of a course; None where there are too few of either."""
    times, values = np.asarray(resource.times, dtype=float), np.asarray(resource.values, dtype=float)
    known = np.isfinite(values)
    if min(known.sum(), course.at.size) < FEWEST_POINTS:
        return None
    return np.asarray(np.interp(course.at, times[known], values[known]), dtype=np.float64)


def _judged(name: str, resource: Resource, course: Course, knee: Knee) -> _Suspect | None:
    """Return a resource as a suspect; None where it has nothing to do with the knee."""
    used = _used(resource, course)
    if used is None:
        return None
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


def _judged_by_residuals(name: str, used: Floats, course: Course, knee: Knee, around: Bools) -> _Suspect | None:
    before, after = around & (course.at < knee.at), around & (course.at >= knee.at)
    if min(before.sum(), after.sum()) < WINDOW:
        return None
    columns = np.column_stack([course.rate, np.ones_like(course.rate)])
    fit = np.linalg.lstsq(columns[before], used[before], rcond=None)[0]
    rest = used - columns @ fit
    noise = max(float(np.std(rest[before])), 1e-9 * float(np.abs(used).max() + 1))
    correlation = _at_best_lag(rest, course.p95, around, either_way=True)
    if abs(correlation) < _STRONG or float(np.abs(np.median(rest[after]))) < _BEYOND_NOISE * noise:
        return None
    sure = "sure" if _confirmed(used, course, around) else "likely"
    return _Suspect(name, correlation, None, math.inf, _STRONG * abs(correlation), sure)


def _around(course: Course, knee: Knee) -> Bools:
    """Choose the points around the knee: as many after it as before, at least twenty where there are."""
    distance = np.abs(course.at - knee.at)
    before, after = (int((course.at < knee.at).sum()), int((course.at >= knee.at).sum()))
    each = max(min(before, after), 10)
    every = float(np.median(np.diff(course.at))) if course.at.size > 1 else 1.0
    chosen: Bools = (distance <= each * every) & np.isfinite(course.p95)
    return chosen


def _utilisation(share: Floats, course: Course, knee: Knee) -> float:
    """Return how full it is right after the knee, a few points before it included."""
    every = float(np.median(np.diff(course.at)))
    near = (course.at >= knee.at - 2 * every) & (course.at <= knee.at + 2 * WINDOW * every)
    return float(np.percentile(share[near], 75)) if near.any() else 0.0


def _at_best_lag(used: Floats, latency: Floats, chosen: Bools, *, either_way: bool = False) -> float:
    """Return the rank correlation at the lag where it is strongest; scrapes are late, and so are queues."""
    best = 0.0
    for lag in range(-_MOST_LAG, _MOST_LAG + 1):
        moved = np.roll(used, lag)
        pairs = chosen.copy()
        pairs[: max(lag, 0)] = False
        pairs[len(pairs) + min(lag, 0) :] = False
        if pairs.sum() < FEWEST_POINTS:
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


def _confirmed(used: Floats, course: Course, around: Bools) -> bool:
    """Say whether it also moves with the latency from point to point, more than chance allows."""
    series = {"latency": _listed(course.p95[around]), "resource": _listed(used[around])}
    return bool(moved_together(series, step=timedelta(seconds=1), longest_lag=_MOST_LAG))


def _listed(values: Floats) -> list[float | None]:
    return [float(v) if math.isfinite(v) else None for v in values]
