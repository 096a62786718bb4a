"""The form: what it carries, and that it is one of ours."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

from holdfast.domain.proofs import Keyring

ROLL_BACK: Final = "roll_back"
ROLL_BACK_PIN: Final = "roll_back_pin"
_PURPOSE: Final = "web-form"
_MOST_BYTES: Final = 16 * 1024
_MOST_FIELDS: Final = 20
_TYPE: Final = "application/x-www-form-urlencoded"
_FOREIGN: Final = {"cross-site", "same-site"}


@dataclass(frozen=True)
class Fields:
    """What a person sent.

    Attributes:
        form: the form's own random id; a form that is sent twice counts once.
        evidence: digest of the evidence that the page showed.
        say: `approve`, `limit`, `reject` or `pin`; of the form for a rollback `roll_back` or `roll_back_pin`.
        reason, code, pasted: as typed.
        stays: of a rollback the stage that stays; empty: none.
        person: of the form for a link to a report, whose link.
    """

    form: str
    evidence: str
    say: str
    reason: str = ""
    code: str = ""
    pasted: str = ""
    stays: str = ""
    person: str = ""

    @property
    def about_rollback(self) -> bool:
        """Whether it is the form for a rollback."""
        return self.say in {ROLL_BACK, ROLL_BACK_PIN}


class FormSeals:
    """Seals each form to its link and to what the page shows, so that no other site can make one."""

    def __init__(self, keyring: Keyring) -> None:
        """Seal with this keyring."""
        self._keyring = keyring

    def new(self, token: str, evidence: str) -> tuple[str, str]:
        """Return a new form's id and its seal."""
        form = secrets.token_urlsafe(12)
        return form, _seal(self._keyring.derive(_PURPOSE), token, form, evidence)

    async def read(self, request: Request, token: str) -> Fields:
        """Return what was sent.

        Raises:
            HTTPException: 403 for a form that is not ours, 413 and 415 for what is no such form at all.
        """
        typed = await _typed(request)
        fields = Fields(
            form=typed.get("form", ""),
            evidence=typed.get("evidence", ""),
            say=typed.get("say", ""),
            reason=typed.get("reason", "").replace("\r\n", "\n").replace("\0", "").strip(),
            code=typed.get("code", ""),
            pasted=typed.get("pasted", "").strip(),
            stays=typed.get("stays", ""),
            person=typed.get("person", "").strip().lower(),
        )
        seal = typed.get("seal", "").encode()
        keys = self._keyring.derive_all(_PURPOSE)
        ours = any(
            hmac.compare_digest(_seal(k, token, fields.form, fields.evidence).encode(), seal) for k in keys
        )
        if not ours or request.headers.get("sec-fetch-site") in _FOREIGN:
            raise HTTPException(
                403, "This form does not belong to this page. Open your link again and answer there."
            )
        return fields


def _seal(key: bytes, token: str, form: str, evidence: str) -> str:
    return hmac.digest(key, f"{token}\n{form}\n{evidence}".encode(), hashlib.sha256).hex()


async def _typed(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise HTTPException(415, "Only the form of this page is understood here. Open your link again.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise HTTPException(413, "That is too much text for this form. Write a shorter reason.")
    try:
        read = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise HTTPException(400, "The form could not be read. Open your link again.") from None
    return {name: values[-1] for name, values in read.items()}
