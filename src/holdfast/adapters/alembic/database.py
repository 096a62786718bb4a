"""Connections and transactions of a database that is migrated; what the drivers say becomes our errors."""

import re
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from holdfast.domain.errors import ChangeFailed, InvalidInput, Unavailable

LOCK_FAMILY: Final = 0x486F6C64  # "Hold": keeps our advisory locks apart from those of others in the database
MIGRATION_LOCK: Final = 0x616C656D
DRY_RUN_LOCK: Final = 0x64727972
NO_SUCH_RIGHT: Final = "42501"
IN_TRANSACTION: Final = "25001"  # "… cannot run inside a transaction block"

_INTERNAL: Final = "XX000"
_KNOWN: Final = "sqlite:////path/shop.db or postgresql+psycopg://user:password@host/name"
_OWN_TRANSACTION: Final = re.compile(r"\s*(COMMIT|ROLLBACK(?!\s+TO)|END|ABORT)\b", re.IGNORECASE)
# Connection, resources, operator's intervention, transaction rollback, a lock that was not to be had.
_PASSING_STATES: Final = re.compile("08...|53...|57P0[1-5]|40001|40P01|55P03")
_PASSING_SQLITE: Final = {5, 6, 10, 13, 14}  # busy, locked, input/output, full, cannot open
_POSTGRESQL_CONNECTION: Final = {
    "application_name": "holdfast",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "tcp_user_timeout": 30_000,
}


class Stopped(Exception):
    """The work is not wanted any more; it was rolled back."""


class OwnTransaction(Exception):
    """A script begins or ends transactions itself, so that nothing could be promised about halves."""


