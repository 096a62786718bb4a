"""At which rate each context of a load test breaks: its knee.

A context has a knee where one of these begins and lasts while the rate is as high: its 95th percentile is far
above that of the low rates, more requests are sent than end (its queue grows), errors exceed a bound, or a
threshold of its own breaks.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.loadgen.result import LoadResult, Series
from holdfast.runbook.kinds.load import ANY_STEP

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FEWEST_POINTS: Final = 10
WINDOW: Final = 5  # points that are looked at together
_LASTING_PART: Final = 0.8
_TIMES_BASE, _SPREADS, _LEAST_RISE_SECONDS = 4.0, 6.0, 0.005
_BEHIND_PART, _BEHIND_SIGMAS = 0.05, 3.0
_LEAST_LIMIT_PART: Final = 0.3
_SAME_RATE_PART, _SAME_POINTS = 0.05, 3


@dataclass(frozen=True)
class Knee:
    """Where a context breaks: sessions a second, seconds from the start, and what shows it."""

    context: str
    rate: float
    at: float
    sign: str


@dataclass(frozen=True)
class Course:
    """One context over the time in which sessions began."""

    at: Floats
    rate: Floats
    sent: Floats
    ended: Floats
    failed: Floats
    p95: Floats = field(repr=False)


def first_knees(result: LoadResult, most_errors_percent: float) -> list[Knee]:
    """Return the first knee of each context that has one, the lowest rate first."""
    knees = [knee for series in result.series for knee in _knees(result, series, most_errors_percent)]
    firsts: dict[str, Knee] = {}
    for knee in sorted([*knees, *_by_thresholds(result)], key=lambda k: (k.rate, k.at)):
        firsts.setdefault(knee.context, knee)
    return list(firsts.values())


def one_event(result: LoadResult, first: Knee, other: Knee) -> bool:
    """Say whether two contexts broke too close to each other to tell which went first.

    Within a phase of one rate the moments only say whose queue was longer before.
    """
    if other.rate <= first.rate * (1 + _SAME_RATE_PART):
        return True
    if abs(other.at - first.at) <= _SAME_POINTS * result.every_seconds:
        return True
    level = (phase for phase in result.phases if phase.rate_from == phase.rate_to)
    return any(
        phase.begins <= min(first.at, other.at) <= max(first.at, other.at) < phase.ends for phase in level
    )


def course_of(result: LoadResult, series: Series) -> Course:
    """Return what a context did; points that the test did not come to the end of are left out."""
    every, last = result.every_seconds, min(result.lasts, result.offset)
    held = [(n, p) for n, p in enumerate(series.points) if p is not None and (n + 1) * every <= last + 1e-9]
    nan = math.nan
    rows = [
        ((n + 0.5) * every, result.rates[n], p.sent, p.ended, p.failed, nan if p.p95 is None else p.p95)
        for n, p in held
    ]
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), 6).T
    return Course(*columns)


def _knees(result: LoadResult, series: Series, most_errors_percent: float) -> Iterator[Knee]:
    """Yield the first point of each sign that a context shows."""
    if series.name == ANY_STEP:
        return
    course = course_of(result, series)
    if course.at.size < FEWEST_POINTS:
        return
    signs = {
        "latency": _slow(course),
        "throughput": _behind(course),
        "errors": _failing(course, most_errors_percent),
    }
    for sign, shown in signs.items():
        first = _first_lasting(shown, course.rate)
        if first is not None:
            yield _refined(course, Knee(series.name, float(course.rate[first]), float(course.at[first]), sign))


def _refined(course: Course, knee: Knee) -> Knee:
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
    return Knee(knee.context, limit, min(knee.at, float(course.at[first])), knee.sign)


def _slow(course: Course) -> Bools:
    """Say where the 95th percentile is far above its level at low rates."""
    known = np.flatnonzero(np.isfinite(course.p95))
    if known.size < FEWEST_POINTS:
        return np.zeros(course.at.size, dtype=bool)
    low = known[np.lexsort((course.at[known], course.rate[known]))][: max(WINDOW, known.size // 3)]
    base = float(np.median(course.p95[low]))
    spread = 1.4826 * float(np.median(np.abs(course.p95[low] - base)))
    level = max(_TIMES_BASE * base, base + _SPREADS * spread, base + _LEAST_RISE_SECONDS)
    bridged = np.interp(course.at, course.at[known], course.p95[known])
    slow: Bools = _rolling_median(bridged) > level
    return slow


def _behind(course: Course) -> Bools:
    """Say where clearly more requests are sent than end."""
    sent, ended = _rolling_sum(course.sent), _rolling_sum(course.ended)
    behind: Bools = sent - ended > _BEHIND_PART * sent + _BEHIND_SIGMAS * np.sqrt(sent)
    return behind


def _failing(course: Course, most_percent: float) -> Bools:
    sent, failed = _rolling_sum(course.sent), _rolling_sum(course.failed)
    failing: Bools = (failed > sent * most_percent / 100) & (failed >= _BEHIND_SIGMAS)
    return failing


def _first_lasting(shown: Bools, rate: Floats) -> int | None:
    """Return the first point from which on a sign is nearly always there while the rate is as high."""
    for first in np.flatnonzero(shown):
        later = shown[first:][rate[first:] >= 0.98 * rate[first]]
        if later.size >= min(WINDOW, 3) and later.mean() >= _LASTING_PART:
            return int(first)
    return None


def _by_thresholds(result: LoadResult) -> Iterator[Knee]:
    """Yield the thresholds of a context, or of a step of it, that broke."""
    context_of = {f.name: f.context for f in reversed(result.figures) if f.kind != "all"}
    for broken in result.broken:
        if broken.step in context_of:
            sign = "errors" if broken.what == "errors_percent" else "latency"
            yield Knee(context_of[broken.step], broken.rate, broken.since, sign)


def _rolling_median(values: Floats) -> Floats:
    padded = np.pad(values, 1, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 3), axis=1), dtype=np.float64)


def _rolling_sum(values: Floats) -> Floats:
    """Return of each point the sum of it and the ones after it, so that a sign begins where it begins."""
    padded = np.pad(values, (0, WINDOW - 1), mode="edge")
    sums = np.lib.stride_tricks.sliding_window_view(padded, WINDOW).sum(axis=1)
    return np.asarray(sums, dtype=np.float64)
