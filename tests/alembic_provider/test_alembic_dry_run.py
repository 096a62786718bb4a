"""What the dry run finds before anything is changed."""

import os
import shutil

import pytest

from holdfast.domain.errors import ChangeFailed, InvalidInput, Unavailable
from holdfast.domain.journal import TargetState, Write
from tests.alembic_provider.conftest import Shop, back
from tests.sql_store.conftest import Postgres

_EVERYTHING = (
    """
    op.execute("CREATE SCHEMA billing")
    op.execute("CREATE EXTENSION citext")
    op.execute("CREATE SEQUENCE billing.numbers START 1000 INCREMENT 5")
    op.execute("CREATE DOMAIN billing.percent AS numeric CHECK (VALUE BETWEEN 0 AND 100)")
    op.create_table(
        "bills",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("state", sa.Enum("open", "paid", name="bill_state"), nullable=False, server_default="open"),
        sa.Column("label", sa.String(20), server_default="a:b%c"),
        sa.Column("words", sa.Text, sa.Computed("label || '!'", persisted=True)),
        sa.CheckConstraint("label IN ('a', 'b') OR label LIKE '%x'", name="label_is_known"),
        schema="billing",
    )
    op.execute("ALTER TABLE billing.bills ADD COLUMN mail public.citext, ADD COLUMN off billing.percent")
    op.create_index("open_bills", "bills", [sa.text("lower(label)")], schema="billing",
                    postgresql_where=sa.text("label IN ('a', 'b')"))
    op.execute("CREATE FUNCTION billing.stamp() RETURNS trigger LANGUAGE plpgsql "
               "AS $$ BEGIN NEW.label := 'x\\\\restrict'; RETURN NEW; END $$")
    op.execute("CREATE TRIGGER stamps BEFORE INSERT ON billing.bills FOR EACH ROW "
               "EXECUTE FUNCTION billing.stamp()")
    op.execute("CREATE MATERIALIZED VIEW billing.opened AS "
               "SELECT id FROM billing.bills WHERE label IN ('a', 'b')")
    op.execute("ALTER TABLE billing.bills ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY only_a ON billing.bills USING (label = 'a')")
    op.execute("CREATE TABLE log (at date NOT NULL) PARTITION BY RANGE (at)")
    op.execute("CREATE TABLE log_26 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')")
    """,
    """
    op.drop_table("log")
    op.execute("DROP SCHEMA billing CASCADE")
    op.execute("DROP EXTENSION citext")
    op.execute("DROP TYPE bill_state")
    """,
)


def scratch_databases(server: Postgres, shop: Shop) -> list[tuple[str]]:
    del server
    return [
        (name,) for (name,) in shop.rows("SELECT datname FROM pg_database WHERE datname ~ '^holdfast_dry_run'")
    ]


async def test_nothing_is_changed_by_foreseeing(shop: Shop):
    await shop.migrate("0001", key="first")
    before = await shop.read()

    foreseen = await shop.provider.foresee(shop.effect("0003"), before)

    assert foreseen["revision"] == "0003"
    assert foreseen["fingerprint"] != before.values["fingerprint"]
    assert await shop.read() == before
    assert len(shop.changes()) == 1


@pytest.mark.parametrize(
    "downgrade", ["pass", "'''Not today.'''", "raise NotImplementedError", "return None", "..."]
)
async def test_a_revision_that_cannot_be_taken_back_is_refused_unless_it_is_lasting(
    sqlite_shop: Shop, downgrade: str
):
    shop = sqlite_shop
    shop.scripts.add("0004", "op.execute('DROP VIEW totals')", downgrade)
    state = await shop.read()

    with pytest.raises(InvalidInput, match=r"revision '0004' cannot be taken back: .* a 'point_of_no_return'"):
        await shop.provider.foresee(shop.effect("0004"), state)

    assert (await shop.migrate("0004", lasting=True)).goal["revision"] == "0004"


