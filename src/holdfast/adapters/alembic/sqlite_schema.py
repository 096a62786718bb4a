"""The schema of a file of SQLite, a line each.

SQLite keeps statements as they were typed and edits them on ALTER TABLE, so tables are read part by part by
pragmas, and what is kept as text only (indexes, views, triggers, expressions) is compared word by word.
SQLAlchemy's own inspection passes over expression indexes and the actions of unnamed foreign keys.
"""

import re
from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Connection

_COMMENT: Final = r"--[^\n]*|/\*.*?\*/"
_WORDS: Final = re.compile(
    rf"""{_COMMENT}|('(?:[^']|'')*')|"((?:[^"]|"")*)"|`([^`]*)`|\[([^\]]*)\]|(\w+)|([^\s\w])""", re.DOTALL
)
_TABLES: Final = """
    SELECT l.name, l.type, l.wr, l.strict, coalesce(m.sql, '') AS sql
    FROM pragma_table_list AS l JOIN sqlite_master AS m ON m.name = l.name AND m.type = 'table'
    WHERE l.schema = 'main' AND l.type IN ('table', 'virtual') AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
"""
_STATEMENTS: Final = """
    SELECT type, name, tbl_name, sql FROM sqlite_master
    WHERE type IN ('index', 'view', 'trigger') AND sql IS NOT NULL
"""
_HIDDEN: Final = {1: "HIDDEN", 2: "GENERATED VIRTUAL", 3: "GENERATED STORED"}
_FOREIGN_KEYS: Final = """
    SELECT "table", group_concat("from"), group_concat("to"), on_update, on_delete, match
    FROM (SELECT * FROM pragma_foreign_key_list(?) ORDER BY id, seq) GROUP BY id
"""
_UNIQUE_KEYS: Final = """
    SELECT (SELECT group_concat(name) FROM (SELECT name FROM pragma_index_info(l.name) ORDER BY seqno))
    FROM pragma_index_list(?) AS l WHERE l.origin = 'u'
"""
_COLUMNS: Final = 'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)'


def lines(connection: Connection, left_out: Collection[str]) -> Iterator[str]:
    """Yield what the schema consists of, without the tables that are left out."""
    for table in connection.exec_driver_sql(_TABLES).all():
        if table.name not in left_out:
            yield from _table(connection, table)
    for kind, name, table_name, sql in connection.exec_driver_sql(_STATEMENTS).all():
        if table_name not in left_out:
            yield f"{kind} {name}: {normalised(sql)}"


def normalised(sql: str | None) -> str:
    """Return a statement's words with one space between; quotes around names and comments do not count."""
    return " ".join(_words(sql))


def _words(sql: str | None) -> list[str]:
    words: list[str] = []
    for match in _WORDS.finditer(sql or ""):
        text, *names = match.groups()
        words += [text] if text else [name.lower() for name in names if name]
    return words


def _table(connection: Connection, table: Any) -> Iterator[str]:
    name, words = table.name, _words(table.sql)
    if table.type == "virtual":
        yield f"table {name}: {' '.join(words)}"
        return
    yield f"table {name}: {_options(table, words)}"
    columns = connection.exec_driver_sql(_COLUMNS, (name,)).all()
    for column in columns:
        yield f"column {name}.{column.name}: {_column(column)}"
    key = [c.name for c in sorted(columns, key=lambda c: c.pk) if c.pk]
    if key:
        yield f"primary key of {name}: {', '.join(key)}"
    for there, columns_here, columns_there, *actions in connection.exec_driver_sql(_FOREIGN_KEYS, (name,)):
        yield f"foreign key of {name} ({columns_here}): {there} ({columns_there or ''}) {' '.join(actions)}"
    for (unique,) in connection.exec_driver_sql(_UNIQUE_KEYS, (name,)):
        yield f"unique key of {name} ({unique}): "
    yield from _kept_as_text(name, words)


def _options(table: Any, words: list[str]) -> str:
    # No pragma tells these words of columns and keys, nor that there are as many as before.
    told = sorted(word for word in words if word in {"autoincrement", "deferrable", "deferred"})
    told += sorted(f"collate {after}" for word, after in pairwise(words) if word == "collate")
    told += ["without rowid"] if table.wr else []
    return " ".join([*told, "strict"] if table.strict else told)


def _column(column: Any) -> str:
    parts = [" ".join(column.type.upper().split())]
    parts += ["NOT NULL"] if column.notnull else []
    parts += [f"DEFAULT {normalised(column.dflt_value)}"] if column.dflt_value is not None else []
    parts += [_HIDDEN[column.hidden]] if column.hidden else []
    return " ".join(parts)


def _kept_as_text(table: str, words: list[str]) -> Iterator[str]:
    """Yield what no pragma tells: names of constraints, and the expressions of checks and generated columns."""
    for number, (word, after) in enumerate(pairwise(words)):
        if word == "constraint":
            yield f"constraint {after} of {table}: {words[number + 2] if number + 2 < len(words) else ''}"
        elif after == "(" and word in {"check", "as"}:
            kind = "check" if word == "check" else "generated column"
            yield f"{kind} of {table} ({_in_brackets(words[number + 1 :])}): "


def _in_brackets(words: list[str]) -> str:
    depth = 0
    for number, word in enumerate(words):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if not depth:
            return " ".join(words[1:number])
    return " ".join(words)
