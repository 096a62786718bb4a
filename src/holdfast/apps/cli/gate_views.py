"""A gate on a terminal and as JSON: what is asked, who approved, who is waited for, until when."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from holdfast.apps.cli.tables import moment, span, table
from holdfast.domain import standing
from holdfast.domain.gates import Gate, GateState, outcome_of, who_said
from holdfast.domain.people import People
from holdfast.domain.signoff import Lapse, Slot
from holdfast.ports.runs import WaitingGate

# A token is of use to whoever wants to answer for somebody else; a decision keeps the one of its button.
PRIVATE_OF_GATE: Final[dict[str, Any]] = {"token": True, "decisions": {"__all__": {"token", "code"}}}
_MEANING = {
    Lapse.HOLD: "after that it is overdue and goes on waiting",
    Lapse.REJECT: "without a decision by then it counts as rejected",
    Lapse.ROLLBACK: "without a decision by then the run rolls back, what it promoted before included",
    Lapse.PROCEED: "without a decision by then the run goes on as if it was approved",
}


def gate_panel(gate: Gate, people: People, now: datetime) -> Panel:
    """Show what a gate asks, what follows from each answer, how far the approvals are, and until when."""
    title = "A decision is asked" if gate.state is GateState.OPEN else f"Gate {gate.id}, {gate.state}"
    return Panel.fit(
        Text("\n".join(_lines(gate, people, now))), title=Text(f"{title}: {gate.title}"), title_align="left"
    )


def changes_table(gate: Gate) -> Table | None:
    """Show each setting before and after; None where the evidence has none."""
    changes = gate.basis.diff() if gate.basis else []
    return table(("setting", "now", "then"), changes, title="What would change") if changes else None


def gate_table(waiting: Iterable[WaitingGate], now: datetime) -> Table:
    """Show open gates, one a line."""
    columns = ("run", "gate", "what is asked", "since", "deadline", "missing", "waits for")
    return table(columns, (_row(w, now) for w in waiting))


def gate_document(gate: Gate, waiting: Iterable[str]) -> dict[str, Any]:
    """Return a gate for programs, without what only its own buttons may know."""
    return {
        "gate": gate.model_dump(mode="json", exclude=PRIVATE_OF_GATE),
        "limited": gate.limited,
        "missing": gate.missing,
        "waiting": list(waiting),
    }


def _row(waiting: WaitingGate, now: datetime) -> tuple[str, ...]:
    gate = waiting.gate
    return (
        waiting.run_id,
        gate.id,
        gate.title,
        span(now - gate.opened_at),
        _short_deadline(gate, now),
        f"{gate.missing} of {gate.needed}",
        ", ".join(waiting.waiting) or "nobody who could answer now",
    )


def _short_deadline(gate: Gate, now: datetime) -> str:
    if gate.deadline is None:
        return "none"
    return f"{'overdue, ' if gate.overdue else ''}{moment(gate.deadline, now)}"


def _lines(gate: Gate, people: People, now: datetime) -> Iterator[str]:
    yield from (f"- {fact}" for fact in gate.facts)
    yield gate.question
    if gate.again_because:
        yield f"Asked again, because this changed: {gate.again_because}"
    yield ""
    yield from (f"{gate.label(choice)}: {gate.consequence(choice)}" for choice in gate.choices)
    yield f"Nothing done: {gate.if_nothing}"
    yield ""
    yield from _steps(gate)
    yield from _rejections(gate)
    if gate.state is GateState.OPEN:
        yield from _open(gate, people, now)
    else:
        yield f"Closed: {outcome_of(gate)}"
    yield f"Evidence: {gate.evidence}{_good_until(gate, now)}"


def _steps(gate: Gate) -> Iterator[str]:
    steps = sorted({slot.step for slot in gate.slots})
    for number, step in enumerate(steps, start=1):
        slots, votes = gate.slots_of(step), gate.votes_in(step)
        name = f"Step {number} of {len(steps)}" if len(steps) > 1 else "Approval"
        state = "complete" if len(votes) >= len(slots) else f"{len(slots) - len(votes)} missing"
        yield f"{name}: {_needs(slots)}; {state}"
        yield from (f"  {who_said(vote)}" for vote in votes)
    if not steps:
        yield f"Who may answer: {', '.join(gate.approvers)} ({gate.missing} of {gate.needed} missing)"
        yield from (f"  {who_said(vote)}" for vote in gate.approvals)


def _needs(slots: list[Slot]) -> str:
    labels = list(dict.fromkeys(slot.label for slot in slots))
    if len(labels) > 1:
        return f"all of {', '.join(labels)}"
    return f"{len(slots)} of {labels[0]}" if len(slots) > 1 or "," in labels[0] else labels[0]


def _rejections(gate: Gate) -> Iterator[str]:
    approvals = gate.approvals
    yield from (f"Refused: {who_said(d)}" for d in gate.decisions if d not in approvals)


def _open(gate: Gate, people: People, now: datetime) -> Iterator[str]:
    asked = standing.waiting_for(gate, people, now)
    yield f"Waits for: {', '.join(asked) or 'nobody who could answer now'}"
    veto = [name for name in gate.veto if name not in {gate.excluded, *asked}]
    if veto:
        yield f"May refuse as well: {', '.join(veto)}"
    if gate.mfa:
        yield "Each answer needs a code of the person's authenticator app."
    yield f"Deadline: {_deadline(gate, now)}"


def _deadline(gate: Gate, now: datetime) -> str:
    if gate.deadline is None:
        return "none, it waits for as long as it takes"
    if gate.overdue:
        return f"{moment(gate.deadline, now)}; it is overdue and goes on waiting"
    return f"{moment(gate.deadline, now)}; {_MEANING[gate.on_deadline]}"


def _good_until(gate: Gate, now: datetime) -> str:
    if gate.stale_at is None or gate.state is not GateState.OPEN:
        return ""
    return f", good until {moment(gate.stale_at, now)}"
