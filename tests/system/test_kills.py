"""Worker, bot and Temporal server are killed at every stage of a run; nothing is lost, nothing repeated."""

import asyncio
import json
import random
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from holdfast.domain.errors import HoldfastError
from holdfast.domain.gates import Gate
from holdfast.domain.view import RunView
from tests.fakes import eventually
from tests.system import taps
from workers.demo.stack import Stack
from workers.demo.story import ANNA, BORIS, GLEB, VERA
from workers.demo.world import World

STAGES = [("bot-rate-limit", BORIS), ("crm-pool", VERA), ("escalation-order", GLEB)]
STEPS = ["canary-settings", "share-5", "share-25", "share-100", "promote", "share-0"]
KILLS_UNDER_WAY = 3
SCRAPES = 8
SEED = 20260221


class Rehearsal:
    """One run on a stack whose processes are killed meanwhile."""

    def __init__(self, stack: Stack, victim: str, world: World) -> None:
        self.stack, self.victim, self.world = stack, victim, world
        self.random = random.Random(f"{SEED}/{victim}")
        self.kills: list[str] = []
        self.answered: set[str] = set()

    async def view(self, run_id: str) -> RunView | None:
        """The run's view, or None while nobody can tell."""
        try:
            return await self.world.runs.view(run_id)
        except HoldfastError:
            return None

    async def kill(self, moment: str) -> None:
        """Kill the victim as a crash would, leave it dead for a moment, and start it again."""
        await asyncio.sleep(self.random.uniform(0, 0.6))
        child = self.stack.children[self.victim]
        await asyncio.to_thread(child.kill)
        self.kills.append(moment)
        await asyncio.sleep(self.random.uniform(0, 1))
        await asyncio.to_thread(self.stack.start, self.victim)

    async def start(self) -> str:
        """Start the run from the chat."""
        await taps.start(self.world, ANNA, "anna", "/rollout support-surge")

        async def started() -> str | None:
            lines = await self.world.runs.recent()
            return lines[0].run_id if lines else None

        run_id: str = await eventually(started, seconds=60)
        return run_id

    async def gate(self, run_id: str, stage: str) -> Gate:
        """Wait for the stage's gate, whoever dies meanwhile."""

        async def open_gate() -> Gate | None:
            view = await self.view(run_id)
            if view is None or view.gate is None or view.gate.id in self.answered:
                return None
            assert view.gate.id.endswith(stage), f"an unforeseen question: {view.gate.question}"
            self.answered.add(view.gate.id)
            return view.gate

        gate: Gate = await eventually(open_gate, seconds=90, every=0.2)
        return gate

    async def tap(self, run_id: str, gate: Gate, user: int) -> None:
        """Tap until the gate is decided, as a person does who is told that a tap was not recorded."""
        data = f"a:{run_id}:{gate.token}"

        async def shown() -> int | None:
            for message in await self.world.messages():
                if data in json.dumps(message):
                    return int(message["message_id"])
            return None

        message_id = await eventually(shown, seconds=60, every=0.2)

        async def decided() -> bool:
            # The button may be gone, or nobody answers: the gate is what counts.
            with suppress(httpx.HTTPError, HoldfastError):
                await self.world.press(user, message_id, data)
            view = await self.view(run_id)
            return view is not None and any(g.id == gate.id for g in view.closed_gates)

        await eventually(decided, seconds=90, every=1)

    async def promoted(self, run_id: str, stage: str) -> None:
        """Wait until the stage is promoted; a rollback would be a lie, the system is healthy."""

        async def reached() -> bool:
            view = await self.view(run_id)
            if view is not None:
                assert not view.state.ended or view.state == "promoted", view
                assert view.gate is None or "-at-" not in view.gate.id, view.gate
            return view is not None and any(s.name == stage and s.state == "promoted" for s in view.stages)

        await eventually(reached, seconds=90, every=0.3)


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.parametrize("victim", ["worker", "bot", "temporal"])
async def test_a_killed_process_loses_nothing_and_repeats_nothing(
    stack: Stack, victim: str, record_property: Callable[[str, object], None]
) -> None:
    async with World(stack) as world:
        rehearsal = Rehearsal(stack, victim, world)
        await kill_at_every_stage(rehearsal)
        record_property("killed", len(rehearsal.kills))


async def scraped(stack: Stack) -> bool:
    """Whether every target was scraped a few times, so that there is something to compare with."""
    query = {"query": f"min(count_over_time(up[5m])) >= {SCRAPES}"}
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{stack.ports.prometheus}/api/v1/query", params=query)
    return bool(answer.json()["data"]["result"])


async def kill_at_every_stage(rehearsal: Rehearsal) -> None:
    world = rehearsal.world
    await eventually(lambda: scraped(rehearsal.stack), seconds=60, every=0.5)
    run_id = await rehearsal.start()
    for stage, approver in STAGES:
        gate = await rehearsal.gate(run_id, stage)
        await rehearsal.kill(f"{stage}: waiting for the approval")
        tapping = asyncio.create_task(rehearsal.tap(run_id, gate, approver))
        await rehearsal.kill(f"{stage}: during the approval")
        await tapping
        for _ in range(KILLS_UNDER_WAY):
            await asyncio.sleep(rehearsal.random.uniform(1, 5))
            await rehearsal.kill(f"{stage}: under way")
        await rehearsal.promoted(run_id, stage)

    async def ended() -> RunView | None:
        view = await rehearsal.view(run_id)
        return view if view and view.state.ended else None

    view: RunView = await eventually(ended, seconds=60, every=0.3)
    assert len(rehearsal.kills) == (2 + KILLS_UNDER_WAY) * len(STAGES)
    assert view.state == "promoted"
    assert [(g.state, g.decisions[0].by) for g in view.closed_gates] == [
        ("approved", "boris"),
        ("approved", "vera"),
        ("approved", "gleb"),
    ]
    keys = [entry["key"] for entry in await world.config_log()]
    assert keys == [f"{run_id}/{stage}/{step}" for stage, _ in STAGES for step in STEPS]
    config = await world.config()
    assert config["stable"] == config["canary"]
    assert config["canary_share_percent"] == 0
