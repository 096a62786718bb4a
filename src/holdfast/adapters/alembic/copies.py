"""Copies of a schema without its data, for a dry run; they vanish afterwards."""

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
import structlog
from sqlalchemy import URL, Connection, MetaData, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from holdfast.adapters.alembic import postgresql_schema
from holdfast.adapters.alembic.database import (
    DRY_RUN_LOCK,
    LOCK_FAMILY,
    NO_SUCH_RIGHT,
    Database,
    Handle,
    sqlstate,
)
from holdfast.adapters.alembic.pg_dump import dump_schema
from holdfast.adapters.alembic.postgresql_schema import DRY_RUN_MARK
from holdfast.domain.errors import InvalidInput

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
# Shadow tables of virtual ones make themselves; what begins with sqlite_ does too.
_STATEMENTS: Final = """
    SELECT m.sql FROM sqlite_master AS m
    LEFT JOIN pragma_table_list AS l ON l.schema = 'main' AND l.name = m.name
    WHERE m.sql IS NOT NULL AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND coalesce(l.type, '') <> 'shadow'
    ORDER BY CASE m.type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, m.rowid
"""
_LIKE_THIS_ONE: Final = """
    SELECT oid, quote_literal(pg_encoding_to_char(encoding)) AS encoding,
        quote_literal(datcollate) AS lc_collate, quote_literal(datctype) AS lc_ctype
    FROM pg_database WHERE datname = current_database()
"""
_OTHER_SCHEMAS: Final = (
    "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN {}"
)


@contextmanager
def copy_of(
    real: Database, *, dry_run_url: URL | None, dry_run_field: str, handle: Handle
) -> Generator[Database]:
    """Yield a database with the same schema and no data.

    Args:
        real: what is copied; only read.
        dry_run_url: an empty database of PostgreSQL; without one, one is made beside the real one.
        dry_run_field: how people call it.
        handle: stops it.

    Raises:
        InvalidInput: no copy can be made; the text says what would help.
        Unavailable: the database does not answer.
    """
    name = f"the copy of the schema of {real.name}"
    if real.is_sqlite:
        with tempfile.TemporaryDirectory(prefix="holdfast-dry-run-") as directory:
            yield _sqlite_copy(name, real, Path(directory) / "copy.db", handle)
    elif dry_run_url:
        given = Database(name, dry_run_url, real.lock_timeout)
        with _emptied(given, dry_run_field, handle):
            _load(real, given, handle)
            yield given
    else:
        with _made_beside(real, name, dry_run_field, handle) as made:
            _load(real, made, handle)
            yield made


def _sqlite_copy(name: str, real: Database, path: Path, handle: Handle) -> Database:
    with real.transaction(handle) as connection:
        statements = list(connection.exec_driver_sql(_STATEMENTS).scalars())
    copy = Database(name, URL.create("sqlite", database=str(path)), real.lock_timeout)
    with copy.transaction(handle, writes=True) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    return copy


@contextmanager
def _made_beside(real: Database, name: str, dry_run_field: str, handle: Handle) -> Generator[Database]:
    with real.autocommit(handle) as admin:
        # Whoever has the lock owns the scratch database: what is found there was left by a worker that died.
        admin.execute(text(f"SELECT pg_advisory_lock({LOCK_FAMILY}, {DRY_RUN_LOCK})"))
        like = admin.execute(text(_LIKE_THIS_ONE)).one()
        scratch = f"{DRY_RUN_MARK}_{like.oid}"
        drop = text(f"DROP DATABASE IF EXISTS {scratch} WITH (FORCE)")
        create = (
            f"CREATE DATABASE {scratch} TEMPLATE template0 ENCODING {like.encoding} "
            f"LC_COLLATE {like.lc_collate} LC_CTYPE {like.lc_ctype}"
        )
        admin.execute(drop)
        try:
            admin.exec_driver_sql(create)
        except DBAPIError as error:
            if sqlstate(error) != NO_SUCH_RIGHT:
                raise
            raise InvalidInput(
                f"{real.name}: its user may not make a database for the dry run: grant it CREATEDB, or name "
                f"an empty database in {dry_run_field}"
            ) from None
        try:
            yield Database(name, real.url.set(database=scratch), real.lock_timeout)
        finally:
            with suppress(DBAPIError):  # the server is gone: the next dry run drops it
                admin.execute(drop)


@contextmanager
def _emptied(given: Database, dry_run_field: str, handle: Handle) -> Generator[None]:
    with given.autocommit(handle) as admin:
        admin.execute(text(f"SELECT pg_advisory_lock({LOCK_FAMILY}, {DRY_RUN_LOCK})"))
        marked = text(f"SELECT FROM pg_namespace WHERE nspname = '{DRY_RUN_MARK}'")
        if admin.execute(marked).first() is not None:
            _empty(admin)  # a worker died here
        with given.transaction(handle) as connection:
            found = next(postgresql_schema.lines(connection, [""]), None)
        if found:
            raise InvalidInput(
                f"{dry_run_field}: the database has to be empty, and there is {found.partition(': ')[0]}: name "
                "another one, or empty it"
            )
        admin.execute(text(f"CREATE SCHEMA {DRY_RUN_MARK}"))
        try:
            yield
        finally:
            with suppress(DBAPIError):  # the server is gone: the mark stays, and the next dry run empties it
                _empty(admin)


def _empty(admin: Connection) -> None:
    """Drop everything, the mark last."""
    for extension in admin.execute(text("SELECT quote_ident(extname) FROM pg_extension")).scalars().all():
        if extension != "plpgsql":
            admin.exec_driver_sql(f"DROP EXTENSION {extension} CASCADE")
    others = _OTHER_SCHEMAS.format(f"('information_schema', '{DRY_RUN_MARK}')")
    for schema in admin.execute(text(others)).scalars().all():
        admin.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    admin.exec_driver_sql("CREATE SCHEMA public")
    admin.exec_driver_sql(f"DROP SCHEMA {DRY_RUN_MARK} CASCADE")


def _load(real: Database, copy: Database, handle: Handle) -> None:
    dump = dump_schema(real, handle)
    try:
        if dump is None:
            _log.warning(
                "dry run without pg_dump: the schema's copy has tables, keys and indexes only",
                database=real.name,
            )
            _load_reflected(real, copy, handle)
            return
        with copy.transaction(handle, writes=True) as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute(dump)  # as it is: a colon or a per cent sign means nothing in there
    except (psycopg.Error, SQLAlchemyError) as error:
        handle.check()
        raise InvalidInput(f"{copy.name} could not be made: {copy.first_line(error)}") from None


def _load_reflected(real: Database, copy: Database, handle: Handle) -> None:
    metadata = MetaData()
    with real.transaction(handle) as connection:
        inspector = inspect(connection)
        schemas = [s for s in inspector.get_schema_names() if s not in {"public", "information_schema"}]
        for schema in [None, *schemas]:
            metadata.reflect(connection, schema=schema, resolve_fks=False)
    with copy.transaction(handle, writes=True) as connection:
        for schema in schemas:
            quote: Callable[[str], str] = connection.dialect.identifier_preparer.quote
            connection.exec_driver_sql(f"CREATE SCHEMA {quote(schema)}")
        metadata.create_all(connection)