class Handle:
    """Lets another thread stop the work that goes on in a transaction."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._driver: Any = None

    def stop(self) -> None:
        """Forbid every further statement, and ask the database to cancel the one that runs."""
        self._stopped.set()
        driver = self._driver
        if isinstance(driver, psycopg.Connection):
            with suppress(psycopg.Error):  # it is closed meanwhile, or the server is gone: nothing runs there
                driver.cancel_safe(timeout=5)
        elif isinstance(driver, SqliteConnection):
            with suppress(Exception):  # closed meanwhile
                driver.interrupt()

    def check(self) -> None:
        """Raise `Stopped` if somebody called `stop`."""
        if self._stopped.is_set():
            raise Stopped

    @contextmanager
    def on(self, connection: Connection) -> Generator[None]:
        """Have `stop` act on this connection."""
        self._driver = connection.connection.driver_connection
        try:
            yield
        finally:
            self._driver = None


@dataclass
class Database:
    """A database that is known by its address; no connection is held between calls.

    Attributes:
        name: what people are told, e.g. `database 'shop-db'`.
        url: never shown, the password is in it.
        lock_timeout: how long to wait for others.
    """

    name: str
    url: URL = field(repr=False)
    lock_timeout: timedelta

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of SQLite; else it is PostgreSQL."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def transaction(self, handle: Handle, *, writes: bool = False) -> Generator[Connection]:
        """Yield a connection in a transaction that is committed at the end, and nowhere before.

        Raises:
            Unavailable: the database does not answer, or others hold what is needed.
            ChangeFailed: it refused; the text is its own.
            Stopped: `handle.stop` was called.
        """
        with (
            self.answering(handle, reads=not writes),
            self._connected(handle, writes=writes) as (connection, leave),
        ):
            transaction = connection.begin()
            try:
                if not self.is_sqlite:
                    self._prepare_postgresql(connection, alone=writes)
                yield connection
                handle.check()
                leave.given = True
                transaction.commit()
            finally:
                with suppress(DBAPIError):  # the connection broke: the server has rolled back by itself
                    transaction.close()

    @contextmanager
    def autocommit(self, handle: Handle) -> Generator[Connection]:
        """Yield a connection of PostgreSQL on which each statement stands for itself."""
        engine = self._postgresql().execution_options(isolation_level="AUTOCOMMIT")
        with self.answering(handle), engine.connect() as connection:
            connection.execute(text(f"SET lock_timeout = {_milliseconds(self.lock_timeout)}"))
            yield connection

    @contextmanager
    def answering(self, handle: Handle, *, reads: bool = False) -> Generator[None]:
        """Turn what the driver raises into our errors."""
        try:
            yield
        except DBAPIError as error:
            handle.check()
            said = self.first_line(error)
            # Whoever reads the catalogue while others change it may be told of something that is gone.
            if passes(error) or (reads and sqlstate(error) == _INTERNAL):
                raise Unavailable(f"{self.name} does not answer or is in use: {said}") from None
            raise ChangeFailed(f"{self.name} refused: {said}") from None

    def first_line(self, error: BaseException) -> str:
        """Return the first line of the driver's or a script's own words, without the password."""
        said = error.orig if isinstance(error, DBAPIError) and error.orig else error
        lines = str(said).strip().splitlines()
        words = lines[0].strip() if lines else type(said).__name__
        return words.replace(str(self.url.password), "***") if self.url.password else words

    @contextmanager
    def _connected(self, handle: Handle, *, writes: bool) -> Generator[tuple[Connection, "_Leave"]]:
        leave = _Leave()
        engine = self._sqlite(writes=writes) if self.is_sqlite else self._postgresql()
        _guard(engine, handle, leave)
        with engine.connect() as connection, handle.on(connection):
            yield connection, leave

    def _prepare_postgresql(self, connection: Connection, *, alone: bool) -> None:
        connection.execute(text(f"SET LOCAL lock_timeout = {_milliseconds(self.lock_timeout)}"))
        if alone:
            _notice_dead_clients(connection)
        # A reader waits too: what it read while a migration goes on could be something else a moment later.
        lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        connection.execute(text(f"SELECT {lock}({LOCK_FAMILY}, {MIGRATION_LOCK})"))

    def _postgresql(self) -> Engine:
        options = {name: value for name, value in _POSTGRESQL_CONNECTION.items() if name not in self.url.query}
        # Whoever waited for the lock must see what its holder wrote.
        return create_engine(
            self.url, connect_args=options, isolation_level="READ COMMITTED", poolclass=NullPool
        )

    def _sqlite(self, *, writes: bool) -> Engine:
        patience = {"timeout": self.lock_timeout.total_seconds()}
        engine = create_engine(self.url, connect_args=patience, poolclass=NullPool)
        # The driver would begin transactions by itself, and only before statements that change data.
        event.listen(engine, "connect", _no_transactions_of_the_driver)
        event.listen(engine, "begin", _begin_immediate if writes else _begin)
        return engine


@dataclass
class _Leave:
    """Whether the transaction may be committed."""

    given: bool = False


def read_url(field_name: str, words: str) -> URL:
    """Read an address; nothing of it is shown when it cannot be read.

    Raises:
        InvalidInput: it is no address of SQLite or PostgreSQL, or of a file that is not there.
    """
    try:
        url = make_url(words.strip())
    except (ArgumentError, ValueError):  # a port that is no number
        raise InvalidInput(f"{field_name}: no address of a database; write it like {_KNOWN}") from None
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise InvalidInput(f"{field_name}: Holdfast migrates no '{url.drivername}'; write {_KNOWN}")
    if url.drivername == "sqlite":
        _check_file(field_name, url.database)
    return url


def passes(error: DBAPIError) -> bool:
    """Tell whether the same may work later: somebody holds a lock, or the server is away."""
    if error.connection_invalidated:
        return True
    original = error.orig
    if isinstance(original, psycopg.Error):
        if not original.sqlstate:  # the driver's own words: it is about the connection, or about the statement
            return isinstance(original, psycopg.OperationalError)
        return _PASSING_STATES.fullmatch(original.sqlstate) is not None
    code = getattr(original, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _PASSING_SQLITE


def sqlstate(error: DBAPIError) -> str:
    """Return PostgreSQL's code of the error, empty where there is none."""
    return (error.orig.sqlstate or "") if isinstance(error.orig, psycopg.Error) else ""


def _check_file(field_name: str, path: str | None) -> None:
    if not path or path == ":memory:":
        raise InvalidInput(f"{field_name}: the database has to be a file: sqlite:////path/shop.db")
    if not path.startswith("file:") and not Path(path).is_file():  # SQLite would make it
        raise InvalidInput(f"{field_name}: there is no file {path}; correct the path, or make an empty file")


def _milliseconds(duration: timedelta) -> int:
    return max(1, round(duration.total_seconds() * 1000))  # 0 would be: wait for ever


def _notice_dead_clients(connection: Connection) -> None:
    """Have the server look during long statements whether this worker is alive, where it can."""
    with suppress(DBAPIError), connection.begin_nested():
        connection.execute(text("SET LOCAL client_connection_check_interval = '2s'"))


def _guard(engine: Engine, handle: Handle, leave: _Leave) -> None:
    def before_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        handle.check()
        if _OWN_TRANSACTION.match(statement):
            raise OwnTransaction(f"it executes {statement.split(maxsplit=1)[0].upper()}")

    def before_commit(_connection: Connection) -> None:
        if not leave.given:
            raise OwnTransaction("it commits")

    event.listen(engine, "before_cursor_execute", before_statement)
    event.listen(engine, "commit", before_commit)


def _no_transactions_of_the_driver(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_immediate(connection: Connection) -> None:
    # A reader that turns into a writer halfway fails at once where another wrote meanwhile.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
