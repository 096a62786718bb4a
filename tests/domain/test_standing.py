"""Who may answer a gate, in whose place, and in which order."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from holdfast.domain import gates, standing
from holdfast.domain.decisions import Answer, CodeRequest, Decision, Extension, Handover
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Delegation, Gate, GateState, Question
from holdfast.domain.people import Away, People, Person
from holdfast.domain.signoff import SignOff

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
QUESTION = Question(title="t", question="q?", if_approved="Goes on.", if_rejected="Stops.", if_nothing="Waits.")
BOTH = [{"of": ["anna", "boris"]}, {"all_of": ["boris"]}]


def person(name: str, *roles: str, **more: Any) -> Person:
    return Person(name=name, title=name.title(), roles=roles, **more)


VACATION = Away.model_validate({"from": date(2026, 11, 21), "until": date(2026, 12, 4)})
PEOPLE = People(
    people=(
        person("anna", "sre-lead"),
        person("boris", "sre-lead", "security"),
        person("vera", "client-cto", deputy="gleb", away=(VACATION,)),
        person("gleb"),
        person("dora"),
        person("eva"),
        person("max", "manager", deputy="eva"),
    )
)


def asked(*, requester: str = "", mfa: bool = False, **policy: Any) -> Gate:
    return gates.open_gate(
        "1-limit",
        SignOff.model_validate(policy),
        QUESTION,
        Evidence(plan={"rate": 30}, taken_at=NOW),
        people=PEOPLE,
        token="tok",
        now=NOW,
        requester=requester,
        mfa=mfa,
    )


def say(gate: Gate, by: str, choice: str = "approve", *, at: datetime = NOW, **more: Any) -> Answer:
    """Decide, and return what the person is told."""
    said = Decision.model_validate({"gate": gate.id, "by": by, "decision": choice, "reason": "not now", **more})
    try:
        counted = standing.check(said, gate, closed=[], people=PEOPLE, now=at)
    except DecisionRefused as refusal:
        return Answer(refusal.answer)
    return gates.record(counted, gate, now=at).answer


def words_to(gate: Gate, by: str, choice: str = "approve") -> str:
    said = Decision.model_validate({"gate": gate.id, "by": by, "decision": choice})
    with pytest.raises(DecisionRefused) as refused:
        standing.check(said, gate, closed=[], people=PEOPLE, now=NOW)
    return str(refused.value)


def hand_over(gate: Gate, by: str, to: str, *, at: datetime = NOW, **more: Any) -> str:
    """Hand over, and return what the person is told: the answer, or the words of the refusal."""
    said = Handover(gate=gate.id, by=by, to=to, **more)
    try:
        standing.check_handover(said, gate, closed=[], people=PEOPLE, now=at)
    except DecisionRefused as refusal:
        return str(refusal)
    return gates.hand_over(said, gate, at).answer


def extend(gate: Gate, by: str, until: datetime, *, at: datetime = NOW) -> str:
    said = Extension(gate=gate.id, by=by, until=until)
    try:
        standing.check_extension(said, gate, closed=[], people=PEOPLE, now=at)
    except DecisionRefused as refusal:
        return refusal.answer
    return gates.extend(said, gate).answer


# --- votes ----------------------------------------------------------------------------------------------


def test_one_person_with_two_roles_has_one_vote() -> None:
    gate = asked(steps=[{"all_of": ["sre-lead", "security"]}])
    assert say(gate, "boris") is Answer.WAITING_FOR_MORE
    assert say(gate, "boris") is Answer.ALREADY_DECIDED
    assert say(gate, "anna") is Answer.ACCEPTED


def test_the_order_in_which_people_come_does_not_matter_within_a_step() -> None:
    gate = asked(steps=[{"all_of": ["sre-lead", "security"]}])
    assert [say(gate, "anna"), say(gate, "boris")] == [Answer.WAITING_FOR_MORE, Answer.ACCEPTED]


def test_the_clients_cto_is_asked_after_the_sre_lead() -> None:
    gate = asked(steps=[{"of": ["sre-lead"]}, {"of": ["client-cto"]}])
    assert standing.waiting_for(gate, PEOPLE, NOW) == ("anna", "boris")
    assert "asks you in step 2" in words_to(gate, "vera")
    assert say(gate, "anna") is Answer.WAITING_FOR_MORE
    assert standing.waiting_for(gate, PEOPLE, NOW) == ("vera", "gleb")
    assert say(gate, "boris") is Answer.NOT_YOUR_TURN
    assert say(gate, "vera") is Answer.ACCEPTED


def test_in_parallel_everybody_may_answer_at_once() -> None:
    gate = asked(steps=[{"of": ["sre-lead"]}, {"of": ["client-cto"]}], order="in_parallel")
    assert [say(gate, "vera"), say(gate, "boris")] == [Answer.WAITING_FOR_MORE, Answer.ACCEPTED]
    assert [d.step for d in gate.decisions] == [1, 0]


def test_nobody_may_spend_the_vote_that_only_they_can_give_later() -> None:
    gate = asked(steps=BOTH)
    assert "needed in a later step" in words_to(gate, "boris")
    assert [say(gate, "anna"), say(gate, "boris")] == [Answer.WAITING_FOR_MORE, Answer.ACCEPTED]


def test_a_later_tier_is_no_reason_to_spend_that_vote() -> None:
    gate = asked(steps=BOTH, escalate=[{"after": "30d", "to": ["manager"]}])
    assert say(gate, "boris") is Answer.NOT_YOUR_TURN


def test_who_must_wait_with_an_approval_need_not_wait_with_a_rejection() -> None:
    gate = asked(steps=BOTH)
    assert say(gate, "boris", "reject") is Answer.ACCEPTED
    assert gate.state is GateState.REJECTED


def test_a_rejection_needs_a_reason() -> None:
    gate = asked(approvers=["sre-lead"])
    assert say(gate, "anna", "reject", reason="  ") is Answer.REASON_NEEDED
    assert say(gate, "anna", "reject", reason="traffic peak") is Answer.ACCEPTED


def test_a_veto_rejects_at_any_time_but_approves_nothing() -> None:
    gate = asked(approvers=["sre-lead"], veto=["client-cto"])
    assert say(gate, "vera") is Answer.NOT_AN_APPROVER
    assert say(gate, "vera", "reject") is Answer.ACCEPTED
    assert gates.who_said(gate.decisions[0]).startswith("vera (veto) said reject")


def test_nobody_can_write_another_persons_name_on_a_veto() -> None:
    gate = asked(approvers=["sre-lead"], veto=["client-cto"])
    say(gate, "vera", "reject", on_behalf_of="anna", how="delegation")
    assert (gate.decisions[0].on_behalf_of, gate.decisions[0].how) == ("", "veto")


def test_who_asks_does_not_approve_and_not_reject_unless_the_policy_says_so() -> None:
    gate = asked(approvers=["sre-lead"], veto=["anna"], requester="anna")
    assert say(gate, "anna") is Answer.NOT_AN_APPROVER
    assert say(gate, "anna", "reject") is Answer.NOT_AN_APPROVER
    assert "who asks does not approve" in words_to(gate, "anna")
    allowed = asked(approvers=["sre-lead"], requester="anna", requester_may_approve=True)
    assert say(allowed, "anna") is Answer.ACCEPTED


def test_a_gate_with_a_second_factor_accepts_only_decisions_with_one() -> None:
    gate = asked(approvers=["sre-lead"], mfa=True)
    assert say(gate, "anna", proofs=("telegram",)) is Answer.CODE_NEEDED
    assert say(gate, "anna", proofs=("telegram", "totp")) is Answer.ACCEPTED


def test_evidence_must_be_what_is_asked_about_and_fresh() -> None:
    gate = asked(approvers=["sre-lead"], evidence_max_age="2d")
    assert say(gate, "anna", evidence="000000000000") is Answer.EVIDENCE_OUT_OF_DATE
    assert say(gate, "anna", at=NOW + 2 * DAY) is Answer.EVIDENCE_OUT_OF_DATE
    assert say(gate, "anna", evidence=gate.evidence, at=NOW + DAY) is Answer.ACCEPTED


# --- deputies and later tiers -----------------------------------------------------------------------------


def test_a_deputy_acts_while_the_person_is_away() -> None:
    gate = asked(approvers=["client-cto"])
    assert say(gate, "gleb", at=NOW + 20 * DAY) is Answer.NOT_AN_APPROVER
    assert say(gate, "gleb") is Answer.ACCEPTED
    assert gates.who_said(gate.decisions[0]).startswith("gleb for vera (deputy) said approve")


def test_a_vote_that_a_deputy_has_given_is_given() -> None:
    gate = asked(steps=[{"all_of": ["client-cto", "sre-lead"]}])
    assert say(gate, "gleb") is Answer.WAITING_FOR_MORE
    assert "gleb has already answered gate '1-limit' for vera" in words_to(gate, "vera")


def test_deputies_are_called_when_it_takes_too_long() -> None:
    gate = asked(approvers=["manager"], escalate=[{"after": "1d", "to": "deputies"}])
    assert say(gate, "eva") is Answer.NOT_AN_APPROVER
    assert say(gate, "eva", at=NOW + DAY) is Answer.ACCEPTED


def test_a_later_tier_may_answer_from_its_moment_on_and_never_who_asked() -> None:
    gate = asked(
        approvers=["client-cto"], escalate=[{"after": "1d", "to": ["manager", "dora"]}], requester="dora"
    )
    assert say(gate, "max", at=NOW + DAY - timedelta(seconds=1)) is Answer.NOT_AN_APPROVER
    assert say(gate, "dora", at=NOW + DAY) is Answer.NOT_AN_APPROVER
    assert say(gate, "max", at=NOW + DAY) is Answer.ACCEPTED
    assert gates.who_said(gate.decisions[0]).startswith("max (escalation) said approve")


def test_nobody_stands_in_for_who_asked_not_even_in_a_later_tier() -> None:
    gate = asked(
        approvers=["client-cto"],
        escalate=[{"after": "1h", "to": ["manager"]}, {"after": "1d", "to": "deputies"}],
        requester="max",
    )
    assert say(gate, "eva", at=NOW + DAY) is Answer.NOT_AN_APPROVER


def test_who_is_called_later_but_needed_in_a_later_step_does_not_spend_the_vote() -> None:
    gate = asked(steps=[{"of": ["anna"]}, {"of": ["max"]}], escalate=[{"after": "1h", "to": ["manager"]}])
    assert say(gate, "max", at=NOW + DAY) is Answer.NOT_YOUR_TURN
    assert say(gate, "anna", at=NOW + DAY) is Answer.WAITING_FOR_MORE
    assert say(gate, "max", at=NOW + DAY) is Answer.ACCEPTED


def test_who_is_called_later_can_hand_over_too_and_both_names_are_kept() -> None:
    gate = asked(approvers=["client-cto"], escalate=[{"after": "1d", "to": ["manager"]}])
    assert hand_over(gate, "max", "dora", at=NOW + DAY) == Answer.ACCEPTED
    assert say(gate, "dora", at=NOW + DAY) is Answer.ACCEPTED
    assert gates.who_said(gate.decisions[0]).startswith("dora for max (escalation) said approve")


# --- hand-overs -------------------------------------------------------------------------------------------


def test_a_hand_over_ends_when_it_says() -> None:
    gate = asked(approvers=["anna"])
    assert hand_over(gate, "anna", "dora", until=NOW + DAY) == Answer.ACCEPTED
    assert say(gate, "dora", at=NOW + DAY) is Answer.NOT_AN_APPROVER
    assert say(gate, "dora", at=NOW + DAY - timedelta(seconds=1)) is Answer.ACCEPTED


def test_a_gate_is_handed_on_three_times_at_most() -> None:
    gate = asked(approvers=["anna"])
    chain = ["anna", "boris", "dora", "eva", "max"]
    told = [hand_over(gate, by, to) for by, to in pairwise(chain)]
    assert told[:3] == [Answer.ACCEPTED] * 3
    assert told[3] == "to: a gate is handed on 3 times at most. Ask anna to name somebody directly."
    assert say(gate, "eva") is Answer.ACCEPTED


def test_a_deputy_makes_the_chain_longer_so_that_no_accepted_hand_over_is_without_effect() -> None:
    gate = asked(approvers=["client-cto"])
    told = [hand_over(gate, *pair) for pair in (("gleb", "dora"), ("dora", "eva"), ("eva", "max"))]
    assert told[:2] == [Answer.ACCEPTED] * 2
    assert "3 times at most" in told[2]


def test_a_circle_is_refused_also_where_a_longer_way_leads_elsewhere() -> None:
    gate = asked(approvers=["anna", "boris"])
    gate.delegations = [
        Delegation(by="boris", to="anna"),
        Delegation(by="boris", to="dora"),
        Delegation(by="dora", to="eva"),
    ]
    assert "that would be a circle" in hand_over(gate, "anna", "boris")


def test_a_deputy_cannot_hand_back_what_is_anothers_anyway() -> None:
    gate = asked(approvers=["client-cto"])
    assert "you stand for vera" in hand_over(gate, "gleb", "vera")


def test_a_hand_over_that_has_ended_is_no_circle() -> None:
    gate = asked(approvers=["anna", "boris"])
    assert hand_over(gate, "boris", "anna", until=NOW + DAY) == Answer.ACCEPTED
    assert hand_over(gate, "anna", "boris", at=NOW + DAY) == Answer.ACCEPTED


@pytest.mark.parametrize("to", ["mallory", "anna", "max"])
def test_nobody_hands_over_to_strangers_themselves_or_who_asked(to: str) -> None:
    gate = asked(approvers=["sre-lead"], requester="max")
    assert "cannot answer this gate for you" in hand_over(gate, "anna", to)


def test_nobody_hands_over_to_somebody_whose_one_vote_is_given() -> None:
    gate = asked(approvers=["sre-lead"], quorum=2)
    say(gate, "boris")
    assert "Choose from: vera, gleb, dora, eva, max." in hand_over(gate, "anna", "boris")


def test_nobody_hands_over_a_vote_that_was_given_for_them() -> None:
    gate = asked(steps=[{"all_of": ["client-cto", "sre-lead"]}])
    say(gate, "gleb")
    assert "that vote is given" in hand_over(gate, "vera", "dora")


def test_who_is_not_asked_has_nothing_to_hand_over() -> None:
    assert "Nothing to hand over" in hand_over(asked(approvers=["sre-lead"]), "dora", "eva")


# --- deadlines and codes ----------------------------------------------------------------------------------


def test_a_deadline_moves_only_to_a_later_moment() -> None:
    gate = asked(approvers=["sre-lead"], deadline={"after": "1d"})
    assert extend(gate, "anna", NOW + timedelta(hours=3)) == Answer.UNREADABLE
    assert extend(gate, "anna", NOW + DAY) == Answer.UNREADABLE
    assert extend(gate, "anna", NOW + 2 * DAY) == Answer.ACCEPTED
    assert gate.deadline == NOW + 2 * DAY


def test_a_deadline_is_moved_only_by_those_who_may() -> None:
    gate = asked(approvers=["sre-lead"], deadline={"after": "1d"}, may_extend=["manager"])
    assert extend(gate, "anna", NOW + 2 * DAY) == Answer.NOT_AN_APPROVER
    assert extend(gate, "mallory", NOW + 2 * DAY) == Answer.NOT_AN_APPROVER
    assert extend(gate, "max", NOW + 2 * DAY) == Answer.ACCEPTED


def test_a_deadline_that_has_closed_the_gate_cannot_be_moved() -> None:
    gate = asked(approvers=["sre-lead"], deadline={"after": "1d", "then": "reject"})
    assert extend(gate, "anna", NOW + 9 * DAY, at=NOW + DAY) == Answer.EXPIRED


def test_a_gate_without_a_deadline_has_none_to_move() -> None:
    assert extend(asked(approvers=["sre-lead"]), "anna", NOW + DAY) == Answer.UNREADABLE


def may_say(gate: Gate, **wanted: Any) -> bool:
    return standing.may_say(CodeRequest.model_validate(wanted), gate, PEOPLE, NOW)


def test_a_code_is_given_only_to_whoever_could_use_it() -> None:
    gate = asked(approvers=["sre-lead"], veto=["client-cto", "max"], may_extend=["dora"], requester="max")
    assert may_say(gate, by="anna")
    assert not may_say(gate, by="vera")
    assert may_say(gate, by="vera", decision="reject")
    assert not may_say(gate, by="max", decision="reject"), "who asked cannot use a veto either"
    assert may_say(gate, by="dora", until=NOW + DAY)
    assert not may_say(gate, by="anna", until=NOW + DAY)
    assert may_say(gate, by="anna", until=NOW + DAY, to="dora")
