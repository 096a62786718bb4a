"""On SQLite what is asked for while another one is being written is written in one transaction."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from holdfast.adapters.sql_store.database import Database, Lock
from holdfast.domain.errors import Unavailable


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'numbers.db'}")
    await opened.write(lambda connection: connection.execute(text("CREATE TABLE numbers (n INTEGER UNIQUE)")))
    yield opened
    await opened.close()


def adding(number: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": number})
        return id(connection.get_transaction())

    return work


def refusing(number: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        adding(number)(connection)
        raise ValueError("not so")

    return work


async def numbers(database: Database) -> list[int]:
    found = text("SELECT n FROM numbers ORDER BY n")
    return await database.read(lambda connection: list(connection.scalars(found)))


class Busy:
    """Keeps the database from writing anything else within its block."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._begun, self._free = threading.Event(), threading.Event()

    async def __aenter__(self) -> None:
        def work(_: Connection) -> None:
            self._begun.set()
            assert self._free.wait(10)

        self._working = asyncio.create_task(self._database.write(work))
        assert await asyncio.to_thread(self._begun.wait, 10)

    async def __aexit__(self, *_: object) -> None:
        self._free.set()
        await self._working


async def asked_meanwhile(
    database: Database, *works: Callable[[Connection], int], lock: Lock | None = None
) -> list[int | BaseException]:
    async with Busy(database):
        tasks = [asyncio.create_task(database.write(work, lock=lock)) for work in works]
        await asyncio.sleep(0)  # each has asked
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_is_asked_for_meanwhile_is_one_transaction(database: Database) -> None:
    transactions = await asked_meanwhile(database, adding(1), adding(2), adding(3))
    assert len(set(transactions)) == 1
    assert await numbers(database) == [1, 2, 3]


async def test_one_that_raises_writes_nothing_and_the_others_are_written(database: Database) -> None:
    outcomes = await asked_meanwhile(database, adding(1), refusing(2), adding(3))
    assert [type(outcome) for outcome in outcomes] == [int, ValueError, int]
    assert await numbers(database) == [1, 3]


async def test_one_that_breaks_a_rule_of_the_table_fails_alone(database: Database) -> None:
    outcomes = await asked_meanwhile(database, adding(1), adding(1), adding(2))
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False]
    assert await numbers(database) == [1, 2]


async def test_a_fault_of_the_database_is_one_for_all_and_nothing_is_written(database: Database) -> None:
    def broken(connection: Connection) -> int:
        connection.execute(text("INSERT INTO letters VALUES (1)"))
        return 0

    outcomes = await asked_meanwhile(database, adding(1), broken, adding(2))
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
    assert await numbers(database) == []
    assert await database.write(adding(4))


async def test_what_needs_a_lock_has_a_transaction_of_its_own(database: Database) -> None:
    works = [adding(n) for n in range(3)]
    failing = await asked_meanwhile(database, works[0], refusing(9), lock=Lock.AUDIT)
    assert [type(outcome) for outcome in failing] == [int, ValueError]
    assert await numbers(database) == [0]


async def test_one_that_is_not_waited_for_any_more_is_left_out(database: Database) -> None:
    async with Busy(database):
        task = asyncio.create_task(database.write(adding(1)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await database.write(adding(2))
    assert await numbers(database) == [2]
