"""Gates: a question that only named people may answer, and the rules by which an answer counts.

Pure rules. Every channel's decision is asked by the same `check`, so Telegram, the Temporal UI, the command
line and the web page cannot disagree about what counts. Who stands for whom is in `holdfast.domain.standing`.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from holdfast.domain.decisions import Answer, Choice, Decision, DecisionReply, Extension, Handover
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.evidence import Evidence
from holdfast.domain.people import People
from holdfast.domain.signoff import DEPUTIES, Lapse, Reminders, SignOff, Slot, slots_of


class GateState(StrEnum):
    """Where a gate stands."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"  # the deadline passed and the policy says what that means, see `Gate.on_deadline`
    VOIDED = "voided"  # what it rested on changed; asked again as another gate
    SUPERSEDED = "superseded"


class Question(BaseModel):
    """What is asked, and what follows from each answer; one sentence each.

    Attributes:
        facts: what the question rests on, one line each, the most important first; shown above it.
        limit_label: name of the third answer, "go with limits"; without it the gate does not take one.
        if_limited: what follows from that answer, and which limits they are.
    """

    title: str
    question: str
    if_approved: str
    if_rejected: str
    if_nothing: str
    approve_label: str = "Approve"
    reject_label: str = "Reject"
    limit_label: str = ""
    if_limited: str = ""
    facts: list[str] = Field(default_factory=list[str])

    @property
    def told(self) -> str:
        """The facts and the question in one text, as it is put on record."""
        return " ".join([*self.facts, self.question])

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The answers that are taken, in the order in which they are shown."""
        third = (Choice.LIMIT,) if self.limit_label else ()
        return (Choice.APPROVE, *third, Choice.REJECT)

    def label(self, choice: Choice) -> str:
        """Return the name of an answer."""
        labels = {Choice.LIMIT: self.limit_label or Choice.LIMIT.said, Choice.REJECT: self.reject_label}
        return labels.get(choice, self.approve_label)

    def consequence(self, choice: Choice) -> str:
        """Return what follows from an answer."""
        texts = {Choice.LIMIT: self.if_limited or self.if_approved, Choice.REJECT: self.if_rejected}
        return texts.get(choice, self.if_approved)


class Delegation(BaseModel):
    """One person stands for another at this gate.

    Attributes:
        by: who handed over.
        to: who may answer instead.
        since, until: from when to when; None is open.
    """

    by: str
    to: str
    since: datetime | None = None
    until: datetime | None = None

    def active(self, at: datetime) -> bool:
        """Whether it holds at that moment."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


class Tier(BaseModel):
    """Who may answer too from a moment on: the deputies of the others, or the named people."""

    at: datetime
    names: tuple[str, ...] = ()
    deputies: bool = False


