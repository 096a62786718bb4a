"""What people did: incidents answered, gates decided, roles and tasks taken, and the order of it all."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Final

from holdfast.adapters.reports.figures import (
    Analysis,
    Event,
    GateFigures,
    IncidentFigures,
    RoleFigures,
    TaskFigures,
)
from holdfast.domain import run_phrases
from holdfast.domain.campaign import BreachLine, CampaignView, TaskLine
from holdfast.domain.gates import Gate
from holdfast.domain.view import RunView

_OWNED: Final = re.compile(re.escape(run_phrases.OWNED).replace(re.escape("{owner}"), r"(\S+)"))


def incident_figures(
    campaign: CampaignView, incidents: Mapping[str, RunView], until: datetime
) -> list[IncidentFigures]:
    """Return each breach with what its incident's run says; `until` ends those that last."""
    return [_incident(breach, incidents.get(breach.incident), until) for breach in campaign.breaches]


def _incident(breach: BreachLine, run: RunView | None, until: datetime) -> IncidentFigures:
    owner, after = _acknowledged(run) if run else ("", None)
    return IncidentFigures(
        number=breach.number,
        context=breach.context,
        title=breach.title or breach.context,
        slos=breach.slos,
        journey=breach.journey,
        said=breach.said,
        began=breach.began,
        ended=breach.ended,
        minutes=_minutes(breach.began, breach.ended or max(until, breach.began)),
        worst_burn=breach.worst_burn,
        incident=breach.incident,
        owner=owner,
        acknowledged_minutes=after,
        resolution=run.incident.resolution if run and run.incident else "",
    )


def _acknowledged(run: RunView) -> tuple[str, float | None]:
    """Return who had it first, and after how long where the timeline still holds that line."""
    for line in sorted(run.log, key=lambda line: line.at):
        found = _OWNED.fullmatch(line.text)
        if found:
            return found[1], _minutes(run.started_at, line.at)
    return (run.incident.owner if run.incident else ""), None


def gate_figures(view: RunView) -> list[GateFigures]:
    """Return each gate of the run, in the order in which they were asked."""
    gates = [*view.closed_gates, *([view.gate] if view.gate else [])]
    return [_gate(gate) for gate in sorted(gates, key=lambda gate: gate.opened_at)]


def _gate(gate: Gate) -> GateFigures:
    return GateFigures(
        id=gate.id,
        title=gate.title,
        state=str(gate.state),
        opened_at=gate.opened_at,
        closed_at=gate.closed_at,
        waited_minutes=_minutes(gate.opened_at, gate.closed_at) if gate.closed_at else None,
        by=list(dict.fromkeys(decision.by for decision in gate.decisions)),
    )


def median_wait(gates: Sequence[GateFigures]) -> float | None:
    """Return the median waiting time in minutes of those that somebody answered."""
    waited = [g.waited_minutes for g in gates if g.waited_minutes is not None and g.by]
    return median(waited) if waited else None


def role_figures(campaign: CampaignView) -> list[RoleFigures]:
    """Return each role."""
    return [RoleFigures.model_validate(role.model_dump(exclude={"next_at"})) for role in campaign.roles]


def task_figures(campaign: CampaignView, now: datetime) -> list[TaskFigures]:
    """Return each task, the earliest deadline first."""
    return [_task(task, now) for task in sorted(campaign.tasks, key=lambda task: task.due)]


def _task(task: TaskLine, now: datetime) -> TaskFigures:
    late = _minutes(task.due, task.done_at) if task.done_at else None
    if task.done_by or task.done_at:
        outcome = "late" if (late is not None and late > 0) or (late is None and task.overdue) else "in time"
    else:
        outcome = "never" if now > task.due else "ahead"
    return TaskFigures(
        id=task.id,
        title=task.title,
        owner=task.person or task.owner,
        due=task.due,
        done_by=task.done_by,
        done_at=task.done_at,
        late_minutes=late if late and late > 0 else None,
        outcome=outcome,
    )


def timeline(analysis: Analysis) -> list[Event]:
    """Return what happened, oldest first."""
    return sorted(_events(analysis), key=lambda event: event.at)


def _events(analysis: Analysis) -> Iterator[Event]:
    for test in analysis.tests:
        yield Event(at=test.at, kind="test", about={"verdict": str(test.verdict), "said": test.said})
    for gate in analysis.gates:
        yield Event(at=gate.opened_at, kind="asked", about={"gate": gate.title})
        if gate.closed_at:
            about = {"gate": gate.title, "state": gate.state, "by": ", ".join(gate.by)}
            yield Event(at=gate.closed_at, kind="decided", about=about)
    if analysis.frozen_from:
        yield Event(at=analysis.frozen_from, kind="freeze")
    limits = {"limits": analysis.limits} if analysis.limits else {}
    yield Event(at=analysis.opens, kind="opens", about=limits)
    if analysis.ended:
        yield Event(at=analysis.closes, kind="closes")
    yield from _incident_events(analysis.incidents)
    for task in analysis.tasks:
        if task.outcome == "never":
            yield Event(at=task.due, kind="overdue", about={"task": task.title, "owner": task.owner})
    for role in analysis.roles:
        if role.accepted_at:
            yield Event(at=role.accepted_at, kind="role", about={"role": role.name, "person": role.person})


def _incident_events(incidents: Sequence[IncidentFigures]) -> Iterator[Event]:
    for incident in incidents:
        about = {"context": incident.title, "said": incident.said, "incident": incident.incident}
        yield Event(at=incident.began, kind="breach", about=about)
        if incident.ended:
            yield Event(at=incident.ended, kind="recovery", about={"context": incident.title})


def _minutes(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds() / 60
