"""Gates: a question that only named people may answer, and the rules by which an answer counts.

Pure rules. The same `refusal` is asked by every channel's decision, so Telegram, the Temporal UI and the
command line cannot disagree about what counts.
"""

import json
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from holdfast.domain.errors import DecisionRefused
from holdfast.domain.people import People


class Choice(StrEnum):
    """What a person answers: go on, or not."""

    APPROVE = "approve"
    REJECT = "reject"


_SYNONYMS = {"yes": "approve", "continue": "approve", "no": "reject", "rollback": "reject", "stop": "reject"}


class Answer(StrEnum):
    """What became of a decision; told to the person who took it, whatever the channel."""

    ACCEPTED = "accepted"
    WAITING_FOR_MORE = "waiting_for_more"
    ALREADY_DECIDED = "already_decided"
    NOT_AN_APPROVER = "not_an_approver"
    NOT_THE_OPEN_GATE = "not_the_open_gate"
    EVIDENCE_OUT_OF_DATE = "evidence_out_of_date"
    UNREADABLE = "unreadable"
    STORED = "stored"  # no worker was up: kept, and checked as soon as one is


class Decision(BaseModel):
    """One person's answer to one gate, bound to the evidence that the person saw.

    Attributes:
        gate: id of the gate that is answered; may be left out by a button that carries the gate's token.
        token: the open gate's token, from a button.
        decision: `approve` or `reject` (`yes`, `continue`, `no`, `stop`, `rollback` are understood).
        by: short name of the person in `people.yaml`.
        evidence: digest of what the person saw; empty means "whatever is shown now".
        reason: free text for the record.
        channel: where it was said, e.g. `telegram`, `temporal-ui`, `cli`.
        id: a repeated delivery of the same decision carries the same id and counts once.
        at: when the run recorded it; set by the run.
    """

    gate: str = ""
    token: str = ""
    decision: Choice
    by: str = Field(min_length=1)
    evidence: str = ""
    reason: str = Field(default="", max_length=1000)
    channel: str = "temporal-ui"
    id: str = ""
    at: datetime | None = None

    @field_validator("decision", mode="before")
    @classmethod
    def _as_people_type_it(cls, value: Any) -> Any:
        typed = str(value).strip().lower()
        return _SYNONYMS.get(typed, typed)

    @model_validator(mode="after")
    def _names_a_gate(self) -> Self:
        if not self.gate and not self.token:
            raise ValueError("'gate' is missing: copy the id of the open gate")
        return self

    def answers(self, gate: "Gate") -> bool:
        """Whether this decision is about that gate."""
        return self.gate == gate.id if self.gate else self.token == gate.token

    @field_validator("by", mode="before")
    @classmethod
    def _names_are_lower_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value


class DecisionReply(BaseModel):
    """The true answer to a decision that counted: `accepted`, or `waiting_for_more` approvals."""

    answer: Answer
    text: str
    gate: str
    waiting_for: int = 0


