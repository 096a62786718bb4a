import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, select, update

from holdfast.adapters.sql_store.chain import storable
from holdfast.adapters.sql_store.database import Database
from holdfast.adapters.sql_store.tables import inbox
from holdfast.ports.inbox import KeptUpdate, UpdateState

_OF_BOT: Final = inbox.c.bot == bindparam("of_bot")
_THIS: Final = (_OF_BOT, inbox.c.update_id == bindparam("of_id"))
_IN_STATE: Final = (_OF_BOT, inbox.c.state == bindparam("of_state"))
_WAITING: Final = (
    select(inbox)
    .where(*_IN_STATE, inbox.c.update_id > bindparam("after"))
    .order_by(inbox.c.update_id)
    .limit(bindparam("at_most"))
)
_QUARANTINED: Final = (
    select(inbox)
    .where(*_IN_STATE)
    .order_by(inbox.c.received_at.desc(), inbox.c.update_id.desc())
    .limit(bindparam("at_most"))
)
# What people wrote, codes of their authenticator apps among it, is not kept longer than it is needed.
_DONE: Final = update(inbox).where(*_THIS).values(state=str(UpdateState.DONE), raw=None)
_FAILED: Final = update(inbox).where(*_THIS).values(attempts=inbox.c.attempts + 1).returning(inbox.c.attempts)
_QUARANTINE: Final = (
    update(inbox).where(*_THIS).values(state=str(UpdateState.QUARANTINED), why=bindparam("new_why"))
)
_COUNTS: Final = select(inbox.c.state, func.count()).where(_OF_BOT).group_by(inbox.c.state)
_FORGET: Final = delete(inbox).where(*_IN_STATE, inbox.c.received_at < bindparam("before"))


class SqlInbox:
    """Updates in a table; see `holdfast.ports.inbox.Inbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, bot: str, updates: Mapping[int, Any], *, now: datetime) -> list[int]:
        """Store raw updates by their id in one transaction; return the ids that were not there before."""
        fresh = {"bot": bot, "received_at": now, "state": str(UpdateState.NEW), "attempts": 0, "why": ""}
        rows = [fresh | {"update_id": number, "raw": _stored(raw)} for number, raw in updates.items()]
        if not rows:
            return []
        insert = self._database.insert(inbox).on_conflict_do_nothing().returning(inbox.c.update_id)
        return await self._database.write(lambda connection: sorted(connection.scalars(insert, rows)))

    async def waiting(self, bot: str, *, after: int = 0, limit: int = 100) -> Sequence[KeptUpdate]:
        """Return what is still to be handled, by id."""
        of = {"of_bot": bot, "of_state": str(UpdateState.NEW), "after": after, "at_most": limit}
        return await self._database.read(
            lambda connection: [_kept(row) for row in connection.execute(_WAITING, of).mappings()]
        )

    async def done(self, bot: str, update_id: int) -> None:
        """Note that it was handled; what was written in it is gone."""
        of = {"of_bot": bot, "of_id": update_id}
        await self._database.write(lambda connection: connection.execute(_DONE, of))

    async def failed(self, bot: str, update_id: int) -> int:
        """Count one attempt in vain and return how many there were; 0 for an unknown update."""
        of = {"of_bot": bot, "of_id": update_id}
        return await self._database.write(lambda connection: connection.scalar(_FAILED, of) or 0)

    async def quarantine(self, bot: str, update_id: int, why: str) -> None:
        """Put it aside for people."""
        of = {"of_bot": bot, "of_id": update_id, "new_why": storable(why)}
        await self._database.write(lambda connection: connection.execute(_QUARANTINE, of))

    async def quarantined(self, bot: str, *, limit: int = 100) -> Sequence[KeptUpdate]:
        """Return what was put aside, newest first."""
        of = {"of_bot": bot, "of_state": str(UpdateState.QUARANTINED), "at_most": limit}
        return await self._database.read(
            lambda connection: [_kept(row) for row in connection.execute(_QUARANTINED, of).mappings()]
        )

    async def counts(self, bot: str) -> Mapping[UpdateState, int]:
        """Count the updates in each state; all states are there."""
        return await self._database.read(lambda connection: _counts(connection, bot))

    async def forget(self, bot: str, *, done_before: datetime) -> int:
        """Delete what is done and was received before; return how many went."""
        of = {"of_bot": bot, "of_state": str(UpdateState.DONE), "before": done_before}
        return await self._database.write(lambda connection: connection.execute(_FORGET, of).rowcount)


def _counts(connection: Connection, bot: str) -> Mapping[UpdateState, int]:
    found = connection.execute(_COUNTS, {"of_bot": bot})
    return dict.fromkeys(UpdateState, 0) | {UpdateState(state): number for state, number in found}


def _stored(raw: Any) -> str:
    """Return it as JSON. What cannot be written so is kept as far as possible: it must not stop the intake."""
    try:
        return json.dumps(raw)  # in ASCII: no character in it is one that a database refuses
    except (TypeError, ValueError, RecursionError):
        text = raw.decode(errors="replace") if isinstance(raw, bytes) else "unreadable"
        return json.dumps(text)


def _kept(row: Mapping[Any, Any]) -> KeptUpdate:
    raw = None if row["raw"] is None else json.loads(row["raw"])
    return KeptUpdate.model_validate({**row, "raw": raw})
