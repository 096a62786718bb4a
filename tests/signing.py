"""Decisions as people's own channels sign them, with a key that is of use to tests only."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from holdfast.domain.decisions import Choice, Decision, Signed
from holdfast.domain.gates import Gate
from holdfast.domain.proofs import Keyring
from holdfast.domain.words import Act, Word

KEYS = Keyring(["a key that signs nothing but tests"])
S = TypeVar("S", bound=Signed)


def seal(said: S, *, run: str, execution: str, keys: Keyring = KEYS) -> S:
    """Give a message its code, and an expiry if it has none."""
    if said.expires_at is None:
        said = said.model_copy(update={"expires_at": datetime.now(UTC) + timedelta(days=3650)})
    signed = keys.signed(said, run=run, execution=execution)
    assert isinstance(signed, type(said))
    return signed


def decision(
    run: str,
    gate: Gate,
    by: str,
    choice: Choice | str = Choice.APPROVE,
    *,
    keys: Keyring = KEYS,
    **more: Any,
) -> Decision:
    """A decision about this gate as it is, signed as a code from the private chat is."""
    given: dict[str, Any] = {"evidence": gate.evidence, "proofs": ("code",), "reason": "", **more}
    if choice == Choice.REJECT:
        given["reason"] = given["reason"] or "not now"
    said = Decision(gate=gate.id, decision=Choice(choice), by=by, **given)
    return seal(said, run=run, execution=gate.execution, keys=keys)


def word(run: str, act: str, by: str, *, keys: Keyring = KEYS, **more: Any) -> Word:
    """A word as a code from the private chat signs it; it is for any execution of the run."""
    said = Word(act=Act(act), by=by, **{"proofs": ("code",), **more})
    return seal(said, run=run, execution="", keys=keys)


def pasted(said: Signed) -> dict[str, Any]:
    """What a person pastes into the Temporal UI."""
    keep = {"gate", "decision", "by", "evidence", "expires_at", "code", "until", "to", "reason", "act"}
    fields = said.model_dump(mode="json", include=keep, exclude_none=True)
    return {k: v for k, v in fields.items() if v != ""} | {"proofs": "+".join(said.proofs)}
