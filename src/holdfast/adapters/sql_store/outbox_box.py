"""Keeps what is to be sent unreadable at rest."""

from typing import Final

from holdfast.adapters.sql_store.cipher import Cipher, Unreadable
from holdfast.adapters.sql_store.outbox_rows import stored_request
from holdfast.domain.proofs import Keyring
from holdfast.outbox.message import Ranked, Request, Row

_SEALED: Final = "sealed"
_UNREADABLE: Final = "unreadable"  # no method of any chat, which will say so


class RequestBox:
    """Seals the requests of rows, each for its bot alone."""

    def __init__(self, keyring: Keyring) -> None:
        """Seal under the newest key, open under all."""
        self._cipher = Cipher(keyring, "outbox")

    def seal(self, ranked: Ranked, bot: str) -> Ranked:
        """Return a message with its request encrypted."""
        box = self._cipher.seal(stored_request(ranked.message.request), bot)
        request = Request(method=_SEALED, params={"box": box})
        return ranked.model_copy(update={"message": ranked.message.model_copy(update={"request": request})})

    def open(self, row: Row) -> Row:
        """Return a row with its request as it was; one whose key is gone, or that is damaged, stays shut."""
        if row.request.method != _SEALED:
            return row
        try:
            opened = self._cipher.open(str(row.request.params["box"]), row.bot)
            request = Request.model_validate_json(opened)
        except (Unreadable, KeyError, ValueError):
            request = Request(method=_UNREADABLE)
        return row.model_copy(update={"request": request})

    @staticmethod
    def is_shut(row: Row) -> bool:
        """Whether a row could not be opened, so that it cannot be sent."""
        return row.request.method == _UNREADABLE
