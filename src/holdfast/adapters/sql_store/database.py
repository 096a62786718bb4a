"""Connections, transactions, failures; what differs between SQLite and PostgreSQL is here and in migrations."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from holdfast.adapters.sql_store.sqlite_writer import SqliteWriter
from holdfast.domain.errors import InvalidInput, Unavailable

T = TypeVar("T")

_PATIENCE_SECONDS: Final = 30
_AGAIN_SECONDS: Final = 0.01
_SQLITE_CONNECTIONS: Final = 33
_WRITES: Final = "holdfast_writes"
_LOCK_FAMILY: Final = 0x486F6C64  # "Hold": keeps our advisory locks apart from those of others in the database
_KNOWN: Final = "sqlite:////path/holdfast.db or postgresql+psycopg://user:password@host/name"
# A connection whose other end vanished without a word is given up after this, not after two hours.
_POSTGRESQL_CONNECTION: Final = {
    "application_name": "holdfast",
    "connect_timeout": 10,
    "keepalives_idle": _PATIENCE_SECONDS,
    "tcp_user_timeout": _PATIENCE_SECONDS * 1000,
}


class Lock(IntEnum):
    """What only one process may do at a time."""

    MIGRATION = 1
    AUDIT = 2
    DELEGATIONS = 3
    VERDICTS = 4


class Database:
    """Runs work in transactions, in threads of their own."""

    def __init__(self, url: str) -> None:
        """Prepare; see `SqlStore`."""
        self._url = _read_url(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _sqlite(self._url) if self.is_sqlite else _postgresql(self._url)
        self._writer = SqliteWriter(self._writing) if self.is_sqlite else None

    @property
    def name(self) -> str:
        """What a person is told of where it is; never the password."""
        if self.is_sqlite:
            return f"the database file {self._url.database}"
        host = self._url.host or self._url.query.get("host") or "this machine"
        return f"the PostgreSQL database '{self._url.database}' on {host}:{self._url.port or 5432}"

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` read.

        Raises:
            Unavailable: the database does not answer.
        """
        return await asyncio.to_thread(self.read_now, work)

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """Do the same in this thread."""
        with self._answering(), self._engine.connect() as connection, connection.begin():
            return work(connection)

    async def write(self, work: Callable[[Connection], T], *, lock: Lock | None = None) -> T:
        """Return what `work` returned after it was committed, all or nothing.

        Args:
            work: what to do; must not be long, others wait.
            lock: which of the things that only one process does at a time.

        Raises:
            Unavailable: the database does not answer; after a broken connection the work may have been done.
        """
        if self._writer is not None:
            return await self._writer.write(work, alone=lock is not None)
        return await asyncio.to_thread(self._write_now, work, lock)

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.to_thread(self._engine.dispose)

    def insert(self, table: Table) -> "sqlite.Insert | postgresql.Insert":
        """Begin an INSERT that can say what to do on a conflict."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def _write_now(self, work: Callable[[Connection], T], lock: Lock | None) -> T:
        with self._writing() as connection:
            _wait_for(connection, lock)
            return work(connection)

    @contextmanager
    def _writing(self) -> Generator[Connection]:
        with self._answering(), self._engine.connect() as connection:
            connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @contextmanager
    def _answering(self) -> Generator[None]:
        try:
            yield
        except PoolTimeoutError:
            raise Unavailable(f"{self.name} is too busy: all connections are in use") from None
        except (OperationalError, InterfaceError, InternalError) as error:
            raise Unavailable(f"{self.name} does not answer: {self.reason(error)}") from error

    def reason(self, error: OperationalError | InterfaceError | InternalError) -> str:
        """Return the driver's own words on one line, without the password."""
        words = " ".join(str(error.orig).split()) or type(error.orig).__name__
        return words.replace(str(self._url.password), "***") if self._url.password else words


def _wait_for(connection: Connection, lock: Lock | None) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE_SECONDS}s'"))
    if lock is not None:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_FAMILY}, {lock.value})"))


def _read_url(text: str) -> URL:
    try:
        url = make_url(text)
    except (
        ArgumentError,
        ValueError,
    ):  # a port that is no number; neither text is shown, a password may be in it
        raise InvalidInput(f"the database's address cannot be read; write it like {_KNOWN}") from None
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise InvalidInput(f"'{url.drivername}' is no database that Holdfast can use; write {_KNOWN}")
    if url.drivername == "sqlite" and (not url.database or url.database == ":memory:"):
        raise InvalidInput(
            "several processes share the database, so it needs a file: sqlite:////path/holdfast.db"
        )
    return url


def _postgresql(url: URL) -> Engine:
    options = {name: value for name, value in _POSTGRESQL_CONNECTION.items() if name not in url.query}
    return create_engine(
        url,
        connect_args=options,
        isolation_level="READ COMMITTED",  # whoever waited for a lock must see what its holder wrote
        pool_pre_ping=True,  # a restart of the server costs nobody an error
    )


def _sqlite(url: URL) -> Engine:
    # As many as there are threads that read, and one to write: to open one takes longer than to read with it.
    engine = create_engine(url, connect_args={"timeout": _PATIENCE_SECONDS}, pool_size=_SQLITE_CONNECTIONS)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver would begin transactions when it sees fit; we do so ourselves.
    connection.isolation_level = None
    _keep_a_log(connection)
    # What was said to be written is there after a power cut too; not every build has this by default.
    connection.execute("PRAGMA synchronous = FULL")


def _keep_a_log(connection: Any) -> None:
    """Turn on the write-ahead log; SQLite waits for no lock here, and a new file may have several askers."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_at:
                raise
            time.sleep(_AGAIN_SECONDS)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A reader that turns into a writer halfway fails at once where another wrote meanwhile; a writer from the
    # beginning waits for its turn.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
