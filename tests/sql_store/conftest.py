"""The store over SQLite and over a real PostgreSQL that runs for the session on a socket of its own."""

import asyncio
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from holdfast.adapters.sql_store import SqlStore
from holdfast.adapters.sql_store.database import Database
from holdfast.domain.proofs import Keyring

SECRET = "a secret key for tests only"
_START_SECONDS = 60


@dataclass
class Postgres:
    """A running server; each test gets a database of its own."""

    directory: Path
    process: subprocess.Popen[bytes]
    numbers: Iterator[int]

    def url(self, database: str = "postgres", user: str = "holdfast") -> str:
        return f"postgresql+psycopg://{user}@/{database}?host={self.directory}"

    def run(self, statement: str) -> None:
        engine = create_engine(self.url(), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text(statement))

    def new_database(self, *, like: str = "template1") -> str:
        name = f"records_{next(self.numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {like}")
        return self.url(name)


def _binaries() -> Path:
    on_path = shutil.which("initdb")
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    if on_path or packaged:
        return Path(on_path).resolve().parent if on_path else packaged[-1]
    message = "no PostgreSQL is installed: scripts/setup --for-tests installs it"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    binaries = _binaries()
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    directory = Path(tempfile.mkdtemp(prefix="holdfast-pg-"))
    if user:
        shutil.chown(directory, user, pwd.getpwnam(user).pw_gid)
    data, log = directory / "data", (directory / "log").open("wb")
    options = {"user": user, "cwd": directory, "stdout": log, "stderr": subprocess.STDOUT}
    initdb = [binaries / "initdb", "-D", data, "-U", "holdfast", "-A", "trust", "-E", "UTF8"]
    subprocess.run([*initdb, "--no-locale", "--no-sync"], check=True, **options)
    settings = ["-c", "fsync=off", "-c", "listen_addresses=", "-c", f"unix_socket_directories={directory}"]
    process = subprocess.Popen([binaries / "postgres", "-D", data, *settings], **options)
    server = Postgres(directory, process, itertools.count())
    try:
        _wait_until_it_answers(server)
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown: whoever is connected is sent away
        process.wait(timeout=30)
        log.close()
        shutil.rmtree(directory)


def _wait_until_it_answers(server: Postgres) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.process.poll() is None and time.monotonic() < deadline:
        if (server.directory / ".s.PGSQL.5432").exists():
            try:
                server.run("SELECT 1")
            except Exception:  # noqa: BLE001  whatever it says while it starts
                time.sleep(0.05)
            else:
                return
        time.sleep(0.02)
    pytest.fail(f"PostgreSQL did not start: {(server.directory / 'log').read_text()}")


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request) -> str:
    """The test runs over both."""
    return request.param


@pytest.fixture
def empty_url(kind, request, tmp_path) -> str:
    """The address of a database without tables."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/holdfast.db"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("template") / "holdfast.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres) -> str:
    url = postgres.new_database()
    _migrate(url)
    return make_url(url).database


def _migrate(url: str) -> None:
    async def migrate() -> None:
        store = SqlStore(url, Keyring([SECRET]))
        await store.migrate()
        await store.close()

    with ThreadPoolExecutor(1) as thread:  # the session's loop may be running in this one
        thread.submit(asyncio.run, migrate()).result()


@pytest.fixture
def url(kind, request, tmp_path) -> str:
    """The address of a migrated database that holds nothing: a copy, because migrating takes longer."""
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path)
        return f"sqlite:///{tmp_path}/holdfast.db"
    template = request.getfixturevalue("postgres_template")
    return request.getfixturevalue("postgres").new_database(like=template)


@pytest.fixture
def keyring() -> Keyring:
    return Keyring([SECRET])


@pytest.fixture
async def store(url, keyring) -> AsyncIterator[SqlStore]:
    store = SqlStore(url, keyring)
    yield store
    await store.close()


@dataclass
class Intruder:
    """Somebody with the database's password and no manners."""

    url: str

    def run(self, *statements: str) -> None:
        with self._connected() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, query: str) -> list[tuple]:
        with self._connected() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def drop_triggers(self) -> None:
        if Database(self.url).is_sqlite:
            triggers = self.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            self.run(*(f"DROP TRIGGER {name}" for (name,) in triggers))
        else:
            self.run("DROP TRIGGER audit_append_only ON audit")

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            yield connection


@pytest.fixture
def intruder(url) -> Intruder:
    return Intruder(url)
