"""The report as sections of tables, lists and plots; the template only lays them out."""

from collections.abc import Iterator, Sequence
from typing import Final

from holdfast.adapters.charts.lines import Mark
from holdfast.adapters.reports import words
from holdfast.adapters.reports.figures import Analysis, KpiFigures, SloFigures
from holdfast.adapters.reports.page_people import gates, incidents, people
from holdfast.adapters.reports.parts import (
    Card,
    Cell,
    Figure,
    Row,
    Section,
    Sentences,
    Table,
    Tone,
    plot_of,
    zone_of,
)
from holdfast.adapters.reports.words import DASH, Clock
from holdfast.domain.campaign import TestLine, TestVerdict
from holdfast.i18n import translate, understood
from holdfast.ports.inventory import InventoryLine

_LOWEST_BUDGET: Final = -100  # percent; what is far below would flatten the rest


def cards(analysis: Analysis) -> list[Card]:
    """Return the numbers at the top."""
    judged = [slo for slo in analysis.slos if slo.kept is not None]
    kept = sum(1 for slo in judged if slo.kept)
    left = analysis.least_left_percent
    promises = f"{kept} / {len(judged)}" if judged else words.not_measured()
    peak = analysis.load.peak_percent
    count = len(analysis.incidents)
    return [
        Card(translate("Promises kept"), promises, _tone(bad=kept < len(judged)) if judged else ""),
        Card(
            translate("Breaches"),
            str(count) if analysis.looked or count else words.not_measured(),
            _tone(bad=count > 0),
        ),
        Card(translate("Time in breach"), words.lasted(analysis.breach_minutes), _tone(bad=count > 0)),
        Card(translate("Least budget left"), words.percent(left), _budget_tone(left)),
        Card(translate("Peak, of the expected one"), words.percent(peak, 0)),
        Card(translate("Median wait for an answer"), words.lasted(analysis.gate_minutes)),
    ]


def sections(analysis: Analysis) -> list[Section]:
    """Return the whole report in the language that is spoken."""
    clock = Clock(zone_of(analysis))
    return [
        _proposals(analysis),
        _timeline(analysis, clock),
        _levels(analysis, clock),
        _load(analysis, clock),
        _tests(analysis, clock),
        incidents(analysis, clock),
        gates(analysis, clock),
        people(analysis, clock),
        _bottlenecks(analysis),
        _inventory(analysis),
        _former(analysis, clock),
    ]


def _tone(*, bad: bool) -> Tone:
    return "bad" if bad else "good"


def _budget_tone(left: float | None) -> Tone:
    if left is None:
        return ""
    return "bad" if left <= 0 else "warn" if left < 25 else "good"  # noqa: PLR2004  a quarter of it


def _proposals(analysis: Analysis) -> Section:
    said = [words.proposal_words(proposal) for proposal in analysis.proposals]
    nothing = translate("The figures call for nothing.")
    return Section("proposals", translate("What to tune"), [Sentences(said, nothing)])


def _timeline(analysis: Analysis, clock: Clock) -> Section:
    rows = [(clock.at(event.at), words.event_words(event)) for event in analysis.timeline]
    note = translate("Times are those of {zone}.").format(zone=str(clock.zone))
    return Section(
        "timeline", translate("Timeline"), [Table((translate("When"), translate("What")), rows)], note
    )


# --- service levels ------------------------------------------------------------------------------------------


def _levels(analysis: Analysis, clock: Clock) -> Section:
    parts: list[Table | Figure | Sentences] = []
    budgets = (
        (translate("Error budget of the window left, %"), analysis.budgets),
        (translate("Error budget of the period left, %"), analysis.period_budgets),
    )
    for title, curves in budgets:
        if curves:
            parts.append(plot_of(analysis, title, curves, highest=100.0, unit="%", clip_below=_LOWEST_BUDGET))
    parts.append(_slo_table(analysis, clock))
    by_unit = {
        curve.unit: [c for c in analysis.latencies if c.unit == curve.unit] for curve in analysis.latencies
    }
    for unit, curves in by_unit.items():
        parts.append(plot_of(analysis, translate("Latency, {unit}").format(unit=unit), curves, unit=unit))
    parts.append(_kpi_table([kpi for kpi in analysis.kpis if not kpi.resource], clock))
    looks = translate("{n} looks at the metrics, {silent} of them without an answer.").format(
        n=analysis.looked, silent=analysis.silent
    )
    note = " ".join(part for part in (looks, words.period_tests(analysis, clock)) if part)
    return Section("levels", translate("Service levels and budgets"), parts, note)


def _slo_table(analysis: Analysis, clock: Clock) -> Table:
    slos = analysis.slos
    period = analysis.longest_period if len({slo.period for slo in slos}) == 1 else None
    of_period = translate("Budget left over the period")
    if period is not None:
        of_period = translate("Budget left over {span}").format(span=words.span(period))
    head = (
        *(translate("Context"), translate("Promise"), translate("In the window"), translate("Bad events")),
        *(translate("Budget used"), translate("Budget left"), of_period),
        *(translate("Worst burn rate"), translate("In breach")),
    )
    rows = [_slo_row(slo, clock, named=period is None) for slo in slos]
    return Table(head, rows, words.not_measured())


