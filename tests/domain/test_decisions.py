"""What people type and buttons send: read, or refused in words."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.decisions import (
    Answer,
    CodeRequest,
    Decision,
    Extension,
    Handover,
    Message,
    parse,
    parse_decision,
)
from holdfast.domain.errors import DecisionRefused

MODELS: list[type[Message]] = [Decision, Extension, Handover, CodeRequest]


def refusal_of(model: type[Message], message: Any) -> DecisionRefused:
    with pytest.raises(DecisionRefused) as refused:
        parse(model, message)
    assert refused.value.answer == Answer.UNREADABLE
    return refused.value


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("approve", "approve"),
        ("YES", "approve"),
        (" continue ", "approve"),
        ("No", "reject"),
        ("stop", "reject"),
        ("rollback", "reject"),
    ],
)
def test_words_that_people_type_are_understood(typed: str, means: str) -> None:
    decision = parse_decision({"gate": "1-limit", "decision": typed, "by": " Boris "})
    assert (decision.decision, decision.by) == (means, "boris")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from(["gate", "token", "by", "decision", "until", "to", "expires_at", "proofs", "reason"])
messages = json_values | st.dictionaries(fields, json_values | st.sampled_from(["approve", "1-limit"]))


@pytest.mark.parametrize("model", MODELS)
@given(message=messages)
def test_any_json_is_either_understood_or_refused_in_words(model: type[Message], message: Any) -> None:
    refused: DecisionRefused | None = None
    understood: Message | None = None
    try:
        understood = parse(model, message)
    except DecisionRefused as refusal:
        refused = refusal
    assert isinstance(understood, model) or (refused is not None and model.example in str(refused))
    assert refused is None or refused.answer == Answer.UNREADABLE


@pytest.mark.parametrize("model", [Decision, Extension, Handover])
def test_what_is_said_must_name_a_gate(model: type[Message]) -> None:
    complete = {"by": "boris", "decision": "approve", "until": "2026-12-31T12:00:00Z", "to": "vera"}
    assert "copy the id of the open gate" in str(refusal_of(model, complete))


@pytest.mark.parametrize("model", [Extension, Handover])
@pytest.mark.parametrize(
    "until", ["2026-12-31T12:00:00", "tomorrow", "9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"]
)
def test_a_moment_without_a_zone_or_outside_of_all_calendars_is_refused_by_field(
    model: type[Message], until: str
) -> None:
    assert "until: " in str(refusal_of(model, {"gate": "g", "by": "boris", "to": "vera", "until": until}))


def test_an_expiry_outside_of_all_calendars_is_refused_and_breaks_nothing() -> None:
    typed = {"gate": "g", "by": "boris", "decision": "approve", "expires_at": "9999-12-31T23:59:59-05:00"}
    assert "expires_at: " in str(refusal_of(Decision, typed))


def test_moments_are_kept_in_utc_whatever_zone_they_were_typed_in() -> None:
    extension = parse(Extension, {"gate": "g", "by": "boris", "until": "2026-12-31T12:00:00+03:00"})
    assert extension.until.isoformat() == "2026-12-31T09:00:00+00:00"
    assert (extension.until.tzinfo, extension.until) == (UTC, datetime(2026, 12, 31, 9, tzinfo=UTC))


def test_what_is_asked_for_has_one_spelling_and_different_things_have_different_ones() -> None:
    common = {"gate": "g", "by": "boris"}
    until = "2026-12-31T12:00:00Z"
    said = [
        parse(Decision, {**common, "decision": "yes"}),
        parse(Decision, {**common, "decision": "no"}),
        parse(Extension, {**common, "until": until}),
        parse(Extension, {**common, "until": "2027-01-01T12:00:00Z"}),
        parse(Handover, {**common, "to": "vera"}),
        parse(Handover, {**common, "to": "vera", "until": until}),
        parse(Handover, {**common, "to": "gleb"}),
    ]
    assert len({s.action for s in said}) == len(said)
    assert parse(Extension, {**common, "until": "2026-12-31T15:00:00+03:00"}).action == said[2].action


def test_proofs_may_be_joined_as_in_the_json_that_is_sent() -> None:
    decision = parse_decision({"gate": "g", "by": "boris", "decision": "yes", "proofs": "code+totp"})
    assert decision.proofs == ("code", "totp")