class GateState(StrEnum):
    """Where a gate stands."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


class Question(BaseModel):
    """What is asked, and what follows from each answer; one sentence each."""

    title: str
    question: str
    if_approved: str
    if_rejected: str
    if_nothing: str
    approve_label: str = "Approve"
    reject_label: str = "Reject"


class Gate(Question):
    """A request for approval.

    Attributes:
        id: unique within the run, readable, e.g. `2-crm-pool`.
        approvers: short names of the people whose answers count.
        quorum: how many different approvers must approve; one rejection rejects.
        evidence: digest of the plan and numbers that the question shows.
        token: opaque random text that a button carries instead of all this.
        decisions: the answers that counted so far, at most one a person.
    """

    id: str
    approvers: tuple[str, ...]
    quorum: int = Field(default=1, ge=1)
    evidence: str
    token: str
    opened_at: datetime
    state: GateState = GateState.OPEN
    decisions: list[Decision] = Field(default_factory=list[Decision])

    @property
    def missing(self) -> int:
        """How many more approvals the gate needs."""
        return max(0, self.quorum - sum(d.decision is Choice.APPROVE for d in self.decisions))

    def example(self) -> str:
        """Return the exact JSON that an approver pastes into the Temporal UI."""
        decision = {"gate": self.id, "decision": "approve", "by": self.approvers[0], "evidence": self.evidence}
        return json.dumps(decision, indent=1)


def parse_decision(message: Any) -> Decision:
    """Read a decision from any JSON a person may have typed.

    Raises:
        DecisionRefused: the text says what is missing or wrong, field by field.
    """
    if not isinstance(message, dict):
        raise DecisionRefused(
            Answer.UNREADABLE,
            'A decision is a JSON object such as {"gate": "…", "decision": "approve", "by": "your-name"}; '
            "copy the one shown in the run's details.",
        )
    try:
        return Decision.model_validate(message)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DecisionRefused(
            Answer.UNREADABLE,
            f"The decision was not understood ({problems}). Copy the JSON in the run's details.",
        ) from None


def check(decision: Decision, gate: Gate | None, *, closed: list[Gate], people: People) -> None:
    """Check a decision against the gate that is open now; it does not change anything.

    Args:
        decision: what arrived.
        gate: the gate that is open, or None.
        closed: gates that were open earlier in this run, to tell "already decided" from "never heard of".
        people: who is who, as of the start of the run.

    Raises:
        DecisionRefused: why it does not count, in words for the person who took it.
    """
    past = next((g for g in closed if decision.answers(g)), None)
    if past is not None:
        raise DecisionRefused(Answer.ALREADY_DECIDED, f"Too late: {outcome_of(past)}")
    if gate is None:
        raise DecisionRefused(Answer.NOT_THE_OPEN_GATE, "No gate is open in this run now; nothing is asked.")
    if not decision.answers(gate):
        named = f"Gate '{decision.gate}'" if decision.gate else "The gate of that button"
        raise DecisionRefused(Answer.NOT_THE_OPEN_GATE, f"{named} is not open; the open gate is '{gate.id}'.")
    _check_person(decision, gate, people)
    if decision.evidence and decision.evidence != gate.evidence:
        raise DecisionRefused(
            Answer.EVIDENCE_OUT_OF_DATE,
            f"You answered on evidence {decision.evidence}, but it is {gate.evidence} now. "
            "Look again, then decide.",
        )


def _check_person(decision: Decision, gate: Gate, people: People) -> None:
    if people.named(decision.by) is None or decision.by not in gate.approvers:
        raise DecisionRefused(
            Answer.NOT_AN_APPROVER,
            f"'{decision.by}' is not an approver of gate '{gate.id}'. Approvers: {', '.join(gate.approvers)}.",
        )
    earlier = next((d for d in gate.decisions if d.by == decision.by), None)
    if earlier is not None:
        raise DecisionRefused(
            Answer.ALREADY_DECIDED,
            f"You have already said '{earlier.decision}' to gate '{gate.id}'; "
            f"it waits for {gate.missing} more approval(s) from others.",
        )


def record(decision: Decision, gate: Gate, *, now: datetime) -> DecisionReply:
    """Add a checked decision to the gate, closing it when it is decided, and say what became of it."""
    gate.decisions.append(decision.model_copy(update={"at": now}))
    if decision.decision is Choice.REJECT:
        gate.state = GateState.REJECTED
        return DecisionReply(answer=Answer.ACCEPTED, gate=gate.id, text=f"Recorded. {gate.if_rejected}")
    if gate.missing:
        return DecisionReply(
            answer=Answer.WAITING_FOR_MORE,
            gate=gate.id,
            waiting_for=gate.missing,
            text=f"Recorded. Gate '{gate.id}' waits for {gate.missing} more approval(s).",
        )
    gate.state = GateState.APPROVED
    return DecisionReply(answer=Answer.ACCEPTED, gate=gate.id, text=f"Recorded. {gate.if_approved}")


def outcome_of(gate: Gate) -> str:
    """Say in one line who decided what, when, and through which channel."""
    if gate.state is GateState.SUPERSEDED:
        return f"gate '{gate.id}' was closed without an answer: it was overtaken by events."
    said = ", ".join(
        f"{d.by} said {d.decision} via {d.channel}" + (f" at {d.at:%H:%M:%S} UTC" if d.at else "")
        for d in gate.decisions
    )
    return f"gate '{gate.id}' is {gate.state}: {said}."
