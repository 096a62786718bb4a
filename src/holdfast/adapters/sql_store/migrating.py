import threading
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError

from holdfast.adapters.sql_store.database import Database, Lock
from holdfast.domain.errors import Unavailable

VERSION_TABLE: Final = "holdfast_version"  # the database may hold another application's migrations too
_SCRIPTS: Final = Path(__file__).parent / "migrations"
_alembic = threading.Lock()  # it keeps the migration that is going on in module globals


async def upgrade(database: Database) -> None:
    """Bring the tables up to date, in one transaction under a lock.

    Raises:
        Unavailable: the database does not answer, or does not let us.
    """
    try:
        await database.write(_upgrade, lock=Lock.MIGRATION)
    except ProgrammingError as error:
        words = " ".join(str(error.orig).split())
        raise Unavailable(f"{database.name} could not be brought up to date: {words}") from error


def _upgrade(connection: Connection) -> None:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    # Unknown means newer: migrations only add, so that this release still works after the next one was there.
    if known.issuperset(context.get_current_heads()):
        with _alembic:
            command.upgrade(config, "head")
