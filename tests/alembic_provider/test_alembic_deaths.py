"""Workers that are killed, and what the next one finds; two at once; work that is called off."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from holdfast.domain.errors import ChangeConflict, Unavailable
from holdfast.domain.journal import Write
from tests.alembic_provider.alembic_gate import Gate
from tests.alembic_provider.conftest import Shop

_SLEEPING = """
    SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()
"""
_SEVERAL_TABLES = (
    """
    op.create_table("first", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO customers (id, name) VALUES (7, 'made by the script')")
    if "BLOCKS" in os.environ:
        print("REACHED", flush=True)
        sys.stdin.readline()
    op.create_table("second", sa.Column("id", sa.Integer, primary_key=True))
    """,
    """
    op.execute("DELETE FROM customers WHERE id = 7")
    op.drop_table("second")
    op.drop_table("first")
    """,
)


@contextmanager
def said(process: "subprocess.Popen[str]", line: str) -> Iterator[None]:
    """Wait until the process says this; it does not outlive the test."""
    with process:
        try:
            assert process.stdout
            assert process.stdout.readline().strip().startswith(line)
            yield
        finally:
            process.kill()


def answer(process: "subprocess.Popen[str]") -> str:
    """Let the process go on, and return what it says next."""
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


async def planned(shop: Shop) -> Write:
    shop.scripts.add("0004", *_SEVERAL_TABLES)
    return await shop.plan("0004")


async def test_killed_in_the_middle_of_a_script_nothing_is_left_and_the_next_attempt_completes(shop: Shop):
    write = await planned(shop)
    before = await shop.read()

    process = shop.process(write, BLOCKS="yes")
    with said(process, "REACHED"):
        process.kill()
        process.wait()
    after_death = await shop.read()
    # The dead worker's server process may need a moment to notice; only then its locks are gone.
    state = await shop.worker(lock_timeout=timedelta(seconds=30)).write(write, shop.progress)

    assert after_death == before
    assert state.values == write.goal
    assert shop.changes() == [(write.key, "", "0004")]
    assert shop.rows("SELECT count(*) FROM customers") == [(1,)]


async def test_killed_during_a_long_statement_the_server_notices_and_lets_the_next_one_in(postgres_shop: Shop):
    shop = postgres_shop
    shop.scripts.add("0004", "op.execute(os.environ.get('STATEMENT', 'SELECT 1'))", "op.execute('SELECT 1')")
    write = await shop.plan("0004")

    with shop.process(write, STATEMENT="SELECT pg_sleep(100)") as process:
        async with asyncio.timeout(60):
            while (await asyncio.to_thread(shop.rows, _SLEEPING)) != [(1,)]:
                assert process.poll() is None
        process.kill()
    state = await shop.worker(lock_timeout=timedelta(seconds=60)).write(write, shop.progress)

    assert state.values == write.goal
    assert shop.changes() == [(write.key, "", "0004")]


async def test_killed_after_the_commit_and_before_the_answer_the_repeated_write_finds_it_done(shop: Shop):
    write = await planned(shop)

    process = shop.process(write)
    with said(process, "{"):
        process.kill()
        process.wait()
    shop.progress.repeated = True
    state = await shop.provider.write(write, shop.progress)

    assert state.values == write.goal
    assert shop.changes() == [(write.key, "", "0004")]


async def test_while_one_migrates_another_has_to_wait_and_then_finds_it_done(shop: Shop):
    write = await planned(shop)
    other = Write(effect=shop.effect("0004", key="other"), source=write.source, goal=write.goal)
    impatient = shop.worker(lock_timeout=timedelta(milliseconds=200))

    process = shop.process(write, BLOCKS="yes")
    with said(process, "REACHED"):
        with pytest.raises(Unavailable, match=r"database 'shop-db' does not answer or is in use: .*lock"):
            await impatient.write(other, shop.progress)
        assert '"0004"' in answer(process)

    assert (await shop.provider.write(write, shop.progress)).values == write.goal
    with pytest.raises(ChangeConflict, match="is at revision '0004' and not at ''"):
        await shop.provider.write(other, shop.progress)
    assert shop.changes() == [(write.key, "", "0004")]


async def test_a_schema_that_is_being_migrated_is_not_read(postgres_shop: Shop):
    write = await planned(postgres_shop)
    impatient = postgres_shop.worker(lock_timeout=timedelta(milliseconds=200))

    process = postgres_shop.process(write, BLOCKS="yes")
    with said(process, "REACHED"):
        with pytest.raises(Unavailable, match="in use: canceling statement due to lock timeout"):
            await impatient.read("shop-db", "all")
        assert '"0004"' in answer(process)

    assert (await impatient.read("shop-db", "all")).values == write.goal


async def test_a_table_that_is_in_use_makes_the_migration_unavailable_and_leaves_nothing(postgres_shop: Shop):
    shop = postgres_shop
    await shop.migrate("0001", key="first")
    write = await shop.plan("0003", key="second")
    impatient = shop.worker(lock_timeout=timedelta(milliseconds=200))

    with shop.connected() as connection:
        connection.exec_driver_sql("SELECT * FROM customers")
        with pytest.raises(Unavailable, match="lock timeout"):
            await impatient.write(write, shop.progress)

    assert (await shop.read()).values == write.source
    assert (await shop.provider.write(write, shop.progress)).values == write.goal


async def test_two_databases_of_one_worker_are_migrated_one_after_the_other(
    sqlite_shop: Shop, closed_gate: Gate
):
    shop = sqlite_shop
    shop.scripts.add("0004", "gate.wait()", "pass")
    write = Write(effect=shop.effect("0004"), source=(await shop.read()).values, goal={"revision": "0004"})
    impatient = shop.worker(lock_timeout=timedelta(milliseconds=200))

    first = asyncio.create_task(shop.provider.write(write, shop.progress))
    await asyncio.to_thread(closed_gate.reached.wait, 30)
    with pytest.raises(Unavailable, match="this worker is migrating another database"):
        await impatient.write(write, shop.progress)
    closed_gate.opened.set()

    assert (await first).values["revision"] == "0004"


async def test_a_cancelled_write_that_is_still_wanted_ends_before_the_cancellation_is_let_through(
    shop: Shop, closed_gate: Gate
):
    shop.scripts.add("0004", "gate.wait()", "pass")
    write = Write(effect=shop.effect("0004"), source=(await shop.read()).values, goal={"revision": "0004"})

    task = asyncio.create_task(shop.provider.write(write, shop.progress))
    await asyncio.to_thread(closed_gate.reached.wait, 30)
    task.cancel()
    ended, _ = await asyncio.wait({task}, timeout=0.5)
    assert not ended
    task.cancel()  # a second one does not hurry it either
    closed_gate.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert shop.changes() == [(write.key, "", "0004")]


async def test_called_off_during_a_long_statement_postgresql_stops_it_and_rolls_back(postgres_shop: Shop):
    shop = postgres_shop
    before = await shop.read()
    shop.scripts.add("0004", "op.execute('SELECT pg_sleep(100)')", "pass")
    write = Write(effect=shop.effect("0004"), source=before.values, goal={"revision": "0004"})

    task = asyncio.create_task(shop.provider.write(write, shop.progress))
    async with asyncio.timeout(60):
        while (await asyncio.to_thread(shop.rows, _SLEEPING)) != [(1,)]:
            assert not task.done()
        shop.progress.called_off = True
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert shop.rows(_SLEEPING) == [(0,)]
    assert await shop.read() == before


async def test_called_off_during_a_long_statement_sqlite_stops_it_and_rolls_back(
    sqlite_shop: Shop, closed_gate: Gate
):
    shop = sqlite_shop
    before = await shop.read()
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    shop.scripts.add("0004", f"gate.reached.set()\nop.execute('{endless}')", "pass")
    write = Write(effect=shop.effect("0004"), source=before.values, goal={"revision": "0004"})

    task = asyncio.create_task(shop.provider.write(write, shop.progress))
    await asyncio.to_thread(closed_gate.reached.wait, 30)
    shop.progress.called_off = True
    task.cancel()
    async with asyncio.timeout(60):
        with pytest.raises(asyncio.CancelledError):
            await task

    assert await shop.read() == before


async def test_a_cancelled_dry_run_stops_and_drops_its_scratch_database(postgres_shop: Shop):
    shop = postgres_shop
    shop.scripts.add("0004", "op.execute('SELECT pg_sleep(100)')", "op.execute('SELECT 1')")
    state = await shop.read()
    sleeping = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname ~ '^holdfast_dry_run'"
    )

    task = asyncio.create_task(shop.provider.foresee(shop.effect("0004"), state))
    async with asyncio.timeout(60):
        while (await asyncio.to_thread(shop.rows, sleeping)) != [(1,)]:
            assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert shop.rows("SELECT datname FROM pg_database WHERE datname ~ '^holdfast_dry_run'") == []
