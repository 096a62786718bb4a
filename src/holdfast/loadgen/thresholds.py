"""Which thresholds do not hold: over the newest seconds, to stop a test early, and over each stretch of it."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from holdfast.loadgen.histogram import Histogram
from holdfast.loadgen.result import Broken, Point
from holdfast.loadgen.tally import Tally
from holdfast.loadgen.timeline import Stretch
from holdfast.loadgen.totals import Totals
from holdfast.runbook.kinds.load import Threshold

ERRORS: Final = "errors_percent"
PERCENTS: Final = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p999": 99.9, "maximum": 100.0}


def newest(totals: Totals, at: float | None = None) -> list[Broken]:
    """Return the thresholds that say `abort` and do not hold over their newest stretch.

    Requests that are still under way for longer than a bound count as slower than it, so that a target which
    answers nothing at all is noticed as soon as one that answers late. Nothing is said of the first seconds,
    before there are `over` of them.

    Args:
        totals: what was reported.
        at: seconds since the start; generators that are silent for longer do not hold the others up.
    """
    until = totals.full_until(at)
    broken: list[Broken] = []
    for threshold in totals.spec.thresholds:
        over = max(1, round(threshold.over.total_seconds()))
        if not threshold.abort or until < over:
            continue
        steps = totals.steps_of(threshold.step)
        longest = totals.longest_timeout(steps)
        seconds = [
            (n, tally, totals.waiting(steps, n, until))
            for n, tally in totals.newest(steps, until - over, until)
        ]
        whole = Tally.sum_of(tally for _, tally, _ in seconds)
        waiting = [each for _, _, some in seconds for each in some]
        for what, bound in bounds(threshold):
            value = _value(what, bound, whole, longest, waiting)
            if value is not None and value > bound:
                first = (n for n, t, some in seconds if (_value(what, bound, t, longest, some) or 0) > bound)
                since = float(next(first, until - over))
                stretch = next((s for s in totals.stretches if since < s.ends), totals.stretches[-1])
                broken.append(_broken(threshold, what, value, bound, stretch, since, aborted=True))
    return broken


def of_stretches(totals: Totals) -> list[Broken]:
    """Return the thresholds that do not hold over a stretch, as far as it was made; in order of time."""
    points = totals.points()
    broken: list[Broken] = []
    for number, stretch in enumerate(totals.stretches):
        for threshold in totals.spec.thresholds:
            steps = totals.steps_of(threshold.step)
            tally, longest = totals.of_steps(steps, number), totals.longest_timeout(steps)
            for what, bound in bounds(threshold):
                value = _value(what, bound, tally, longest)
                if value is not None and value > bound:
                    since = _since(points, totals.every, threshold.step, what, bound, stretch)
                    broken.append(_broken(threshold, what, value, bound, stretch, since))
    return broken


def bounds(threshold: Threshold) -> Iterator[tuple[str, float]]:
    """Yield what is bounded and by how much: seconds, or percent for `errors_percent`."""
    for what in PERCENTS:
        bound: timedelta | None = getattr(threshold, what)
        if bound is not None:
            yield what, bound.total_seconds()
    if threshold.errors_percent is not None:
        yield ERRORS, threshold.errors_percent


def _value(
    what: str,
    bound: float,
    tally: Tally,
    longest: float,
    waiting: Sequence[tuple[float, int]] = (),
) -> float | None:
    """Return the figure; None where there is nothing to take it of.

    Args:
        what: which figure.
        bound: see `waiting`.
        tally: requests.
        longest: seconds that stand for their latency where not one was answered: a target that refuses every
            connection must not seem a quick one.
        waiting: for how many seconds how many of them are under way; they count where that is above the bound.
    """
    if what == ERRORS:
        return tally.errors_percent if tally.due else None
    still = [Histogram.repeated(age * 1e6, count) for age, count in waiting if age > bound]
    latency = Histogram.sum_of([tally.latency, *still])
    if latency.count:
        return latency.percentile(PERCENTS[what]) / 1e6
    return max(longest, 2 * bound) if tally.failed else None


def _broken(  # noqa: PLR0917  a row of figures
    threshold: Threshold,
    what: str,
    value: float,
    bound: float,
    stretch: Stretch,
    since: float,
    *,
    aborted: bool = False,
) -> Broken:
    return Broken(
        step=threshold.step,
        what=what,
        value=value,
        bound=bound,
        phase=stretch.name,
        since=since,
        rate=stretch.rate,
        aborted=aborted,
    )


def _since(  # noqa: PLR0917  where to look, and for what
    points: dict[int, dict[str, Point]], every: int, step: str, what: str, bound: float, stretch: Stretch
) -> float:
    """Return when it broke first within a stretch, as well as the series tell it."""
    for number, by_name in points.items():
        begins = float(number * every)
        point = by_name.get(step)
        if point is None or not stretch.begins <= begins < stretch.ends:
            continue
        share = 100 * point.failed / point.due if point.due else 0.0
        value = share if what == ERRORS else getattr(point, what, None)
        if value is not None and value > bound:
            return begins
    return stretch.begins
