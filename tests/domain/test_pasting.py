import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from holdfast.domain.decisions import Choice, RollBack, parse, parse_decision
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.gates import Gate
from holdfast.domain.pasting import paste_for, sealed
from holdfast.domain.proofs import Keyring

KEYS = Keyring(["a secret for tests only"])
NOW = datetime(2026, 11, 21, 3, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
GATE = Gate(
    id="1-limit",
    title="t",
    question="q",
    if_approved="on",
    if_rejected="stop",
    if_nothing="wait",
    approvers=("boris",),
    evidence="e1",
    token="tok",
    opened_at=NOW,
    execution="x1",
)


@pytest.mark.parametrize("proofs", [("code",), ("code", "totp")])
def test_what_is_pasted_is_good_as_it_is_and_for_nothing_else(proofs: tuple[str, ...]) -> None:
    text = paste_for(KEYS, "run-1", GATE, "boris", Choice.APPROVE, reason="", proofs=proofs, now=NOW)

    read = parse_decision(json.loads(text))
    assert (read.gate, read.by, read.evidence, read.proofs) == ("1-limit", "boris", "e1", proofs)
    assert "tok" not in text
    now = NOW.astimezone(UTC)
    KEYS.check(read, run="run-1", execution="x1", now=now)
    for changed in ({"by": "vera"}, {"decision": Choice.REJECT}, {"proofs": ("totp",)}, {"evidence": ""}):
        with pytest.raises(DecisionRefused):
            KEYS.check(read.model_copy(update=changed), run="run-1", execution="x1", now=now)


def test_a_reason_is_free_to_be_written_afterwards() -> None:
    text = paste_for(KEYS, "run-1", GATE, "boris", Choice.REJECT, reason="", proofs=("code",), now=NOW)

    filled = parse_decision(json.loads(text) | {"reason": "not on a Friday"})

    KEYS.check(filled, run="run-1", execution="x1", now=NOW)
    assert filled.reason == "not on a Friday"


@pytest.mark.parametrize("to", ["", "rate"])
def test_a_rollback_is_pasted_without_any_gate_and_good_for_what_it_names_only(to: str) -> None:
    said = RollBack(by="boris", to=to, proofs=("code",))

    read = parse(RollBack, json.loads(sealed(KEYS, "run-1", "x1", said, now=NOW)))

    KEYS.check(read, run="run-1", execution="x1", now=NOW)
    assert (read.gate, read.to) == ("rollback", to)
    for wrong in ({"run": "run-2"}, {"execution": "x2"}):
        with pytest.raises(DecisionRefused):
            KEYS.check(read, **{"run": "run-1", "execution": "x1", "now": NOW, **wrong})
    with pytest.raises(DecisionRefused):
        KEYS.check(read.model_copy(update={"to": "pool"}), run="run-1", execution="x1", now=NOW)
