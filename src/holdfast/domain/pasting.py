"""What a person says to a run, as JSON to carry from the private chat to the Temporal UI or a terminal."""

import json
from datetime import datetime

from holdfast.domain.decisions import Choice, Decision, Signed
from holdfast.domain.gates import Gate
from holdfast.domain.proofs import CODE_GOOD_FOR, Keyring
from holdfast.domain.words import Word


def paste_for(
    keyring: Keyring,
    run_id: str,
    gate: Gate,
    person_name: str,
    choice: Choice,
    *,
    reason: str,
    proofs: tuple[str, ...],
    now: datetime,
) -> str:
    """Return a signed decision as JSON to paste whole; good for `CODE_GOOD_FOR`, for one run, gate and answer.

    Args:
        keyring: signs.
        run_id: the run that asks.
        gate: the open gate, with the execution that asks.
        person_name: short name of the person who was recognised.
        choice: what the code is good for.
        reason: free text for the record; not covered by the code, so a rejection leaves room to write one.
        proofs: how the person was recognised: `code`, and `totp` after a code of the authenticator app.
        now: the moment of signing.
    """
    said = Decision(
        gate=gate.id,
        decision=choice,
        by=person_name,
        evidence=gate.evidence,
        reason=reason,
        proofs=proofs,
    )
    return sealed(keyring, run_id, gate.execution, said, now=now)


def sealed(keyring: Keyring, run_id: str, execution: str, said: Signed, *, now: datetime) -> str:
    """Return any message to a run, signed, as JSON to paste whole; good for `CODE_GOOD_FOR`."""
    until = (now + CODE_GOOD_FOR).replace(microsecond=0)
    signed = keyring.signed(said.model_copy(update={"expires_at": until}), run=run_id, execution=execution)
    shown = signed.model_dump(mode="json", exclude_none=True) | {"proofs": "+".join(said.proofs)}
    kept = [name for name in _SHOWN if shown.get(name)]
    if isinstance(said, Word):
        kept = ["act", *(name for name in kept if name != "gate")]
    if said.action == Choice.REJECT and "reason" not in kept:
        kept.insert(kept.index("expires_at"), "reason")
    return json.dumps({name: shown[name] for name in kept}, ensure_ascii=False, indent=2)


def said_in_person(keyring: Keyring, run_id: str, word: Word, *, now: datetime) -> Word:
    """Sign the word of somebody whom the channel has recognised; good for `CODE_GOOD_FOR`."""
    until = (now + CODE_GOOD_FOR).replace(microsecond=0)
    dated = word.model_copy(update={"expires_at": until})
    return dated.model_copy(update={"code": keyring.signed(dated, run=run_id, execution="").code})


_SHOWN = ("gate", "decision", "to", "until", "by", "evidence", "reason", "expires_at", "proofs", "code")
