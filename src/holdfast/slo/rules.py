"""Prometheus rules from the SLOs of a campaign's file: recording rules, and alerts on burn rates.

The scheme is that of Google's SRE workbook, chapter 5: several windows, several burn rates. Needs
Prometheus 2.42 (`keep_firing_for`). Names:

* `slo:sli_error:ratio_rate5m`: share of bad events over a window, one metric a window;
* `slo:sli_events:increase5m`: events in a short window;
* `slo:objective:ratio`, `slo:error_budget:ratio`, `slo:time_period:days`: what is promised;
* `slo:current_burn_rate:ratio`: over the shortest window;
* `slo:period_burn_rate:ratio`, `slo:period_error_budget_remaining:ratio`: over the period.

Each carries the labels `holdfast_campaign`, `context` and `slo`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from holdfast.slo.budget import budget_of, tidy
from holdfast.slo.burn import edge
from holdfast.slo.queries import bad_share_query, over, promql, windows_of
from holdfast.slo.sentences import figure, span
from holdfast.slo.spec import BurnAlert, ServiceContext, Slo
from holdfast.slo.yaml_text import Plain, yaml_text

ALERT: Final = "HoldfastErrorBudgetBurn"
# A query sees a number for five minutes; rarer rules would leave gaps.
_PERIOD_EVERY: Final = timedelta(minutes=2)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class RuleSource:
    """What rules are made from.

    Attributes:
        campaign: its name.
        contexts: by name.
        interval: at which Prometheus evaluates them.
        file: path of the file, for the header.
        digest: of the file's text.
        breach_after: evaluations in a row that must see a breach.
        recover_after: for how long an alert fires on once its windows are well.
    """

    campaign: str
    contexts: Mapping[str, ServiceContext]
    interval: timedelta
    file: str = ""
    digest: str = ""
    breach_after: int = 1
    recover_after: timedelta = timedelta(0)

    def promises(self) -> "Iterator[Promised]":
        """Yield all SLOs, in file order."""
        for name, context in self.contexts.items():
            for slo_name, slo in context.slos.items():
                yield Promised(self, name, context, slo_name, slo)

    def header(self, what: str) -> list[str]:
        """Return the lines that say from what a file was made."""
        made = f"{self.file or self.campaign}, digest {self.digest}" if self.digest else self.campaign
        return [
            f"{what} of the campaign {self.campaign}.",
            f"Made by `holdfast slo rules` from {made}: edit that file, not this one.",
        ]


@dataclass(frozen=True)
class Promised:
    """One SLO in its place."""

    source: RuleSource
    context: str
    of_context: ServiceContext
    name: str
    slo: Slo

    @property
    def labels(self) -> dict[str, str]:
        """The labels of all its series."""
        return {"holdfast_campaign": self.source.campaign, "context": self.context, "slo": self.name}

    def series(self, metric: str) -> str:
        """Return the selector of one of its series."""
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        return f"{metric}{{{labels}}}"

    def ratio(self, window: timedelta) -> str:
        """Return the selector of its share of bad events over a window."""
        return self.series(ratio_metric(window))

    def events(self, window: timedelta) -> str:
        """Return the selector of its number of events in a window."""
        return self.series(events_metric(window))


def prometheus_rules(source: RuleSource) -> str:
    """Return a rule file for Prometheus; the same source gives the same text."""
    groups: list[Plain] = [group for promised in source.promises() for group in _groups(promised)]
    header = [
        *source.header("Recording and alerting rules for the SLOs"),
        "Check: promtool check rules FILE",
    ]
    return yaml_text({"groups": groups}, header=header)


def ratio_metric(window: timedelta) -> str:
    """Return the name under which the share of bad events over a window is recorded."""
    return f"slo:sli_error:ratio_rate{promql(window)}"


def events_metric(window: timedelta) -> str:
    """Return the name under which the events in a window are recorded."""
    return f"slo:sli_events:increase{promql(window)}"


def alert_labels(promised: Promised, alert: BurnAlert) -> dict[str, str]:
    """Return the labels of an alert, those of its series among them."""
    team = {"team": promised.of_context.team} if promised.of_context.team else {}
    windows = {"long_window": promql(alert.long), "short_window": promql(alert.short)}
    return {**promised.labels, "severity": alert.severity, **windows, **team}


def alert_annotations(promised: Promised, alert: BurnAlert) -> dict[str, str]:
    """Return the annotations of an alert, as Prometheus templates: `$value` is the long window's bad share."""
    slo, title = promised.slo, promised.of_context.title
    if slo.journey:
        summary = f"{title}: customers may not be able to {slo.journey}. The promise: {slo.promise}."
    else:
        summary = f"{title}: too much fails for the promise to hold: {slo.promise}."
    factor = figure(tidy(alert.factor(slo.period)))
    numbers = (
        f" of the events of the last {span(alert.long)} were bad, and it goes on ({span(alert.short)}). "
        f"The edge is {figure(100 * edge(slo, alert))} %: {factor} times what "
        f"{slo.objective_percent:g} % allows. "
        f"At that rate {figure(alert.budget_percent)} % of the error budget of {span(slo.period)} are gone "
        f"in {span(alert.long)}."
    )
    journey = {"journey": _literal(slo.journey)} if slo.journey else {}
    return {
        "summary": _literal(summary),
        "description": "{{ $value | humanizePercentage }}" + numbers,
        "promise": _literal(slo.promise),
        **journey,
    }


