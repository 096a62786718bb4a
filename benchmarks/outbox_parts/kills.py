"""The sender is killed 200 times while it sends; every possible duplicate must be known beforehand."""

import asyncio
import os
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import yaml
from sqlalchemy import create_engine, text

from benchmarks.outbox_parts.figures import Promise
from benchmarks.outbox_parts.ours import BOT, all_settled, store_in
from benchmarks.outbox_parts.sending import SHIPPED, priorities_in, send
from benchmarks.outbox_parts.world import FIRST_USER, World, world
from holdfast.adapters.sql_store import SqlStore
from holdfast.outbox.message import Message, Request
from holdfast.outbox.outbox import Outbox

KILLS = 200
_SEED = 7
_PEOPLE = 400
_RATE = 150.0  # a second: high, so that a kill seldom finds nothing under way
_LIFE_SECONDS = (0.05, 0.9)
_QUIET = timedelta(minutes=3)


@dataclass(frozen=True)
class Ending:
    """How one message ended: its row, and how often it is at the stand-in."""

    text: str
    state: str
    repeated: bool
    copies: int


async def kills(directory: Path) -> list[Promise]:
    """Kill the sender 200 times under load; return what was lost, and what was repeated unannounced."""
    limits = ("--overall-per-second", "1000", "--private-burst", "50", "--private-interval-seconds", "0.05")
    with world(directory, people=_PEOPLE, limits=limits) as place:
        store = store_in(directory)
        await store.migrate()
        policy = _quick_policy(directory)
        put = await _under_load(directory, place, store, policy)
        await store.close()
        endings = _endings(directory, place, put)
    return _promises(endings)


async def _under_load(directory: Path, place: World, store: SqlStore, policy: Path) -> list[str]:
    chance = random.Random(_SEED)
    loading = asyncio.create_task(_load(store, policy))
    for _ in range(KILLS):
        child = _forked(directory, place, policy)
        await asyncio.sleep(chance.uniform(*_LIFE_SECONDS))
        _end(child, signal.SIGKILL)
    loading.cancel()
    texts = await loading
    last = _forked(directory, place, policy)
    try:
        await all_settled(store, within=_QUIET)
    finally:
        _end(last, signal.SIGTERM)
    return texts


def _end(child: int, how: signal.Signals) -> None:
    os.kill(child, how)
    os.waitpid(child, 0)


def _forked(directory: Path, place: World, policy: Path) -> int:
    """Start a sender in a copy of this process: everything is imported already."""
    child = os.fork()
    if child:
        return child
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        asyncio.set_event_loop(None)
        # The parent's loop is running in this thread as far as asyncio knows; the child has a loop of its own.
        asyncio._set_running_loop(None)  # noqa: SLF001  the one way to tell it so after a fork
        asyncio.run(send(directory, place.url, policy))
    finally:
        os._exit(1)


async def _load(store: SqlStore, policy: Path) -> list[str]:
    """Put messages at a steady rate until cancelled; return their texts."""
    priorities = priorities_in(policy)
    outbox, texts = Outbox(store.outbox, lambda: priorities, bot=BOT), list[str]()
    try:
        while True:
            batch = [_message(len(texts) + n) for n in range(int(_RATE / 10))]
            await outbox.put_all(batch)
            texts += [message.key for message in batch]
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        return texts


def _message(number: int) -> Message:
    key = f"k{number:06}"
    return Message(
        key=key,
        chat=str(FIRST_USER + number % _PEOPLE),
        kind="escalation" if number % 2 else "card",  # at least once, at most once
        request=Request(method="sendMessage", params={"text": key}, plain=key),
    )


def _quick_policy(directory: Path) -> Path:
    policy = yaml.safe_load(SHIPPED.read_text())
    policy["limits"] = {
        "bot": {"count": 400, "per": "1s", "burst": 20},
        "private": {"count": 10, "per": "1s", "burst": 20},
        "paid_broadcast": True,
    }
    path = directory / "priorities.yaml"
    path.write_text(yaml.safe_dump(policy))
    return path


def _endings(directory: Path, place: World, put: Sequence[str]) -> list[Ending]:
    engine = create_engine(f"sqlite:///{directory / 'outbox.db'}")
    with engine.connect() as connection:
        rows = {key: (state, bool(repeated)) for key, state, repeated in connection.execute(
            text("SELECT key, state, repeated FROM outbox")
        )}  # fmt: skip
    engine.dispose()
    # A repeated message begins with a line that says so; the text itself stands last.
    copies: dict[str, int] = {}
    for arrived, count in place.arrived().items():
        copies[arrived[-7:]] = copies.get(arrived[-7:], 0) + count
    return [Ending(key, *rows.get(key, ("missing", False)), copies.get(key, 0)) for key in put]


def _promises(endings: Sequence[Ending]) -> list[Promise]:
    lost = [e for e in endings if not e.copies and (e.state != "uncertain" or e.repeated)]
    unannounced = [e for e in endings if e.copies > 1 and not e.repeated]
    uncertain = [e for e in endings if e.state == "uncertain" or e.repeated]
    print(
        f"{KILLS} kills, {len(endings)} messages: {len(uncertain)} were uncertain, of these "
        f"{sum(1 for e in uncertain if e.copies > 1)} arrived twice, "
        f"{sum(1 for e in uncertain if not e.copies)} not at all and wait for a person"
    )
    return [
        Promise("kill -9: lost", len(lost), 0),
        Promise("kill -9: duplicates that were not uncertain beforehand", len(unannounced), 0),
        Promise("kill -9: kills that left something uncertain", len(uncertain), 1, at_least=True),
    ]
