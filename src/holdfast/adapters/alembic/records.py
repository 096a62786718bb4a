"""`holdfast_changes`: which of our writes have been committed; kept in the migrated database itself."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Column, Connection, DateTime, MetaData, Table, Text, inspect, select

TABLE: Final = "holdfast_changes"
_changes: Final = Table(
    TABLE,
    MetaData(),
    Column("key", Text, primary_key=True),
    Column("revision_before", Text, nullable=False),
    Column("revision_after", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)


def is_done(connection: Connection, key: str) -> bool:
    """Tell whether the write with this key has been committed."""
    if not inspect(connection).has_table(TABLE):
        return False
    return connection.execute(select(_changes.c.key).where(_changes.c.key == key)).first() is not None


def record(connection: Connection, key: str, before: str, after: str) -> None:
    """Note, in the transaction of the write itself, that it happened; the table is made if it is missing."""
    _changes.create(connection, checkfirst=True)
    values = {"key": key, "revision_before": before, "revision_after": after, "at": datetime.now(UTC)}
    connection.execute(_changes.insert().values(values))
