"""The sections on what people did: incidents, decisions, roles and tasks."""

from holdfast.adapters.reports import words
from holdfast.adapters.reports.figures import Analysis
from holdfast.adapters.reports.parts import Cell, Section, Table, Tone
from holdfast.adapters.reports.words import DASH, Clock
from holdfast.i18n import translate, understood


def incidents(analysis: Analysis, clock: Clock) -> Section:
    """Return what broke, how long, and who had it."""
    head = (
        *(translate("No."), translate("Context"), translate("What"), translate("Began"), translate("Lasted")),
        *(translate("Worst burn rate"), translate("Acknowledged"), translate("Ended by")),
    )
    rows = [
        (
            *(str(i.number), i.title, i.journey or understood(i.said) or DASH, clock.at(i.began)),
            words.lasted(i.minutes)
            if i.ended
            else translate("{span}, not over").format(span=words.lasted(i.minutes)),
            words.figure(i.worst_burn),
            _acknowledged(i.owner, i.acknowledged_minutes),
            i.resolution or DASH,
        )
        for i in analysis.incidents
    ]
    empty = translate("There was no breach.") if analysis.looked else words.not_measured()
    return Section("incidents", translate("Incidents"), [Table(head, rows, empty)])


def _acknowledged(owner: str, minutes: float | None) -> str:
    if minutes is None:
        return owner or words.not_measured()
    return translate("{person} after {span}").format(person=owner, span=words.lasted(minutes))


def gates(analysis: Analysis, clock: Clock) -> Section:
    """Return what was asked, and how long it waited."""
    head = (
        *(translate("Gate"), translate("Asked"), translate("Decided"), translate("Waited")),
        *(translate("Result"), translate("By")),
    )
    rows = [
        (
            *(understood(g.title), clock.at(g.opened_at), clock.at(g.closed_at)),
            words.lasted(g.waited_minutes) if g.closed_at else translate("still waits"),
            words.state_of(g.state),
            ", ".join(g.by) or DASH,
        )
        for g in analysis.gates
    ]
    median = translate("Median of those that were answered: {span}.").format(
        span=words.lasted(analysis.gate_minutes)
    )
    empty = translate("No gate was opened.")
    return Section("gates", translate("Decisions"), [Table(head, rows, empty)], median if rows else "")


def people(analysis: Analysis, clock: Clock) -> Section:
    """Return who had which role, and what became of the tasks."""
    roles = [
        (
            f"{role.title} ({role.name})",
            Cell(role.person or translate("nobody"), "" if role.person else "warn"),
            clock.at(role.accepted_at),
            ", ".join(role.asked) or DASH,
        )
        for role in analysis.roles
    ]
    tones: dict[str, Tone] = {"in time": "good", "late": "warn", "never": "bad"}
    tasks = [
        (
            *(task.title, task.owner, clock.at(task.due), clock.at(task.done_at), task.done_by or DASH),
            Cell(words.outcome_of(task.outcome), tones.get(task.outcome, "")),
        )
        for task in analysis.tasks
    ]
    role_head = (translate("Role"), translate("Person"), translate("Since"), translate("Asked people"))
    task_head = (
        *(translate("Task"), translate("Owner"), translate("Due"), translate("Done at")),
        *(translate("Done by"), translate("Result")),
    )
    parts = [Table(role_head, roles, translate("No role.")), Table(task_head, tasks, translate("No task."))]
    return Section("people", translate("Roles and tasks"), parts)
