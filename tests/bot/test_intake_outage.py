from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from aiogram.types import Update

from holdfast.domain.errors import DeliveryUncertain
from tests.bot.intake_fakes import IntakeWorld
from tests.fakes import eventually
from tests.telegram.standin import OLGA, PAVEL, TelegramServer, place


class UnsureWorld(IntakeWorld):
    """A world in which nobody knows whether an answer arrived."""

    def around(self, update: Update) -> AbstractContextManager[None]:
        self.handled.append(update.update_id)
        return self._unsure()

    @contextmanager
    def _unsure(self) -> Generator[None]:
        yield
        raise DeliveryUncertain("it may or may not have arrived")


@pytest.fixture
def world(telegram: TelegramServer, places: Iterator[int], tmp_path: Path) -> IntakeWorld:
    return IntakeWorld(telegram, place(next(places)), tmp_path)


@pytest.fixture
def unsure(telegram: TelegramServer, places: Iterator[int], tmp_path: Path) -> UnsureWorld:
    return UnsureWorld(telegram, place(next(places)), tmp_path)


async def test_once_temporal_is_known_to_be_down_nobody_waits_to_hear_so(world: IntakeWorld) -> None:
    world.runs.down = True
    async with world.bot():
        await world.say(OLGA, "/look")
        await world.said(1)
        asked = world.runs.asked
        await eventually(lambda: world.runs.asked > asked)
        world.runs.slow = 60  # whoever asks is not answered before this test is over
        await world.say(PAVEL, "/look")
        [_, kept] = await world.said(2)
    assert kept.startswith("⏳ Temporal does not answer now. I have kept /look")


async def test_an_answer_that_may_have_arrived_is_neither_repeated_nor_a_fault(unsure: UnsureWorld) -> None:
    async with unsure.bot():
        await unsure.say(OLGA, "/whoami")

        async def settled() -> bool:
            return await unsure.states() == {"done": 1}

        await eventually(settled)
    assert len(unsure.handled) == 1
    assert len(await unsure.said(1)) == 1
    assert unsure.counted("holdfast_bot_updates_total", outcome="uncertain") == 1