async def test_a_revision_that_changes_nothing_needs_no_way_back(sqlite_shop: Shop):
    sqlite_shop.scripts.add("0004", "pass", "pass")

    assert (await sqlite_shop.migrate("0004")).goal["revision"] == "0004"


async def test_undoing_what_cannot_be_taken_back_fails_with_the_revisions_name(sqlite_shop: Shop):
    sqlite_shop.scripts.add("0004", "op.execute('DROP VIEW totals')", "raise NotImplementedError")
    write = await sqlite_shop.migrate("0004", lasting=True)

    with pytest.raises(ChangeFailed, match="revision '0004' cannot be taken back"):
        await sqlite_shop.provider.write(back(write), sqlite_shop.progress)

    assert (await sqlite_shop.read()).values == write.goal


async def test_a_downgrade_that_forgets_an_index_is_found(shop: Shop):
    shop.scripts.add(
        "0004",
        """
        op.create_index("orders_total", "orders", ["total"])
        op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True))
        """,
        "op.drop_table('notes')",
    )
    state = await shop.read()

    with pytest.raises(
        InvalidInput, match=r"does not bring back the schema .*index .*orders_total should not be there"
    ):
        await shop.provider.foresee(shop.effect("0004"), TargetState(values=(await shop.migrate("0003")).goal))

    assert (await shop.read()).values["revision"] == "0003"
    assert state.values["revision"] == ""


async def test_a_script_that_fails_is_found(shop: Shop):
    shop.scripts.add("0004", "op.drop_table('nothing')", "op.execute('SELECT 1')")

    with pytest.raises(
        InvalidInput, match=r"upgrade of revision '0004' failed.*nothing.*itself was not touched"
    ):
        await shop.provider.foresee(shop.effect("0004"), await shop.read())


async def test_a_downgrade_that_fails_is_found(shop: Shop):
    shop.scripts.add("0004", "op.execute('DROP VIEW totals')", "op.drop_table('nothing')")

    with pytest.raises(InvalidInput, match=r"downgrade of revision '0004' failed.*nothing"):
        await shop.provider.foresee(shop.effect("0004"), await shop.read())


@pytest.mark.parametrize(
    "upgrade",
    [
        "with op.get_context().autocommit_block():\n    op.execute('SELECT 1')",
        "op.execute('COMMIT')",
        "op.get_bind().commit()",
    ],
)
async def test_a_script_that_leaves_the_transaction_is_refused(shop: Shop, upgrade: str):
    shop.scripts.add("0004", upgrade, "op.execute('SELECT 1')")
    state = await shop.read()

    with pytest.raises(InvalidInput, match="everything between two revisions in one transaction"):
        await shop.provider.foresee(shop.effect("0004"), state)
    write = Write(effect=shop.effect("0004"), source=state.values, goal={"revision": "0004"})
    with pytest.raises(ChangeFailed, match="everything between two revisions in one transaction"):
        await shop.provider.write(write, shop.progress)

    assert await shop.read() == state


async def test_a_script_of_postgresql_that_hides_its_commit_is_found(postgres_shop: Shop):
    postgres_shop.scripts.add("0004", "op.execute('SELECT 1; COMMIT; BEGIN')", "op.execute('SELECT 1')")

    with pytest.raises(InvalidInput, match="it ended the transaction"):
        await postgres_shop.provider.foresee(postgres_shop.effect("0004"), await postgres_shop.read())


async def test_a_script_of_sqlite_that_hides_its_commit_is_found(sqlite_shop: Shop):
    sqlite_shop.scripts.add(
        "0004", "op.get_bind().connection.executescript('SELECT 1')", "op.execute('SELECT 1')"
    )

    with pytest.raises(InvalidInput, match="it ended the transaction"):
        await sqlite_shop.provider.foresee(sqlite_shop.effect("0004"), await sqlite_shop.read())


