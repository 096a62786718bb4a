"""Random histories of gates, step by step compared with a reference model that tries everything."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from holdfast.domain import gates, standing
from holdfast.domain.gates import GateState
from holdfast.domain.people import People
from holdfast.domain.signoff import Lapse, SignOff
from tests.domain.gate_model import Handed, Said
from tests.domain.gate_run import (
    NAMES,
    START,
    GateRun,
    addresses,
    anybody,
    everybody,
    names,
    policies,
    proofs,
    within_reach,
)


class GateMachine(GateRun):
    """Whatever people, time and the run may do."""

    @initialize(
        people=everybody(),
        policy=policies(),
        requester=st.sampled_from(["", *NAMES]),
        mfa=st.sampled_from(["off", "off", "required"]),
    )
    def start(self, people: People, policy: SignOff, requester: str, mfa: str) -> None:
        self.people, self.requester, self.mfa = people, requester, mfa == "required"
        self.policy = within_reach(policy, people)
        self.now = START
        self.ask([])

    # --- what people say --------------------------------------------------------------------------------

    @rule(
        by=anybody,
        choice=st.sampled_from(["approve", "approve", "approve", "reject"]),
        reason=st.sampled_from(["", "  ", "not now", "not now"]),
        seen=st.sampled_from(["now", "now", "now", "nothing", "before"]),
        how=st.tuples(proofs, addresses),
    )
    def somebody_decides(
        self, by: str, choice: str, reason: str, seen: str, how: tuple[tuple[str, ...], str]
    ) -> None:
        proven, address = how
        evidence = {"now": self.gate.evidence, "nothing": "", "before": "0123456789ab"}[seen]
        said = Said(by, choice, reason, evidence, proven)
        self.decide(said, self.here(address), about_this=True)

    @precondition(lambda self: self.is_open)
    @rule(by=names, choice=st.sampled_from(["approve", "approve", "reject"]), address=addresses)
    def somebody_answers_as_asked(self, by: str, choice: str, address: str) -> None:
        said = Said(by, choice, "not now", self.gate.evidence, ("telegram", "totp"))
        self.decide(said, self.here(address), about_this=True)

    @rule(by=anybody, which=st.integers(0, 3), address=addresses)
    def somebody_speaks_of_another_gate(self, by: str, which: int, address: str) -> None:
        if which == self.asked:
            return
        named = {"token": f"token-{which}"} if address == "token" else {"gate": f"1-limit-{which}"}
        said = Said(by, "approve", "", "", ("telegram", "totp"))
        self.decide(said, named, about_this=False)

    @precondition(lambda self: self.is_open)
    @rule(pick=st.integers(0, 5))
    def somebody_who_is_waited_for_approves(self, pick: int) -> None:
        waited_for = standing.waiting_for(self.gate, self.people, self.now)
        too_old = self.gate.stale_at is not None and self.now >= self.gate.stale_at
        if not waited_for or too_old or self.model.closed_by_time(self.now):
            return
        by = waited_for[pick % len(waited_for)]
        said = Said(by, "approve", "", self.gate.evidence, ("telegram", "totp"))
        assert self.decide(said, self.here(), about_this=True) in {"accepted", "waiting_for_more"}

    @precondition(lambda self: self.is_open)
    @rule(pick=st.integers(0, 9), choice=st.sampled_from(["approve", "approve", "reject"]))
    def somebody_stands_in(self, pick: int, choice: str) -> None:
        able = [name for name in NAMES if any(how for _, how in self.model.standings(name, self.now))]
        vetoes = [name for name in self.gate.veto if choice == "reject"]
        if able or vetoes:
            by = [*able, *vetoes][pick % len([*able, *vetoes])]
            said = Said(by, choice, "not now", self.gate.evidence, ("telegram", "totp"))
            self.decide(said, self.here(), about_this=True)

    @precondition(lambda self: self.is_open and self.gate.decisions)
    @rule(choice=st.sampled_from(["approve", "reject"]))
    def somebody_answers_again(self, choice: str) -> None:
        said = Said(self.gate.decisions[0].by, choice, "again", self.gate.evidence, ("telegram", "totp"))
        assert self.decide(said, self.here(), about_this=True) in {"already_decided", "expired"}

    @precondition(lambda self: self.is_open)
    @rule(
        by=anybody,
        days=st.sampled_from([-1, 0, 1, 30, 200]),
        after=st.sampled_from(["now", "deadline"]),
        proven=proofs,
    )
    def somebody_extends(
        self,
        by: str,
        days: int,
        after: str,
        proven: tuple[str, ...],
    ) -> None:
        start = self.gate.deadline if after == "deadline" and self.gate.deadline else self.now
        self.extend(by, start + timedelta(days=days), proven)

    @precondition(lambda self: self.is_open and self.gate.deadline and self.gate.extenders)
    @rule(pick=st.integers(0, 9), days=st.sampled_from([1, 30]))
    def somebody_who_may_extends(self, pick: int, days: int) -> None:
        by = self.gate.extenders[pick % len(self.gate.extenders)]
        self.extend(by, self.now + timedelta(days=days), ("telegram", "totp"))

    @precondition(lambda self: self.is_open)
    @rule(by=anybody, to=anybody, days=st.sampled_from([None, None, -1, 0, 1, 30]), proven=proofs)
    def somebody_hands_over(self, by: str, to: str, days: int | None, proven: tuple[str, ...]) -> None:
        until = None if days is None else self.now + timedelta(days=days)
        self.hand_over(Handed(by, to, until, self.now), proven)

    @precondition(lambda self: self.is_open)
    @rule(pick=st.integers(0, 9), to=names)
    def somebody_who_is_asked_hands_over(self, pick: int, to: str) -> None:
        asked = [name for name in NAMES if self.model.standings(name, self.now)]
        if asked:
            self.hand_over(Handed(asked[pick % len(asked)], to, None, self.now), ("telegram", "totp"))

    # --- what time does ---------------------------------------------------------------------------------

    @precondition(lambda self: self.is_open)
    @rule(seconds=st.sampled_from([1, 3600, 3600, 86_400, 86_400 * 40]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.is_open)
    @rule(which=st.integers(0, 4), early=st.sampled_from([0, 0, 1]))
    def time_passes_until_something_is_due(self, which: int, early: int) -> None:
        moments = [self.gate.deadline, self.gate.stale_at, *(tier.at for tier in self.gate.tiers)]
        due = [m - timedelta(seconds=early) for m in moments if m is not None]
        if which < len(due) and due[which] > self.now:
            self.now = due[which]

    @rule()
    def the_deadline_fires(self) -> None:
        before = self.gate.state
        happened = gates.expire(self.gate, self.now)
        assert happened == self.model.expire(self.now)
        if self.gate.state is not before:
            assert self.gate.deadline is not None
            assert self.now >= self.gate.deadline
            self.notice_closing()

    @precondition(lambda self: self.is_open and self.gate.deadline and self.gate.deadline > self.now)
    @rule(by=names, first=st.sampled_from(["decision", "deadline"]))
    def a_decision_races_with_the_deadline(self, by: str, first: str) -> None:
        assert self.gate.deadline is not None
        self.now = self.gate.deadline
        lapses = self.gate.on_deadline is not Lapse.HOLD
        if first == "deadline":
            self.the_deadline_fires()
        said = Said(by, "approve", "", self.gate.evidence, ("telegram", "totp"))
        answer = self.decide(said, self.here(), about_this=True)
        assert answer == "expired" or not lapses
        if first == "decision":
            self.the_deadline_fires()

    # --- what the run does ------------------------------------------------------------------------------

    @rule(event=st.sampled_from(["nothing", "nothing", "nothing", "nothing", "evidence", "overtaken"]))
    def something_else_happens(self, event: str) -> None:
        if event == "evidence":
            self.the_evidence_changes()
        elif event == "overtaken":
            self.events_overtake_it()

    @precondition(lambda self: not self.is_open)
    @rule(
        handed=st.lists(
            st.builds(
                Handed,
                names,
                names,
                st.none() | st.just(START + timedelta(days=20)),
                st.none() | st.just(START + timedelta(days=2)),
            ),
            max_size=3,
        )
    )
    def it_is_asked_again(self, handed: list[Handed]) -> None:
        self.ask(handed)

    # --- what holds always ------------------------------------------------------------------------------

    @invariant()
    def the_model_agrees(self) -> None:
        if not hasattr(self, "gate"):
            return
        assert self.gate.state == self.model.state
        assert (self.gate.deadline, self.gate.overdue) == (self.model.deadline, self.model.overdue)
        assert [(d.by, d.on_behalf_of or d.by) for d in self.gate.decisions] == self.accepted

    @invariant()
    def one_person_and_one_principal_have_one_vote(self) -> None:
        if not hasattr(self, "gate"):
            return
        approvals = self.model.approvals
        everyone = [by for by, _ in self.accepted]
        assert len(set(everyone)) == len(everyone)
        assert len({v.whose for v in approvals}) == len(approvals)
        assert self.gate.excluded not in {*everyone, *(whose for _, whose in self.accepted)} - {""}

    @invariant()
    def what_was_decided_stays(self) -> None:
        assert [g.model_dump() for g in self.closed] == self.remembered

    @invariant()
    def an_outcome_is_what_the_policy_allows(self) -> None:
        if not hasattr(self, "gate"):
            return
        approvals, refusals = self.model.approvals, [v for v in self.model.votes if v.choice == "reject"]
        assert self.model.seated_together(approvals)
        if self.gate.state is GateState.APPROVED:
            assert len(approvals) == len(self.model.seats)
            assert not refusals
        elif self.gate.state is not GateState.VOIDED:
            assert len(approvals) < len(self.model.seats)
        assert len(refusals) == (self.gate.state is GateState.REJECTED)

    @invariant()
    def there_is_always_a_way_on(self) -> None:
        if not hasattr(self, "gate") or not self.is_open or not self.could_be_met:
            return
        assert self.model.completable(self.model.votes, set())

    def teardown(self) -> None:
        """Whoever is still unheard can really bring it to its end, in whatever order they come."""
        if hasattr(self, "gate") and self.is_open and self.could_be_met:
            self.complete_with_those_who_are_left()


QUIET = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)


def test_no_history_of_a_gate_breaks_the_rules() -> None:
    run_state_machine_as_test(
        GateMachine,
        settings=settings(max_examples=180, stateful_step_count=40, suppress_health_check=QUIET),
    )


@pytest.mark.slow
def test_no_long_history_of_a_gate_breaks_the_rules() -> None:
    run_state_machine_as_test(
        GateMachine,
        settings=settings(max_examples=800, stateful_step_count=70, suppress_health_check=QUIET),
    )
