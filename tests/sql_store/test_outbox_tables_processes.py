"""Several processes use one outbox, and some of them are killed in the middle."""

import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.outbox.message import RowState
from tests.sql_store.conftest import SECRET
from tests.sql_store.outbox_process import BOT, NOW, message

_SCRIPT = Path(__file__).with_name("outbox_process.py")
TTL = timedelta(hours=1)


@pytest.fixture
def started(url):
    """Start processes; each waits until it is told to go."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, _SCRIPT, url, SECRET, *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdout.readline() == "READY\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def killed_after(process: subprocess.Popen[str], lines: int) -> list[str]:
    """Kill a process after it said so many lines; return everything that it said."""
    said = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    rest = process.stdout.read()
    # A line that was cut off tells nothing for sure.
    return [line.rstrip("\n") for line in [*said, *rest.splitlines(keepends=True)] if line.endswith("\n")]


async def consistent(store, intruder) -> None:
    """Check what each transaction has to keep: numbers, heads, one row a version."""
    rows = intruder.rows("SELECT state, count(*) FROM outbox GROUP BY state")
    counted = {state: number for state, number in (await store.outbox.counts(BOT)).items() if number}
    assert counted == {RowState(state): number for state, number in rows}
    heads = intruder.rows("SELECT tier, chat, min(due) FROM outbox WHERE state = 'queued' GROUP BY tier, chat")
    kept = intruder.rows("SELECT tier, chat, due FROM outbox WHERE head = 1 AND state = 'queued'")
    assert sorted(kept) == sorted(heads)
    assert intruder.rows("SELECT count(*) FROM outbox WHERE head = 1 AND state <> 'queued'") == [(0,)]


async def test_several_put_while_one_sends(started, store, intruder):
    sender = started("send", "first", "30")
    putters = [started("put", name, "20") for name in ("x", "y", "z")]
    go(sender, *putters)
    put = [line.split() for process in putters for line in process.communicate(timeout=60)[0].splitlines()]
    sent = [line for line in sender.communicate(timeout=60)[0].splitlines() if line.startswith("sent")]

    assert len(put) == 60
    assert max(Counter(sent).values()) == 1
    assert (await store.outbox.counts(BOT))[RowState.SENT] == len(sent) >= 30
    await consistent(store, intruder)
    for row_id, key in put:
        name, number = key.split("/")
        assert await store.outbox.put(BOT, [message(name, int(number))]) == [int(row_id)]


async def test_two_who_put_the_same_agree_on_the_ids(started, store):
    putters = [started("put", "x", "20") for _ in range(2)]
    go(*putters)
    said = [process.communicate(timeout=60)[0] for process in putters]

    assert said[0] == said[1] != ""
    assert (await store.outbox.counts(BOT))[RowState.QUEUED] == len(
        {line.split()[0] for line in said[0].splitlines()}
    )


@pytest.mark.parametrize("after", [1, 20])
async def test_what_a_killed_process_had_put_is_there(started, store, intruder, after):
    process = started("put", "x", "400")
    go(process)
    said = killed_after(process, after)

    assert len(said) >= after
    for line in said:
        row_id, key = line.split()
        assert await store.outbox.put(BOT, [message("x", int(key.split("/")[1]))]) == [int(row_id)]
    await consistent(store, intruder)


@pytest.mark.parametrize("after", [1, 8, 33])
async def test_what_a_killed_sender_may_have_sent_is_uncertain(started, store, intruder, after):
    await store.outbox.put(BOT, [message("x", number) for number in range(300)])
    process = started("send", "first", "150")
    go(process)
    said = killed_after(process, after)
    lease = await store.outbox.take_lease(BOT, "next", ttl=TTL, now=NOW, dead={"first"})
    left = {row.id for row in await store.outbox.recover(lease, now=NOW)}

    sending = {int(line.split()[1]) for line in said if line.startswith("sending")}
    told_sent = {int(line.split()[1]) for line in said if line.startswith("sent")}
    sent = {row.id for row in await store.outbox.rows(BOT, states={RowState.SENT}, limit=1000)}
    assert told_sent <= sent, "what was settled stays settled"
    assert sending <= sent | left, "nothing that was tried is queued as if it was not"
    assert not sent & left
    await consistent(store, intruder)