async def test_an_index_that_is_made_concurrently_is_refused(postgres_shop: Shop):
    shop = postgres_shop
    shop.scripts.add(
        "0004",
        "op.create_index('orders_total', 'orders', ['total'], postgresql_concurrently=True)",
        "op.drop_index('orders_total')",
    )

    with pytest.raises(InvalidInput, match=r"cannot run inside a transaction block.*CREATE INDEX CONCURRENTLY"):
        await shop.provider.foresee(shop.effect("0004"), await shop.read())


async def test_an_unknown_revision_is_refused_with_those_near_it(sqlite_shop: Shop):
    write = await sqlite_shop.migrate("0001")

    with pytest.raises(InvalidInput, match="no revision '0030'; known near it: 0002, 000"):
        await sqlite_shop.provider.foresee(sqlite_shop.effect("0030"), TargetState(values=write.goal))
    with pytest.raises(InvalidInput, match="no revision 'head'"):
        await sqlite_shop.provider.foresee(sqlite_shop.effect("head"), TargetState(values=write.goal))


async def test_a_downgrade_is_no_change(sqlite_shop: Shop):
    write = await sqlite_shop.migrate("0003")

    with pytest.raises(InvalidInput, match="revision '0001' is below '0003', where the database is"):
        await sqlite_shop.provider.foresee(sqlite_shop.effect("0001"), TargetState(values=write.goal))


async def test_another_branch_is_refused(sqlite_shop: Shop):
    sqlite_shop.scripts.add("0004", "pass", down="0001")
    write = await sqlite_shop.migrate("0003")

    with pytest.raises(InvalidInput, match="revision '0004' is on another branch than '0003'"):
        await sqlite_shop.provider.foresee(sqlite_shop.effect("0004"), TargetState(values=write.goal))


async def test_a_schema_that_changed_since_it_was_read_is_to_be_read_again(shop: Shop):
    state = await shop.read()
    shop.run("CREATE TABLE by_hand (id INTEGER)")

    with pytest.raises(Unavailable, match=r"changed since it was read: .*by_hand"):
        await shop.provider.foresee(shop.effect("0001"), state)


async def test_everything_that_postgresql_has_goes_through_the_dry_run(postgres_shop: Shop, postgres: Postgres):
    shop = postgres_shop
    shop.scripts.add("0004", *_EVERYTHING)
    shop.scripts.add("0005", "op.create_table('five', sa.Column('id', sa.Integer))", "op.drop_table('five')")

    first = await shop.migrate("0004", key="first")
    second = await shop.migrate("0005", key="second")  # its copy begins with everything
    await shop.provider.write(back(second), shop.progress)
    undone = await shop.provider.write(back(first), shop.progress)

    assert undone.values == first.source
    assert scratch_databases(postgres, shop) == []


async def test_a_scratch_database_of_a_dead_worker_is_replaced_and_dropped(
    postgres_shop: Shop, postgres: Postgres
):
    ((oid,),) = postgres_shop.rows("SELECT oid FROM pg_database WHERE datname = current_database()")
    postgres.run(f"CREATE DATABASE holdfast_dry_run_{oid}")

    await postgres_shop.provider.foresee(postgres_shop.effect("0003"), await postgres_shop.read())

    assert scratch_databases(postgres, postgres_shop) == []


async def test_the_scratch_database_is_dropped_after_a_failure_too(postgres_shop: Shop, postgres: Postgres):
    postgres_shop.scripts.add("0004", "op.drop_table('nothing')", "op.execute('SELECT 1')")

    with pytest.raises(InvalidInput, match="nothing"):
        await postgres_shop.provider.foresee(postgres_shop.effect("0004"), await postgres_shop.read())

    assert scratch_databases(postgres, postgres_shop) == []


