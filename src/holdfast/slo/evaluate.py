"""From the answers of one moment to how every service level stands.

Pure, and total: any answer gives a `Moment`. What is no number (absent, NaN, infinite) is no data, and no data
is never a breach.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.slo.baseline import Usual, deviates, distance
from holdfast.slo.budget import budget_of, left_percent, tidy
from holdfast.slo.burn import burn_rate
from holdfast.slo.queries import kpi_key, part_key, promql, resource_key, total_key
from holdfast.slo.sentences import burns_said, holds_said, no_data_said, no_part_said, too_few_said
from holdfast.slo.spec import BurnAlert, Kpi, Resource, ServiceContext, Severity, Slo
from holdfast.slo.status import BurnReading, KpiStatus, Level, Moment, SloStatus, WindowCount

Answers = Mapping[str, float | None]
Counts = Mapping[tuple[str, str], WindowCount]
"""What the campaign's window came to, by context and SLO."""

_FULL_PERCENT = 100.0


@dataclass(frozen=True)
class Counted:
    """What happened in a window.

    Attributes:
        events: how many; None where it is not known.
        bad_share: of them, from 0 to 1; None without events, or where it is not known.
    """

    events: float | None = None
    bad_share: float | None = None


def evaluate(
    contexts: Mapping[str, ServiceContext],
    answers: Answers,
    baselines: Mapping[str, Usual],
    at: datetime,
    *,
    counts: Counts | None = None,
) -> Moment:
    """Say how everything stands.

    Args:
        contexts: by name.
        answers: by the keys of `queries.questions`; what is missing is not known.
        baselines: what KPIs usually are, by the same keys; without one a KPI is shown and not judged.
        at: when the questions were asked.
        counts: since the campaign's window opened, see `window_counts`.
    """
    known = counts or {}
    return Moment(
        at=at,
        slos=[
            _slo_status(name, slo_name, slo, answers).model_copy(update={"window": known.get((name, slo_name))})
            for name, context in contexts.items()
            for slo_name, slo in context.slos.items()
        ],
        kpis=[
            status
            for name, context in contexts.items()
            for status in _numbers(name, context, answers, baselines)
        ],
    )


def window_counts(
    contexts: Mapping[str, ServiceContext], answers: Answers, window: timedelta, at: datetime
) -> dict[tuple[str, str], WindowCount]:
    """Count each promise's events; one without events, or whose questions have no answer, is left out.

    Args:
        contexts: by name.
        answers: to `queries.window_questions`.
        window: which they were asked over.
        at: its end.
    """
    found: dict[tuple[str, str], WindowCount] = {}
    for name, context in contexts.items():
        for slo_name, slo in context.slos.items():
            seen = counted(name, slo_name, slo, window, answers)
            events = round(seen.events or 0)
            if events and seen.bad_share is not None:
                bad = min(events, round(seen.bad_share * (seen.events or 0)))
                found[name, slo_name] = WindowCount.of(events, bad, slo.objective_percent, at=at)
    return found


def silence(contexts: Mapping[str, ServiceContext], at: datetime, why: str) -> Moment:
    """Return the moment at which the metrics do not answer at all: everything is unknown.

    Args:
        contexts: by name.
        at: when they were asked.
        why: what went wrong, for people; not empty.
    """
    return evaluate(contexts, {}, {}, at).model_copy(update={"silent": why})


def counted(context: str, name: str, slo: Slo, window: timedelta, answers: Answers) -> Counted:
    """Return what happened in one window of an SLO."""
    total = _finite(answers.get(total_key(context, name, window)))
    part = _finite(answers.get(part_key(context, name, window)))
    if total is None or total < 0:
        return Counted()
    events = _finite(total * window.total_seconds())
    if not total or part is None:
        return Counted(events=events)
    bad = total - part if slo.bad is None else part
    return Counted(events=events, bad_share=max(0.0, min(1.0, bad / total)))


def _slo_status(context: str, name: str, slo: Slo, answers: Answers) -> SloStatus:
    def over(window: timedelta) -> Counted:
        return counted(context, name, slo, window, answers)

    readings = [_reading(slo, alert, over(alert.long), over(alert.short)) for alert in slo.alerts]
    newest = over(_newest(slo))
    level = _level(readings, newest)
    period = over(slo.period)
    share = period.bad_share
    status = SloStatus(
        context=context,
        slo=name,
        promise=slo.promise,
        objective_percent=slo.objective_percent,
        journey=slo.journey,
        level=level,
        sli_percent=None if share is None else 100 * (1 - share),
        budget_left_percent=None if share is None else left_percent(share, budget_of(slo)),
        events=period.events,
        bad_events=None if share is None or period.events is None else share * period.events,
        burn=readings,
    )
    return status.model_copy(update={"said": _said(slo, status, newest)})


