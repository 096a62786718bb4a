"""Everything that the page of one gate shows to one person, ready for the template."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from holdfast.apps.web.words import distance
from holdfast.domain import progress, standing
from holdfast.domain.campaign import Phase
from holdfast.domain.decisions import Choice, Decision
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.gates import Gate, GateState, outcome_of
from holdfast.domain.links import LinkClaim
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import TOTP
from holdfast.domain.rollback import may_be_undone, may_stay, undoing
from holdfast.domain.view import RunView, StageView

_LIVE_SECONDS: Final = 3
_WATCHED_SECONDS: Final = 30
_REPORTED: Final = frozenset({Phase.OPEN, Phase.ANALYSIS, Phase.CLOSED})


class Proof(StrEnum):
    """By what, besides the link, a person is recognised."""

    TOTP = "totp"  # a code of the authenticator app
    PIN = "pin"  # a PIN by e-mail
    PASTED = "pasted"  # an approval code that the bot or the command line gave
    NONE = "none"  # an authenticator app is wanted, and there is none


@dataclass(frozen=True)
class Said:
    """A sentence at the top of the page.

    Attributes:
        tone: `good`, `bad` or `plain`.
    """

    tone: str
    text: str


@dataclass(frozen=True)
class Form:
    """What can be answered, and how.

    Attributes:
        form, seal, evidence: go back as they are.
        choices: what this person may say.
        proof: what is asked for.
        mailbox: where a PIN would go, veiled.
        reason: what was typed before something was wrong.
    """

    form: str
    seal: str
    evidence: str
    choices: tuple[Choice, ...]
    proof: Proof
    mailbox: str = ""
    reason: str = ""


@dataclass(frozen=True)
class UndoForm:
    """What can be rolled back, and how.

    Attributes:
        form, seal, evidence: go back as they are.
        choices: the name of what stays, and in words what is undone then; the first is everything.
        lasting: titles of what cannot be undone.
        proof, mailbox, reason: as of `Form`.
        unfold: whether the person has just used it.
    """

    form: str
    seal: str
    evidence: str
    choices: tuple[tuple[str, str], ...]
    lasting: tuple[str, ...]
    proof: Proof
    mailbox: str = ""
    reason: str = ""
    unfold: bool = False


@dataclass(frozen=True)
class SeatLine:
    """Approvals of one kind that are needed.

    Attributes:
        step: the number of the step, from 1.
        what: what the runbook calls those who may give them.
        state: `complete`, `asked now` or `later`.
        given: who gave them.
        able: who could still, by title.
    """

    step: int
    what: str
    state: str
    given: tuple[str, ...]
    able: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The page.

    Attributes:
        gate: the gate of the link, open or closed; None when this run has none of that name.
        form: None when there is nothing to answer for this person.
        undo: None when there is nothing to roll back, or not for this person.
        said: what became of what the person has just done.
        hint: why there is no form, or what to mind.
        test: the load test that a campaign runs at this moment.
        report: address of the campaign's report, relative to this page; empty where none can be made yet.
    """

    view: RunView
    person: Person
    gate: Gate | None
    now: datetime
    form: Form | None = None
    undo: UndoForm | None = None
    said: Said | None = None
    hint: str = ""
    waiting: tuple[str, ...] = ()
    seats: tuple[SeatLine, ...] = ()
    deadline: str = ""
    chart: str = ""
    earlier: tuple[str, ...] = field(default_factory=tuple)
    test: RunView | None = None
    report: str = ""

    @property
    def renew_seconds(self) -> int:
        """How often the page renews itself: where figures change, and nobody is typing or reading an answer."""
        view = self.view
        if self.form or self.undo or self.said or view.state.ended:
            return 0
        if self.test or view.load:
            return _LIVE_SECONDS
        return _WATCHED_SECONDS if view.campaign and view.campaign.phase is Phase.OPEN else 0

    @property
    def is_open(self) -> bool:
        """Whether the gate of the link is open."""
        return self.gate is not None and self.gate.state is GateState.OPEN


