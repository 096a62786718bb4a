"""How service levels look on a terminal."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from holdfast.apps.cli.tables import table
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.slo.budget import bad_events_allowed, budget_of, outage_allowed, tidy
from holdfast.slo.burn import edge, outage_until_alert
from holdfast.slo.queries import promql
from holdfast.slo.sentences import figure, percent_good, span
from holdfast.slo.spec import BurnAlert, Slo
from holdfast.slo.status import BurnReading, KpiStatus, Level, Moment, SloStatus
from holdfast.verdict.words import measured_or_dash

_STYLES: Final = {Level.BREACH: "bold red", Level.WARNING: "yellow", Level.OK: "green", Level.UNKNOWN: "dim"}
_SLO_COLUMNS: Final = ("context", "SLO", "level", "good", "budget left", "burn rate by window, of its edge")
_KPI_COLUMNS: Final = ("context", "number", "level", "value", "usual", "sigmas", "used")
_ALERT_COLUMNS: Final = ("alert", "both windows", "burn rate", "edge", "a total outage is told after")


def status_views(spec: CampaignSpec, moment: Moment) -> Iterator[RenderableType]:
    """Lay out how everything stands: the promises, why some of them are not well, then the numbers."""
    yield Text(f"{spec.title} at {moment.at:%Y-%m-%d %H:%M:%S} UTC", style="bold")
    if moment.silent:
        yield Text(f"Nothing is known: {moment.silent}", style="bold red")
        return
    yield table(_SLO_COLUMNS, (_slo_row(spec, status) for status in moment.slos))
    for status in moment.slos:
        if status.level is not Level.OK:
            yield Text(f"{status.context}/{status.slo}: {status.said}", style=_STYLES[status.level])
    if moment.kpis:
        yield table(_KPI_COLUMNS, (_kpi_row(spec, status) for status in moment.kpis))


def _slo_row(spec: CampaignSpec, status: SloStatus) -> tuple[str | Text, ...]:
    good = "–" if status.sli_percent is None else f"{percent_good(status.sli_percent)} %"
    left = "–" if status.budget_left_percent is None else f"{figure(status.budget_left_percent)} %"
    burns = "\n".join(_burn(reading) for reading in status.burn)
    return (
        spec.contexts[status.context].title,
        status.slo,
        Text(status.level, style=_STYLES[status.level]),
        f"{good} of {status.objective_percent:g} %",
        left,
        burns,
    )


def _burn(reading: BurnReading) -> str:
    long, short = (
        f"{window} {'–' if rate is None else figure(rate)}"
        for window, rate in ((reading.long, reading.long_burn), (reading.short, reading.short_burn))
    )
    return f"{long}, {short} of {figure(reading.factor)} ({reading.severity})"


def _kpi_row(spec: CampaignSpec, status: KpiStatus) -> tuple[str | Text, ...]:
    return (
        spec.contexts[status.context].title,
        status.title,
        Text(status.level, style=_STYLES[status.level]),
        measured_or_dash(status.value, status.unit),
        measured_or_dash(status.baseline, status.unit),
        "–" if status.sigmas is None else f"{status.sigmas:+.1f}",
        "–" if status.used_percent is None else f"{figure(status.used_percent)} %",
    )


@dataclass(frozen=True)
class Explained:
    """One SLO and its arithmetic.

    Attributes:
        events: how many a period is taken to have.
    """

    context: str
    title: str
    name: str
    slo: Slo
    events: int

    def document(self) -> dict[str, Any]:
        """Return it as JSON; durations in seconds, None for an alert that never fires."""
        slo, budget = self.slo, budget_of(self.slo)
        return {
            "context": self.context,
            "slo": self.name,
            "promise": slo.promise,
            "objective_percent": slo.objective_percent,
            "period": promql(slo.period),
            "bad_events_allowed": tidy(bad_events_allowed(self.events, budget)),
            "of_events": self.events,
            "outage_allowed_seconds": tidy(outage_allowed(slo.period, budget).total_seconds()),
            "alerts": [_alert_document(slo, alert) for alert in slo.alerts],
        }


def explained(spec: CampaignSpec, events: int) -> Iterator[Explained]:
    """Yield all SLOs, in file order."""
    for name, context in spec.contexts.items():
        for slo_name, slo in context.slos.items():
            yield Explained(name, context.title, slo_name, slo, events)


def explanation(one: Explained, interval: timedelta) -> Iterator[RenderableType]:
    """Lay out the arithmetic of one SLO."""
    slo, budget = one.slo, budget_of(one.slo)
    yield Text(f"{one.title}, {one.name}: {slo.promise}", style="bold")
    allowed = f"{tidy(bad_events_allowed(one.events, budget)):,g}"
    yield Text(
        f"Budget over {span(slo.period)}: (100 − {slo.objective_percent:g}) % = {budget:g} of the events. "
        f"Of {one.events:,} events {allowed} may be bad; at even traffic, "
        f"a total outage of {span(outage_allowed(slo.period, budget))}."
    )
    yield table(_ALERT_COLUMNS, (_alert_row(slo, alert) for alert in slo.alerts))
    least = f", with at least {slo.minimum_events:g} events in its short window" if slo.minimum_events else ""
    yield Text(
        f"An alert fires when both windows are above its edge{least}. "
        f"A scrape and up to one evaluation ({span(interval)}) come on top.\n"
    )


def _alert_row(slo: Slo, alert: BurnAlert) -> tuple[str, ...]:
    factor = figure(tidy(alert.factor(slo.period)))
    told = outage_until_alert(slo, alert)
    return (
        alert.severity,
        f"{span(alert.long)}, {span(alert.short)}",
        f"{alert.budget_percent:g} % × {span(slo.period)} / {span(alert.long)} = {factor}",
        f"{factor} × {budget_of(slo):g} = {figure(100 * edge(slo, alert))} % bad",
        span(told) if told is not None else "never: lower budget_percent or widen 'long'",
    )


def _alert_document(slo: Slo, alert: BurnAlert) -> dict[str, Any]:
    told = outage_until_alert(slo, alert)
    return {
        "severity": alert.severity,
        "long": promql(alert.long),
        "short": promql(alert.short),
        "budget_percent": alert.budget_percent,
        "burn_rate": tidy(alert.factor(slo.period)),
        "edge_percent": tidy(100 * edge(slo, alert)),
        "outage_told_after_seconds": None if told is None else told.total_seconds(),
    }
