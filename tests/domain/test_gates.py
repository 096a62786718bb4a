"""The life of one gate: asked, decided, extended, expired, taken back, remembered."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain import gates, standing
from holdfast.domain.decisions import Answer, Decision, Extension, Handover
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Gate, GateState, Question
from holdfast.domain.people import People, Person
from holdfast.domain.signoff import Deadline, Lapse, SignOff

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = ("anna", "boris", "vera", "gleb")
PEOPLE = People(people=tuple(Person(name=name, title=name.title(), roles=("lead",)) for name in NAMES))


def asked(**policy: Any) -> Gate:
    return gates.open_gate(
        "1-limit",
        SignOff.model_validate({"approvers": ["lead"], **policy}),
        Question(
            title="t", question="q?", if_approved="It goes on.", if_rejected="It stops.", if_nothing="It waits."
        ),
        Evidence(plan={"rate": 30}, taken_at=NOW),
        people=PEOPLE,
        token="tok",
        now=NOW,
        requester="anna",
    )


def decision(by: str, choice: str = "approve", **more: Any) -> Decision:
    return Decision.model_validate({"gate": "1-limit", "by": by, "decision": choice, "reason": "r", **more})


def told(gate: Gate | None, said: Decision, *, closed: tuple[Gate, ...] = (), at: datetime = NOW) -> Answer:
    """What a channel tells the person; a decision that counts is recorded."""
    try:
        counted = standing.check(said, gate, closed=list(closed), people=PEOPLE, now=at)
    except DecisionRefused as refusal:
        return Answer(refusal.answer)
    assert gate is not None
    return gates.record(counted, gate, now=at).answer


def due(then: Lapse) -> dict[str, Any]:
    return {"deadline": Deadline(after=DAY, then=then)}


def test_a_quorum_of_different_people_approves() -> None:
    gate = asked(quorum=2)
    assert told(gate, decision("boris")) is Answer.WAITING_FOR_MORE
    assert told(gate, decision("boris")) is Answer.ALREADY_DECIDED
    assert told(gate, decision("vera")) is Answer.ACCEPTED
    assert gate.state is GateState.APPROVED
    assert gate.goes_on


def test_one_rejection_rejects_whatever_was_approved_before() -> None:
    gate = asked(quorum=3)
    told(gate, decision("boris"))
    assert told(gate, decision("vera", "reject")) is Answer.ACCEPTED
    assert gate.state is GateState.REJECTED
    assert not gate.goes_on


def test_a_button_names_its_gate_by_token_alone() -> None:
    gate = asked()
    assert told(gate, decision("boris", gate="", token="old")) is Answer.NOT_THE_OPEN_GATE
    assert told(gate, decision("boris", gate="", token="tok")) is Answer.ACCEPTED


def test_nothing_is_asked_where_no_gate_is_open() -> None:
    assert told(None, decision("boris")) is Answer.NOT_THE_OPEN_GATE


def test_a_closed_gate_cannot_be_decided_even_if_it_is_still_held_as_the_open_one() -> None:
    gate = asked()
    told(gate, decision("boris"))
    assert told(gate, decision("vera", "reject")) is Answer.ALREADY_DECIDED
    assert gate.state is GateState.APPROVED


@pytest.mark.parametrize("then", [Lapse.REJECT, Lapse.ROLLBACK, Lapse.PROCEED])
def test_at_the_very_deadline_the_deadline_wins_and_the_decision_is_told_so(then: Lapse) -> None:
    gate = asked(**due(then))
    assert told(gate, decision("boris"), at=NOW + DAY) is Answer.EXPIRED
    assert gates.expire(gate, NOW + DAY)
    assert gate.state is GateState.EXPIRED
    assert told(None, decision("boris"), closed=(gates.slim(gate),), at=NOW + DAY) is Answer.EXPIRED
    assert gate.goes_on == (then is Lapse.PROCEED)


def test_a_decision_before_the_deadline_leaves_nothing_to_expire() -> None:
    gate = asked(**due(Lapse.REJECT))
    assert told(gate, decision("boris"), at=NOW + DAY - timedelta(microseconds=1)) is Answer.ACCEPTED
    assert not gates.expire(gate, NOW + DAY)
    assert gate.state is GateState.APPROVED


def test_a_deadline_does_not_fire_early() -> None:
    gate = asked(**due(Lapse.REJECT))
    assert not gates.expire(gate, NOW + DAY - timedelta(seconds=1))
    assert gate.state is GateState.OPEN


def test_a_gate_that_holds_is_overdue_once_and_can_still_be_decided() -> None:
    gate = asked(**due(Lapse.HOLD))
    assert gates.expire(gate, NOW + DAY)
    assert not gates.expire(gate, NOW + 2 * DAY)
    assert (gate.overdue, gate.state) == (True, GateState.OPEN)
    assert told(gate, decision("boris"), at=NOW + 40 * DAY) is Answer.ACCEPTED


def test_an_extension_takes_overdue_back_and_the_new_deadline_counts_again() -> None:
    gate = asked(**due(Lapse.HOLD))
    gates.expire(gate, NOW + DAY)
    gates.extend(Extension(gate="1-limit", by="boris", until=NOW + 3 * DAY), gate)
    assert (gate.overdue, gate.deadline) == (False, NOW + 3 * DAY)
    assert gates.expire(gate, NOW + 3 * DAY)
    assert gate.overdue


def test_a_deadline_typed_in_another_time_zone_is_told_in_utc() -> None:
    gate = asked(**due(Lapse.REJECT))
    moscow = datetime(2026, 12, 31, 12, 0, tzinfo=timezone(timedelta(hours=3)))
    reply = gates.extend(Extension(gate="1-limit", by="boris", until=moscow), gate)
    assert "2026-12-31 09:00 UTC" in reply.text
    gates.expire(gate, moscow)
    assert "expired at 2026-12-31 09:00:00 UTC" in gates.outcome_of(gate)


def test_changed_evidence_takes_an_approval_back_but_no_refusal() -> None:
    approved, rejected, lapsed = asked(), asked(), asked(**due(Lapse.REJECT))
    told(approved, decision("boris"))
    told(rejected, decision("boris", "reject"))
    gates.expire(lapsed, NOW + DAY)
    for gate in (approved, rejected, lapsed):
        gates.void(gate, "target's rate: 30 → 8", NOW + 2 * DAY)
    assert [g.state for g in (approved, rejected, lapsed)] == [
        GateState.VOIDED,
        GateState.REJECTED,
        GateState.EXPIRED,
    ]
    assert "void and is asked again: target's rate: 30 → 8 (given before: boris said" in gates.outcome_of(
        approved
    )


def test_events_overtake_only_what_is_still_open() -> None:
    waiting, approved = asked(), asked()
    told(approved, decision("boris"))
    for gate in (waiting, approved):
        gates.supersede(gate, NOW)
    assert (waiting.state, approved.state) == (GateState.SUPERSEDED, GateState.APPROVED)
    assert told(None, decision("vera"), closed=(waiting,)) is Answer.SUPERSEDED


def test_the_record_says_who_when_how_and_never_the_code() -> None:
    gate = asked()
    told(gate, decision("boris", channel="telegram", proofs="telegram+totp", reason="numbers fit", code="K3QF"))
    said = gate.decisions[0]
    assert gates.who_said(said) == (
        "boris said approve via telegram at 2026-11-21 03:00:00 UTC (proof: telegram + totp), "
        "because: numbers fit"
    )
    assert said.code == ""


def test_a_hand_over_names_both_people_in_the_record() -> None:
    gate = asked(approvers=("boris",))
    gates.hand_over(Handover(gate="1-limit", by="boris", to="vera"), gate, NOW)
    told(gate, decision("vera"))
    assert gates.who_said(gate.decisions[0]).startswith("vera for boris (delegation) said approve")


def ended(how: str) -> Gate:
    gate = asked(approvers=("vera",), **due(Lapse.ROLLBACK)) if how == "expired" else asked(quorum=2)
    if how == "approved":
        told(gate, decision("boris"))
        told(gate, decision("vera"))
    elif how == "rejected":
        told(gate, decision("boris", "reject"))
    elif how == "expired":
        gates.expire(gate, NOW + DAY)
    elif how == "voided":
        told(gate, decision("boris"))
        gates.void(gate, "the file changed", NOW)
    else:
        gates.supersede(gate, NOW)
    return gate


@pytest.mark.parametrize("how", ["approved", "rejected", "expired", "voided", "superseded"])
def test_a_remembered_gate_is_smaller_but_tells_the_same(how: str) -> None:
    gate = ended(how)
    slim = Gate.model_validate_json(gates.slim(gate).model_dump_json())
    assert gate.state == how
    assert gates.outcome_of(slim) == gates.outcome_of(gate)
    assert (slim.goes_on, slim.missing, slim.needed) == (gate.goes_on, gate.missing, gate.needed)
    assert slim.basis is None
    assert slim.slots == ()
    about = decision("gleb", gate="1-limit")
    assert told(None, about, closed=(slim,)) is told(None, about, closed=(gate,))


@given(st.lists(st.tuples(st.sampled_from([*NAMES, "mallory"]), st.sampled_from(["approve", "reject"]))))
def test_revisions_rise_with_every_answer_that_counts_and_only_then(said: list[tuple[str, str]]) -> None:
    gate = asked(quorum=3)
    for by, choice in said:
        before = gate.model_copy(deep=True)
        counts = told(gate, decision(by, choice)) in {Answer.ACCEPTED, Answer.WAITING_FOR_MORE}
        assert gate.revision == before.revision + counts
        assert counts or gate == before
