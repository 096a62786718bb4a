import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from prometheus_client import CollectorRegistry

from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.strangers import Strangers
from tests.bot.fakes import a_view
from tests.bot.intake_fakes import APPROVE, IntakeWorld
from tests.fakes import eventually
from tests.telegram.standin import OLGA, PAVEL, STRANGER, TelegramServer, place

WAIT = "⏳ This takes longer than usual. I write what became of it."
Tap = Callable[[int], Awaitable[dict[str, Any]]]


@pytest.fixture
def world(telegram: TelegramServer, places: Iterator[int], tmp_path: Path) -> IntakeWorld:
    world = IntakeWorld(telegram, place(next(places)), tmp_path)
    world.runs.add(a_view())
    return world


async def in_private(world: IntakeWorld) -> dict[str, Any]:
    """A message with the button in the private chat with olga."""
    keyboard = InlineKeyboardMarkup(
        inline_keyboard=[[InlineKeyboardButton(text="Continue", callback_data=APPROVE)]]
    )
    await world.client.send_message(OLGA, "Shall it go on?", reply_markup=keyboard)
    return (await world.private(OLGA))[-1]


async def test_a_quick_tap_has_one_answer_and_no_message(world: IntakeWorld) -> None:
    message = await world.card()
    async with world.bot():
        answer = await world.press(PAVEL, message, "Continue")
    assert answer["text"].startswith("Recorded.")
    assert len(await world.telegram.from_bot(world.place)) == 1
    assert world.counted("holdfast_bot_tap_answer_seconds_count") == 1
    assert world.counted("holdfast_bot_tap_outcome_seconds_count") == 1


async def test_a_slow_tap_is_answered_within_a_second_and_its_outcome_follows_by_name(
    world: IntakeWorld,
) -> None:
    world.runs.slow = 0.6
    message = await world.card()
    async with world.bot():
        answer = await world.press(PAVEL, message, "Continue")
        [_, outcome] = await world.said(2)
        await eventually(lambda: world.counted("holdfast_bot_tap_outcome_seconds_count"))
        [_, told] = await world.telegram.from_bot(world.place)
    assert answer["text"] == WAIT
    assert outcome.startswith("Pavel: Recorded.")
    assert told["reply_to_message"]["message_id"] == message["message_id"]
    assert told["entities"][0]["type"] == "text_mention"
    answered, told_after = (world.counted(f"holdfast_bot_tap_{n}_seconds_sum") for n in ("answer", "outcome"))
    assert 0.7 <= answered < told_after
    assert len(world.runs.decisions) == 1


async def test_in_a_private_chat_the_outcome_needs_no_name(world: IntakeWorld) -> None:
    world.runs.slow = 0.6
    async with world.bot():
        answer = await world.press(OLGA, await in_private(world), APPROVE)
        outcome = await world.told(OLGA, "Recorded.")
    assert answer["text"] == WAIT
    assert outcome["text"].startswith("Recorded.")


async def test_many_slow_taps_are_all_answered_within_a_second(world: IntakeWorld) -> None:
    world.runs.slow = 3
    world.services["answer_within"] = timedelta(seconds=30)
    world.intake = replace(world.intake, at_once=1)
    message = await world.card()
    async with world.bot():
        for _ in range(30):
            await world.say(OLGA, "/look")
        answers = await asyncio.gather(*(world.press(PAVEL, message, "Continue") for _ in range(20)))
    assert [answer["text"] for answer in answers] == [WAIT] * 20
    assert world.runs.decisions == [], "none of them had done anything yet"


async def test_while_temporal_is_down_a_tap_is_kept_and_carried_out_once_when_it_is_back(
    world: IntakeWorld,
) -> None:
    world.runs.down = True
    message = await world.card()
    async with world.bot():
        answer = await world.press(PAVEL, message, "Continue")
        asked = world.runs.asked
        await eventually(lambda: world.runs.asked >= asked + 2)
        world.runs.down = False
        [_, outcome] = await world.said(2)
    assert answer["text"].startswith("⏳ Temporal does not answer now. Your tap is kept until ")
    assert answer["show_alert"]
    assert outcome.startswith("Pavel: Recorded.")
    assert len(world.runs.decisions) == 1


async def test_a_tap_for_which_temporal_never_comes_back_is_told_so_in_the_chat(world: IntakeWorld) -> None:
    world.runs.down = True
    world.intake = replace(world.intake, keep_for=timedelta(seconds=2))
    message = await world.card()
    async with world.bot():
        await world.press(PAVEL, message, "Continue")
        [_, gave_up] = await world.said(2)
    assert gave_up.startswith("Pavel: ⚠️ Temporal did not come back in time")
    assert world.runs.decisions == []


async def test_a_tap_that_was_told_to_wait_is_told_when_it_has_to_wait_for_long(world: IntakeWorld) -> None:
    world.runs.slow = 60
    world.services["answer_within"] = timedelta(seconds=1)
    message = await world.card()
    async with world.bot():
        answer = await world.press(PAVEL, message, "Continue")
        [_, kept] = await world.said(2)
        world.runs.slow = 0
        [_, _, outcome] = await world.said(3)
    assert answer["text"] == WAIT
    assert kept.startswith("Pavel: ⏳ Temporal does not answer in time. I try again until ")
    assert outcome.startswith("Pavel: Recorded.")
    assert len(world.runs.decisions) == 1


async def test_a_tap_that_telegram_has_forgotten_is_carried_out_and_told_in_the_chat(
    world: IntakeWorld,
) -> None:
    message = await world.card()
    shown = {k: v for k, v in message.items() if k not in {"edited", "silent"}}
    tap = {
        "id": "123456789",
        "from": {"id": PAVEL, "is_bot": False, "first_name": "Pavel"},
        "message": shown,
        "chat_instance": "1",
        "data": APPROVE,
    }
    await world.telegram.raw_update(world.place, {"callback_query": tap})
    async with world.bot():
        [_, outcome] = await world.said(2)
    assert outcome.startswith("Pavel: Recorded.")


async def test_a_slow_tap_that_fails_in_the_end_is_told_in_the_chat(world: IntakeWorld) -> None:
    world.runs.slow = 60
    world.intake = replace(world.intake, handling_limit=timedelta(seconds=1), attempts=1)
    message = await world.card()
    async with world.bot():
        answer = await world.press(PAVEL, message, "Continue")
        [_, broken] = await world.said(2)
    assert answer["text"] == WAIT
    assert broken.startswith("Pavel: ⚠️ I could not handle your tap")


async def test_a_strangers_tap_is_answered_and_on_record_once_an_hour(world: IntakeWorld) -> None:
    message = await world.card()
    async with world.bot():
        answers = [await world.press(STRANGER, message, APPROVE) for _ in range(2)]
        await eventually(lambda: world.audit.entries)
    assert all(a["text"].startswith("You are not known to Holdfast (Telegram id 9)") for a in answers)
    assert len(world.audit.entries) <= 2, "one an hour, and an hour may have ended in between"
    assert world.runs.decisions == []


def test_strangers_share_the_answers_of_a_minute_and_each_has_one_an_hour() -> None:
    now = 0.0
    metrics = BotMetrics(CollectorRegistry())
    strangers = Strangers(metrics.strangers_ignored, a_minute=3, clock=lambda: now)
    assert [strangers.may_be_answered(who) for who in (1, 1, 2, 3, 4)] == [True, False, True, True, False]
    now = 61
    assert [strangers.may_be_answered(who) for who in (1, 4)] == [False, True]
    now = 3601
    assert strangers.may_be_answered(1)
