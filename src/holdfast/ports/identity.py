from datetime import datetime
from typing import Protocol

from pydantic import BaseModel

from holdfast.domain.errors import HoldfastError


class CodeRefused(HoldfastError):
    """A code of an authenticator app did not count; the text says why and what to do."""


class Enrolment(BaseModel):
    """A new secret that has to be confirmed by one code before it counts.

    Attributes:
        uri: `otpauth://…` for the authenticator app, usually as a QR code; secret.
        secret: the same for typing; secret.
    """

    uri: str
    secret: str


class SecondFactor(Protocol):
    """Time-based one-time codes of authenticator apps (RFC 6238); secrets are encrypted at rest.

    All methods raise `Unavailable` when the store does not answer.
    """

    async def enrolled(self, person: str) -> bool:
        """Whether the person has a confirmed secret."""
        ...

    async def enrol(self, person: str, *, now: datetime) -> Enrolment:
        """Begin an enrolment and return the new secret; an earlier unconfirmed one is forgotten.

        Raises:
            CodeRefused: the person is enrolled already; an admin has to remove that first.
        """
        ...

    async def confirm(self, person: str, code: str, *, now: datetime) -> None:
        """Finish an enrolment by its first code.

        Raises:
            CodeRefused: no enrolment was begun or it is too old, the code is wrong, or there were too many
                guesses.
        """
        ...

    async def verify(self, person: str, code: str, *, now: datetime) -> None:
        """Check a code; each is good once, guesses are counted and limited.

        Raises:
            CodeRefused: not enrolled, wrong, used before, or locked after too many wrong guesses.
        """
        ...

    async def remove(self, person: str) -> bool:
        """Forget a person's secret, e.g. after a lost phone; False when there was none."""
        ...


class Intent(BaseModel):
    """What a person began in a chat and has to finish by a message: a reason, a code of the authenticator app.

    Attributes:
        person: who.
        chat: where the rest is awaited.
        kind: what is awaited, e.g. `totp`, `reason`.
        data: what it is for; belongs to the asker.
        expires_at: forgotten after this.
    """

    person: str
    chat: str
    kind: str
    data: dict[str, str]
    expires_at: datetime


class Intents(Protocol):
    """Remembers one intent a person and chat, over restarts of the bot."""

    async def put(self, intent: Intent) -> None:
        """Remember; replaces an earlier one of the same person and chat."""
        ...

    async def peek(self, person: str, chat: str, *, now: datetime) -> Intent | None:
        """Return it, and keep it; None when there is none, or it is too old."""
        ...

    async def take(self, person: str, chat: str, *, now: datetime) -> Intent | None:
        """Return and forget it; None when there is none, or it is too old."""
        ...
