from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, Field


class AuditKind(StrEnum):
    """What is kept on record."""

    REQUEST = "request"
    REMINDER = "reminder"
    WARNING = "warning"
    ESCALATION = "escalation"
    DELEGATION = "delegation"
    EXTENSION = "extension"
    DECISION = "decision"
    REFUSAL = "refusal"
    EXPIRY = "expiry"
    VOIDING = "voiding"
    CLOSING = "closing"
    ROLLBACK = "rollback"  # somebody asked for one
    CODE = "code"  # an approval code was handed out
    ENROLMENT = "enrolment"  # of an authenticator app
    MESSAGE = "message"  # somebody decided about one of unknown fate


class AuditEntry(BaseModel):
    """One thing that happened, before it is chained.

    Attributes:
        key: an entry of a key that is there already is not written again, so that a repeated step records once.
        at: when it happened.
        kind: what happened.
        run, gate: where; empty for what belongs to no run.
        person: who did it, or to whom it was done; empty for the system.
        channel: through which channel.
        text: one sentence for people.
        data: what a script may want besides: proofs, evidence, whose vote, the message's id.
    """

    key: str = Field(min_length=1)
    at: datetime
    kind: AuditKind
    run: str = ""
    gate: str = ""
    person: str = ""
    channel: str = ""
    text: str
    data: dict[str, Any] = Field(default_factory=dict[str, Any])


# Hashes without a key: an auditor can check an export with a few lines, without us and without a secret
# (docs/decisions/0007).
class ChainedEntry(AuditEntry):
    """An entry on record: `hash` is the SHA-256 of everything else in it, `previous` included."""

    number: int
    previous: str
    hash: str


class ChainReport(BaseModel):
    """Whether the record is whole.

    Attributes:
        entries: how many were read.
        head: hash of the newest; whoever kept it can tell later whether the end was cut off.
        broken_at: number of the first entry that is not as it was written or does not follow the one before.
        problem: what is wrong with it.
    """

    entries: int
    head: str
    broken_at: int | None = None
    problem: str = ""


class AuditLog(Protocol):
    """The append-only record. All methods raise `Unavailable` when the store does not answer."""

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Add entries in this order, all or none; those whose key is there already are left out."""
        ...

    async def verify(self, *, expected_head: str = "") -> ChainReport:
        """Walk the whole chain; `expected_head` must be one of its hashes, else the end was cut off."""
        ...

    def read(self, *, run: str = "", gate: str = "") -> Iterable[ChainedEntry]:
        """Yield the entries, oldest first; all of them, or those of a run or gate."""
        ...
