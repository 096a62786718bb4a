"""The figures of load tests, from reports; apart from the activities because numpy takes its time to load."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from activities.load_watching import Concluded, ConcludeRequest, LoadLook, Points
from holdfast.domain.campaign import LoadLine, TestLine, TestVerdict
from holdfast.i18n import SOURCE, speaking
from holdfast.loadgen import thresholds, words
from holdfast.loadgen.capacity import Resource
from holdfast.loadgen.outcome import result_of, with_resources
from holdfast.loadgen.result import Figures, LoadResult
from holdfast.loadgen.totals import Totals
from holdfast.ports.load import KeptReport
from holdfast.runbook.kinds.load import ANY_STEP, LoadSpec


def looked(
    spec: LoadSpec, totals: Totals | None, reports: Sequence[KeptReport], at: float
) -> tuple[Totals, LoadLook]:
    """Take in new reports; return all that is known of the test, and how it goes.

    Args:
        spec: the test.
        totals: what was known before; None for nothing.
        reports: that have come since.
        at: seconds since the agreed start.
    """
    totals = totals or Totals(spec)
    for kept in reports:
        totals.add(kept.report, attempt=kept.attempt)
    live = totals.live(at)
    broken = thresholds.newest(totals, at)
    with speaking(SOURCE):
        said = [words.broken_words(each) for each in broken]
    look = LoadLook(
        offset=totals.furthest,
        phase=live.phase,
        rate=live.rate,
        lines=live.lines,
        late_percent=live.late_percent,
        lost=live.lost,
        shards=live.shards,
        client=_client(totals.clients),
        broken=broken,
        said=said,
    )
    return totals, look


def summed(request: ConcludeRequest, reports: Sequence[KeptReport]) -> LoadResult:
    """Return what all reports of a test add up to."""
    totals = Totals(request.plan.spec)
    for kept in reports:
        totals.add(kept.report, attempt=kept.attempt)
    return result_of(
        totals,
        started_at=datetime.fromtimestamp(request.start_at, UTC),
        run=request.run,
        stopped=request.stopped,
        aborted=request.aborted,
    )


def concluded(
    request: ConcludeRequest, result: LoadResult, did: Mapping[str, Mapping[str, Points]]
) -> tuple[LoadResult, Concluded]:
    """Return the result with the resource that ran out, if these tell it, and what is to be said about it.

    Args:
        request: the test.
        result: what its reports add up to.
        did: what the resources of each context did, by name.
    """
    result = with_resources(result, _resources(request, result, did)) if did else result
    with speaking(SOURCE):
        line = result.line(words.headline(result))
        sentences = words.sentences(result)
    look = LoadLook(
        offset=result.offset,
        lines=[_line(figures, result.offset) for figures in result.figures if figures.kind != "step"],
        late_percent=result.late_percent,
        lost=result.lost,
        shards=result.shards,
        client="" if result.client == "protocol" else result.client,
        broken=result.broken,
        said=[] if result.verdict is TestVerdict.PASSED else sentences[:1],
    )
    return result, Concluded(line=line, sentences=sentences, numbers=_numbers(result, line), look=look)


def _resources(
    request: ConcludeRequest, result: LoadResult, did: Mapping[str, Mapping[str, Points]]
) -> dict[str, dict[str, Resource]]:
    contexts = request.plan.campaign.contexts if request.plan.campaign else {}
    return {
        context: {
            name: Resource(
                times=[(at - result.started_at).total_seconds() for at, _ in points],
                values=[value for _, value in points],
                full_at=contexts[context].resources[name].full_at,
            )
            for name, points in by_name.items()
            if points
        }
        for context, by_name in did.items()
    }


def _numbers(result: LoadResult, line: TestLine) -> dict[str, Any]:
    """Return the figures that a decision rests on."""
    numbers: dict[str, Any] = {"verdict": str(result.verdict)}
    whole, capacity = result.of(ANY_STEP), result.capacity
    if whole:
        numbers |= {
            "requests": whole.due,
            "errors": words.percent(whole.errors_percent),
            "p95": words.latency(whole.p95),
            "p99": words.latency(whole.p99),
        }
    if capacity and capacity.rate is not None:
        numbers["capacity"] = f"{capacity.rate:g}/s"
    if capacity and capacity.headroom_with_factor_percent is not None:
        numbers["headroom"] = f"{capacity.headroom_with_factor_percent:+.0f} %"
    if line.saturates:
        numbers["saturates"] = line.saturates
    return numbers


def _line(figures: Figures, seconds: float) -> LoadLine:
    return LoadLine(
        name=figures.name,
        due_per_s=round(figures.rate, 1),
        answered_per_s=round(figures.answered / max(seconds, 1.0), 1),
        errors_percent=figures.errors_percent,
        p50=figures.p50,
        p95=figures.p95,
        p99=figures.p99,
    )


def _client(clients: Sequence[str]) -> str:
    return ", ".join(client for client in clients if client != "protocol")
