import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, NullPool, create_engine

from holdfast.adapters.alembic import AlembicProvider
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.runbook.systems import AlembicSystem, Secret
from tests.alembic_provider.alembic_gate import Gate, gate
from tests.alembic_provider.revision_scripts import SHOP, RevisionScripts
from tests.sql_store.conftest import Postgres, postgres

__all__ = ["postgres"]  # the fixture: a real server for the session

_PROCESS = Path(__file__).with_name("migrating_process.py")


@dataclass
class StubProgress:
    called_off: bool = False
    repeated: bool = False
    memory: dict[str, str] = field(default_factory=dict)

    def keep(self, memory: dict[str, str]) -> None:
        raise AssertionError(f"nothing has to be kept: {memory}")


@dataclass
class Shop:
    """A database, its scripts, and what a worker does with them."""

    url: str
    scripts: RevisionScripts
    provider: AlembicProvider
    progress: StubProgress = field(default_factory=StubProgress)

    def worker(self, url: str = "", dry_run_url: str = "", **settings: Any) -> AlembicProvider:
        """Return a provider that has seen nothing yet."""
        urls = {"URL": url or self.url, "DRY_RUN_URL": dry_run_url}
        if dry_run_url:
            settings["dry_run_url"] = Secret(env="DRY_RUN_URL")
        system = AlembicSystem(
            **{"kind": "alembic", "url": Secret(env="URL"), "scripts": self.scripts.path} | settings
        )
        return AlembicProvider({"shop-db": system}, lambda secret: urls[str(secret.env)])

    async def read(self) -> TargetState:
        return await self.provider.read("shop-db", "all")

    def effect(self, revision: str, *, key: str = "run/schema/shop-db", lasting: bool = False) -> Effect:
        return Effect(
            key=key,
            stage="schema",
            kind="alembic",
            endpoint="shop-db",
            part="all",
            values={"revision": revision},
            title=f"shop-db to revision {revision}",
            lasting=lasting,
        )

    async def plan(self, revision: str, **effect: Any) -> Write:
        """Return the write that brings the database there, as an activity would make it."""
        state, moved = await self.read(), self.effect(revision, **effect)
        goal = await self.provider.foresee(moved, state)
        return Write(effect=moved, source=state.values, goal=goal)

    async def migrate(self, revision: str, **effect: Any) -> Write:
        write = await self.plan(revision, **effect)
        assert (await self.provider.write(write, self.progress)).values == write.goal
        return write

    def run(self, *statements: str) -> None:
        with self.connected() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.connected() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def changes(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT key, revision_before, revision_after FROM holdfast_changes ORDER BY at")

    def process(self, write: Write, **environment: str) -> "subprocess.Popen[str]":
        """Start a worker process that writes this."""
        return subprocess.Popen(
            [sys.executable, str(_PROCESS), self.url, str(self.scripts.path), write.model_dump_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            yield connection


def back(write: Write, *, attempt: int = 1) -> Write:
    """Return the write that takes this one back."""
    return Write(effect=write.effect, source=write.goal, goal=write.source, undo=True, attempt=attempt)


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def shop(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """A database without tables, and the shop's scripts."""
    if kind == "sqlite":
        (tmp_path / "shop.db").touch()
        return make_shop(f"sqlite:///{tmp_path}/shop.db", tmp_path)
    server: Postgres = request.getfixturevalue("postgres")
    return make_shop(server.new_database(), tmp_path)


@pytest.fixture
def postgres_shop(postgres: Postgres, tmp_path: Path) -> Shop:
    return make_shop(postgres.new_database(), tmp_path)


@pytest.fixture
def sqlite_shop(tmp_path: Path) -> Shop:
    (tmp_path / "shop.db").touch()
    return make_shop(f"sqlite:///{tmp_path}/shop.db", tmp_path)


def make_shop(url: str, directory: Path) -> Shop:
    scripts = RevisionScripts(directory / "migrations")
    for revision, (upgrade, downgrade) in SHOP.items():
        scripts.add(revision, upgrade, downgrade)
    shop = Shop(url, scripts, AlembicProvider({}, str))
    shop.provider = shop.worker(lock_timeout=timedelta(seconds=2))
    return shop


@pytest.fixture
async def closed_gate() -> AsyncIterator[Gate]:
    gate.close()
    yield gate
    gate.opened.set()
