"""What the shop has besides its settings: a pipeline, a database and a search index; their `systems.yaml`."""

import json
import os
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import yaml
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine

from workers.demo.shop_db.versions import tickets_0001

HERE: Final = Path(__file__).resolve().parent
CI_TOKEN: Final = "glpat-DEMO-TOKEN"  # noqa: S105  of the stand-in, good for nothing else
_SCRIPTS: Final = HERE / "shop_db"
_TICKETS: Final = [
    ("Ada's Antiques", True, 4200),
    ("Bakery Brandt", False, 80),
    ("Cycles Clark", False, 310),
    ("Dr. Diaz", True, 1900),
    ("Elin Ek", False, 25),
]


class ShopSystems:
    """The systems of one stack, under their names in the runbooks; everything is below one directory."""

    def __init__(self, directory: Path, *, ci_port: int) -> None:
        """Know where they are; `make` makes them."""
        self.directory = directory
        self._ci = f"http://127.0.0.1:{ci_port}"
        self._database = directory / "shop.db"
        self._search = directory / "search-index.json", directory / "search-index.log"

    def make(self) -> None:
        """Write `systems.yaml` with its secrets, and a database with tickets at the first revision."""
        self.directory.mkdir(parents=True)
        _write_secret(self.directory / "gitlab.token", CI_TOKEN)
        _write_secret(self.directory / "shop-db.url", f"sqlite:///{self._database}")
        (self.directory / "systems.yaml").write_text(yaml.safe_dump({"systems": self._systems()}))
        _make_database(self._database)

    def schema(self) -> dict[str, Any]:
        """Return the database's revision, the columns of the tickets, and the names of their indexes."""
        with closing(sqlite3.connect(self._database)) as database:
            columns = database.execute("SELECT name, type FROM pragma_table_info('tickets') ORDER BY cid")
            indexes = database.execute("SELECT name FROM pragma_index_list('tickets') ORDER BY name")
            [revision] = database.execute("SELECT version_num FROM alembic_version").fetchone()
            return {
                "revision": revision,
                "columns": [f"{name} {kind}" for name, kind in columns],
                "indexes": [name for (name,) in indexes],
            }

    def tickets(self) -> list[tuple[Any, ...]]:
        """Return what the tickets said from the beginning."""
        with closing(sqlite3.connect(self._database)) as database:
            return database.execute("SELECT customer, vip, order_value FROM tickets ORDER BY id").fetchall()

    def search_index(self) -> dict[str, list[int]]:
        """Return which tickets the search index has, by tier; nothing where it was not built."""
        index, _ = self._search
        found: dict[str, list[int]] = json.loads(index.read_text()) if index.exists() else {}
        return found

    def effects(self) -> Counter[str]:
        """Return how often the database and the search index were really changed, by key."""
        with closing(sqlite3.connect(self._database)) as database:
            known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'holdfast_changes'").fetchone()
            keys = [key for (key,) in database.execute("SELECT key FROM holdfast_changes")] if known else []
        _, log = self._search
        return Counter([*keys, *(log.read_text().split() if log.exists() else [])])

    def _systems(self) -> dict[str, Any]:
        program = [sys.executable, "-I", str(HERE / "search_index.py")]
        return {
            "bot-gitlab": {
                "kind": "gitlab",
                "url": self._ci,
                "project": "shop/bot",
                "token": {"file": "gitlab.token"},
                "poll": "0.3s",
                "visible_within": "2s",
            },
            "shop-db": {"kind": "alembic", "url": {"file": "shop-db.url"}, "scripts": str(_SCRIPTS)},
            "search-index": {
                "kind": "command",
                "run": [*program, "on"],
                "revert": [*program, "restore"],
                "state": [*program, "state"],
                "done": "on",
                "environment": {"SEARCH_DB": str(self._database), "SEARCH_FOLDER": str(self.directory)},
            },
        }


def _write_secret(path: Path, secret: str) -> None:
    """Write a file that only its owner may read, from its first moment."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{secret}\n")


def _make_database(path: Path) -> None:
    """Bring an empty database to the first revision and put some tickets there."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            tickets_0001.upgrade()
        context.stamp(ScriptDirectory(str(_SCRIPTS)), tickets_0001.revision)
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany("INSERT INTO tickets (customer, vip, order_value) VALUES (?, ?, ?)", _TICKETS)