def gate_of(view: RunView, claim: LinkClaim) -> Gate | None:
    """Return the gate for which a link was made, as it is now."""
    if view.gate is not None and view.gate.id == claim.gate:
        return view.gate
    return next((g for g in reversed(view.closed_gates) if g.id == claim.gate), None)


def sheet_of(view: RunView, claim: LinkClaim, person: Person, *, now: datetime, chart: bytes | None) -> Sheet:
    """Put together what is shown; the form comes later."""
    gate = gate_of(view, claim)
    people = view.people
    is_open = gate is not None and gate.state is GateState.OPEN
    return Sheet(
        view=view,
        person=person,
        gate=gate,
        now=now,
        hint=_why_closed(view, gate, claim),
        waiting=_titles(standing.waiting_for(gate, people, now), people) if gate and is_open else (),
        seats=tuple(_seats(gate, people)) if gate and is_open else (),
        deadline=_deadline(gate, person, now) if gate and is_open else "",
        chart=f"data:image/png;base64,{base64.b64encode(chart).decode()}" if chart else "",
        earlier=tuple(outcome_of(g) for g in view.closed_gates if gate is None or g.id != gate.id),
    )


def report_of(view: RunView, token: str) -> str:
    """Return where the report of a campaign is, for whoever came by this link; empty where there is none."""
    if view.campaign is None or view.campaign.phase not in _REPORTED:
        return ""
    return f"../reports/{view.run_id}?link={token}"


def choices_of(gate: Gate, view: RunView, person: Person, *, now: datetime) -> tuple[tuple[Choice, ...], str]:
    """Return what this person may say to the gate, and why nothing if it is nothing."""
    may: list[Choice] = []
    why = ""
    for choice in gate.choices:
        decision = Decision(gate=gate.id, decision=choice, by=person.name, reason="-", proofs=(TOTP,))
        try:
            standing.check(decision, gate, closed=view.closed_gates, people=view.people, now=now)
        except DecisionRefused as refused:
            why = why or str(refused)
        else:
            may.append(choice)
    return tuple(may), "" if may else why


def what_may_be_undone(view: RunView, person: Person) -> tuple[tuple[str, str], ...]:
    """Return what this person may choose: the name of what stays, and what is undone then, in words."""
    if person.name not in view.may_roll_back or not may_be_undone(view):
        return ()
    everything = ("", f"Everything: {_titled(undoing(view).undone)}")
    return (everything, *((s.name, f"Only {_titled(undoing(view, s.name).undone)}") for s in may_stay(view)))


def _titled(stages: tuple[StageView, ...]) -> str:
    return ", ".join(stage.title or stage.name for stage in stages)


def _why_closed(view: RunView, gate: Gate | None, claim: LinkClaim) -> str:
    if gate is None:
        return f"Run {view.run_id} asks nothing under the name '{claim.gate}' now; it is {view.state}."
    if gate.state is not GateState.OPEN:
        other = " Another question is open now: use the link in the newest message." if view.gate else ""
        return f"There is nothing left to answer: {outcome_of(gate)}{other}"
    if gate.execution != claim.execution:
        return "This run was set back after your link was made. Use the link in the newest message."
    if gate.evidence != claim.evidence:
        return "What this rests on has changed since your link was made. You see it as it is now."
    return ""


def _seats(gate: Gate, people: People) -> Iterator[SeatLine]:
    for seats in progress.seats_of(gate):
        waits = "later" if gate.ordered and seats.step > gate.step else "asked now"
        yield SeatLine(
            step=seats.step + 1,
            what=f"{seats.needed} of {seats.label}" if seats.needed > 1 else seats.label,
            state=waits if seats.missing else "complete",
            given=_titles(tuple(vote.by for vote in seats.votes), people),
            able=_titles(seats.able, people) if seats.missing else (),
        )


def _titles(names: tuple[str, ...], people: People) -> tuple[str, ...]:
    found = ((name, people.named(name)) for name in names)
    return tuple(person.title if person else name for name, person in found)


def _deadline(gate: Gate, person: Person, now: datetime) -> str:
    left = f" That is {distance(gate.deadline, now)}." if gate.deadline else ""
    return f"{progress.deadline(gate, person.zone)}{left}"
