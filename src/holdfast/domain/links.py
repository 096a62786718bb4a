"""Links to the web page: each is signed, for one person and one gate or report, and lasts a day."""

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.gates import Gate
from holdfast.domain.proofs import Keyring

# A link shows and answers nothing by itself: scanners of mail open links (docs/decisions/0005).
_PURPOSE: Final = "web-link"
_LONGEST_TOKEN: Final = 4096
# In the place of a gate's id; no gate is called so.
REPORT: Final = "@report"


class LinkRefused(DecisionRefused):
    """A link that opens nothing: `not_proven` when nobody signed it, `expired` when it is too old."""


class LinkClaim(BaseModel):
    """What a link says; nothing in it is secret, and nothing can be changed.

    Attributes:
        run: the run's id.
        gate: the gate's id, or `REPORT`.
        person: short name of the person for whom it was made.
        evidence: digest of what was asked about when it was made.
        execution: Temporal's id of the execution that asked.
        expires_at: it opens nothing from then on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    gate: str
    person: str
    evidence: str
    execution: str
    expires_at: datetime


class WebLinks:
    """Makes and reads links."""

    def __init__(self, keyring: Keyring, base_url: str, *, good_for: timedelta = timedelta(hours=24)) -> None:
        """Sign with this keyring for the page at `base_url`, e.g. `https://holdfast.example.com`."""
        self._keyring = keyring
        self._base_url = base_url.rstrip("/")
        self._good_for = good_for

    def link(self, run_id: str, gate: Gate, person_name: str, now: datetime) -> str:
        """Return the address where this person can answer this gate."""
        token = self._token(
            LinkClaim(
                run=run_id,
                gate=gate.id,
                person=person_name,
                evidence=gate.evidence,
                execution=gate.execution,
                expires_at=self._end(now),
            )
        )
        return f"{self._base_url}/g/{token}"

    def report(self, run_id: str, person_name: str, now: datetime) -> str:
        """Return the address where this person reads the report on this run."""
        claim = LinkClaim(
            run=run_id, gate=REPORT, person=person_name, evidence="", execution="", expires_at=self._end(now)
        )
        return f"{self._base_url}/reports/{run_id}?link={self._token(claim)}"

    def read(self, token: str, now: datetime) -> LinkClaim:
        """Return what a link's token says.

        Raises:
            LinkRefused: nobody signed it, or it is too old; the text says what to do.
        """
        payload, _, signature = token.partition(".")
        if len(token) > _LONGEST_TOKEN or not self._is_ours(payload, signature):
            raise LinkRefused(
                Answer.NOT_PROVEN,
                "This link is not one that Holdfast has made, or a part of it was lost on the way. Open it, "
                "whole, from the message that you got; or ask the bot for the open gates (/gates).",
            )
        claim = _claim(payload)
        if now >= claim.expires_at:
            raise LinkRefused(
                Answer.EXPIRED,
                f"This link was good until {claim.expires_at:%Y-%m-%d %H:%M} UTC. Use the one in the newest "
                "message about this gate; the next reminder brings another one.",
            )
        return claim

    def _end(self, now: datetime) -> datetime:
        return (now + self._good_for).astimezone(UTC).replace(microsecond=0)

    def _token(self, claim: LinkClaim) -> str:
        payload = _text(claim.model_dump_json().encode())
        return f"{payload}.{_signature(self._keyring.derive(_PURPOSE), payload)}"

    def _is_ours(self, payload: str, signature: str) -> bool:
        expected = [_signature(key, payload) for key in self._keyring.derive_all(_PURPOSE)]
        return any(hmac.compare_digest(e.encode(), signature.encode()) for e in expected)


def _signature(key: bytes, payload: str) -> str:
    return _text(hmac.digest(key, payload.encode(), hashlib.sha256))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _claim(payload: str) -> LinkClaim:
    try:
        return LinkClaim.model_validate_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError, ValidationError):
        # Signed by us, so made by a version that wrote something else.
        raise LinkRefused(
            Answer.NOT_PROVEN,
            "This link was made by another version of Holdfast. Use the one in the newest message.",
        ) from None