class Gate(Question):
    """A request for approval.

    Attributes:
        id: unique within the run, readable, e.g. `2-crm-pool`.
        approvers: short names of the people whose answers count from the beginning.
        quorum: how many different approvers must approve; one rejection rejects.
        evidence: digest of the plan and numbers that the question shows.
        token: opaque random text that a button carries instead of all this.
        decisions: the answers that counted so far, at most one a person.
        execution: Temporal's id of the execution that asks; a run made by a reset asks anew.
        slots: the approvals that are needed.
        ordered: whether the steps are answered one after the other.
        veto: who may reject without being an approver.
        excluded: who started the run and may therefore not answer.
        mfa: whether a code of the authenticator app is needed.
        deadline, on_deadline: by when, and what it means when nobody decided.
        warnings: when those who have not answered are warned.
        overdue: the deadline passed, and the policy is to hold.
        extenders: who may move the deadline.
        tiers: who may answer too when it takes long, in the order of time.
        basis: the evidence itself; None for what was asked before evidence was kept.
        stale_at: when the evidence is too old to decide on.
        again_because: what changed since the same was asked before; empty the first time.
        revision: grows with everything that changes who is asked or until when.
        note: why it was closed without an answer.
    """

    id: str
    approvers: tuple[str, ...]
    quorum: int = Field(default=1, ge=1)
    evidence: str
    token: str
    opened_at: datetime
    state: GateState = GateState.OPEN
    decisions: list[Decision] = Field(default_factory=list[Decision])
    execution: str = ""
    slots: tuple[Slot, ...] = ()
    ordered: bool = True
    veto: tuple[str, ...] = ()
    excluded: str = ""
    mfa: bool = False
    deadline: datetime | None = None
    on_deadline: Lapse = Lapse.HOLD
    warnings: tuple[timedelta, ...] = ()
    overdue: bool = False
    extenders: tuple[str, ...] = ()
    delegations: list[Delegation] = Field(default_factory=list[Delegation])
    tiers: tuple[Tier, ...] = ()
    remind: Reminders = Reminders()
    call_tiers_every: timedelta | None = None
    basis: Evidence | None = None
    stale_at: datetime | None = None
    again_because: str = ""
    revision: int = 0
    closed_at: datetime | None = None
    note: str = ""

    @property
    def approvals(self) -> list[Decision]:
        """The approvals that counted, in their order, those with limits too."""
        return [d for d in self.decisions if d.decision is not Choice.REJECT]

    @property
    def needed(self) -> int:
        """How many approvals there must be in all."""
        return len(self.slots) or self.quorum

    @property
    def missing(self) -> int:
        """How many more approvals the gate needs."""
        return max(0, self.needed - len(self.approvals))

    @property
    def step(self) -> int:
        """The step that is being answered, from 0; the last one when none is left."""
        steps = sorted({slot.step for slot in self.slots}) or [0]
        return next((s for s in steps if len(self.votes_in(s)) < len(self.slots_of(s))), steps[-1])

    def slots_of(self, step: int) -> list[Slot]:
        """The approvals that this step needs."""
        return [slot for slot in self.slots if slot.step == step]

    def votes_in(self, step: int) -> list[Decision]:
        """The approvals that counted for this step."""
        return [d for d in self.approvals if d.step == step]

    @property
    def goes_on(self) -> bool:
        """Whether what was asked may be done."""
        lapsed = self.state is GateState.EXPIRED and self.on_deadline is Lapse.PROCEED
        return self.state is GateState.APPROVED or lapsed

    @property
    def limited(self) -> bool:
        """Whether it may be done with limits only: one who wants them is enough."""
        return self.goes_on and any(d.decision is Choice.LIMIT for d in self.decisions)

    @property
    def turned_down(self) -> bool:
        """Whether a closed gate neither lets go on nor is asked again."""
        return not self.goes_on and self.state is not GateState.VOIDED


def open_gate(
    gate_id: str,
    policy: SignOff,
    question: Question,
    evidence: Evidence,
    *,
    people: People,
    token: str,
    now: datetime,
    requester: str = "",
    mfa: bool = False,
    execution: str = "",
) -> Gate:
    """Return a new open gate.

    Args:
        gate_id: unique within the run.
        policy: who must approve, by when; its `mfa` counts before the argument.
        question: what is asked.
        evidence: what it rests on.
        people: who is who in this run.
        token: random, for buttons.
        now: the moment of asking.
        requester: who started the run.
        mfa: whether decisions need a code of the authenticator app where the policy does not say.
        execution: see `Gate.execution`.
    """
    slots = slots_of(policy, people, requester=requester)
    able = dict.fromkeys(name for slot in slots for name in slot.holders)
    deadline = policy.deadline
    return Gate(
        id=gate_id,
        approvers=tuple(able),
        quorum=max(1, len(slots)),
        evidence=evidence.digest,
        token=token,
        opened_at=now,
        execution=execution,
        slots=slots,
        ordered=policy.order == "in_order",
        veto=tuple(p.name for p in people.holding(policy.veto)),
        excluded="" if policy.requester_may_approve else requester,
        mfa=policy.mfa == "required" if policy.mfa else mfa,
        deadline=now + deadline.after if deadline else None,
        on_deadline=deadline.then if deadline else Lapse.HOLD,
        warnings=deadline.warn_before if deadline else (),
        extenders=tuple(p.name for p in people.holding(policy.may_extend)) or tuple(able),
        tiers=tuple(_tiers(policy, people, now)),
        remind=policy.remind,
        call_tiers_every=policy.escalate_every,
        basis=evidence,
        stale_at=evidence.taken_at + policy.evidence_max_age if policy.evidence_max_age else None,
        **question.model_dump(),
    )


