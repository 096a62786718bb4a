"""Real processes watch a campaign's window; the worker that watches is killed shortly before a breach."""

import asyncio
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from temporalio.client import Client

from benchmarks.breach_scene import (
    BOT,
    CLIENT_CHAT,
    PARTS,
    Arrivals,
    Exporter,
    make_stack,
    outbox_of,
    pages_of,
    watched_campaign,
)
from holdfast.domain.campaign import BreachLine
from holdfast.domain.view import RunState
from holdfast.outbox.message import Row, RowState
from holdfast.outbox.store import OutboxStore
from tests.fakes import eventually
from workers.demo.stack import CHAT_ID, Stack
from workers.demo.world import World
from workers.engine import Engine
from workers.processes import Child, accepts_connections, free_port

BEGAN, OVER = "Checkout is in breach", "Checkout is well again"


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    """The counters of one context."""
    exporter = Exporter(free_port())
    try:
        yield exporter
    finally:
        exporter.close()


@pytest.fixture
def stack(engine: Engine, exporter: Exporter, tmp_path: Path) -> Iterator[Stack]:
    """What watching a campaign needs, as own processes."""
    stack = make_stack(tmp_path, exporter, engine)
    try:
        stack.start(*PARTS)
        yield stack
    finally:
        stack.stop()


@contextmanager
def another_worker(stack: Stack) -> Generator[Child]:
    """A second `holdfast worker` of the same stack, not started yet."""
    first, port = stack.children["worker"], free_port()
    second = Child(
        name="second worker",
        command=first.command,
        log=first.log.with_name("worker-2.log"),
        environment={**first.environment, "HOLDFAST_METRICS_PORT": str(port)},
        ready=accepts_connections(port),
    )
    try:
        yield second
    finally:
        second.stop()


async def watcher(client: Client, run_id: str) -> str:
    """Return the worker whose activity watches the window at this moment; empty where none does."""
    described = await client.get_workflow_handle(run_id).describe()
    for pending in described.raw_description.pending_activities:
        if pending.activity_type.name == "watch_window":
            return pending.last_worker_identity
    return ""


async def breach(world: World, run_id: str, *, ended: bool) -> BreachLine:
    """Wait for the only breach, or for its end."""

    async def found() -> BreachLine | None:
        campaign = (await world.runs.view(run_id)).campaign
        lines = campaign.breaches if campaign else []
        return next((line for line in lines if line.incident and (line.ended or not ended)), None)

    line: BreachLine = await eventually(found, seconds=60, every=0.3)
    return line


async def watched(world: World, client: Client) -> tuple[str, str]:
    """Start the campaign; return its run, and who watches it once the first look was shown."""
    run_id = await watched_campaign(world)

    async def looked() -> bool:
        campaign = (await world.runs.view(run_id)).campaign
        return campaign is not None and campaign.looked_at is not None

    await eventually(looked, seconds=60, every=0.3)
    return run_id, await eventually(lambda: watcher(client, run_id), seconds=60, every=0.1)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_breach_after_the_watching_worker_was_killed_is_paged_and_told_once(
    stack: Stack, exporter: Exporter
) -> None:
    client = await Client.connect(f"127.0.0.1:{stack.ports.temporal}")
    async with World(stack) as world, outbox_of(stack) as outbox, Arrivals().heard(stack) as arrivals:
        run_id, first = await watched(world, client)
        with another_worker(stack) as second:
            second.start()
            await asyncio.to_thread(second.wait_ready)
            assert await watcher(client, run_id) == first
            await asyncio.to_thread(stack.children["worker"].kill)
            exporter.breaks()
            began = await breach(world, run_id, ended=False)
            assert await eventually(lambda: watcher(client, run_id), seconds=60, every=0.1) != first
            await eventually(lambda: call_to(began.incident, outbox, arrivals), seconds=60, every=0.1)
            exporter.recovers()
            await breach(world, run_id, ended=True)
            await resolved(world, began.incident)
            await check_what_was_told(outbox)
            await check_that_it_was_once(world, run_id, began.incident, outbox)


async def resolved(world: World, incident: str) -> None:
    async def over() -> bool:
        return (await world.runs.view(incident)).state is RunState.RESOLVED

    await eventually(over, seconds=60, every=0.3)


async def call_to(incident: str, outbox: OutboxStore, arrivals: Arrivals) -> bool:
    """Whether the chat of whoever was called has the call."""
    pages = await pages_of(outbox, incident)
    return any((page.chat, page.message_id) in arrivals.at for page in pages)


async def check_what_was_told(outbox: OutboxStore) -> None:
    """The client and the team hear of the breach and of its end, each once."""

    async def told() -> list[Row]:
        """The team's chat is slow: cards are edited there too."""
        rows = await outbox.rows(BOT, limit=1000)
        calm = all(row.state.settled for row in rows)
        return rows if calm and any(text.startswith(OVER) for text in texts(rows, "ping", CHAT_ID)) else []

    rows: list[Row] = await eventually(told, seconds=120, every=0.5)
    team, client = texts(rows, "ping", CHAT_ID), texts(rows, "notice", CLIENT_CHAT)
    assert [text.startswith(OVER) for text in team if text.startswith((BEGAN, OVER))] == [False, True]
    assert [text[:7] for text in client] == ["Sale ha", "⚠️ Sale", "✅ Sale:"]


def texts(rows: Iterable[Row], kind: str, chat: int) -> list[str]:
    """Return what was sent of this kind to this chat, oldest first."""
    of_chat = [row for row in rows if (row.kind, row.chat, row.state) == (kind, str(chat), RowState.SENT)]
    return [str(row.request.params["text"]) for row in sorted(of_chat, key=lambda row: row.id)]


async def check_that_it_was_once(world: World, run_id: str, incident: str, outbox: OutboxStore) -> None:
    campaign = (await world.runs.view(run_id)).campaign
    assert campaign is not None
    assert [line.incident for line in campaign.breaches] == [incident]
    assert [run.run_id for run in await world.runs.recent() if run.kind == "incident"] == [incident]
    rows = await outbox.rows(BOT, limit=1000)
    assert [row.state for row in rows if row.kind == "page"] == [RowState.SENT]
    # What announces a topic in the chat has no text.
    assert [copies for copies in (await world.sent())["duplicates"] if copies["text"]] == []
