"""Unit tests of the rules, for `promtool test rules`: every alert just above and just below its edge.

They put numbers where the recording rules would: what the file's own queries give depends on series that only
the client's system has. So they show edges, windows, the least number of events, labels and sentences.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

from holdfast.slo.budget import budget_of
from holdfast.slo.burn import can_fire, edge
from holdfast.slo.queries import promql
from holdfast.slo.rules import ALERT, Promised, RuleSource, alert_annotations, alert_labels
from holdfast.slo.spec import BurnAlert
from holdfast.slo.yaml_text import Plain, yaml_text

_NEAR: Final = 0.01
_LOOKS: Final = 3

# By window, the share of bad events; and, by short window, how many events there were.
Fed = Mapping[timedelta, float]


def rule_tests(source: RuleSource, *, rules_file: str) -> str:
    """Return a test file for `promtool test rules`.

    Args:
        source: what the rules were made from.
        rules_file: path of the rules, from where the test file is.
    """
    tests: list[Plain] = [test for promised in source.promises() for test in _tests(promised)]
    document: dict[str, Plain] = {
        "rule_files": [rules_file],
        "evaluation_interval": promql(source.interval),
        "tests": tests,
    }
    header = [*source.header("Unit tests of the rules"), "Run: promtool test rules FILE"]
    return yaml_text(document, header=header)


def _tests(promised: Promised) -> Iterator[Plain]:
    yield _budget_test(promised)
    for alert in promised.slo.alerts:
        for said, fed, events in _cases(promised, alert):
            yield _alert_test(promised, f"{_name(promised, alert)}: {said}", fed, events)


def _cases(promised: Promised, alert: BurnAlert) -> Iterator[tuple[str, Fed, Fed]]:
    """Yield what is fed: a sentence, shares of bad events, numbers of events."""
    slo = promised.slo
    limit, least = edge(slo, alert), slo.minimum_events
    enough, few = {alert.short: least}, {alert.short: least * (1 - _NEAR)}
    if not can_fire(slo, alert):
        yield "a total outage is below the edge", {alert.long: 1.0, alert.short: 1.0}, enough
        return
    above, below = min(limit * (1 + _NEAR), (1 + limit) / 2), limit * (1 - _NEAR)
    yield "both windows just above the edge", {alert.long: above, alert.short: above}, enough
    yield "both windows just below the edge", {alert.long: below, alert.short: below}, enough
    yield "the short window is well again", {alert.long: above, alert.short: below}, enough
    yield "the long window is not there yet", {alert.long: below, alert.short: above}, enough
    if least:
        yield "too few events in the short window", {alert.long: above, alert.short: above}, few


def _alert_test(promised: Promised, name: str, fed: Fed, events: Fed) -> Plain:
    source = promised.source
    looks = source.breach_after + _LOOKS
    given = [(promised.ratio(window), share) for window, share in fed.items()]
    if promised.slo.minimum_events:
        given += [(promised.events(window), count) for window, count in events.items()]
    return {
        "name": name,
        "interval": promql(source.interval),
        "input_series": _series(given, looks),
        "alert_rule_test": [
            {
                "eval_time": promql(looks * source.interval),
                "alertname": ALERT,
                "exp_alerts": [
                    {
                        "exp_labels": alert_labels(promised, alert),
                        "exp_annotations": _rendered(promised, alert, fed),
                    }
                    for alert in promised.slo.alerts
                    if _fires(promised, alert, fed, events)
                ],
            }
        ],
    }


def _budget_test(promised: Promised) -> Plain:
    """Return the test of half a budget: what is spent, and what is left."""
    slo, source = promised.slo, promised.source
    half = budget_of(slo) / 2
    expected = {
        "slo:period_burn_rate:ratio": 0.5,
        "slo:period_error_budget_remaining:ratio": 0.5,
        "slo:objective:ratio": 1 - budget_of(slo),
    }
    return {
        "name": f"{promised.context}/{promised.name}: half of the budget is spent",
        "interval": promql(source.interval),
        "input_series": _series([(promised.ratio(slo.period), half)], _LOOKS),
        "promql_expr_test": [
            {
                # promtool compares to the last bit, where whole numbers have no dust.
                "expr": f"round(1e6 * {promised.series(metric)})",
                "eval_time": promql(_LOOKS * source.interval),
                "exp_samples": [{"labels": promised.series(""), "value": round(1e6 * value)}],
            }
            for metric, value in expected.items()
        ],
    }


def _fires(promised: Promised, alert: BurnAlert, fed: Fed, events: Fed) -> bool:
    limit, least = edge(promised.slo, alert), promised.slo.minimum_events
    burns = all(fed.get(window, 0.0) > limit for window in (alert.long, alert.short))
    return burns and (not least or events.get(alert.short, 0.0) >= least)


def _rendered(promised: Promised, alert: BurnAlert, fed: Fed) -> dict[str, str]:
    """Return the annotations as Prometheus renders them for what is fed."""
    percent = f"{100 * float(_written(fed[alert.long])):.4g}%"
    return {
        name: text.replace("{{ $value | humanizePercentage }}", percent).replace('{{ "{{" }}', "{{")
        for name, text in alert_annotations(promised, alert).items()
    }


def _series(given: Sequence[tuple[str, float]], looks: int) -> list[Plain]:
    return [{"series": series, "values": f"{_written(value)}+0x{looks}"} for series, value in given]


def _written(value: float) -> str:
    """Write a number as the notation of series reads it: without an exponent."""
    return f"{value:.12f}".rstrip("0").rstrip(".")


def _name(promised: Promised, alert: BurnAlert) -> str:
    return f"{promised.context}/{promised.name} {alert.severity} {promql(alert.long)}/{promql(alert.short)}"
