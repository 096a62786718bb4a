import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bot.fakes import a_view
from tests.bot.intake_fakes import IntakeWorld, states_in
from tests.fakes import eventually
from tests.telegram.standin import OLGA, TelegramServer, place

ROOT = Path(__file__).parents[2]


@pytest.fixture
def world(telegram: TelegramServer, places: Iterator[int], tmp_path: Path) -> IntakeWorld:
    return IntakeWorld(telegram, place(next(places)), tmp_path)


@asynccontextmanager
async def bot_process(world: IntakeWorld, hang: str) -> AsyncIterator[None]:
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


async def written(world: IntakeWorld, count: int) -> list[dict[str, Any]]:
    """What the bot has written, once it is so much; a process needs its time to start on a busy machine."""
    messages = await world.telegram.from_bot(world.place)
    return messages if len(messages) >= count else []


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_what_a_killed_bot_had_in_its_hands_comes_again_and_takes_effect_once(
    world: IntakeWorld, moment: str
) -> None:
    effects, hangs = world.runbooks / "effects.txt", world.runbooks / "effects.hangs"
    effects.touch()
    world.runs.add(a_view())
    message = await world.card()
    async with bot_process(world, hang=moment):
        tapped = asyncio.create_task(world.telegram.press(OLGA, message, "Continue", wait=60))
        await eventually(hangs.exists, seconds=40)
        told_to_wait = await tapped
        await world.say(OLGA, "/work")
    assert len(effects.read_text().splitlines()) >= (1 if moment == "after" else 0)
    async with bot_process(world, hang="never"):
        texts = [m["text"] for m in await eventually(lambda: written(world, 3), seconds=40)]
    assert told_to_wait["text"].startswith("⏳ This takes longer than usual")
    assert any(text == "Olga: Recorded." for text in texts)
    tap, start = sorted(effects.read_text().splitlines())
    assert tap.startswith("approve rollout-4f7qk2mz telegram:")
    assert start.split()[0] == "start"


async def test_updates_that_were_confirmed_to_telegram_and_wait_survive_a_kill(world: IntakeWorld) -> None:
    effects, inbox = world.runbooks / "effects.txt", world.runbooks / "inbox.sqlite"
    effects.touch()

    async def all_taken() -> bool:
        waiting = (await world.telegram.log())["pending_updates"][str(world.place.bot_id)]
        return waiting == 0 and len(states_in(inbox)) == 50

    async with bot_process(world, hang="before"):
        await eventually(inbox.exists, seconds=40)
        for _ in range(50):
            await world.telegram.raw_update(world.place, world.command(OLGA, "/work"))
        await eventually(all_taken)
    assert effects.read_text() == ""
    assert Counter(states_in(inbox)) == {"new": 50}
    async with bot_process(world, hang="never"):
        await eventually(lambda: Counter(states_in(inbox)) == {"done": 50}, seconds=60)
    assert len(set(effects.read_text().splitlines())) == len(effects.read_text().splitlines()) == 50
    assert await world.said(50) == ["Started."] * 50