def _tiers(policy: SignOff, people: People, now: datetime) -> list[Tier]:
    return [
        Tier(
            at=now + escalation.after,
            names=tuple(p.name for p in people.holding(escalation.listed)),
            deputies=escalation.to == DEPUTIES,
        )
        for escalation in policy.escalate
    ]


def check_open(
    said: Decision | Extension | Handover, gate: Gate | None, *, closed: list[Gate], now: datetime
) -> Gate:
    """Return the open gate that a message is about.

    Raises:
        DecisionRefused: why it is about no open gate, in words for the person who sent it.
    """
    if gate is not None and gate.state is not GateState.OPEN:
        closed, gate = [*closed, gate], None
    past = next((g for g in reversed(closed) if _is_about(said, g)), None)
    if past is not None:
        raise DecisionRefused(_PAST.get(past.state, Answer.ALREADY_DECIDED), f"Too late: {outcome_of(past)}")
    if gate is None:
        raise DecisionRefused(Answer.NOT_THE_OPEN_GATE, "No gate is open in this run now; nothing is asked.")
    if not _is_about(said, gate):
        named = f"Gate '{said.gate}'" if said.gate else "The gate of that button"
        raise DecisionRefused(Answer.NOT_THE_OPEN_GATE, f"{named} is not open; the open gate is '{gate.id}'.")
    if lapses(gate, now):
        raise DecisionRefused(
            Answer.EXPIRED,
            f"Too late: gate '{gate.id}' was open until {gate.deadline:%Y-%m-%d %H:%M:%S} UTC; "
            f"without an answer it means: {gate.on_deadline}.",
        )
    return gate


_PAST = {
    GateState.EXPIRED: Answer.EXPIRED,
    GateState.VOIDED: Answer.SUPERSEDED,
    GateState.SUPERSEDED: Answer.SUPERSEDED,
}


def _is_about(said: Decision | Extension | Handover, gate: Gate) -> bool:
    return said.gate == gate.id if said.gate else said.token == gate.token


def lapses(gate: Gate, now: datetime) -> bool:
    """Whether the deadline has passed and decides the gate."""
    return gate.deadline is not None and now >= gate.deadline and gate.on_deadline is not Lapse.HOLD


def expire(gate: Gate, now: datetime) -> bool:
    """Let the deadline take effect; True when something changed: the gate is closed, or overdue from now on."""
    if gate.state is not GateState.OPEN or gate.deadline is None or now < gate.deadline or gate.overdue:
        return False
    if gate.on_deadline is Lapse.HOLD:
        gate.overdue = True
    else:
        _close(gate, GateState.EXPIRED, now)
    gate.revision += 1
    return True


def void(gate: Gate, why: str, now: datetime) -> None:
    """Take back what was approved, because what it rested on is not so any more; a refusal stays one."""
    if gate.state is GateState.OPEN or gate.goes_on:
        gate.note = why
        _close(gate, GateState.VOIDED, now)


def supersede(gate: Gate, now: datetime, why: str = "") -> None:
    """Close an open gate unanswered, because events have overtaken it: which ones says `why`."""
    if gate.state is GateState.OPEN:
        gate.note = why
        _close(gate, GateState.SUPERSEDED, now)


def _close(gate: Gate, state: GateState, now: datetime) -> None:
    gate.state = state
    gate.closed_at = now


