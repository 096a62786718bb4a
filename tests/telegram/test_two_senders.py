"""Two sender processes on one file, stopped, continued and killed at random while messages come in."""

import asyncio
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from holdfast.outbox.message import Message, Request, RowState
from holdfast.outbox.outbox import Outbox
from holdfast.outbox.store import OutboxStore
from tests.telegram import sending_process
from tests.telegram.sending_process import shipped, store_at

TOKEN, BOT = "900:TWO", "900"
PEOPLE = range(1, 61)
A_SECOND = 15
ROUNDS = 5


@dataclass(frozen=True)
class World:
    """A server with its own limits on, and the database of the senders."""

    url: str
    directory: Path

    @property
    def database(self) -> str:
        return str(self.directory / "holdfast.db")

    def arrived(self) -> Counter[str]:
        """How often each text arrived; a copy has a line before it that says so."""
        with closing(sqlite3.connect(self.directory / "state.sqlite")) as state:
            bodies = [json.loads(body) for (body,) in state.execute("SELECT body FROM messages")]
        return Counter(body["text"].splitlines()[-1] for body in bodies if "text" in body)

    def sender(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, sending_process.__file__, self.database, self.url, TOKEN]
        with (self.directory / "senders.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)


@asynccontextmanager
async def world(directory: Path) -> AsyncGenerator[World]:
    people = directory / "people.json"
    users = [{"id": user, "first_name": f"P{user}", "started": True} for user in PEOPLE]
    people.write_text(json.dumps({"users": users}))
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast.sim.telegram", "--port", "0", "--token", TOKEN),
        *("--people", str(people), "--state", str(directory / "state.sqlite")),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert server.stdout
        line = (await asyncio.wait_for(server.stdout.readline(), 30)).decode()
        found = re.search(r":(\d+)\s*$", line)
        assert found, line
        yield World(f"http://127.0.0.1:{found[1]}", directory)
    finally:
        server.kill()
        await server.wait()


def a_message(number: int) -> Message:
    text = f"m{number:05}"
    kind = "escalation" if number % 2 else "card"  # at least once, at most once
    request = Request(method="sendMessage", params={"text": text}, plain=text)
    return Message(key=text, chat=str(PEOPLE[number % len(PEOPLE)]), kind=kind, request=request)


async def load(outbox: Outbox, texts: list[str]) -> None:
    while True:
        batch = [a_message(len(texts) + n) for n in range(A_SECOND // 5)]
        await outbox.put_all(batch)
        texts += [message.key for message in batch]
        await asyncio.sleep(0.2)


async def leading(store: OutboxStore, senders: "list[subprocess.Popen[bytes]]") -> int:
    """Wait until one of these holds the lease; its name has its pid."""
    while True:
        lease = await store.holder(BOT)
        for number, sender in enumerate(senders):
            if lease and lease.holder.split("/")[2] == str(sender.pid):
                return number
        await asyncio.sleep(0.1)


async def torment(
    place: World, store: OutboxStore, senders: "list[subprocess.Popen[bytes]]", chance: random.Random
) -> None:
    """Stop the one that sends for longer than its lease lasts and go on with it, or kill it."""
    for number in range(ROUNDS):
        one = await leading(store, senders)
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        if number % 2 == 0:
            senders[one].send_signal(signal.SIGSTOP)
            await asyncio.sleep(chance.uniform(6.5, 8))
            senders[one].send_signal(signal.SIGCONT)
        else:
            senders[one].kill()
            senders[one].wait()
            senders[one] = place.sender()


async def all_settled(store: OutboxStore) -> bool:
    counts = await store.counts(BOT)
    return not counts[RowState.QUEUED] and not counts[RowState.SENDING]


@pytest.mark.timeout(400)
async def test_nothing_is_lost_or_said_twice_unannounced_and_no_limit_is_passed(tmp_path: Path) -> None:
    async with world(tmp_path) as place:
        store = store_at(place.database)
        await store.migrate()
        policy, texts = shipped(), list[str]()
        senders = [place.sender(), place.sender()]
        loading = asyncio.create_task(load(Outbox(store.outbox, lambda: policy, bot=BOT), texts))
        try:
            await torment(place, store.outbox, senders, random.Random(11))
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading
            async with asyncio.timeout(240):
                while not await all_settled(store.outbox):  # noqa: ASYNC110  other processes signal nothing
                    await asyncio.sleep(0.2)
            lease = await store.outbox.holder(BOT)
        finally:
            for sender in senders:
                sender.kill()
                sender.wait()
        async with httpx.AsyncClient() as client:
            log = (await client.get(f"{place.url}/human/log")).json()
        found = await store.outbox.rows(BOT, limit=len(texts) + 100)
        await store.close()
        copies = place.arrived()
    rows = {row.key: row for row in found}
    assert len(texts) > 100
    assert lease
    assert lease.epoch >= 3, "the lease has moved"
    lost = [t for t in texts if not copies[t] and rows[t].state is not RowState.UNCERTAIN]
    silent = [t for t in texts if copies[t] > 1 and not rows[t].repeated]
    assert (lost, silent, log["rejected_429"]) == ([], [], 0)
    assert {row.state for row in rows.values()} <= {RowState.SENT, RowState.UNCERTAIN}
