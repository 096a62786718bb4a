"""An identity provider of one test: tokens for people and workers, and the keys a server checks them with."""

import base64
import json
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

KEY_ID = "key-of-the-test"
GOOD_FOR_SECONDS = 3600


class Issuer:
    """Signs with ES256, a pair of 32-byte numbers."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def write_key_set(self, path: Path) -> str:
        """Write the public half as a JSON web key set; returns its URI."""
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID}
        point = {"x": _text(numbers.x.to_bytes(32)), "y": _text(numbers.y.to_bytes(32))}
        path.write_text(json.dumps({"keys": [{**key, **point}]}))
        return path.as_uri()

    def token(self, subject: str, *permissions: str) -> str:
        """Return a token; a permission is `NAMESPACE:ROLE`."""
        header = {"alg": "ES256", "typ": "JWT", "kid": KEY_ID}
        claims = {"sub": subject, "permissions": permissions, "exp": int(time.time()) + GOOD_FOR_SECONDS}
        signed = f"{_json(header)}.{_json(claims)}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_text(r.to_bytes(32) + s.to_bytes(32))}"


def _json(value: dict[str, Any]) -> str:
    return _text(json.dumps(value).encode())


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
