"""A gate's third answer: go, with limits."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain import gates, progress, standing
from holdfast.domain.decisions import Choice, CodeRequest, Decision, parse
from holdfast.domain.details import details
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Gate, GateState, Question, outcome_of, who_said
from holdfast.domain.pasting import paste_for
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import Keyring
from holdfast.domain.signoff import SignOff
from holdfast.domain.view import RunState, RunView

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
KEYS = Keyring(["a secret for tests only"])
NAMES = ("anna", "boris", "vera", "gleb")
PEOPLE = People(people=tuple(Person(name=name, title=name.title(), roles=("lead",)) for name in NAMES))
PLAIN = Question(title="t", question="q?", if_approved="It goes.", if_rejected="It stops.", if_nothing="Waits.")
LIMITED = PLAIN.model_copy(update={"limit_label": "Go with limits", "if_limited": "It goes at 60 %."})


def asked(question: Question = LIMITED, **policy: Any) -> Gate:
    return gates.open_gate(
        "go",
        SignOff.model_validate({"approvers": ["lead"], **policy}),
        question,
        Evidence(plan={"test": "failed"}, taken_at=NOW),
        people=PEOPLE,
        token="tok",
        now=NOW,
        execution="x1",
    )


def say(gate: Gate, by: str, choice: str, **more: Any) -> str:
    """Decide, and return what the person is told."""
    said = Decision.model_validate({"gate": "go", "by": by, "decision": choice, **more})
    counted = standing.check(said, gate, closed=[], people=PEOPLE, now=NOW)
    return gates.record(counted, gate, now=NOW).text


def test_a_gate_has_the_facts_of_its_question_and_tells_them_before_it() -> None:
    gate = asked(LIMITED.model_copy(update={"facts": ["It failed.", "It opens soon."]}))
    assert gate.facts == ["It failed.", "It opens soon."]
    assert gate.told == "It failed. It opens soon. q?"
    assert asked().told == "q?"
    assert gate.evidence == asked().evidence, "the evidence is what the facts are read from"


def test_a_limited_answer_approves_and_says_which_limits_hold() -> None:
    gate = asked()
    assert say(gate, "boris", "limit") == "Recorded. It goes at 60 %."
    assert gate.state is GateState.APPROVED
    assert gate.goes_on
    assert gate.limited
    said = "boris said go with limits via temporal-ui at 2026-11-21 03:00:00 UTC"
    assert outcome_of(gate) == f"gate 'go' is approved with limits: {said}."
    assert progress.sign_off(gate) == "✅ lead: boris with limits"


@pytest.mark.parametrize("first", ["approve", "limit"])
def test_the_most_cautious_of_several_wins_whoever_comes_first(first: str) -> None:
    gate, then = asked(quorum=2), "limit" if first == "approve" else "approve"
    say(gate, "boris", first)
    assert not gate.limited  # nothing is decided yet
    assert say(gate, "vera", then) == "Recorded. It goes at 60 %."
    assert gate.limited


def test_a_plain_approval_has_no_limits_and_a_refusal_none_either() -> None:
    approved, refused = asked(), asked(quorum=2)
    assert say(approved, "boris", "approve") == "Recorded. It goes."
    assert not approved.limited
    say(refused, "boris", "limit")
    say(refused, "vera", "reject", reason="no")
    assert refused.state is GateState.REJECTED
    assert not refused.limited


def test_a_gate_that_does_not_offer_it_refuses_it_and_lists_its_answers() -> None:
    gate = asked(PLAIN)
    with pytest.raises(DecisionRefused) as refused:
        say(gate, "boris", "limit")
    assert (
        str(refused.value)
        == "Gate 'go' does not take the answer 'go with limits'. Choose from: approve, reject."
    )
    assert refused.value.answer == "unreadable"
    assert gate.decisions == []


def test_it_needs_no_reason_and_counts_for_its_step() -> None:
    gate = asked(steps=[{"any": 1, "of": ["anna"]}, {"any": 1, "of": ["vera"]}], approvers=(), order="in_order")
    assert say(gate, "anna", "limit") == "Recorded. Gate 'go' waits for 1 more approval(s)."
    assert gate.step == 1
    say(gate, "vera", "approve")
    assert gate.limited


def test_nobody_answers_twice_not_even_more_cautiously() -> None:
    gate = asked(quorum=2)
    say(gate, "boris", "limit")
    with pytest.raises(DecisionRefused, match="already said 'go with limits'"):
        say(gate, "boris", "approve")


@pytest.mark.parametrize("typed", ["limit", "limits", "With-Limits", "go-with-limits", " go with limits "])
@pytest.mark.parametrize("model", [Decision, CodeRequest])
def test_people_may_type_it_in_several_ways(model: type[Decision] | type[CodeRequest], typed: str) -> None:
    said = parse(model, {"gate": "go", "by": "boris", "decision": typed})
    assert said.decision is Choice.LIMIT


@pytest.mark.parametrize(("typed", "means"), [("go", Choice.APPROVE), ("no-go", Choice.REJECT)])
def test_go_and_no_go_are_understood(typed: str, means: Choice) -> None:
    assert parse(Decision, {"gate": "go", "by": "boris", "decision": typed}).decision is means


def test_a_code_for_limits_is_good_for_limits_alone() -> None:
    text = paste_for(KEYS, "run-1", asked(), "boris", Choice.LIMIT, reason="", proofs=("code",), now=NOW)
    said = parse(Decision, json.loads(text))
    KEYS.check(said, run="run-1", execution="x1", now=NOW)
    for other in (Choice.APPROVE, Choice.REJECT):
        with pytest.raises(DecisionRefused):
            KEYS.check(said.model_copy(update={"decision": other}), run="run-1", execution="x1", now=NOW)


def test_a_gate_that_was_stored_before_has_two_answers_and_the_same_evidence() -> None:
    gate = asked(PLAIN)
    stored = gate.model_dump(mode="json", exclude={"limit_label", "if_limited"})
    read = Gate.model_validate(stored)
    assert read.choices == (Choice.APPROVE, Choice.REJECT)
    assert read == gate
    assert read.evidence == asked().evidence  # what was signed does not depend on how it may be answered


def page(gate: Gate) -> str:
    return details(
        RunView(
            run_id="campaign-1",
            runbook="black-friday",
            title="Black Friday",
            requested_by="anna",
            started_at=NOW,
            state=RunState.WAITING,
            headline="h",
            gate=gate,
        )
    )


def test_the_page_of_the_run_teaches_the_third_answer_where_there_is_one() -> None:
    shown = page(asked())
    assert "- **Go with limits**: It goes at 60 %." in shown.splitlines()
    assert shown.index("**Approve**: It goes.") < shown.index("**Go with limits**") < shown.index("**Reject**")
    assert "`holdfast gate limit campaign-1 --as NAME`" in shown
    asks = [json.loads(text) for text in re.findall(r"`(\{[^`]*?\})`", shown)]
    assert Choice.LIMIT in {parse(CodeRequest, ask).decision for ask in asks if "decision" in ask}
    assert "limit" not in page(asked(PLAIN))


@given(st.lists(st.sampled_from(["approve", "limit"]), min_size=1, max_size=4))
def test_it_is_limited_exactly_when_somebody_wanted_limits(answers: list[str]) -> None:
    gate = asked(quorum=len(answers), requester_may_approve=True)
    for name, choice in zip(NAMES, answers, strict=False):
        say(gate, name, choice)
    assert gate.goes_on
    assert gate.limited is ("limit" in answers)
    assert all(who_said(d) for d in gate.approvals)
    assert len(gate.approvals) == len(answers)
