"""Random people, policies and the run that asks them, for `test_gate_machine.py`."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from holdfast.domain import gates, standing
from holdfast.domain.decisions import Answer, Choice, Decision, Extension, Handover
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Delegation, Gate, GateState, Question
from holdfast.domain.people import Away, People, Person
from holdfast.domain.signoff import Deadline, Escalation, Lapse, SignOff, Step, can_be_met, slots_of
from tests.domain.gate_model import Handed, Model, Said

START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
NAMES = ("anna", "boris", "carl", "dora", "eva", "fred")
ROLES = ("lead", "cto")
GROUPS = ("board",)
ZONES = ("UTC", "Pacific/Auckland", "America/Los_Angeles")
PERSONS = {(n, z): Person(name=n, title=n.title(), time_zone=z) for n in NAMES for z in ZONES}
MOST_SEATS = 4  # so that everything can be tried
QUESTION = Question(title="t", question="q?", if_approved="Goes on.", if_rejected="Stops.", if_nothing="Waits.")

names = st.sampled_from(NAMES)
anybody = st.sampled_from([*NAMES, *NAMES, "mallory"])
durations = st.sampled_from([timedelta(hours=2), timedelta(days=3), timedelta(days=60)])
deadlines = st.builds(Deadline, after=durations, then=st.sampled_from([Lapse.HOLD, *Lapse]))
addresses = st.sampled_from(["gate", "token"])
proofs = st.sampled_from([("telegram", "totp"), ("web-link", "totp"), ("code", "totp"), ("telegram",)])


def lists_of(most: int) -> st.SearchStrategy[tuple[str, ...]]:
    wanted = st.sampled_from([*ROLES, *ROLES, *GROUPS, *NAMES])
    return st.lists(wanted, unique=True, min_size=1, max_size=most).map(tuple)


@st.composite
def persons(draw: st.DrawFn, name: str) -> Person:
    first = (START + timedelta(days=draw(st.integers(-1, 3)))).date()
    gone = Away.model_validate(
        {"from": first, "until": first + timedelta(days=draw(st.sampled_from([0, 2, 50])))}
    )
    drawn = {
        "roles": draw(st.sampled_from([(), (), ROLES[:1], ROLES[:1], ROLES[1:], ROLES])),
        "groups": draw(st.sampled_from([(), (), GROUPS])),
        "deputy": draw(st.sampled_from(["", *(n for n in NAMES if n != name), "ghost"])),
        "away": (gone,) if draw(st.booleans()) else (),
    }
    return PERSONS[name, draw(st.sampled_from(ZONES))].model_copy(update=drawn)


@st.composite
def everybody(draw: st.DrawFn) -> People:
    return People(people=tuple(draw(persons(name)) for name in NAMES))


@st.composite
def steps(draw: st.DrawFn) -> Step:
    if draw(st.booleans()):
        return Step(all_of=draw(lists_of(2)))
    return Step(any=draw(st.integers(1, 2)), of=draw(lists_of(3)))


@st.composite
def ladders(draw: st.DrawFn) -> tuple[Step, ...]:
    """Steps whose later ones need somebody who could spend the vote on an earlier one."""
    one, other = draw(st.permutations(NAMES))[:2]
    return (Step(of=(one, other)), Step(all_of=(other,)))


@st.composite
def escalations(draw: st.DrawFn, hours: int) -> Escalation:
    after = timedelta(hours=hours)
    if draw(st.booleans()):
        return Escalation(after=after, to="deputies")
    return Escalation(after=after, to=draw(lists_of(1)))


@st.composite
def policies(draw: st.DrawFn) -> SignOff:
    afters = sorted(draw(st.sets(st.sampled_from([1, 24, 720]), max_size=2)))
    nothing = st.just(())
    return SignOff(
        steps=draw(ladders() | st.lists(steps(), min_size=1, max_size=3).map(tuple)),
        order=draw(st.sampled_from(["in_order", "in_order", "in_parallel"])),
        veto=draw(nothing | lists_of(1)),
        requester_may_approve=draw(st.booleans()),
        mfa=draw(st.sampled_from([None, "required", "off"])),
        deadline=draw(st.none() | deadlines | deadlines),
        escalate=tuple(draw(escalations(hours)) for hours in afters),
        evidence_max_age=draw(st.none() | durations),
        may_extend=draw(nothing | lists_of(1)),
    )


def within_reach(policy: SignOff, people: People) -> SignOff:
    """Leave out steps until everything can be tried."""
    steps = policy.steps
    while len(slots_of(policy, people)) > MOST_SEATS:
        steps = steps[:-1] or (Step(any=2, of=(*ROLES, *NAMES[:3])),)
        policy = policy.model_copy(update={"steps": steps})
    return policy


class GateRun(RuleBasedStateMachine):
    """One run that asks one gate after the other, and the model of it; each answer is compared."""

    people: People
    policy: SignOff
    requester: str
    mfa: bool
    now: datetime
    gate: Gate
    model: Model

    def __init__(self) -> None:
        super().__init__()
        self.closed: list[Gate] = []
        self.remembered: list[dict[str, Any]] = []
        self.accepted: list[tuple[str, str]] = []
        self.asked = 0
        self.could_be_met = False
        self.evidence = 0

    def ask(self, handed: list[Handed]) -> None:
        """Open the next gate, of which some people have handed over all gates before."""
        self.asked += 1
        evidence = Evidence(plan={"version": self.evidence}, taken_at=self.now)
        self.gate = gates.open_gate(
            f"1-limit-{self.asked}",
            self.policy,
            QUESTION,
            evidence,
            people=self.people,
            token=f"token-{self.asked}",
            now=self.now,
            requester=self.requester,
            mfa=self.mfa,
        )
        self.gate.delegations += [Delegation(by=h.by, to=h.to, since=h.since, until=h.until) for h in handed]
        self.model = Model(
            self.policy,
            self.people,
            self.requester,
            opened_at=self.now,
            evidence=evidence.digest,
            taken_at=self.now,
            mfa=self.mfa if self.policy.mfa is None else self.policy.mfa == "required",
            handed=handed,
        )
        self.accepted = []
        self.could_be_met = can_be_met(self.gate.slots)
        assert self.could_be_met == self.model.completable([], set())

    @property
    def is_open(self) -> bool:
        return self.gate.state is GateState.OPEN

    @property
    def open_gate(self) -> Gate | None:
        return self.gate if self.is_open else None

    def notice_closing(self) -> None:
        if not self.is_open:
            self.closed.append(gates.slim(self.gate))
            self.remembered.append(self.closed[-1].model_dump())

    # --- what people say --------------------------------------------------------------------------------

    def decide(self, said: Said, address: dict[str, str], *, about_this: bool) -> str:
        """Say something as a channel does, and compare what becomes of it with the model."""
        expected, vote = self.model.answer(said, self.now) if self.is_open else (self.past(), None)
        if not about_this:
            expected, vote = self.answer_elsewhere(address), None
        forged = {"on_behalf_of": "dora", "how": "veto", "step": 1}  # those are the run's to say
        fields = {**asdict(said), **forged, **address, "decision": said.choice}
        decision = Decision.model_validate({k: v for k, v in fields.items() if k != "choice"})
        before = self.gate.model_dump()
        answer = self.taken(decision)
        assert answer == expected
        if vote is None:
            assert self.gate.model_dump() == before, "a refused decision changes nothing"
            return answer
        self.model.take(vote)
        self.accepted.append((vote.by, vote.whose))
        recorded = self.gate.decisions[-1]
        assert (recorded.by, recorded.on_behalf_of or recorded.by) == (vote.by, vote.whose)
        assert (recorded.how, recorded.at, recorded.code) == (vote.how, self.now, "")
        if self.gate.ordered:
            assert recorded.step == vote.step
        self.notice_closing()
        return answer

    def taken(self, decision: Decision) -> str:
        try:
            counted = standing.check(
                decision, self.open_gate, closed=self.closed, people=self.people, now=self.now
            )
        except DecisionRefused as refusal:
            return refusal.answer
        return gates.record(counted, self.gate, now=self.now).answer

    def past(self) -> str:
        """What somebody is told who comes too late."""
        too_late = {"expired": "expired", "voided": "superseded", "superseded": "superseded"}
        return too_late.get(self.model.state, "already_decided")

    def answer_elsewhere(self, address: dict[str, str]) -> str:
        """What somebody is told who speaks of a gate before this one, or of one that never was."""
        told = {
            GateState.APPROVED: "already_decided",
            GateState.REJECTED: "already_decided",
            GateState.EXPIRED: "expired",
        }
        for past in self.closed[: self.asked - 1]:
            if address in ({"gate": past.id}, {"token": past.token}):
                return told.get(past.state, "superseded")
        return "not_the_open_gate"

    def here(self, address: str = "gate") -> dict[str, str]:
        return {"token": self.gate.token} if address == "token" else {"gate": self.gate.id}

    def extend(self, by: str, until: datetime, proven: tuple[str, ...]) -> None:
        expected = self.model.extension(by, until, proven, self.now) if self.is_open else self.past()
        said = Extension(gate=self.gate.id, by=by, until=until, proofs=proven)
        before = self.gate.model_dump()
        try:
            standing.check_extension(said, self.open_gate, closed=self.closed, people=self.people, now=self.now)
            answer: str = gates.extend(said, self.gate).answer
        except DecisionRefused as refusal:
            answer = refusal.answer
        assert answer == expected
        if answer == Answer.ACCEPTED:
            self.model.deadline, self.model.overdue = until, False
        else:
            assert self.gate.model_dump() == before

    def hand_over(self, new: Handed, proven: tuple[str, ...]) -> None:
        expected = self.model.handover(new, proven, self.now) if self.is_open else self.past()
        said = Handover(gate=self.gate.id, by=new.by, to=new.to, until=new.until, proofs=proven)
        before = self.gate.model_dump()
        try:
            standing.check_handover(said, self.open_gate, closed=self.closed, people=self.people, now=self.now)
            answer: str = gates.hand_over(said, self.gate, self.now).answer
        except DecisionRefused as refusal:
            answer = refusal.answer
        assert answer == expected
        if answer == Answer.ACCEPTED:
            self.model.handed = [*self.model.handed, new]
            assert any(True for _ in standing.standings(new.to, self.gate, self.people, self.now))
        else:
            assert self.gate.model_dump() == before

    def the_evidence_changes(self) -> None:
        self.evidence += 1
        was_open, takes_back = self.is_open, self.is_open or self.gate.goes_on
        gates.void(self.gate, "the pool is 8 now", self.now)
        if takes_back:
            self.model.state = "voided"
            if not was_open:
                self.closed.pop()
                self.remembered.pop()
            self.notice_closing()

    def events_overtake_it(self) -> None:
        was_open = self.is_open
        gates.supersede(self.gate, self.now)
        if was_open:
            self.model.state = "superseded"
            self.notice_closing()

    def complete_with_those_who_are_left(self) -> None:
        gate = self.gate.model_copy(deep=True, update={"deadline": None, "stale_at": None, "mfa": False})
        for _ in range(len(gate.slots)):
            for name in NAMES:
                said = Decision(gate=gate.id, decision=Choice.APPROVE, by=name)
                try:
                    counted = standing.check(said, gate, closed=self.closed, people=self.people, now=self.now)
                except DecisionRefused:
                    continue
                gates.record(counted, gate, now=self.now)
                break
            if gate.state is not GateState.OPEN:
                break
        assert gate.state is GateState.APPROVED
