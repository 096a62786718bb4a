from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel


class UpdateState(StrEnum):
    """Where an update stands."""

    NEW = "new"
    DONE = "done"
    QUARANTINED = "quarantined"


class KeptUpdate(BaseModel):
    """An update as Telegram sent it.

    Attributes:
        raw: the JSON, readable or not.
        received_at: when it came first.
        attempts: how often it was handled in vain.
        why: what was wrong with a quarantined one; never what people wrote.
    """

    bot: str
    update_id: int
    # Unread: aiogram decodes a batch as a whole, and one update that it cannot read blocks all behind it
    # (docs/decisions/0014).
    raw: Any
    received_at: datetime
    state: UpdateState = UpdateState.NEW
    attempts: int = 0
    why: str = ""


class Inbox(Protocol):
    """Updates that were taken from Telegram, kept until they are handled; one row an `update_id`.

    All methods raise `Unavailable` when the store does not answer.
    """

    async def keep(self, bot: str, updates: Mapping[int, Any], *, now: datetime) -> list[int]:
        """Store raw updates by their id in one transaction; return the ids that were not there before."""
        ...

    async def waiting(self, bot: str, *, after: int = 0, limit: int = 100) -> Sequence[KeptUpdate]:
        """Return what is still to be handled, by id."""
        ...

    async def done(self, bot: str, update_id: int) -> None:
        """Note that it was handled."""
        ...

    async def failed(self, bot: str, update_id: int) -> int:
        """Count one attempt in vain and return how many there were."""
        ...

    async def quarantine(self, bot: str, update_id: int, why: str) -> None:
        """Put it aside for people."""
        ...

    async def quarantined(self, bot: str, *, limit: int = 100) -> Sequence[KeptUpdate]:
        """Return what was put aside, newest first."""
        ...

    async def counts(self, bot: str) -> Mapping[UpdateState, int]:
        """Count the updates in each state."""
        ...

    async def forget(self, bot: str, *, done_before: datetime) -> int:
        """Delete what was done before; quarantined ones stay. Return how many went."""
        ...
