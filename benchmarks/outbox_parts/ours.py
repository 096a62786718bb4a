"""The same load through the outbox: this process puts, a sender process sends."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import create_engine, text

from benchmarks.outbox_parts.loads import Arrival
from holdfast.adapters.sql_store import SqlStore
from holdfast.domain.proofs import Keyring
from holdfast.outbox.message import Message, Request, RowState
from holdfast.outbox.outbox import Outbox
from holdfast.runbook.priorities import Priorities

BOT = "501"
_LOOK_AGAIN_SECONDS = 0.5


def store_in(directory: Path) -> SqlStore:
    """Return the store in a directory."""
    return SqlStore(f"sqlite:///{directory / 'outbox.db'}", Keyring(["a-key-for-benchmarks-only"]))


def message(arrival: Arrival) -> Message:
    """Return an arrival as a message."""
    request = Request(method="sendMessage", params={"text": arrival.text}, plain=arrival.text)
    return Message(
        key=arrival.text,
        chat=str(arrival.chat),
        kind="escalation",
        request=request,
        tier=arrival.tier,
        value=arrival.value,
    )


async def put_load(store: SqlStore, priorities: Priorities, load: Sequence[Arrival]) -> float:
    """Put each message when it arrives; return the moment of the beginning, in Unix seconds."""
    outbox = Outbox(store.outbox, lambda: priorities, bot=BOT)
    began, started = time.monotonic(), time.time()
    for batch in _together(load):
        await asyncio.sleep(max(0.0, batch[0].at - (time.monotonic() - began)))
        await outbox.put_all([message(arrival) for arrival in batch])
    return started


async def all_settled(store: SqlStore, *, within: timedelta) -> None:
    """Wait until nothing is queued or being sent."""
    deadline = time.monotonic() + within.total_seconds()
    while time.monotonic() < deadline:
        counts = await store.outbox.counts(BOT)
        if not counts.get(RowState.QUEUED, 0) and not counts.get(RowState.SENDING, 0):
            return
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    raise TimeoutError(f"the outbox still has work after {within}: {counts}")


def sent_moments(directory: Path) -> dict[str, tuple[datetime, datetime]]:
    """Return when each text was put and when it was sent."""
    engine = create_engine(f"sqlite:///{directory / 'outbox.db'}")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT key, queued_at, sent_at FROM outbox WHERE state = 'sent'"))
        moments = {key: (_moment(put), _moment(sent)) for key, put, sent in rows}
    engine.dispose()
    return moments


def _moment(stored: object) -> datetime:
    if isinstance(stored, int | float):
        return datetime.fromtimestamp(stored, UTC)
    moment = datetime.fromisoformat(str(stored))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _together(load: Sequence[Arrival]) -> list[list[Arrival]]:
    """Gather what arrives within ten milliseconds, as one transaction of a busy caller would."""
    batches: list[list[Arrival]] = []
    for arrival in load:
        if batches and arrival.at - batches[-1][0].at < 0.01:  # noqa: PLR2004  ten milliseconds
            batches[-1].append(arrival)
        else:
            batches.append([arrival])
    return batches
