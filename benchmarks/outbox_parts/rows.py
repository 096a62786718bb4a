"""What a message costs with a thousand and with a million rows waiting, and how much memory that takes."""

import asyncio
import itertools
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from benchmarks.outbox_parts.figures import Promise
from benchmarks.outbox_parts.ours import BOT, store_in
from benchmarks.outbox_parts.sending import SHIPPED
from holdfast.adapters.sql_store import SqlStore
from holdfast.outbox.message import Message, Request, Row
from holdfast.outbox.order import ranked
from holdfast.outbox.outbox import Outbox
from holdfast.outbox.sender import Sender
from holdfast.outbox.timing import Timing
from holdfast.outbox.transport import Fate, Sent
from holdfast.runbook.priorities import Priorities

FEW, MANY = 1_000, 1_000_000
_MEASURED = 2_000
_BATCH = 5_000
_TIERS = ("gold", "silver", "bronze")
_ROUNDS = 3


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds a message, and megabytes of memory that this process had at most."""

    put: float
    dispatch: float
    memory: float


class _Counting:
    """A transport that takes everything at once."""

    def __init__(self) -> None:
        self.sent = 0

    async def send(self, row: Row) -> Fate:
        self.sent += 1
        return Sent(str(row.id))

    async def send_digest(self, rows: list[Row]) -> Fate:
        self.sent += len(rows)
        return Sent(str(rows[0].id))


async def rows(directory: Path) -> list[Promise]:
    """Measure with a thousand rows, then with a million, in one store each, in turns."""
    costs = {waiting: await _cost(directory, waiting) for waiting in (FEW, MANY)}
    few, many = costs[FEW], costs[MANY]
    for waiting, cost in costs.items():
        print(
            f"{waiting:>9,} rows waiting: {cost.put:.2f} ms CPU to put a message, {cost.dispatch:.2f} ms to "
            f"dispatch one, {cost.memory:.0f} MB at most"
        )
    return [
        Promise("a million rows: cost to put / at a thousand", many.put / few.put, 2, 1.0),
        Promise("a million rows: cost to dispatch / at a thousand", many.dispatch / few.dispatch, 2, 1.0),
        Promise("a million rows: memory more than at a thousand, MB", many.memory - few.memory, 100),
    ]


async def _cost(directory: Path, waiting: int) -> Cost:
    store, numbers = store_in(directory), itertools.count()
    await store.migrate()
    priorities = _policy()
    await _fill(store, priorities, numbers, waiting)
    puts, dispatches = list[float](), list[float]()
    for _ in range(_ROUNDS):
        puts.append(await _put(store, priorities, numbers))
        dispatches.append(await _dispatch(store, priorities))
    await store.close()
    for file in directory.glob("outbox.db*"):  # noqa: ASYNC240  nothing else runs meanwhile
        file.unlink()
    return Cost(min(puts), min(dispatches), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


async def _fill(store: SqlStore, priorities: Priorities, numbers: Iterator[int], waiting: int) -> None:
    now = datetime.now(UTC) - timedelta(hours=1)
    for start in range(0, waiting, _BATCH):
        size = min(_BATCH, waiting - start)
        batch = [ranked(_message(next(numbers)), priorities, now) for _ in range(size)]
        await store.outbox.put(BOT, batch)


async def _put(store: SqlStore, priorities: Priorities, numbers: Iterator[int]) -> float:
    outbox = Outbox(store.outbox, lambda: priorities, bot=BOT)
    began = time.process_time()
    for _ in range(_MEASURED):
        await outbox.put(_message(next(numbers)))
    return 1000 * (time.process_time() - began) / _MEASURED


async def _dispatch(store: SqlStore, priorities: Priorities) -> float:
    transport = _Counting()
    sender = Sender(store.outbox, transport, lambda: priorities, BOT, "benchmark", timing=Timing())
    sending = asyncio.create_task(sender.run())
    await _until(lambda: transport.sent >= _MEASURED // 10)  # the take-over is not what is measured
    first, began = transport.sent, time.process_time()
    await _until(lambda: transport.sent >= first + _MEASURED)
    cost = 1000 * (time.process_time() - began) / (transport.sent - first)
    sending.cancel()
    with suppress(asyncio.CancelledError):
        await sending
    return cost


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(300):
        while not true():  # noqa: ASYNC110  the transport of a benchmark signals nothing
            await asyncio.sleep(0.02)


def _message(number: int) -> Message:
    # Half of all to a few hundred busy chats, the others to a chat each.
    chat = 1 + number % 400 if number % 2 else 1_000_000 + number
    text = f"r{number}"
    return Message(
        key=text,
        chat=str(chat),
        kind="escalation",
        request=Request(method="sendMessage", params={"text": text}, plain=text),
        tier=_TIERS[number % 3],
        value=float(number % 1000) * 1000,
    )


def _policy() -> Priorities:
    policy = yaml.safe_load(SHIPPED.read_text())
    policy["limits"] = {
        "bot": {"count": 900, "per": "1s", "burst": 90},
        "private": {"count": 1000, "per": "1s", "burst": 100},
        "paid_broadcast": True,
    }
    return Priorities.model_validate(policy)
