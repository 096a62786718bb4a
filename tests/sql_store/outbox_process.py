"""What another process does with the outbox; it says READY, waits for a line on stdin, and acts.

python outbox_process.py URL SECRET put NAME COUNT      puts one by one, and prints the id of each
python outbox_process.py URL SECRET send HOLDER COUNT   claims and settles until so many are settled
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

from holdfast.adapters.sql_store import SqlStore
from holdfast.domain.proofs import Keyring
from holdfast.outbox.message import Delivery, Message, Ranked, Request, RowState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BOT = "7000"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def message(name: str, number: int) -> Ranked:
    request = Request(method="sendMessage", params={"text": f"{name} {number}"})
    fields = {"key": f"{name}/{number}", "chat": f"{number % 5}", "kind": "card", "request": request}
    # Every other message is a version of one, so that putting and replacing meet the sender.
    replaces = f"{name}/{number // 2}" if number % 2 else ""
    said = Message(**fields, replaces=replaces)
    due = NOW + timedelta(seconds=number)
    return Ranked(message=said, tier="gold", queued_at=NOW, due=due, delivery=Delivery.AT_MOST_ONCE)


async def put(store: SqlStore, name: str, count: int) -> None:
    for number in range(count):
        (row_id,) = await store.outbox.put(BOT, [message(name, number)])
        say(f"{row_id} {name}/{number}")


async def send(store: SqlStore, holder: str, count: int) -> None:
    lease = await store.outbox.take_lease(BOT, holder, ttl=timedelta(hours=1), now=NOW)
    assert lease
    sent = 0
    while sent < count:
        heads = await store.outbox.heads(BOT, now=NOW)
        rows = await store.outbox.claim(lease, [head.id for head in heads], now=NOW)
        for row in rows:
            say(f"sending {row.id}")
        await store.outbox.settle(lease, [row.id for row in rows], RowState.SENT, now=NOW)
        for row in rows:
            say(f"sent {row.id}")
        sent += len(rows)


async def main(url: str, secret: str, what: str, name: str, count: str) -> None:
    store = SqlStore(url, Keyring([secret]))
    say("READY")
    sys.stdin.readline()
    await {"put": put, "send": send}[what](store, name, int(count))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
