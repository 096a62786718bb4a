"""What to tune before the next campaign: rules over the figures; no proposal without the numbers behind it."""

from collections.abc import Iterator
from typing import Final

from holdfast.adapters.reports.figures import Analysis, Proposal

_FULL, _IDLE = 80, 20  # percent of a resource
_UNTOUCHED: Final = 1  # percent of a budget
_ENOUGH_LOOKS: Final = 60
_LONG_WAIT_MINUTES: Final = 24 * 60
_LATE_ANSWER_MINUTES: Final = 15
_NOISE_MINUTES: Final = 10
_UNSEEN_PERCENT: Final = 10
_FAR_BELOW_PERCENT: Final = 50


def proposals(analysis: Analysis) -> list[Proposal]:
    """Return what the figures call for, the most urgent kind first."""
    rules = (_resources, _load, _promises, _alerts, _people, _measuring, _spare)
    return [proposal for rule in rules for proposal in rule(analysis)]


def _resources(analysis: Analysis) -> Iterator[Proposal]:
    for found in analysis.bottlenecks:
        if found.used_percent < _FULL:
            continue
        numbers = {"used": found.used_percent}
        words = {"resource": found.label}
        if not found.while_slow:
            yield Proposal(
                rule="nearly_full", context=found.title, subject=found.resource, numbers=numbers, words=words
            )
        elif found.kpi_value is not None:
            numbers |= {"value": found.kpi_value}
            words |= {"kpi": found.with_kpi, "unit": found.kpi_unit}
            yield Proposal(
                rule="full_while_slow",
                context=found.title,
                subject=found.resource,
                numbers=numbers,
                words=words,
            )
        else:
            yield Proposal(
                rule="full", context=found.title, subject=found.resource, numbers=numbers, words=words
            )


def _load(analysis: Analysis) -> Iterator[Proposal]:
    compared, load = analysis.comparison, analysis.load
    if compared and _broke_early(compared.broke_at_sessions, compared.capacity):
        numbers = {"broke": compared.broke_at_sessions or 0.0, "capacity": compared.capacity or 0.0}
        title = next((i.title for i in analysis.incidents if i.context == compared.broke_context), "")
        yield Proposal(rule="test_too_kind", context=title, subject=compared.run, numbers=numbers)
    percent = load.peak_percent
    if percent is None or load.peak_sessions is None or load.expected_peak is None:
        return
    numbers = {"peak": load.peak_sessions, "expected": load.expected_peak}
    if percent > 100:  # noqa: PLR2004  of what was expected
        yield Proposal(rule="peak_higher", subject="expected_peak", numbers=numbers)
    elif percent < _FAR_BELOW_PERCENT and analysis.ended:
        yield Proposal(rule="peak_lower", subject="expected_peak", numbers=numbers)


def _broke_early(broke: float | None, capacity: float | None) -> bool:
    return broke is not None and capacity is not None and broke < capacity


def _promises(analysis: Analysis) -> Iterator[Proposal]:
    for slo in analysis.slos:
        if slo.kept is False and slo.sli_percent is not None:
            numbers = {
                "sli": slo.sli_percent,
                "objective": slo.objective_percent,
                "minutes": slo.breach_minutes,
            }
            yield Proposal(rule="promise_broken", context=slo.title, subject=slo.slo, numbers=numbers)
        used = slo.budget_used_percent
        if used is None or slo.sli_percent is None or slo.looks < _ENOUGH_LOOKS or not analysis.ended:
            continue
        if used < _UNTOUCHED and slo.kept:
            numbers = {"used": used, "sli": slo.sli_percent, "objective": slo.objective_percent}
            yield Proposal(rule="tighten", context=slo.title, subject=slo.slo, numbers=numbers)


def _alerts(analysis: Analysis) -> Iterator[Proposal]:
    broken = {(incident.context, slo) for incident in analysis.incidents for slo in incident.slos}
    for slo in analysis.slos:
        if slo.warning_minutes >= _NOISE_MINUTES and (slo.context, slo.slo) not in broken:
            numbers = {"minutes": slo.warning_minutes}
            if slo.worst_burn is not None:
                numbers |= {"burn": slo.worst_burn}
            yield Proposal(rule="burned_quietly", context=slo.title, subject=slo.slo, numbers=numbers)


def _people(analysis: Analysis) -> Iterator[Proposal]:
    if analysis.gate_minutes is not None and analysis.gate_minutes >= _LONG_WAIT_MINUTES:
        waited = sum(1 for gate in analysis.gates if gate.by)
        numbers = {"minutes": analysis.gate_minutes, "gates": float(waited)}
        yield Proposal(rule="slow_gates", numbers=numbers)
    for incident in analysis.incidents:
        after = incident.acknowledged_minutes
        if after is not None and after > _LATE_ANSWER_MINUTES:
            words = {"person": incident.owner}
            numbers = {"minutes": after, "number": float(incident.number)}
            yield Proposal(rule="late_answer", context=incident.title, numbers=numbers, words=words)
    missed = [task for task in analysis.tasks if task.outcome in {"late", "never"}]
    if missed:
        numbers = {"missed": float(len(missed)), "all": float(len(analysis.tasks))}
        yield Proposal(rule="tasks_missed", numbers=numbers, words={"task": missed[0].title})
    for role in analysis.roles:
        if not role.person:
            numbers = {"asked": float(len(role.asked))}
            yield Proposal(rule="role_empty", subject=role.name, numbers=numbers)


def _measuring(analysis: Analysis) -> Iterator[Proposal]:
    if analysis.looked and 100 * analysis.silent / analysis.looked >= _UNSEEN_PERCENT:
        numbers = {"silent": float(analysis.silent), "looks": float(analysis.looked)}
        yield Proposal(rule="silent_metrics", numbers=numbers)
        return
    for slo in analysis.slos:
        if slo.unknown_percent >= _UNSEEN_PERCENT and analysis.looked:
            numbers = {"unknown": slo.unknown_percent}
            yield Proposal(rule="not_measured", context=slo.title, subject=slo.slo, numbers=numbers)


def _spare(analysis: Analysis) -> Iterator[Proposal]:
    for kpi in analysis.kpis:
        most = kpi.used_percent
        if kpi.resource and most is not None and most < _IDLE and kpi.looks >= _ENOUGH_LOOKS and analysis.ended:
            words = {"resource": kpi.label}
            yield Proposal(
                rule="spare", context=kpi.title, subject=kpi.name, numbers={"used": most}, words=words
            )
