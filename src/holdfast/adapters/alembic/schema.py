"""The canonical text of a schema, its fingerprint, and how two schemas differ."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from holdfast.adapters.alembic import postgresql_schema, sqlite_schema
from holdfast.adapters.alembic.records import TABLE

_DIGITS: Final = 12
_MOST_NAMED: Final = 8
_LONGEST_DEFINITION: Final = 120


@dataclass(frozen=True)
class Schema:
    """Everything that a schema consists of, a line each: `index orders_customer: CREATE INDEX …`.

    The order in which things were made, and the order of columns, do not count.
    """

    lines: frozenset[str]

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits, the same for the same schema."""
        return hashlib.sha256("\n".join(sorted(self.lines)).encode()).hexdigest()[:_DIGITS]

    def differences(self, expected: "Schema") -> str:
        """Name what differs from what is expected, e.g. `index orders_customer is missing`."""
        found, wanted = _by_object(self.lines - expected.lines), _by_object(expected.lines - self.lines)
        names = sorted(found | wanted)
        told = [_difference(name, found.get(name), wanted.get(name)) for name in names[:_MOST_NAMED]]
        more = len(names) - len(told)
        return "; ".join(told) + (f"; and {more} more" if more else "")


def read_schema(connection: Connection, version_table: str) -> Schema:
    """Read the schema without the two tables that keep its history."""
    left_out: Collection[str] = (version_table, TABLE)
    reader = sqlite_schema if connection.dialect.name == "sqlite" else postgresql_schema
    return Schema(frozenset(reader.lines(connection, left_out)))


def _by_object(lines: frozenset[str]) -> dict[str, str]:
    return {name: definition for name, _, definition in (line.partition(": ") for line in lines)}


def _difference(name: str, found: str | None, wanted: str | None) -> str:
    if wanted is None:
        return f"{name} should not be there"
    if found is None:
        return f"{name} is missing"
    return f"{name} is '{_short(found)}' instead of '{_short(wanted)}'"


def _short(definition: str) -> str:
    line = " ".join(definition.split())
    return line if len(line) <= _LONGEST_DEFINITION else line[:_LONGEST_DEFINITION] + "…"
