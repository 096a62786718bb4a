"""Makes the result of a test from its totals: figures, broken thresholds, whether they count, the verdict."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from holdfast.domain.campaign import TestVerdict
from holdfast.loadgen import capacity, thresholds
from holdfast.loadgen.capacity import Resource
from holdfast.loadgen.result import Broken, Figures, Flaw, LoadResult, PhaseResult, Point, Series
from holdfast.loadgen.tally import Tally
from holdfast.loadgen.totals import Totals
from holdfast.loadgen.words import void_words
from holdfast.runbook.kinds.load import ANY_STEP

# Requests that may be late, unsent, lost or of unknown end before a figure means nothing.
TOLERATED_PERCENT = 1.0


def result_of(
    totals: Totals,
    *,
    started_at: datetime,
    run: str = "",
    stopped: str = "",
    aborted: Sequence[Broken] = (),
    resources: Mapping[str, Mapping[str, Resource]] | None = None,
) -> LoadResult:
    """Return what a test came to.

    Args:
        totals: everything that was reported.
        started_at: the agreed start.
        run: id of the run; empty for none.
        stopped: why somebody stopped it early; empty where nobody did.
        aborted: the thresholds that it was stopped for.
        resources: of each context, by name; they can come later, see `with_resources`.
    """
    spec = totals.spec
    broken = sorted([*aborted, *_not_said(thresholds.of_stretches(totals), aborted)], key=lambda b: b.since)
    flaws = _all_flaws(totals, broken, early=bool(stopped or aborted))
    result = LoadResult(
        runbook=spec.name,
        title=spec.title,
        run=run,
        started_at=started_at,
        lasts=spec.lasts.total_seconds(),
        offset=totals.furthest,
        shards=len(totals.shards),
        client=", ".join(totals.clients),
        verdict=_verdict(stopped, flaws, broken),
        flaws=flaws,
        stopped=stopped,
        broken=broken,
        health=totals.worst_health,
        expected_peak=spec.peak.expected_peak if spec.peak else None,
        safety_factor=spec.peak.safety_factor if spec.peak else 1.0,
        **_counted(totals, broken, early=bool(stopped or aborted)),
        **_drawn(totals),
    )
    result.void = void_words(result)
    return with_resources(result, resources or {})


def with_resources(result: LoadResult, resources: Mapping[str, Mapping[str, Resource]]) -> LoadResult:
    """Return the result with its capacity, and the resource that ran out where these tell it.

    Args:
        result: of a test.
        resources: of each context, by name.
    """
    found = None if result.flaws else capacity.find(result, resources)
    return result.model_copy(update={"capacity": found})


def _until(totals: Totals, *, early: bool) -> int:
    """Return the first second that does not count any more."""
    return totals.full_until() if early else math.ceil(totals.spec.lasts.total_seconds()) + 1


def _all_flaws(totals: Totals, broken: Sequence[Broken], *, early: bool) -> list[Flaw]:
    """Return why the figures do not count; what shows nothing is a flaw only where nothing was broken."""
    whole = totals.of_steps(totals.steps_of(ANY_STEP))
    flaws = _flaws(totals, whole, _until(totals, early=early), early=early)
    return flaws if flaws or early or broken else list(_untested(totals, whole))


def _counted(totals: Totals, broken: Sequence[Broken], *, early: bool) -> dict[str, Any]:
    """Return the counts and figures of a result."""
    whole, until = totals.of_steps(totals.steps_of(ANY_STEP)), _until(totals, early=early)
    return {
        "planned": totals.planned.before(until),
        "lost": totals.lost(until),
        "late_percent": _percent(whole.late, whole.due),
        "unsent_percent": _percent(whole.unsent, whole.due),
        "figures": _all_figures(totals, None, max(totals.furthest, 1.0)),
        "phases": _phases(totals, broken, early=early),
    }


def _drawn(totals: Totals) -> dict[str, Any]:
    """Return the series of a result."""
    points = totals.points()
    return {
        "every_seconds": totals.every,
        "series": [Series(name=name, points=_row(points, name)) for name in (ANY_STEP, *totals.contexts)],
        "rates": [totals.planned_rate((n + 0.5) * totals.every) for n in range(max(points, default=-1) + 1)],
    }


def _verdict(stopped: str, flaws: Sequence[Flaw], broken: Sequence[Broken]) -> TestVerdict:
    if stopped:
        return TestVerdict.STOPPED
    if flaws:
        return TestVerdict.VOID
    return TestVerdict.FAILED if broken else TestVerdict.PASSED


def _not_said(found: Sequence[Broken], aborted: Sequence[Broken]) -> list[Broken]:
    said = {(b.step, b.what, b.phase) for b in aborted}
    return [b for b in found if (b.step, b.what, b.phase) not in said]


def _flaws(totals: Totals, whole: Tally, until: int, *, early: bool) -> list[Flaw]:
    if not totals.shards:
        return [Flaw(kind="silent")]
    lost, planned = totals.lost(until), totals.planned.before(until)
    shares = [
        ("late", whole.late, whole.due),
        ("lost", lost, planned),
        ("doubled", totals.doubled, planned),
    ]
    if not early:  # what a stop cuts off is no fault of the generator
        shares += [("unsent", whole.unsent, whole.due), ("unknown", whole.open, whole.due)]
    flaws = [Flaw(kind=kind, percent=_percent(n, of)) for kind, n, of in shares if _too_many(n, of)]
    if flaws:
        return flaws
    for number, stretch in enumerate(totals.stretches):
        part = totals.of_steps(totals.steps_of(ANY_STEP), number)
        missed = part.late + (0 if early else part.unsent)
        if _too_many(missed, part.due):
            flaws.append(Flaw(kind="phase_late", percent=_percent(missed, part.due), phase=stretch.name))
    return flaws


def _untested(totals: Totals, whole: Tally) -> Iterator[Flaw]:
    """Yield why a test that nothing speaks against shows nothing, either."""
    if not whole.answered:
        yield Flaw(kind="unanswered" if whole.sent else "nothing")
        return
    for step in dict.fromkeys(threshold.step for threshold in totals.spec.thresholds):
        if not totals.of_steps(totals.steps_of(step)).due:
            yield Flaw(kind="untested", step=step)


def _too_many(count: int, of: int) -> bool:
    """Say whether they are more than one, and more than what is tolerated."""
    return count > 1 and count > of * TOLERATED_PERCENT / 100


def _percent(count: int, of: int) -> float:
    return 100 * count / of if of else 0.0


def _phases(totals: Totals, broken: Sequence[Broken], *, early: bool) -> list[PhaseResult]:
    bad = {b.phase for b in broken}
    end = totals.full_until() if early else math.inf
    phases: list[PhaseResult] = []
    for number, stretch in enumerate(totals.stretches):
        reached = stretch.ends <= end
        phases.append(
            PhaseResult(
                phase=stretch.phase,
                name=stretch.name,
                begins=stretch.begins,
                ends=stretch.ends,
                rate_from=stretch.rate_from,
                rate_to=stretch.rate_to,
                reached=reached,
                held=False if stretch.name in bad else (True if reached else None),
                on_time_percent=totals.of_steps(totals.steps_of(ANY_STEP), number).on_time_percent,
                figures=_all_figures(totals, number, stretch.ends - stretch.begins),
            )
        )
    return phases


def _all_figures(totals: Totals, stretch: int | None, seconds: float) -> list[Figures]:
    whole = stretch is None
    figures = [
        _figures(ANY_STEP, "all", "", totals.of_steps(totals.steps_of(ANY_STEP), stretch), seconds, whole)
    ]
    for context in totals.contexts:
        names = [step.name for step in totals.spec.steps if step.context == context]
        figures.append(_figures(context, "context", context, totals.of_steps(names, stretch), seconds, whole))
    for step in totals.spec.steps:
        tally = totals.of_steps([step.name], stretch)
        figures.append(_figures(step.name, "step", step.context, tally, seconds, True))  # noqa: FBT003  with latency
    return [each for each in figures if each.due or whole]


def _figures(  # noqa: PLR0917  private, called above only
    name: str,
    kind: str,
    context: str,
    tally: Tally,
    seconds: float,
    with_latency: bool,  # noqa: FBT001  as above
) -> Figures:
    latency = tally.latency
    return Figures(
        name=name,
        kind=kind,
        context=context,
        due=tally.due,
        sent=tally.sent,
        answered=tally.answered,
        good=tally.good,
        errors=dict(tally.errors.most_common()),
        errors_percent=tally.errors_percent,
        late=tally.late,
        unsent=tally.unsent,
        unknown=tally.open,
        rate=tally.due / seconds,
        **{what: tally.seconds(percent) for what, percent in thresholds.PERCENTS.items()},
        mean=latency.mean / 1e6 if latency.count else None,
        sent_bytes=tally.sent_bytes,
        received_bytes=tally.received_bytes,
        latency=latency.encoded() if with_latency and latency.count else "",
    )


def _row(points: Mapping[int, Mapping[str, Point]], name: str) -> list[Point | None]:
    return [points.get(number, {}).get(name) for number in range(max(points, default=-1) + 1)]