async def test_a_user_who_may_not_make_databases_is_told_what_would_help(
    postgres_shop: Shop, postgres: Postgres
):
    postgres.run("DO $$ BEGIN CREATE ROLE modest LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
    provider = postgres_shop.worker(postgres_shop.url.replace("holdfast@", "modest@", 1))

    with pytest.raises(
        InvalidInput, match=r"grant it CREATEDB, or name an empty database in .*shop-db.dry_run_url"
    ):
        await provider.foresee(postgres_shop.effect("0001"), await postgres_shop.read())


async def test_a_given_database_is_used_and_left_empty(postgres_shop: Shop, postgres: Postgres):
    shop = postgres_shop
    shop.scripts.add("0004", *_EVERYTHING)
    dry_run = Shop(postgres.new_database(), shop.scripts, shop.provider)
    shop.provider = shop.worker(dry_run_url=dry_run.url)
    dry_run.run("CREATE SCHEMA holdfast_dry_run", "CREATE TABLE left_by_a_dead_worker (id INTEGER)")

    await shop.migrate("0004", key="first")
    await shop.plan("0004", key="second")

    assert dry_run.rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []
    assert dry_run.rows("SELECT nspname FROM pg_namespace WHERE nspname ~ '^(holdfast|billing)'") == []


async def test_a_given_database_that_is_not_empty_is_refused_and_left_alone(
    postgres_shop: Shop, postgres: Postgres
):
    shop = postgres_shop
    dry_run = Shop(postgres.new_database(), shop.scripts, shop.provider)
    dry_run.run("CREATE TABLE precious (id INTEGER)")
    provider = shop.worker(dry_run_url=dry_run.url)

    with pytest.raises(
        InvalidInput, match=r"dry_run_url: the database has to be empty, and there is table .*precious"
    ):
        await provider.foresee(shop.effect("0001"), await shop.read())

    assert dry_run.rows("SELECT * FROM precious") == []


async def test_pg_dump_gets_the_password_and_nobody_sees_it(postgres_shop: Shop, monkeypatch, tmp_path):
    shop = postgres_shop
    real, seen, fake = shutil.which("pg_dump"), tmp_path / "seen", tmp_path / "bin" / "pg_dump"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@ | $PGPASSWORD" >> {seen}\nexec {real} "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
    provider = shop.worker(shop.url.replace("holdfast@", "holdfast:hush@", 1))

    await provider.foresee(shop.effect("0001"), await shop.read())

    arguments, password = seen.read_text().splitlines()[-1].split(" | ")
    assert "--schema-only" in arguments
    assert "hush" not in arguments
    assert password == "hush"


async def test_a_schema_that_pg_dump_may_not_read_is_told_in_its_words(postgres_shop: Shop, postgres: Postgres):
    postgres.run("DO $$ BEGIN CREATE ROLE maker LOGIN CREATEDB; EXCEPTION WHEN duplicate_object THEN END $$")
    postgres_shop.run("CREATE TABLE hidden (id INTEGER)")
    provider = postgres_shop.worker(postgres_shop.url.replace("holdfast@", "maker@", 1))

    with pytest.raises(
        InvalidInput, match=r"'shop-db': its schema cannot be copied .*permission denied .*hidden"
    ):
        await provider.foresee(postgres_shop.effect("0001"), await postgres_shop.read())


async def test_without_pg_dump_a_plain_schema_is_copied_by_reflection(postgres_shop: Shop, monkeypatch):
    await postgres_shop.migrate("0001", key="first")
    monkeypatch.setattr(shutil, "which", lambda _program: None)

    write = await postgres_shop.migrate("0003", key="second")

    assert (await postgres_shop.read()).values == write.goal


async def test_without_pg_dump_what_reflection_misses_is_named(postgres_shop: Shop, monkeypatch):
    await postgres_shop.migrate("0002", key="first")
    monkeypatch.setattr(shutil, "which", lambda _program: None)

    with pytest.raises(InvalidInput, match=r"view public.totals is missing; for PostgreSQL, 'pg_dump' .* PATH"):
        await postgres_shop.plan("0003", key="second")