def _slo_row(slo: SloFigures, clock: Clock, *, named: bool) -> Row:
    """Return a promise as cells; `named`: the periods differ, so each says its own."""
    share = words.sli(slo.sli_percent, slo.objective_percent, kept=bool(slo.kept))
    if slo.basis == "burn":
        share = translate("{share} (from burn rates)").format(share=share)
    if slo.counted_until is not None:
        share = translate("{share} (counted until {at})").format(share=share, at=clock.at(slo.counted_until))
    of_period = words.percent(slo.period_left_percent)
    if named and slo.period is not None and slo.period_left_percent is not None:
        of_period = f"{of_period} ({words.span(slo.period)})"
    burn = words.figure(slo.worst_burn)
    worst = f"{burn} × ({clock.at(slo.worst_at)})" if slo.worst_burn is not None else burn
    return (
        slo.title,
        slo.promise,
        Cell(share, "" if slo.kept is None else _tone(bad=not slo.kept)),
        words.bad_events(slo),
        words.percent(slo.budget_used_percent),
        Cell(words.percent(slo.budget_left_percent), _budget_tone(slo.budget_left_percent)),
        of_period,
        worst,
        words.lasted(slo.breach_minutes) if slo.looks else words.not_measured(),
    )


def _kpi_table(kpis: Sequence[KpiFigures], clock: Clock) -> Table:
    head = (
        *(translate("Context"), translate("KPI"), translate("Usual"), "p50", "p95", "p99"),
        *(translate("Worst"), translate("Off its baseline")),
    )
    rows = [
        (
            *(kpi.title, kpi.label, words.figure(kpi.baseline, kpi.unit)),
            *(words.figure(value, kpi.unit) for value in (kpi.p50, kpi.p95, kpi.p99)),
            f"{words.figure(kpi.worst, kpi.unit)} ({clock.at(kpi.worst_at)})"
            if kpi.looks
            else words.not_measured(),
            words.lasted(kpi.deviating_minutes) if kpi.looks else words.not_measured(),
        )
        for kpi in kpis
    ]
    return Table(head, rows, words.not_measured())


# --- load ----------------------------------------------------------------------------------------------------


def _load(analysis: Analysis, clock: Clock) -> Section:
    load = analysis.load
    title = translate("Load against the plan")
    if load.curve is None:
        return Section("load", title, [Sentences((), translate("The load was not measured."))])
    marks = [
        Mark(value, name.format(rate=f"{value:.3g}"))
        for value, name in (
            (load.planned(with_factor=False), translate("expected peak: {rate}/s")),
            (load.planned(with_factor=True), translate("with its safety factor: {rate}/s")),
        )
        if value is not None
    ]
    figure = plot_of(analysis, translate("Requests a second"), [load.curve], marks=marks, unit="")
    rows = [
        (translate("Expected peak, sessions a second"), words.figure(load.expected_peak)),
        (translate("With its safety factor"), words.figure(_times(load.expected_peak, load.safety_factor))),
        (
            translate("Peak that came, requests a second"),
            f"{words.figure(load.peak)} ({clock.at(load.peak_at)})",
        ),
        (translate("The same in sessions a second"), words.figure(load.peak_sessions)),
        (translate("Mean, requests a second"), words.figure(load.mean)),
        (translate("Contexts that are added up"), ", ".join(load.contexts)),
    ]
    return Section(
        "load", title, [figure, Table((translate("What"), translate("Number")), rows)], _session_note(analysis)
    )


def _session_note(analysis: Analysis) -> str:
    each = analysis.load.requests_a_session
    if each is None:
        return translate(
            "How many requests a session makes is not known, because no load test says it: "
            "the plan is drawn as if it were one."
        )
    return translate("In the load test a session made {n} requests of these contexts.").format(n=f"{each:.3g}")


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _tests(analysis: Analysis, clock: Clock) -> Section:
    head = (
        *(translate("When"), translate("Result"), translate("Carried, sessions a second")),
        *(translate("Headroom"), translate("Saturates first"), translate("Decision")),
    )
    tests = Table(
        head, [_test_row(test, clock) for test in analysis.tests], translate("No load test was made.")
    )
    return Section("tests", translate("Load tests, and what really came"), [tests, *_compared(analysis)])


def _test_row(test: TestLine, clock: Clock) -> Row:
    tones: dict[TestVerdict, Tone] = {TestVerdict.PASSED: "good", TestVerdict.FAILED: "bad"}
    decision = words.go_of(test.go) + (f" ({test.decided_by})" if test.decided_by else "")
    return (
        clock.at(test.at),
        Cell(words.verdict_of(test.verdict), tones.get(test.verdict, "")),
        words.figure(test.capacity),
        words.percent(test.headroom_percent, 0),
        understood(test.saturates) or DASH,
        decision,
    )


