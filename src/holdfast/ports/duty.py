from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel

__all__ = ["Cover", "DutyBook"]


class Cover(BaseModel):
    """Somebody who takes a turn, or a part of one, that the rota gives to somebody else.

    Attributes:
        id: a repeated request carries the same id and counts once.
        rota: name in `escalation/duty.yaml`.
        person: who is on duty.
        since, until: from when to when; `until` is not included.
        by: who arranged it.
        note: what the next one should know.
        at: when it was arranged; of two covers for one moment the later one counts.
    """

    id: str
    rota: str
    person: str
    since: datetime
    until: datetime
    by: str
    note: str = ""
    at: datetime


# In the database and not in the file: a cover at 2 a.m. cannot wait for a review (docs/decisions/0016).
class DutyBook(Protocol):
    """Who covers for whom; what the rota says stands in the file.

    All methods raise `Unavailable` when the store does not answer.
    """

    async def put(self, cover: Cover) -> bool:
        """Remember; False when its id is there already."""
        ...

    async def covers(self, rota: str = "", *, since: datetime, until: datetime) -> Sequence[Cover]:
        """Return what touches this time, of one rota or of all, in the order in which it was arranged."""
        ...
