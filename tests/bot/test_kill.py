import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.bot.conftest import World
from tests.bot.fakes import a_view
from tests.fakes import eventually
from tests.telegram.standin import OLGA

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def bot_process(world: World, hang: str) -> AsyncIterator[None]:
    """A bot that is killed, without warning, at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bot.bot_process", world.telegram.url, world.place.token),
        *(str(world.runbooks), hang),
        cwd=ROOT,
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_what_a_killed_bot_had_in_its_hands_comes_again_and_takes_effect_once(
    world: World, moment: str
) -> None:
    effects, hangs = world.runbooks / "effects.txt", world.runbooks / "effects.hangs"
    effects.touch()
    world.write_runbook("surge")
    world.runs.add(a_view())
    message = await world.card()
    async with bot_process(world, hang=moment):
        tapped = asyncio.create_task(world.telegram.press(OLGA, message, "Continue", wait=30))
        await eventually(hangs.exists)
        await world.say(OLGA, "/rollout")
    assert len(effects.read_text().splitlines()) == (1 if moment == "after" else 0)
    async with bot_process(world, hang="never"):
        answer = await tapped
        [_, started] = await world.said(2)
    assert answer["text"] == "Recorded."
    tap, start = sorted(effects.read_text().splitlines())
    assert tap.startswith("approve rollout-4f7qk2mz telegram:")
    assert start.split()[0] == "start"
    assert start.split()[1] in started
