"""The schema of a PostgreSQL database, a line each, in the words of the server's own `pg_get_…def` functions.

They tell what an inspection by column would miss: predicates and classes of indexes, deferrable keys, triggers.
"""

import re
from collections.abc import Collection, Iterator
from typing import Final

from sqlalchemy import Connection, bindparam, text

DRY_RUN_MARK: Final = "holdfast_dry_run"

# A list of texts in a check is written differently by the server once it went through pg_dump and back:
# (ARRAY['a'::character varying])::text[] comes back as ARRAY[('a'::character varying)::text].
_TEXT_CAST: Final = re.compile(r"::(?:character varying|text)(?:\(\d+\))?(?:\[\])?(?!\w)")
_NEEDLESS: Final = re.compile(r"\(('(?:[^']|'')*'|ARRAY\[[^\[\]]*\])\)")

_OWN: Final = """
WITH spaces AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', :mark)
), bound AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), own AS (
    SELECT c.*, format('%I.%I', s.nspname, c.relname) AS name
    FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace
    WHERE c.relname NOT IN :left_out
    AND NOT EXISTS (SELECT FROM bound b WHERE b.classid = 'pg_class'::regclass AND b.objid = c.oid)
), types AS (
    SELECT t.*, format('%I.%I', s.nspname, t.typname) AS name
    FROM pg_type t JOIN spaces s ON s.oid = t.typnamespace
    WHERE NOT EXISTS (SELECT FROM bound b WHERE b.classid = 'pg_type'::regclass AND b.objid = t.oid)
)
"""

_SCHEMAS: Final = "SELECT 'schema ' || quote_ident(nspname) || ': ' FROM spaces WHERE nspname <> 'public'"
_EXTENSIONS: Final = "SELECT 'extension ' || extname || ': ' FROM pg_extension WHERE extname <> 'plpgsql'"
_TABLES: Final = """
SELECT 'table ' || name || ': ' || concat_ws(' ',
    CASE relkind WHEN 'f' THEN 'foreign' WHEN 'c' THEN 'type' END,
    CASE relpersistence WHEN 'u' THEN 'unlogged' END,
    'partition by ' || pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid),
    CASE WHEN relrowsecurity THEN 'row security' END,
    (SELECT 'inherits ' || string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno)
     FROM pg_inherits WHERE inhrelid = own.oid))
FROM own WHERE relkind IN ('r', 'p', 'f', 'c')
"""
_COLUMNS: Final = """
SELECT 'column ' || own.name || '.' || quote_ident(a.attname) || ': ' || concat_ws(' ',
    format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END,
    CASE WHEN a.attnotnull THEN 'NOT NULL' END,
    'IDENTITY ' || nullif(a.attidentity::text, ''), 'GENERATED ' || nullif(a.attgenerated::text, ''),
    'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid))
FROM own JOIN pg_attribute a ON a.attrelid = own.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = own.oid AND d.adnum = a.attnum
WHERE own.relkind IN ('r', 'p', 'f', 'c')
"""
_CONSTRAINTS: Final = """
SELECT 'constraint ' || quote_ident(k.conname) || ' of ' || own.name || ': ' || pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN own ON own.oid = k.conrelid WHERE k.contype IN ('p', 'u', 'f', 'c', 'x')
"""
_INDEXES: Final = """
SELECT 'index ' || i.indexrelid::regclass || ': ' || pg_get_indexdef(i.indexrelid)
    || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END
FROM pg_index i JOIN own ON own.oid = i.indrelid
WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
"""
_VIEWS: Final = """
SELECT CASE relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || name || ': ' || pg_get_viewdef(oid)
FROM own WHERE relkind IN ('v', 'm')
"""
_SEQUENCES: Final = """
SELECT 'sequence ' || own.name || ': ' || concat_ws(' ', format_type(q.seqtypid, NULL),
    q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle,
    (SELECT 'owned by ' || d.refobjid::regclass || '.' || a.attname FROM pg_depend d
     JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE d.classid = 'pg_class'::regclass AND d.objid = own.oid AND d.deptype IN ('a', 'i') LIMIT 1))
FROM pg_sequence q JOIN own ON own.oid = q.seqrelid
"""
_ENUMS: Final = """
SELECT 'enum ' || name || ': ' || (
    SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
    FROM pg_enum e WHERE e.enumtypid = types.oid)
FROM types WHERE typtype = 'e' AND EXISTS (SELECT FROM pg_enum e WHERE e.enumtypid = types.oid)
"""
_DOMAINS: Final = """
SELECT 'domain ' || name || ': ' || concat_ws(' ', format_type(typbasetype, typtypmod),
    CASE WHEN typnotnull THEN 'NOT NULL' END, 'DEFAULT ' || typdefault,
    (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname)
     FROM pg_constraint k WHERE k.contypid = types.oid AND k.contype = 'c'))
FROM types WHERE typtype = 'd'
"""
_FUNCTIONS: Final = """
SELECT 'function ' || p.oid::regprocedure || ': ' || pg_get_functiondef(p.oid)
FROM pg_proc p JOIN spaces s ON s.oid = p.pronamespace
WHERE p.prokind IN ('f', 'p')
AND NOT EXISTS (SELECT FROM bound b WHERE b.classid = 'pg_proc'::regclass AND b.objid = p.oid)
"""
_TRIGGERS: Final = """
SELECT 'trigger ' || quote_ident(g.tgname) || ' of ' || own.name || ': ' || pg_get_triggerdef(g.oid)
    || CASE g.tgenabled WHEN 'O' THEN '' ELSE ' ' || g.tgenabled::text END
FROM pg_trigger g JOIN own ON own.oid = g.tgrelid WHERE NOT g.tgisinternal
"""
_POLICIES: Final = """
SELECT 'policy ' || quote_ident(y.polname) || ' of ' || own.name || ': ' || concat_ws(' ', y.polcmd,
    y.polpermissive, pg_get_expr(y.polqual, own.oid), pg_get_expr(y.polwithcheck, own.oid))
FROM pg_policy y JOIN own ON own.oid = y.polrelid
"""
_WITH_EXPRESSIONS: Final = (_TABLES, _COLUMNS, _CONSTRAINTS, _INDEXES, _VIEWS, _DOMAINS, _TRIGGERS, _POLICIES)
_LITERAL: Final = (_SCHEMAS, _EXTENSIONS, _SEQUENCES, _ENUMS, _FUNCTIONS)


def lines(connection: Connection, left_out: Collection[str]) -> Iterator[str]:
    """Yield what the schema consists of, without the tables that are left out and what extensions brought."""
    # An empty search path makes the server write every name in full; rolling back brings the old path back.
    with connection.begin_nested() as here:
        connection.execute(text("SET LOCAL search_path = ''"))
        found = [normalised(line) for query in _WITH_EXPRESSIONS for line in _ask(connection, query, left_out)]
        found += [line for query in _LITERAL for line in _ask(connection, query, left_out)]
        here.rollback()
    yield from found


def normalised(line: str) -> str:
    """Return an expression's text as it is before and after a way through pg_dump."""
    shorter = _TEXT_CAST.sub("", line) if "(" in line or "'" in line else line
    while (again := _NEEDLESS.sub(r"\1", shorter)) != shorter:
        shorter = again
    return shorter


def _ask(connection: Connection, query: str, left_out: Collection[str]) -> list[str]:
    statement = text(_OWN + query).bindparams(bindparam("left_out", expanding=True))
    return list(connection.execute(statement, {"left_out": list(left_out), "mark": DRY_RUN_MARK}).scalars())
