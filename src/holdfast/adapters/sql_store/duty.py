from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from holdfast.adapters.sql_store.chain import storable
from holdfast.adapters.sql_store.database import Database
from holdfast.adapters.sql_store.tables import duty_covers
from holdfast.domain.errors import InvalidInput
from holdfast.ports.duty import Cover


class SqlDutyBook:
    """Who covers for whom; see `holdfast.ports.duty.DutyBook`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, cover: Cover) -> bool:
        """Remember; False when its id is there already.

        Raises:
            InvalidInput: it ends before it begins, or a time has no zone.
        """
        _check(cover)
        row = {name: _stored(value) for name, value in cover.model_dump(exclude={"by"}).items()}
        statement = self._database.insert(duty_covers).values(**row, by_person=storable(cover.by))
        begun = statement.on_conflict_do_nothing(index_elements=["id"]).returning(duty_covers.c.id)
        return await self._database.write(lambda connection: connection.scalar(begun)) is not None

    async def covers(self, rota: str = "", *, since: datetime, until: datetime) -> Sequence[Cover]:
        """Return what touches this time, of one rota or of all, in the order in which it was arranged.

        Where both are one moment: the covers that hold then.
        """
        table = duty_covers.c
        query = select(duty_covers).where(table.until > since, or_(table.since < until, table.since <= since))
        if rota:
            query = query.where(table.rota == rota)
        query = query.order_by(table.at, table.id)
        return await self._database.read(
            lambda connection: [_cover(row) for row in connection.execute(query).mappings()]
        )


def _check(cover: Cover) -> None:
    if any(moment.tzinfo is None for moment in (cover.since, cover.until, cover.at)):
        raise InvalidInput("since, until, at: a time needs its zone, like 2026-12-31T12:00+01:00")
    if cover.until <= cover.since:
        raise InvalidInput(f"until: {cover.until} is not later than since, {cover.since}")


def _stored(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _cover(row: Mapping[Any, Any]) -> Cover:
    return Cover.model_validate({**row, "by": row["by_person"]})
