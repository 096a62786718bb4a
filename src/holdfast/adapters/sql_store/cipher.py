import base64
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from holdfast.domain.proofs import Keyring

_NONCE_BYTES: Final = 12


class Unreadable(Exception):
    """None of our keys opens it for this owner."""


class Cipher:
    """AES-GCM under keys for one purpose; what is sealed for one owner does not open for another."""

    def __init__(self, keyring: Keyring, purpose: str) -> None:
        """Seal under the newest key, open under all."""
        self._keys = [AESGCM(key) for key in keyring.derive_all(purpose)]

    def seal(self, text: str, owner: str) -> str:
        """Return the text encrypted."""
        nonce = os.urandom(_NONCE_BYTES)
        return base64.b64encode(nonce + self._keys[0].encrypt(nonce, text.encode(), owner.encode())).decode()

    def open(self, sealed: str, owner: str) -> str:
        """Return the text again.

        Raises:
            Unreadable: it is another owner's, damaged, or of a key that is gone.
        """
        data = base64.b64decode(sealed)
        for key in self._keys:
            try:
                return key.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], owner.encode()).decode()
            except InvalidTag:
                continue
        raise Unreadable