def _newest(slo: Slo) -> timedelta:
    """Return the shortest window: what is missing there is missing now."""
    return min(alert.short for alert in slo.alerts)


def _reading(slo: Slo, alert: BurnAlert, long: Counted, short: Counted) -> BurnReading:
    enough = short.events is not None and short.events >= slo.minimum_events
    return BurnReading(
        long=promql(alert.long),
        short=promql(alert.short),
        factor=tidy(alert.factor(slo.period)),
        severity=alert.severity,
        long_burn=_burn(long, slo),
        short_burn=_burn(short, slo) if enough else None,
    )


def _burn(seen: Counted, slo: Slo) -> float | None:
    return None if seen.bad_share is None else burn_rate(seen.bad_share, budget_of(slo))


def _level(readings: list[BurnReading], newest: Counted) -> Level:
    """Return how an SLO stands; where the newest window is silent, the longer ones only repeat the past."""
    burning: set[Severity] = {reading.severity for reading in readings if reading.burns}
    if "page" in burning:
        return Level.BREACH
    unheard = newest.events is None or (newest.events > 0 and newest.bad_share is None)
    if unheard or not any(_judged(reading) for reading in readings):
        return Level.UNKNOWN
    return Level.WARNING if burning else Level.OK


def _judged(reading: BurnReading) -> bool:
    return reading.short_burn is not None and reading.long_burn is not None


def _said(slo: Slo, status: SloStatus, newest: Counted) -> str:
    if status.level is Level.OK:
        return holds_said(status.sli_percent, slo.period, status.budget_left_percent)
    if status.level is Level.UNKNOWN:
        return _why_unknown(slo, newest)
    called = "page" if status.level is Level.BREACH else "ticket"
    burning = [
        (reading, alert)
        for reading, alert in zip(status.burn, slo.alerts, strict=True)
        if reading.burns and reading.severity == called
    ]
    fastest, alert = max(burning, key=lambda pair: pair[0].factor)
    return burns_said(fastest, alert, status.budget_left_percent)


def _why_unknown(slo: Slo, newest: Counted) -> str:
    window = _newest(slo)
    if newest.events is None:
        return no_data_said(window)
    if newest.events > 0 and newest.bad_share is None:
        return no_part_said(window, part="good" if slo.bad is None else "bad")
    return too_few_said(newest.events, window, slo.minimum_events)


def _numbers(
    name: str, context: ServiceContext, answers: Answers, baselines: Mapping[str, Usual]
) -> Iterator[KpiStatus]:
    for kpi, spec in context.kpis.items():
        key = kpi_key(name, kpi)
        yield _kpi_status(name, kpi, spec, _finite(answers.get(key)), baselines.get(key))
    for resource, of_resource in context.resources.items():
        value = _finite(answers.get(resource_key(name, resource)))
        yield _resource_status(name, resource, of_resource, value)


def _kpi_status(context: str, name: str, kpi: Kpi, value: float | None, past: Usual | None) -> KpiStatus:
    status = KpiStatus(
        context=context,
        name=name,
        title=kpi.title or name,
        unit=kpi.unit,
        value=value,
        baseline=past.median if past else None,
    )
    if value is None:
        return status
    if kpi.bad_when == "never":
        return status.model_copy(update={"level": Level.OK})
    if past is None:
        return status
    level = Level.WARNING if deviates(kpi, value, past) else Level.OK
    return status.model_copy(update={"level": level, "sigmas": distance(kpi, value, past)})


def _resource_status(context: str, name: str, resource: Resource, value: float | None) -> KpiStatus:
    used = _finite(100 * value / resource.full_at) if value is not None and resource.full_at else None
    level = Level.UNKNOWN if value is None else Level.OK
    if used is not None and used >= _FULL_PERCENT:
        level = Level.WARNING
    return KpiStatus(
        context=context,
        name=name,
        title=name,
        unit=resource.unit,
        value=value,
        used_percent=used,
        level=level,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