def record(decision: Decision, gate: Gate, *, now: datetime) -> DecisionReply:
    """Add a checked decision to the gate, closing it when it is decided, and say what became of it.

    Its `on_behalf_of`, `how` and `step` are those that `standing.placed` gave.
    """
    gate.decisions.append(decision.model_copy(update={"at": now, "code": ""}))
    gate.revision += 1
    if decision.decision is Choice.REJECT:
        _close(gate, GateState.REJECTED, now)
        return DecisionReply(answer=Answer.ACCEPTED, gate=gate.id, text=f"Recorded. {gate.if_rejected}")
    if gate.missing:
        return DecisionReply(
            answer=Answer.WAITING_FOR_MORE,
            gate=gate.id,
            waiting_for=gate.missing,
            text=f"Recorded. Gate '{gate.id}' waits for {gate.missing} more approval(s).",
        )
    _close(gate, GateState.APPROVED, now)
    follows = gate.consequence(Choice.LIMIT if gate.limited else Choice.APPROVE)
    return DecisionReply(answer=Answer.ACCEPTED, gate=gate.id, text=f"Recorded. {follows}")


def extend(extension: Extension, gate: Gate) -> DecisionReply:
    """Move the deadline of a gate; the extension is checked."""
    gate.deadline = extension.until
    gate.overdue = False
    gate.revision += 1
    text = f"Gate '{gate.id}' is open until {extension.until:%Y-%m-%d %H:%M} UTC."
    return DecisionReply(answer=Answer.ACCEPTED, gate=gate.id, text=text, waiting_for=gate.missing)


def hand_over(handover: Handover, gate: Gate, now: datetime) -> DecisionReply:
    """Let somebody stand for somebody else; the hand-over is checked."""
    gate.delegations.append(Delegation(by=handover.by, to=handover.to, since=now, until=handover.until))
    gate.revision += 1
    end = f" until {handover.until:%Y-%m-%d %H:%M} UTC" if handover.until else ""
    text = f"{handover.to} may answer gate '{gate.id}' for {handover.by}{end}."
    return DecisionReply(answer=Answer.ACCEPTED, gate=gate.id, text=text, waiting_for=gate.missing)


def slim(gate: Gate) -> Gate:
    """Return what a closed gate is remembered by; the rest would only be carried along."""
    forgotten: dict[str, Any] = {"slots": (), "tiers": (), "basis": None, "delegations": [], "veto": ()}
    return gate.model_copy(update={**forgotten, "quorum": gate.needed})


def who_said(decision: Decision) -> str:
    """Say who decided what, for whom, through which channel, and how the person was recognised."""
    whose = decision.on_behalf_of
    behalf = f" for {whose} ({decision.how})" if whose and whose != decision.by else ""
    escalated = f" ({decision.how})" if not behalf and decision.how else ""
    at = f" at {decision.at:%Y-%m-%d %H:%M:%S} UTC" if decision.at else ""
    proven = f" (proof: {' + '.join(decision.proofs)})" if decision.proofs else ""
    reason = f", because: {decision.reason}" if decision.reason else ""
    said = f"{decision.by}{behalf}{escalated} said {decision.decision.said}"
    return f"{said} via {decision.channel}{at}{proven}{reason}"


def outcome_of(gate: Gate) -> str:
    """Say in one line who decided what, when, and through which channel."""
    said = ", ".join(who_said(d) for d in gate.decisions)
    if gate.state is GateState.SUPERSEDED:
        return f"gate '{gate.id}' was closed without an answer: {gate.note or 'it was overtaken by events'}."
    if gate.state is GateState.VOIDED:
        void_text = f"gate '{gate.id}' is void and is asked again: {gate.note}"
        return f"{void_text} (given before: {said})" if said else void_text
    if gate.state is GateState.EXPIRED:
        before = f"; before: {said}" if said else ""
        return (
            f"gate '{gate.id}' expired at {gate.deadline:%Y-%m-%d %H:%M:%S} UTC without a decision, "
            f"which means: {gate.on_deadline}{before}."
        )
    limits = " with limits" if gate.limited else ""
    return f"gate '{gate.id}' is {gate.state}{limits}: {said}."
