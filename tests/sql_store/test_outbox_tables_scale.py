"""The work of each call stays the same however many rows wait, counted in steps of the database's machine."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, make_url

from holdfast.adapters.sql_store import SqlStore
from holdfast.outbox.message import Delivery, Message, Ranked, Request, RowState
from holdfast.outbox.store import Head, Lease

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BOT = "7000"
FEW, MANY = 2500, 10_000  # also of "few chats": so many in each that `alike` is not counted further
REQUEST = Request(method="sendMessage", params={"text": "words"})
CHAT_OF = {
    "one chat": lambda _: "-1",
    "a chat each": lambda n: f"{n + 1}",
    "few chats": lambda n: f"{n % 10 + 1}",
}


def message(number: int, shape: str, due: float | None = None) -> Ranked:
    at = NOW + timedelta(milliseconds=number)
    said = Message(
        key=f"k{number}", chat=CHAT_OF[shape](number), kind="escalation", request=REQUEST, line=f"line {number}"
    )
    moment = at if due is None else NOW + timedelta(seconds=due)
    tier = ("gold", "silver")[number % 2]
    return Ranked(message=said, tier=tier, queued_at=at, due=moment, delivery=Delivery.AT_MOST_ONCE)


class Machine:
    """Counts the steps of SQLite's virtual machine, on all connections of a store."""

    def __init__(self, store: SqlStore) -> None:
        self.steps = 0
        self.statements: set[str] = set()
        engine = store._database._engine
        event.listen(engine, "checkout", lambda connection, *_: connection.set_progress_handler(self._step, 1))
        event.listen(engine, "before_cursor_execute", lambda *call: self.statements.add(call[2]))

    def _step(self) -> int:
        self.steps += 1
        return 0

    async def of(self, call: Awaitable[object]) -> int:
        before = self.steps
        await call
        return self.steps - before


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture
async def filled(store: SqlStore) -> Callable[..., Awaitable[None]]:
    async def fill(shape: str, first: int, until: int) -> None:
        for start in range(first, until, 1000):
            await store.outbox.put(BOT, [message(n, shape) for n in range(start, min(until, start + 1000))])

    return fill


async def work(machine: Machine, store: SqlStore, lease: Lease, shape: str, number: int) -> dict[str, int]:
    """Return the steps of each call, on a store as it is."""
    outbox = store.outbox
    wanted = NOW + timedelta(days=1)
    last, first = message(number, shape), message(number + 1, shape, due=-number)
    steps = {
        "put last": await machine.of(outbox.put(BOT, [last])),
        "put first": await machine.of(outbox.put(BOT, [first])),
        "put again": await machine.of(outbox.put(BOT, [first])),
        "heads": await machine.of(outbox.heads(BOT, now=wanted)),
        "heads of others": await machine.of(outbox.heads(BOT, now=wanted, skip={"-1", "3", "5"})),
    }
    head, other = (await outbox.heads(BOT, now=wanted))[:2]
    steps["claim"] = await machine.of(outbox.claim(lease, [head.id], now=NOW))
    steps["settle"] = await machine.of(outbox.settle(lease, [head.id], RowState.UNCERTAIN, now=NOW))
    later = NOW + timedelta(hours=1)
    steps["requeue"] = await machine.of(outbox.requeue(lease, [head.id], not_before=later))
    steps["wake"] = await machine.of(outbox.heads(BOT, now=wanted))
    like = Head(other.id, other.chat, other.tier, other.kind, other.thread, other.due)
    steps["claim alike"] = await machine.of(outbox.claim_alike(lease, like, at_most=1, now=NOW))
    steps["settle again"] = await machine.of(outbox.settle(lease, [other.id], RowState.DEAD, now=NOW))
    steps["retry"] = await machine.of(outbox.retry(other.id, why="", now=wanted))
    steps["drop"] = await machine.of(outbox.drop(other.id, why=""))
    steps["recover"] = await machine.of(outbox.recover(lease, now=NOW))
    steps["recent"] = await machine.of(outbox.recent(BOT, since=wanted))
    steps["lanes"] = await machine.of(outbox.lanes(BOT))
    steps["counts"] = await machine.of(outbox.counts(BOT))
    steps["rows"] = await machine.of(outbox.rows(BOT, limit=20))
    steps["rows of a chat"] = await machine.of(outbox.rows(BOT, chat=head.chat, limit=20))
    waiting = [row.id for row in await outbox.rows(BOT, states=[RowState.QUEUED], limit=20)]
    steps["claim many"] = await machine.of(outbox.claim(lease, waiting, now=NOW))
    steps["settle many"] = await machine.of(outbox.settle_sent(lease, dict.fromkeys(waiting, "1"), now=NOW))
    row = await outbox.row(head.id)
    assert row
    steps["ahead"] = await machine.of(outbox.ahead(row.model_copy(update={"due": wanted}), limit=50))
    steps["forget"] = await machine.of(outbox.forget(BOT, settled_before=NOW + timedelta(days=999), limit=1))
    return steps


@pytest.mark.parametrize("shape", CHAT_OF)
async def test_the_work_of_a_call_does_not_grow_with_the_rows(store, filled, shape):
    machine = Machine(store)
    lease = await store.outbox.take_lease(BOT, "a", ttl=timedelta(days=9), now=NOW)
    await filled(shape, 0, FEW)
    few = await work(machine, store, lease, shape, FEW)
    await filled(shape, FEW + 2, MANY)
    many = await work(machine, store, lease, shape, MANY)

    assert min(few.values()) > 0, "the steps are counted"
    assert {name: (few[name], steps) for name, steps in many.items() if steps > 1.5 * few[name] + 50} == {}


async def test_every_statement_finds_its_rows_by_an_index(store, filled, intruder):
    machine = Machine(store)
    lease = await store.outbox.take_lease(BOT, "a", ttl=timedelta(days=9), now=NOW)
    await filled("few chats", 0, FEW)
    await work(machine, store, lease, "few chats", FEW)
    await store.outbox.move_chat(BOT, "1", "2")

    hot = [each for each in machine.statements if each.split()[0] in {"SELECT", "UPDATE", "DELETE"}]
    plans = {each: plan_of(intruder, each) for each in hot}
    assert any("outbox_heads" in line for plan in plans.values() for line in plan)
    assert {each: plan for each, plan in plans.items() if any(map(is_slow, plan))} == {}


def plan_of(intruder, statement: str) -> list[str]:
    # Nothing for each parameter: a plan does not depend on them.
    with closing(sqlite3.connect(make_url(intruder.url).database)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", (None,) * statement.count("?"))
        return [row[3] for row in plan]


def is_slow(line: str) -> bool:
    # The few rows of a bot's numbers, pauses and moves may be read one after another; those of `outbox` not.
    return line == "SCAN outbox" or line.startswith("SCAN outbox ") or "TEMP B-TREE FOR ORDER BY" in line


async def test_a_commit_is_on_the_disk_before_a_call_returns(store):
    def synchronous(connection) -> int:
        return connection.exec_driver_sql("PRAGMA synchronous").scalar()

    full = 2
    assert await store._database.read(synchronous) == full
