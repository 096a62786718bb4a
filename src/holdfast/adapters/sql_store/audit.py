import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, insert, select

from holdfast.adapters.sql_store import chain
from holdfast.adapters.sql_store.database import Database, Lock
from holdfast.adapters.sql_store.tables import audit
from holdfast.ports.audit import AuditEntry, ChainedEntry, ChainReport

_PAGE: Final = 1000


class SqlAuditLog:
    """The append-only record in a table; see `holdfast.ports.audit.AuditLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Add entries in this order, all or none; those whose key is there already are left out."""
        if entries:
            await self._database.write(lambda connection: _append(connection, entries), lock=Lock.AUDIT)

    async def verify(self, *, expected_head: str = "") -> ChainReport:
        """Walk the whole chain, page by page."""
        walk = chain.Walk(expected_head=expected_head)
        after: int | None = None
        while rows := await asyncio.to_thread(self._page, after, ()):
            for row in rows:
                walk.step(row)
                if walk.broken:
                    return walk.end()
            after = rows[-1]["number"]
        return walk.end()

    def read(self, *, run: str = "", gate: str = "") -> Iterator[ChainedEntry]:
        """Yield the entries, oldest first; all of them, or those of a run or gate."""
        wanted = ((audit.c.run, run), (audit.c.gate, gate))
        where = [column == value for column, value in wanted if value]
        after: int | None = None
        while rows := self._page(after, where):
            yield from map(chain.entry_of, rows)
            after = rows[-1]["number"]

    def _page(self, after: int | None, where: Sequence[ColumnElement[bool]]) -> list[dict[str, Any]]:
        # A transaction each: entries only ever come at the end, and nobody waits for a slow reader.
        query = select(audit).where(*where).order_by(audit.c.number).limit(_PAGE)
        if after is not None:
            query = query.where(audit.c.number > after)
        return self._database.read_now(
            lambda connection: [dict(r) for r in connection.execute(query).mappings()]
        )


def _append(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    wanted: dict[str, AuditEntry] = {}
    for entry in entries:
        wanted.setdefault(chain.storable(entry.key), entry)
    known = set(connection.scalars(select(audit.c.key).where(audit.c.key.in_(wanted))))
    newest = connection.execute(
        select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
    ).first()
    number, previous = newest or (0, chain.BEFORE_THE_FIRST)
    rows: list[dict[str, Any]] = []
    for key in (key for key in wanted if key not in known):
        number += 1
        rows.append(chain.link(wanted[key], number=number, previous=previous))
        previous = rows[-1]["hash"]
    if rows:
        connection.execute(insert(audit), rows)
