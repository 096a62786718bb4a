import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain import gates
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.gates import Answer, Choice, Decision, Gate, GateState
from holdfast.domain.people import People, Person

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
NAMES = ["anna", "boris", "vera", "gleb"]
PEOPLE = People(people=tuple(Person(name=name, title=name.title(), roles=("lead",)) for name in NAMES))


def gate(*, quorum: int = 1, approvers: tuple[str, ...] = ("boris", "vera", "gleb")) -> Gate:
    return Gate(
        id="1-limit",
        title="t",
        question="q",
        if_approved="It goes on.",
        if_rejected="It stops.",
        if_nothing="It waits.",
        approvers=approvers,
        quorum=quorum,
        evidence="e1",
        token="tok",
        opened_at=NOW,
    )


def take(decision: Decision, open_gate: Gate) -> Answer:
    """What a channel tells the person."""
    try:
        gates.check(decision, open_gate, closed=[], people=PEOPLE)
    except DecisionRefused as refusal:
        return Answer(refusal.answer)
    return gates.record(decision, open_gate, now=NOW).answer


decisions = st.builds(
    Decision,
    gate=st.just("1-limit"),
    decision=st.sampled_from(list(Choice)),
    by=st.sampled_from([*NAMES, "mallory"]),
)


@given(st.lists(decisions, max_size=12), st.integers(min_value=1, max_value=3))
def test_a_gate_is_decided_by_a_quorum_of_different_approvers_or_by_one_rejection(
    arriving: list[Decision], quorum: int
) -> None:
    asked = gate(quorum=quorum)
    for decision in arriving:
        if asked.state is GateState.OPEN:
            take(decision, asked)

    who = [d.by for d in asked.decisions]
    approvals = [d for d in asked.decisions if d.decision is Choice.APPROVE]
    assert len(who) == len(set(who)), "one person, one vote"
    assert set(who) <= set(asked.approvers)
    assert (asked.state is GateState.APPROVED) == (len(approvals) == quorum)
    assert (asked.state is GateState.REJECTED) == any(d.decision is Choice.REJECT for d in asked.decisions)


@given(st.lists(decisions, max_size=12))
def test_a_refused_decision_changes_nothing(arriving: list[Decision]) -> None:
    asked = gate(quorum=3)
    for decision in arriving:
        before = asked.model_copy(deep=True)
        try:
            gates.check(decision, asked, closed=[], people=PEOPLE)
        except DecisionRefused:
            assert asked == before


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("approve", "approve"),
        ("YES", "approve"),
        (" continue ", "approve"),
        ("No", "reject"),
        ("stop", "reject"),
    ],
)
def test_words_that_people_type_are_understood(typed: str, means: str) -> None:
    decision = gates.parse_decision({"gate": "1-limit", "decision": typed, "by": " Boris "})
    assert (decision.decision, decision.by) == (means, "boris")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_either_a_decision_or_refused_in_words(message: Any) -> None:
    refused: DecisionRefused | None = None
    try:
        gates.parse_decision(message)
    except DecisionRefused as refusal:
        refused = refusal
    understood = isinstance(message, dict) and {"decision", "by"} <= set(message)
    assert refused is None or (refused.answer == Answer.UNREADABLE and "details" in str(refused))
    assert refused is not None or understood


def test_a_decision_on_older_evidence_is_told_to_look_again() -> None:
    decision = Decision(gate="1-limit", decision="approve", by="boris", evidence="e0")
    assert take(decision, gate()) is Answer.EVIDENCE_OUT_OF_DATE


def test_a_button_names_its_gate_by_token_alone() -> None:
    assert take(Decision(token="tok", decision="approve", by="boris"), gate()) is Answer.ACCEPTED
    assert take(Decision(token="old", decision="approve", by="boris"), gate()) is Answer.NOT_THE_OPEN_GATE


def test_the_example_that_is_shown_is_a_decision_that_counts() -> None:
    asked = gate()
    assert take(gates.parse_decision(json.loads(asked.example())), asked) is Answer.ACCEPTED