def _compared(analysis: Analysis) -> Iterator[Table]:
    found = analysis.comparison
    if found is None:
        return
    first = " / ".join(part for part in (found.first_context, found.resource) if part)
    carried = words.figure(found.capacity)
    if found.at_least:
        carried = translate("{rate}, more was not tried").format(rate=carried)
    broke = found.broke_context or translate("nothing")
    at = "" if found.broke_at_sessions is None else f" ({found.broke_at_sessions:.3g}/s)"
    head = (translate("What"), translate("By the load test"), translate("In the campaign"))
    rows = [
        (translate("Sessions a second"), carried, words.figure(found.peak_sessions)),
        (translate("What broke first"), first or translate("nothing"), f"{broke}{at}"),
    ]
    yield Table(head, rows)


# --- bottlenecks, messages, former ones ----------------------------------------------------------------------


def _bottlenecks(analysis: Analysis) -> Section:
    head = (
        *(translate("Context"), translate("Resource"), translate("Used while slow")),
        *(translate("Used otherwise"), translate("Slow for"), translate("Moved with")),
    )
    rows = [
        (
            *(b.title, b.label, Cell(words.percent(b.used_percent, 0), _used_tone(b.used_percent))),
            *(words.percent(b.well_used_percent, 0) if b.while_slow else DASH, words.lasted(b.slow_minutes)),
            _moved(b.with_kpi, b.coefficient),
        )
        for b in analysis.bottlenecks
    ]
    calm = bool(analysis.bottlenecks) and not analysis.bottlenecks[0].while_slow
    note = (
        translate("Nothing was slow: these are the resources that came closest to their limit.") if calm else ""
    )
    note = note or translate("What moved together is no proof of what caused it.") if rows else ""
    return Section(
        "bottlenecks", translate("Bottlenecks"), [Table(head, rows, translate("None was seen."))], note
    )


def _used_tone(percent: float) -> Tone:
    return "bad" if percent >= 80 else "warn" if percent >= 50 else ""  # noqa: PLR2004  as in the proposals


def _moved(kpi: str, coefficient: float | None) -> str:
    if coefficient is None:
        return DASH
    return translate("{kpi} (rank correlation {value})").format(kpi=kpi, value=f"{coefficient:.2f}")


def _inventory(analysis: Analysis) -> Section:
    head = (
        *(translate("Message"), translate("From → to"), translate("Rate"), translate("Mean size")),
        *("p50", "p95", "p99", translate("Errors"), translate("Source")),
    )
    rows = [inventory_row(line) for line in analysis.inventory]
    empty = translate("The inventory was not taken.")
    return Section("inventory", translate("Messages"), [Table(head, rows, empty)])


def inventory_row(line: InventoryLine) -> Row:
    """Return a message of the inventory as cells."""
    sources = (line.rate_from, line.bytes_from, line.latency_from, line.errors_from)
    named = " + ".join(dict.fromkeys(words.source_of(source) for source in sources if source))
    return (
        line.title or line.name,
        f"{line.sender} → {line.receiver}",
        words.figure(line.rate, "/s"),
        words.figure(line.bytes_mean, "B"),
        *(words.figure(value, "s") for value in (line.p50, line.p95, line.p99)),
        words.percent(line.errors_percent, 2),
        named or DASH,
    )


def _former(analysis: Analysis, clock: Clock) -> Section:
    head = (
        *(translate("Campaign"), translate("Window"), translate("Breaches"), translate("Time in breach")),
        *(
            translate("Least budget left over the period"),
            translate("Load tests failed"),
            translate("Median wait for an answer"),
        ),
    )
    failed = sum(test.verdict is TestVerdict.FAILED for test in analysis.tests)
    this: Row = (
        Cell(translate("this one")),
        clock.at(analysis.opens)[:10],
        str(len(analysis.incidents)) if analysis.looked or analysis.incidents else words.not_measured(),
        words.lasted(analysis.breach_minutes),
        words.percent(analysis.least_period_left_percent),
        f"{failed} / {len(analysis.tests)}",
        words.lasted(analysis.gate_minutes),
    )
    others: list[Row] = [
        (
            *(former.campaign, clock.at(former.opens)[:10]),
            words.not_measured() if former.breaches is None else str(former.breaches),
            words.lasted(former.breach_minutes),
            words.percent(former.budget_left_percent),
            f"{former.tests_failed} / {former.tests}" if former.tests is not None else words.not_measured(),
            words.lasted(former.gate_minutes),
        )
        for former in analysis.former
    ]
    empty = translate("No former campaign is kept.")
    return Section(
        "former",
        translate("Compared with former campaigns"),
        [Table(head, [this, *others] if others else [], empty)],
    )
