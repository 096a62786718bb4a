"""Approval codes and personal buttons: good for one person, one answer, one gate, for a while."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from holdfast.domain.decisions import Answer, Decision, Extension, Handover, Signed
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.proofs import Keyring

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
UNTIL = NOW + timedelta(minutes=30)
OLD, NEW = "a secret that was used before", "a secret that is used from now on"
KEYS = Keyring([OLD])
RUN, EXECUTION = "rollout-4f7qk2mz", "execution-1"


def decision(**more: Any) -> Decision:
    common: dict[str, Any] = {
        "gate": "1-limit",
        "decision": "approve",
        "by": "boris",
        "evidence": "e1e1e1e1e1e1",
        "channel": "telegram",
        "proofs": ("telegram", "totp"),
        "expires_at": UNTIL,
    }
    return Decision.model_validate({**common, **more})


def sealed(said: Signed, keys: Keyring = KEYS) -> Signed:
    return keys.signed(said, run=RUN, execution=EXECUTION)


def check(
    said: Signed, *, keys: Keyring = KEYS, run: str = RUN, execution: str = EXECUTION, at: datetime = NOW
) -> None:
    keys.check(said, run=run, execution=execution, now=at)


def refusal_of(said: Signed, **how: Any) -> str:
    with pytest.raises(DecisionRefused) as refused:
        check(said, **how)
    assert refused.value.answer == Answer.NOT_PROVEN
    return str(refused.value)


def test_a_code_is_good_until_it_expires_and_not_at_that_moment() -> None:
    said = sealed(decision())
    check(said, at=UNTIL - timedelta(microseconds=1))
    assert "was good until 2026-11-21 03:30:00 UTC" in refusal_of(said, at=UNTIL)


@pytest.mark.parametrize(
    "altered",
    [
        {"by": "vera"},
        {"decision": "reject"},
        {"gate": "2-pool"},
        {"evidence": "e2e2e2e2e2e2"},
        {"evidence": ""},
        {"channel": "web"},
        {"channel": "temporal-ui"},
        {"proofs": ("telegram",)},
        {"proofs": ("totp", "telegram")},
        {"proofs": ()},
        {"expires_at": UNTIL + timedelta(hours=1)},
        {"gate": "", "token": "1-limit"},
    ],
)
def test_a_code_is_of_no_use_for_anything_else(altered: dict[str, Any]) -> None:
    code = sealed(decision()).code
    assert "The approval code is not" in refusal_of(decision(**altered, code=code))


def test_a_code_is_of_no_use_in_another_run_or_after_a_reset() -> None:
    said = sealed(decision())
    refusal_of(said, run="rollout-other")
    refusal_of(said, execution="execution-2")


def test_a_code_for_a_button_covers_its_token_and_the_run() -> None:
    said = sealed(decision(gate="", token="tok"))
    check(said)
    refusal_of(decision(gate="", token="other", code=said.code))
    refusal_of(said, run="rollout-other")


def test_a_code_to_carry_is_the_same_for_the_temporal_ui_and_a_terminal() -> None:
    said = sealed(decision(channel="cli", proofs=("code",)))
    check(said.model_copy(update={"channel": "temporal-ui"}))
    refusal_of(said.model_copy(update={"channel": "telegram"}))


def test_extensions_and_hand_overs_have_codes_of_their_own() -> None:
    common: dict[str, Any] = {"gate": "1-limit", "by": "boris", "expires_at": UNTIL}
    later = NOW + timedelta(days=9)
    extension, handover = Extension(**common, until=later), Handover(**common, to="vera")
    check(sealed(extension))
    check(sealed(handover))
    code = sealed(extension).code
    refusal_of(extension.model_copy(update={"until": later + timedelta(days=1), "code": code}))
    refusal_of(handover.model_copy(update={"code": code}))
    refusal_of(handover.model_copy(update={"to": "gleb", "code": sealed(handover).code}))


@pytest.mark.parametrize("code", ["", "-", "AAAA-AAAA-AAAA-AAAA", "ä", "A" * 1000])
def test_a_code_that_was_made_up_is_refused(code: str) -> None:
    refusal_of(decision(code=code))


def test_without_an_expiry_there_is_no_code_and_the_text_says_where_to_get_one() -> None:
    text = refusal_of(decision(expires_at=None))
    assert f"holdfast gate code {RUN} --as boris" in text
    with pytest.raises(DecisionRefused):
        sealed(decision(expires_at=None))


def test_a_code_may_be_typed_without_care_for_case_and_dashes() -> None:
    said = sealed(decision())
    check(said.model_copy(update={"code": said.code.lower().replace("-", " ")}))


def test_the_zone_in_which_the_expiry_is_written_does_not_matter() -> None:
    said = sealed(decision())
    tokyo = decision(expires_at=UNTIL.astimezone(timezone(timedelta(hours=9))))
    check(tokyo.model_copy(update={"code": said.code}))


def test_after_a_change_of_keys_old_codes_count_until_the_old_key_is_gone() -> None:
    said = sealed(decision())
    check(said, keys=Keyring([NEW, OLD]))
    refusal_of(said, keys=Keyring([NEW]))
    assert sealed(decision(), Keyring([NEW, OLD])).code == sealed(decision(), Keyring([NEW])).code


@pytest.mark.parametrize("keys", [[], ["short"], [OLD, "short"]])
def test_a_key_that_is_no_secret_is_refused(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="at least 16 characters"):
        Keyring(keys)


def test_a_button_is_one_persons_at_one_gate_of_one_run_on_one_evidence() -> None:
    buttons = {
        KEYS.button("r1", "t1", "e1", "boris"),
        KEYS.button("r1", "t1", "e1", "vera"),
        KEYS.button("r1", "t1", "e2", "boris"),
        KEYS.button("r1", "t2", "e1", "boris"),
        KEYS.button("r2", "t1", "e1", "boris"),
        Keyring([NEW]).button("r1", "t1", "e1", "boris"),
    }
    assert len(buttons) == 6
    assert {len(b) for b in buttons} == {20}, "Telegram gives a button 64 bytes in all"


def test_derived_keys_differ_by_purpose_and_the_old_ones_can_still_read() -> None:
    assert KEYS.derive("links") != KEYS.derive("totp")
    assert len(KEYS.derive("links")) == 32
    rotated = Keyring([NEW, OLD])
    assert rotated.derive_all("totp") == [Keyring([NEW]).derive("totp"), KEYS.derive("totp")]
