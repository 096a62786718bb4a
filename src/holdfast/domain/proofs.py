"""Approval codes: the proof that a decision comes from the person it names.

A code is an HMAC over everything the decision is about. Whoever recognised the person (the bot by the sender of
an update, the web page by its signed link) signs; every run checks. A code is of no use for another run, gate,
person, answer or evidence, for a copy of the run made by a reset, or after its expiry.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict

from holdfast.domain.decisions import Answer, RollBack, Signed
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.words import Word

CODE_GOOD_FOR: Final = timedelta(minutes=30)
# Says that whoever signed has checked a code of the authenticator app. The code itself never enters a history
# (docs/decisions/0005).
TOTP: Final = "totp"
# Channels that recognise people themselves; what comes by any other way needs a code from the private chat.
OWN_CHANNELS: Final = frozenset({"telegram", "web"})
_CODE_CHARACTERS: Final = 16  # 80 bits: nobody guesses them, and a validator could not count guesses
# Beside the run's id it has to fit into the 64 bytes of a button (docs/decisions/0003).
_BUTTON_CHARACTERS: Final = 20
_SHORTEST_KEY: Final = 16


class Claim(BaseModel):
    """What an approval code covers.

    Attributes:
        run: the run's id.
        execution: Temporal's id of this execution of the run, so that a reset asks anew; empty where only the
            gate's token is known, and in a `Word`, which outlives the executions of a long run.
        gate: the gate's id, or `token:` and its token; of a `Word` its act.
        action: what is said, see `Signed.action`.
        channel: `telegram`, `web`, or `code` for a code that a person carries to the Temporal UI or a terminal.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    execution: str
    gate: str
    person: str
    action: str
    evidence: str
    channel: str
    proofs: tuple[str, ...]
    expires_at: datetime


def claim_of(said: Signed, *, run: str, execution: str) -> Claim:
    """Return what the code of this message has to cover; a message without an expiry has none."""
    if said.expires_at is None:
        raise DecisionRefused(Answer.NOT_PROVEN, _how_to_prove(said, run))
    gate = said.gate or f"token:{said.token}"
    if isinstance(said, Word):
        gate, execution = str(said.act), ""
    return Claim(
        # The reason is left out: people write it after they have the code (docs/decisions/0005).
        run=run,
        execution=execution if said.gate else "",
        gate=gate,
        person=said.by,
        action=said.action,
        evidence=said.evidence,
        channel=said.channel if said.channel in OWN_CHANNELS else "code",
        proofs=said.proofs,
        expires_at=said.expires_at.astimezone(UTC),
    )


def _how_to_prove(said: Signed, run: str) -> str:
    if isinstance(said, Word):
        return (
            f"This needs your own approval code. Say it to the bot, or send the update 'send_code' with "
            f'{{"by": "{said.by}", "gate": "{said.act}"}} and paste the whole JSON that the bot sends you.'
        )
    option = " --rollback" if isinstance(said, RollBack) else ""
    return (
        "This needs your own approval code. Ask the bot for it in your private chat (/gates), or run "
        f"'holdfast gate code {run}{option} --as {said.by}'; then paste the whole JSON that it sends you."
    )


class Keyring:
    """The secret keys; the first signs, all check, so that a new one can be put before an old one."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Use these keys.

        Raises:
            ValueError: there is none, or one is too short to be a secret.
        """
        if not keys or any(len(k) < _SHORTEST_KEY for k in keys):
            raise ValueError(f"a secret key must have at least {_SHORTEST_KEY} characters")
        self._keys = [hashlib.sha256(f"holdfast/{k}".encode()).digest() for k in keys]

    def sign(self, claim: Claim) -> str:
        """Return the code for a claim, e.g. `K3QF-7ZUA-…`."""
        code = _code(self._keys[0], claim.model_dump_json())
        return "-".join(code[i : i + 4] for i in range(0, len(code), 4))

    def signed(self, said: Signed, *, run: str, execution: str) -> Signed:
        """Return the message with its code."""
        return said.model_copy(update={"code": self.sign(claim_of(said, run=run, execution=execution))})

    def check(self, said: Signed, *, run: str, execution: str, now: datetime) -> None:
        """Check the code of a message.

        Raises:
            DecisionRefused: `not_proven`, and what to do about it.
        """
        claim = claim_of(said, run=run, execution=execution)
        typed = said.code.upper().replace("-", "").replace(" ", "")
        text = claim.model_dump_json()
        if not any(hmac.compare_digest(_code(key, text).encode(), typed.encode()) for key in self._keys):
            raise DecisionRefused(
                Answer.NOT_PROVEN,
                f"The approval code is not {said.by}'s for '{said.action}' at this gate on this evidence. It "
                "is good for one person, one answer and one gate only: ask the bot for a new one (/gates).",
            )
        if now >= claim.expires_at:
            raise DecisionRefused(
                Answer.NOT_PROVEN,
                f"The approval code was good until {claim.expires_at:%Y-%m-%d %H:%M:%S} UTC. Ask the bot for a "
                "new one (/gates).",
            )

    def button(self, run: str, token: str, evidence: str, person: str) -> str:
        """Return what the buttons of one person's own message carry: of no use to others or elsewhere."""
        return self.buttons(run, token, evidence, person)[0]

    def buttons(self, run: str, token: str, evidence: str, person: str) -> list[str]:
        """Return the same for every key, newest first: a message may be older than a key."""
        about = f"{run}\n{token}\n{evidence}\n{person}".encode()
        digests = [hmac.digest(key, about, "sha256") for key in self.derive_all("button")]
        return [base64.b32encode(d).decode()[:_BUTTON_CHARACTERS].lower() for d in digests]

    def derive(self, purpose: str) -> bytes:
        """Return a key of 32 bytes for another purpose, from the signing key."""
        return hmac.digest(self._keys[0], f"derive/{purpose}".encode(), "sha256")

    def derive_all(self, purpose: str) -> list[bytes]:
        """Return that key for every secret, newest first, for reading what an older one wrote."""
        return [hmac.digest(key, f"derive/{purpose}".encode(), "sha256") for key in self._keys]


def _code(key: bytes, text: str) -> str:
    return base64.b32encode(hmac.digest(key, text.encode(), "sha256")).decode()[:_CODE_CHARACTERS]
