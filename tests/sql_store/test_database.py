import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import NullPool, create_engine, make_url

from holdfast.adapters.sql_store import SqlStore
from holdfast.adapters.sql_store.migrating import VERSION_TABLE
from holdfast.adapters.sql_store.tables import metadata
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.ports.audit import AuditEntry, AuditKind
from tests.sql_store.conftest import SECRET, Intruder
from tests.sql_store.processes import at_once

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ENTRY = AuditEntry(key="k", at=NOW, kind=AuditKind.REQUEST, text="asked")


async def test_migrating_again_changes_nothing(store, intruder):
    await store.audit.append([ENTRY])
    await store.migrate()

    assert (await store.audit.verify()).entries == 1
    assert len(intruder.rows("SELECT * FROM holdfast_version")) == 1


def test_several_processes_may_migrate_at_once(empty_url):
    assert at_once(empty_url, SECRET, *[("migrate",)] * 4) == ["done"] * 4
    assert len(Intruder(empty_url).rows("SELECT * FROM holdfast_version")) == 1


async def test_the_tables_are_what_the_migrations_made(store, url):
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []


async def test_a_database_of_a_newer_release_is_used_as_it_is(store, intruder):
    intruder.run("UPDATE holdfast_version SET version_num = 'newer'", "CREATE TABLE more (x int)")
    await store.migrate()

    await store.audit.append([ENTRY])
    assert intruder.rows("SELECT * FROM holdfast_version") == [("newer",)]


async def test_a_server_that_is_not_there_is_named_without_its_password(keyring):
    store = SqlStore("postgresql://holdfast:tell-nobody@127.0.0.1:1/records?connect_timeout=2", keyring)

    with pytest.raises(Unavailable) as error:
        await store.migrate()
    text = str(error.value)
    assert text.startswith("the PostgreSQL database 'records' on 127.0.0.1:1 does not answer: ")
    assert "tell-nobody" not in text
    assert "refused" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.audit.append([ENTRY]),
        lambda store: store.audit.verify(),
        lambda store: store.second_factor.enrolled("boris"),
        lambda store: store.intents.take("boris", "1", now=NOW),
        lambda store: store.delegations.active_after(NOW),
        lambda store: store.notices.of_gate("rollout-a", "1"),
    ],
)
async def test_every_part_says_that_the_database_is_away(keyring, tmp_path, call):
    store = SqlStore(f"sqlite:///{tmp_path}/nowhere/holdfast.db", keyring)

    with pytest.raises(Unavailable, match=f"the database file {tmp_path}/nowhere/holdfast.db does not answer"):
        await call(store)
    with pytest.raises(Unavailable):
        list(store.audit.read())
    await store.close()


async def test_a_server_that_was_restarted_costs_nobody_an_error(postgres, keyring):
    store = SqlStore(postgres.new_database(), keyring)
    await store.migrate()
    postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holdfast'")

    await store.audit.append([ENTRY])
    assert (await store.audit.verify()).entries == 1
    await store.close()


async def test_a_user_who_may_not_create_tables_is_told_so(postgres, keyring):
    url = postgres.new_database()
    postgres.run("DROP ROLE IF EXISTS guest")
    postgres.run("CREATE ROLE guest LOGIN")
    store = SqlStore(url.replace("holdfast@", "guest@"), keyring)

    with pytest.raises(
        Unavailable, match="could not be brought up to date: permission denied for schema public"
    ):
        await store.migrate()
    await store.close()


async def test_a_database_that_went_read_only_is_unavailable(postgres, keyring):
    url = postgres.new_database()
    store = SqlStore(url, keyring)
    await store.migrate()
    await store.close()
    postgres.run(f"ALTER DATABASE {make_url(url).database} SET default_transaction_read_only = on")

    with pytest.raises(Unavailable, match="read-only transaction"):
        await store.audit.append([ENTRY])
    await store.close()


async def test_readers_do_not_wait_for_a_writer(tmp_path, keyring):
    store = SqlStore(f"sqlite:///{tmp_path}/holdfast.db", keyring)
    await store.migrate()
    await store.audit.append([ENTRY])
    writer = sqlite3.connect(tmp_path / "holdfast.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    assert (await store.audit.verify()).entries == 1
    writer.execute("ROLLBACK")
    writer.close()
    await store.close()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("nonsense", "cannot be read; write it like sqlite:////path"),
        ("postgresql://boris:tell-nobody@host:port/name", "cannot be read"),
        ("mysql://boris:tell-nobody@host/name", "'mysql' is no database that Holdfast can use"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_a_wrong_address_is_refused_without_telling_it(url, text, keyring):
    with pytest.raises(InvalidInput, match=text) as error:
        SqlStore(url, keyring)

    assert "tell-nobody" not in str(error.value)


def test_an_address_may_leave_the_driver_out(keyring, tmp_path: Path):
    for url in ("postgresql://h/n", "postgres://h/n", "postgresql+psycopg://h/n", f"sqlite:///{tmp_path}/x.db"):
        SqlStore(url, keyring)

    assert list(tmp_path.iterdir()) == [], "nothing is opened yet"
