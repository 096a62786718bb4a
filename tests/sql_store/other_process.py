"""What a second process does: it says READY, waits for a line on stdin, acts, and prints what came out.

python other_process.py URL SECRET append NAME COUNT
python other_process.py URL SECRET verify PERSON CODE NOW
python other_process.py URL SECRET migrate
"""

import asyncio
import sys
from datetime import datetime

from holdfast.adapters.sql_store import SqlStore
from holdfast.domain.proofs import Keyring
from holdfast.ports.audit import AuditEntry, AuditKind
from holdfast.ports.identity import CodeRefused


async def append(store: SqlStore, name: str, count: str) -> str:
    for number in range(int(count)):
        entry = AuditEntry(
            key=f"{name}/{number}",
            at=datetime.fromisoformat("2026-03-01T12:00:00+00:00"),
            kind=AuditKind.REMINDER,
            run=name,
            text=f"number {number}",
        )
        await store.audit.append([entry, entry.model_copy(update={"key": f"{name}/{number}/too"})])
    return "done"


async def verify(store: SqlStore, person: str, code: str, now: str) -> str:
    try:
        await store.second_factor.verify(person, code, now=datetime.fromisoformat(now))
    except CodeRefused as refused:
        return str(refused)
    return "accepted"


async def migrate(store: SqlStore) -> str:
    await store.migrate()
    return "done"


async def main(url: str, secret: str, what: str, *arguments: str) -> None:
    store = SqlStore(url, Keyring([secret]))
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    sys.stdin.readline()
    act = {"append": append, "verify": verify, "migrate": migrate}[what]
    sys.stdout.write(f"{await act(store, *arguments)}\n")
    await store.close()


asyncio.run(main(*sys.argv[1:]))
