"""The sender is killed again and again while an incident calls people; a standby goes on, nothing is lost."""

import asyncio
import random
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import yaml

from holdfast.domain.view import RunState
from holdfast.outbox.message import Row, RowState
from holdfast.outbox.store import OutboxStore
from tests.fakes import eventually
from tests.system import taps
from workers import storing
from workers.demo.stack import BOT_TOKEN, ROOT, Ports, Stack
from workers.demo.story import ANNA, BORIS, GLEB, VERA
from workers.demo.world import World
from workers.engine import Engine, find_prometheus
from workers.processes import Child, accepts_connections, free_port
from workers.secrets import keyring
from workers.settings import Settings

KILLS = 3
NOTES_BETWEEN_KILLS = 4
TITLE = "the CRM answers in 20 s"
REPLACED = "replaced by a newer version"
# Of these a new message comes; all others change or delete one, and doing that twice is doing it once.
WRITES = {"sendMessage", "sendPhoto", "sendDocument", "createForumTopic"}
BOT = BOT_TOKEN.partition(":")[0]
# Both steps while the sender is being killed.
POLICY = {
    "title": "Quick",
    "steps": [
        {"page": ["rota:oncall"], "wait": "8s"},
        {"page": ["oncall", "sre-lead", "crm-owner", "support-head"], "wait": "5m"},
    ],
    "rounds": 1,
}


@pytest.fixture
def stack(engine: Engine, tmp_path: Path) -> Iterator[Stack]:
    """The whole system, with an incident that calls people quickly."""
    quick = tmp_path / "runbooks/escalation/policies.yaml"
    quick.parent.mkdir(parents=True)
    quick.write_text(yaml.safe_dump({"policies": {"customer": POLICY}}))
    stack = Stack(
        tmp_path / "stack",
        Ports.pick(familiar=False),
        engine=engine,
        prometheus=find_prometheus(),
        runbook_dirs=(tmp_path / "runbooks", ROOT / "runbooks"),
        rate=5,
    )
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


class Senders:
    """Two `holdfast bot` of one token, of which one sends."""

    def __init__(self, stack: Stack) -> None:
        first, port = stack.children["bot"], free_port()
        second = Child(
            name="standby",
            command=first.command,
            log=first.log.with_name("standby.log"),
            environment={**first.environment, "HOLDFAST_METRICS_PORT": str(port)},
            ready=accepts_connections(port),
        )
        self._ports = {stack.ports.bot_metrics: first, port: second}
        self.standby = second
        self.takeovers: list[float] = []

    async def leading(self) -> Child | None:
        """The one that says that it sends."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            for port, child in self._ports.items():
                with suppress(httpx.HTTPError):  # who does not answer is not up yet
                    metrics = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
                    if re.search(r"^holdfast_outbox_leader 1\.0$", metrics, re.MULTILINE):
                        return child
        return None

    async def kill_the_leader(self) -> None:
        """Kill it, wait until the other one leads, and bring it back as the standby."""
        killed: Child = await eventually(self.leading, seconds=60, every=0.1)
        await asyncio.to_thread(killed.kill)
        began = time.monotonic()

        async def other() -> Child | None:
            leader = await self.leading()
            return leader if leader is not killed else None

        await eventually(other, seconds=60, every=0.1)
        self.takeovers.append(time.monotonic() - began)
        await asyncio.to_thread(killed.start)
        await asyncio.to_thread(killed.wait_ready)


@asynccontextmanager
async def rows_of(stack: Stack) -> AsyncGenerator[OutboxStore]:
    """Lend the outbox of a stack."""
    settings = Settings(state_dir=stack.state, _env_file=None)  # type: ignore[call-arg]  # pydantic-settings' own
    async with storing.store(settings, keyring(settings)) as store:
        yield store.outbox


async def open_incident(world: World) -> str:
    await taps.start(world, VERA, "vera", f"/incident {TITLE} tier=gold value=250000")

    async def opened() -> str | None:
        for run in await world.runs.recent():
            if (await world.runs.view(run.run_id)).state is RunState.OPEN:
                return run.run_id
        return None

    return str(await eventually(opened, seconds=60, every=0.2))


async def settled(store: OutboxStore) -> list[Row]:
    """Wait until nothing waits any more; return all rows."""

    async def all_settled() -> list[Row]:
        rows = await store.rows(BOT, limit=10_000)
        return rows if all(row.state.settled for row in rows) else []

    rows: list[Row] = await eventually(all_settled, seconds=90, every=0.5)
    return rows


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_standby_takes_over_from_a_killed_sender_and_nothing_is_lost_or_repeated_unseen(
    stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    senders, dice = Senders(stack), random.Random(20261121)
    senders.standby.start()
    await asyncio.to_thread(senders.standby.wait_ready)
    try:
        async with World(stack) as world, rows_of(stack) as store:
            run_id = await open_incident(world)
            for kill in range(KILLS):
                for note in range(NOTES_BETWEEN_KILLS):
                    await world.say(BORIS, f"/note {run_id} note {kill}.{note}", chat=BORIS)
                await asyncio.sleep(dice.uniform(0, 0.8))
                await senders.kill_the_leader()
            record_property("takeovers", [f"{seconds:.1f} s" for seconds in senders.takeovers])
            await everybody_is_called(world, run_id)
            await every_note_counts_once(world, run_id)
            await check_the_chats(world, await settled(store))
    finally:
        await asyncio.to_thread(senders.standby.stop)


async def everybody_is_called(world: World, run_id: str) -> None:
    for user in (ANNA, BORIS, VERA, GLEB):
        await taps.button(world, f"i:{run_id}:k", chat=user)
    assert (await world.runs.view(run_id)).state is RunState.OPEN


async def every_note_counts_once(world: World, run_id: str) -> None:
    wanted = sorted(f"note {kill}.{note}" for kill in range(KILLS) for note in range(NOTES_BETWEEN_KILLS))

    async def noted() -> list[str]:
        lines = [line.text for line in (await world.runs.view(run_id)).log]
        return sorted(found[0] for line in lines if (found := re.search(r"note \d\.\d", line)))

    async def all_noted() -> bool:
        return len(await noted()) >= len(wanted)

    await eventually(all_noted, seconds=60, every=0.5)
    assert await noted() == wanted


async def check_the_chats(world: World, rows: list[Row]) -> None:
    """Compare what the chats have with what the outbox says of it."""
    assert {row.state for row in rows} <= {RowState.SENT, RowState.UNCERTAIN, RowState.DEAD}
    assert [row.why for row in rows if row.state is RowState.DEAD and row.why != REPLACED] == []
    written = [row for row in rows if row.request.method in WRITES]
    sent = [row for row in written if row.state is RowState.SENT]
    doubtful = [row for row in written if row.state is RowState.UNCERTAIN or row.repeated]
    chats = await world.sent()
    # Each row that was sent is a message of its own; more there may be only where it was said beforehand.
    assert len({(row.chat, row.message_id) for row in sent}) == len(sent)
    assert len(sent) <= chats["bot_messages"] <= len(sent) + len(doubtful)
    assert chats["duplicates"] == []
