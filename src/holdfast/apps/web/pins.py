"""One-time PINs by e-mail, for people who have neither an authenticator app nor the bot."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final

from holdfast.domain.links import LinkClaim
from holdfast.domain.proofs import Keyring
from holdfast.ports.identity import CodeRefused, Intent, Intents

GOOD_FOR: Final = timedelta(minutes=10)
_PURPOSE: Final = "web-pin"
_DIGITS: Final = 8
_MOST_GUESSES: Final = 5
_PAUSE: Final = timedelta(minutes=1)


class Pins:
    """Makes and checks PINs; each is good once, for one person and gate, for ten minutes and five guesses."""

    def __init__(self, keyring: Keyring, intents: Intents) -> None:
        """Remember only a keyed hash of each PIN."""
        self._keyring = keyring
        self._intents = intents

    async def issue(self, claim: LinkClaim, *, now: datetime) -> str:
        """Return a new PIN; the one before is void.

        Raises:
            CodeRefused: one was sent less than a minute ago.
        """
        earlier = await self._intents.take(claim.person, _chat(claim), now=now)
        if earlier is not None and now - (earlier.expires_at - GOOD_FOR) < _PAUSE:
            await self._intents.put(earlier)
            raise CodeRefused("A PIN was sent less than a minute ago. Look into your mailbox, also under spam.")
        pin = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"
        hashed = _hash(self._keyring.derive(_PURPOSE), claim, pin)
        await self._put(claim, {"hash": hashed, "guesses": "0"}, now + GOOD_FOR)
        return pin

    async def withdraw(self, claim: LinkClaim, *, now: datetime) -> None:
        """Forget a PIN that could not be sent."""
        await self._intents.take(claim.person, _chat(claim), now=now)

    async def verify(self, claim: LinkClaim, typed: str, *, now: datetime) -> None:
        """Check a PIN, and use it up.

        Raises:
            CodeRefused: there is none, or it is wrong; the text says what to do.
        """
        pin = "".join(typed.replace("-", "").split())
        if not pin:
            raise CodeRefused(
                "Write the PIN from the e-mail. If you have none, press “Send me a PIN by e-mail”."
            )
        intent = await self._intents.take(claim.person, _chat(claim), now=now)
        if intent is None:
            raise CodeRefused(
                "There is no PIN for this gate: it was used, is older than 10 minutes, or was never sent. "
                "Press “Send me a PIN by e-mail”."
            )
        if not self._fits(claim, pin, intent):
            await self._count(claim, intent)

    def _fits(self, claim: LinkClaim, pin: str, intent: Intent) -> bool:
        hashes = [_hash(key, claim, pin) for key in self._keyring.derive_all(_PURPOSE)]
        return any(hmac.compare_digest(h, intent.data["hash"]) for h in hashes)

    async def _count(self, claim: LinkClaim, intent: Intent) -> None:
        left = _MOST_GUESSES - int(intent.data["guesses"]) - 1
        if left <= 0:
            raise CodeRefused(
                "That PIN is wrong, as the four before; the one that was sent is void. Have another sent."
            )
        await self._put(
            claim, intent.data | {"guesses": str(int(intent.data["guesses"]) + 1)}, intent.expires_at
        )
        raise CodeRefused(f"That PIN is wrong. You can try {left} more time(s).")

    async def _put(self, claim: LinkClaim, data: dict[str, str], expires_at: datetime) -> None:
        await self._intents.put(
            Intent(person=claim.person, chat=_chat(claim), kind="web-pin", data=data, expires_at=expires_at)
        )


def _chat(claim: LinkClaim) -> str:
    return f"web:{claim.run}/{claim.gate}"


def _hash(key: bytes, claim: LinkClaim, pin: str) -> str:
    about = f"{claim.run}\n{claim.gate}\n{claim.execution}\n{claim.person}\n{pin}"
    return hmac.digest(key, about.encode(), hashlib.sha256).hex()
