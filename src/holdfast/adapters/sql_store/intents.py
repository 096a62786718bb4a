import json
from datetime import datetime

from sqlalchemy import RowMapping, delete, select

from holdfast.adapters.sql_store.database import Database
from holdfast.adapters.sql_store.tables import intents
from holdfast.ports.identity import Intent


class SqlIntents:
    """One intent a person and chat; see `holdfast.ports.identity.Intents`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, intent: Intent) -> None:
        """Remember; replaces an earlier one of the same person and chat."""
        row = intent.model_dump() | {"data": json.dumps(intent.data)}
        new = {name: row[name] for name in ("kind", "data", "expires_at")}
        statement = self._database.insert(intents).values(row)
        statement = statement.on_conflict_do_update(index_elements=["person", "chat"], set_=new)
        await self._database.write(lambda connection: connection.execute(statement))

    async def peek(self, person: str, chat: str, *, now: datetime) -> Intent | None:
        """Return it, and keep it; None when there is none, or it is too old."""
        statement = select(intents).where(intents.c.person == person, intents.c.chat == chat)
        row = await self._database.read(lambda connection: connection.execute(statement).mappings().first())
        return _intent(row, now)

    async def take(self, person: str, chat: str, *, now: datetime) -> Intent | None:
        """Return and forget it; None when there is none, or it is too old."""
        statement = delete(intents).where(intents.c.person == person, intents.c.chat == chat).returning(intents)
        row = await self._database.write(lambda connection: connection.execute(statement).mappings().first())
        return _intent(row, now)


def _intent(row: RowMapping | None, now: datetime) -> Intent | None:
    if row is None or row["expires_at"] <= now:
        return None
    return Intent.model_validate({**row, "data": json.loads(row["data"])})