def _literal(text: str) -> str:
    """Return a template that gives exactly this text."""
    return text.replace("{{", '{{ "{{" }}')


def _groups(promised: Promised) -> Iterator[Plain]:
    """Yield the group that alerts, and the one that is slow, so that it never holds the first one up.

    A group goes through its rules in order: alerts see what was recorded in the same evaluation.
    """
    source, name = (
        promised.source,
        f"holdfast-slo:{promised.source.campaign}:{promised.context}:{promised.name}",
    )
    rules = [*_records(promised), *(_alert(promised, alert) for alert in promised.slo.alerts)]
    yield {"name": name, "interval": promql(source.interval), "rules": rules}
    slow = promql(max(source.interval, _PERIOD_EVERY))
    yield {"name": f"{name}:period", "interval": slow, "rules": list(_period_records(promised))}


def _records(promised: Promised) -> Iterator[Plain]:
    slo = promised.slo
    for window in windows_of(slo):
        yield _record(promised, ratio_metric(window), bad_share_query(slo, window))
    if slo.minimum_events:
        for window in sorted({alert.short for alert in slo.alerts}):
            events = f"(\n{over(slo.total, window)}\n) * {_number(window.total_seconds())}"
            yield _record(promised, events_metric(window), events)
    yield _record(promised, "slo:objective:ratio", f"vector({_number(1 - budget_of(slo))})")
    yield _record(promised, "slo:error_budget:ratio", f"vector({_number(budget_of(slo))})")
    yield _record(promised, "slo:time_period:days", f"vector({_number(slo.period / _DAY)})")
    current = f"{promised.ratio(windows_of(slo)[0])} / {_number(budget_of(slo))}"
    yield _record(promised, "slo:current_burn_rate:ratio", current)


def _period_records(promised: Promised) -> Iterator[Plain]:
    slo = promised.slo
    if slo.period not in windows_of(slo):
        yield _record(promised, ratio_metric(slo.period), bad_share_query(slo, slo.period))
    burn = f"{promised.ratio(slo.period)} / {_number(budget_of(slo))}"
    yield _record(promised, "slo:period_burn_rate:ratio", burn)
    left = f"1 - {promised.series('slo:period_burn_rate:ratio')}"
    yield _record(promised, "slo:period_error_budget_remaining:ratio", left)


def _record(promised: Promised, metric: str, expression: str) -> Plain:
    return {"record": metric, "expr": expression, "labels": promised.labels}


def _alert(promised: Promised, alert: BurnAlert) -> Plain:
    source, least = promised.source, promised.slo.minimum_events
    limit = f"{_number(alert.factor(promised.slo.period))} * {_number(budget_of(promised.slo))}"
    conditions = [f"{promised.ratio(window)} > {limit}" for window in (alert.long, alert.short)]
    if least:
        conditions.append(f"{promised.events(alert.short)} >= {_number(least)}")
    wait = (source.breach_after - 1) * source.interval
    return {
        "alert": ALERT,
        "expr": "\nand\n".join(conditions),
        **({"for": promql(wait)} if wait else {}),
        **({"keep_firing_for": promql(source.recover_after)} if source.recover_after else {}),
        "labels": alert_labels(promised, alert),
        "annotations": alert_annotations(promised, alert),
    }


def _number(value: float) -> str:
    """Write a number as PromQL reads it, without the dust of binary fractions."""
    return f"{value:.12g}"
