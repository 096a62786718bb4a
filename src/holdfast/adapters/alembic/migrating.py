"""Runs revision scripts in a transaction that is open already, without anybody's `env.py`."""

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from holdfast.adapters.alembic.database import (
    IN_TRANSACTION,
    Database,
    Handle,
    OwnTransaction,
    Stopped,
    passes,
    sqlstate,
)
from holdfast.adapters.alembic.scripts import Scripts
from holdfast.domain.errors import ChangeFailed, InvalidInput, Unavailable

_ONE_TRANSACTION: Final = (
    "Holdfast runs everything between two revisions in one transaction, so that nothing is left half done, and "
    "this cannot run in one (CREATE INDEX CONCURRENTLY and the like). Use a form that can, or run it by hand "
    "and stamp the revision"
)
_LOOK_AGAIN_SECONDS: Final = 0.1
_alembic = threading.Lock()  # it keeps the migration that is going on in module globals, which scripts import


class OutsideBlock(Exception):
    """A script asks for a block outside of the transaction."""


@contextmanager
def alone_in_this_process(database: Database, handle: Handle) -> Generator[None]:
    """Wait until no other migration runs in this process.

    Raises:
        Unavailable: another one takes longer than the lock timeout.
        Stopped: the work is not wanted any more.
    """
    for _ in range(max(1, round(database.lock_timeout.total_seconds() / _LOOK_AGAIN_SECONDS))):
        handle.check()
        if _alembic.acquire(timeout=_LOOK_AGAIN_SECONDS):
            break
    else:
        raise Unavailable(f"{database.name} has to wait: this worker is migrating another database")
    try:
        yield
    finally:
        _alembic.release()


def revision_of(connection: Connection, version_table: str, name: str) -> str:
    """Return the database's revision; empty before the first.

    Raises:
        InvalidInput: it is at several revisions at once.
    """
    context = MigrationContext.configure(connection, opts={"version_table": version_table})
    heads = context.get_current_heads()
    if len(heads) > 1:
        raise InvalidInput(
            f"{name} is at several revisions at once ({', '.join(sorted(heads))}): merge the branches with "
            "'alembic merge heads' and migrate by hand to the merge first"
        )
    return heads[0] if heads else ""


def stamp(connection: Connection, scripts: Scripts, version_table: str, revision: str) -> None:
    """Write the revision into an empty version table."""
    if revision:
        context = MigrationContext.configure(connection, opts={"version_table": version_table})
        context.stamp(scripts.directory, revision)


def migrate(
    connection: Connection,
    database: Database,
    scripts: Scripts,
    steps: Sequence[RevisionStep],
    *,
    version_table: str,
    handle: Handle,
) -> None:
    """Run the steps; the version table goes along.

    Raises:
        ChangeFailed: a script failed; the transaction has to be rolled back.
        DBAPIError: the database is away, or others hold what is needed.
    """
    running = ["before the first script"]
    before = _transaction_id(connection)
    try:
        _run(connection, scripts, _told(steps, running), version_table)
        _check_same(before, _transaction_id(connection))
    except (Stopped, Unavailable):
        raise
    except Exception as error:
        handle.check()
        if isinstance(error, DBAPIError) and passes(error):
            raise
        raise ChangeFailed(f"{database.name}: {running[-1]}: {_why(database, error)}") from None


def _run(connection: Connection, scripts: Scripts, steps: Iterator[RevisionStep], version_table: str) -> None:
    config = Config()
    config.set_main_option("script_location", scripts.directory.dir.replace("%", "%%"))

    def follow(_heads: Any, _context: MigrationContext) -> Iterator[RevisionStep]:
        return steps

    with EnvironmentContext(config, scripts.directory, fn=follow) as environment:
        environment.configure(connection=connection, version_table=version_table, transactional_ddl=True)
        # mypy: an instance's own method is what keeps scripts from committing halfway.
        environment.get_context().autocommit_block = _refuse  # type: ignore[method-assign]
        environment.run_migrations()


def _told(steps: Sequence[RevisionStep], running: list[str]) -> Iterator[RevisionStep]:
    for step in steps:
        direction = "upgrade" if step.is_upgrade else "downgrade"
        running.append(f"{direction} of revision '{step.info.up_revision_id}' failed and was rolled back")
        yield step


def _refuse() -> NoReturn:
    raise OutsideBlock


def _why(database: Database, error: Exception) -> str:
    if isinstance(error, OutsideBlock):
        return f"it asks for an autocommit block. {_ONE_TRANSACTION}"
    if isinstance(error, OwnTransaction):
        return f"{error}. {_ONE_TRANSACTION}"
    said = database.first_line(error)
    if not isinstance(error, DBAPIError):
        return f"{type(error).__name__}: {said}"
    return f"{said}. {_ONE_TRANSACTION}" if sqlstate(error) == IN_TRANSACTION else said


def _check_same(before: object, after: object) -> None:
    if before != after:
        raise OwnTransaction("it ended the transaction")


def _transaction_id(connection: Connection) -> object:
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        return driver.in_transaction
    return connection.execute(text("SELECT txid_current()")).scalar_one()
