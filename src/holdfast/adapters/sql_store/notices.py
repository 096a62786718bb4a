from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select, update

from holdfast.adapters.sql_store.database import Database
from holdfast.adapters.sql_store.tables import notices
from holdfast.domain.view import MessageRef
from holdfast.ports.notices import SentNotice

_UNSENT = "unsent"


class SqlNoticeBook:
    """What was sent where; see `holdfast.ports.notices.NoticeBook`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, notice: SentNotice) -> bool:
        """Write a notice down as `sending`; False when its key is there already."""
        row = notice.model_dump() | {"message": _stored(notice.message), "kind": str(notice.kind)}
        statement = self._database.insert(notices).values(row).on_conflict_do_nothing(index_elements=["key"])
        begun = statement.returning(notices.c.key)
        return await self._database.write(lambda connection: connection.scalar(begun)) is not None

    async def finish(self, key: str, *, state: str, message: MessageRef | None = None) -> None:
        """Set what became of it; a message that is known already stays. `unsent` removes the notice."""
        known = {} if message is None else {"message": _stored(message)}
        change = update(notices).values(state=state, **known)
        statement = (delete(notices) if state == _UNSENT else change).where(notices.c.key == key)
        await self._database.write(lambda connection: connection.execute(statement))

    async def of_gate(self, run: str, gate: str) -> Sequence[SentNotice]:
        """Return everything that was sent about a gate, oldest first."""
        query = select(notices).where(notices.c.run == run, notices.c.gate == gate)
        query = query.order_by(notices.c.at, notices.c.key)
        return await self._database.read(
            lambda connection: [_notice(row) for row in connection.execute(query).mappings()]
        )


def _stored(message: MessageRef | None) -> str | None:
    return None if message is None else message.model_dump_json()


def _notice(row: Mapping[Any, Any]) -> SentNotice:
    message = row["message"] and MessageRef.model_validate_json(row["message"])
    return SentNotice.model_validate({**row, "message": message})
