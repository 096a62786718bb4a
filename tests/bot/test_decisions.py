import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from holdfast.domain.errors import InvalidInput
from tests.bot.conftest import World
from tests.bot.fakes import a_view, an_open_gate
from tests.fakes import eventually
from tests.telegram.standin import LENA, OLGA, PAVEL, STRANGER

APPROVE = "a:rollout-4f7qk2mz:k3jd92ksla0a"
REJECT = "r:rollout-4f7qk2mz:k3jd92ksla0a"


@pytest.fixture
def waiting(world: World) -> World:
    """A run waits for a decision of olga or pavel."""
    world.runs.add(a_view())
    return world


async def tap(world: World, user: int, button: str, message: dict[str, Any] | None = None) -> dict[str, Any]:
    return await world.telegram.press(user, message or await world.card(), button)


async def test_an_approvers_tap_counts_and_is_told_what_follows(waiting: World) -> None:
    async with waiting.bot():
        answer = await tap(waiting, PAVEL, "Continue")
    assert answer["text"] == "Recorded. The canary's share rises to 25 % and is watched for 10 min."
    assert not answer["show_alert"]
    [decision] = waiting.runs.decisions
    assert (decision.by, decision.channel, decision.decision) == ("pavel", "telegram", "approve")
    assert decision.id.startswith("telegram:")
    assert waiting.counted("holdfast_bot_taps_total", answer="accepted") == 1
    assert waiting.counted("holdfast_bot_tap_answer_seconds_count") == 1


async def test_the_other_button_rejects_after_one_more_tap_on_a_reason(waiting: World) -> None:
    async with waiting.bot():
        asked = await tap(waiting, OLGA, REJECT)
        question = await waiting.told(OLGA, "Why Roll back (reject) at gate 2-crm-pool-pause-1")
        answer = await waiting.press(OLGA, question, "Roll it back now")
    assert asked["text"].startswith("Why? I have written to you privately")
    assert answer["text"] == "Recorded. The CRM pool is set back as it was; stage 1 stays."
    assert [(d.decision, d.reason) for d in waiting.runs.decisions] == [("reject", "Roll it back now")]


async def test_a_strangers_tap_does_not_count_and_names_the_id_to_add(waiting: World) -> None:
    async with waiting.bot():
        answer = await tap(waiting, STRANGER, APPROVE)
        await tap(waiting, STRANGER, APPROVE)
        await eventually(lambda: waiting.audit.entries)
    assert answer["show_alert"]
    assert answer["text"].startswith("You are not known to Holdfast (Telegram id 9)")
    assert waiting.runs.decisions == []
    recorded = [(e.kind, e.data["answer"]) for e in waiting.audit.entries.values()]
    assert recorded[0] == ("refusal", "stranger")
    assert len(recorded) <= 2, "one an hour"


async def test_a_known_person_who_is_no_approver_is_told_who_is(waiting: World) -> None:
    async with waiting.bot():
        answer = await tap(waiting, LENA, APPROVE)
    assert answer["show_alert"]
    assert "'lena' is not an approver" in answer["text"]
    assert "olga, pavel" in answer["text"]


async def test_a_late_tap_is_told_that_it_is_too_late_and_who_decided(waiting: World) -> None:
    message = await waiting.card()
    async with waiting.bot():
        await tap(waiting, OLGA, APPROVE, message)
        answer = await tap(waiting, PAVEL, APPROVE, message)
    assert answer["show_alert"]
    assert answer["text"].startswith("Too late: gate '2-crm-pool-pause-1' is approved: olga said approve")
    assert len(waiting.runs.decisions) == 1


async def test_a_double_tap_counts_once_and_both_taps_are_answered(world: World) -> None:
    world.runs.add(a_view(gate=an_open_gate(slots=an_open_gate().slots * 2)))
    message = await world.card()
    async with world.bot():
        answers = await asyncio.gather(*(tap(world, OLGA, APPROVE, message) for _ in range(2)))
    waits, repeated = sorted(answers, key=lambda answer: answer["show_alert"])
    assert "waits for 1 more approval" in waits["text"]
    assert "You have already said 'approve'" in repeated["text"]
    assert len(world.runs.decisions) == 1


async def test_while_the_engine_is_down_the_tap_is_kept_and_counts_once_when_it_is_back(waiting: World) -> None:
    waiting.runs.down = True
    message = await waiting.card()
    async with waiting.bot():
        kept = await tap(waiting, PAVEL, APPROVE, message)
        assert waiting.runs.decisions == []
        waiting.runs.down = False
        await eventually(lambda: waiting.runs.decisions)
        await tap(waiting, PAVEL, APPROVE, message)
    assert "Your tap is kept until" in kept["text"]
    assert kept["show_alert"]
    assert len(waiting.runs.decisions) == 1
    assert waiting.counted("holdfast_bot_updates_total", outcome="retried") == 0


async def test_an_engine_that_hangs_does_not_leave_the_tap_unanswered(waiting: World) -> None:
    waiting.runs.slow = 60
    waiting.services["answer_within"] = timedelta(seconds=0.3)
    async with waiting.bot():
        answer = await tap(waiting, PAVEL, APPROVE)
    assert "I write what became of it" in answer["text"]
    assert answer["show_alert"]


async def test_a_tap_that_hangs_does_not_keep_the_next_one_waiting(waiting: World) -> None:
    waiting.runs.silent_for = {"olga"}
    waiting.services["answer_within"] = timedelta(seconds=2)
    message = await waiting.card()
    async with waiting.bot():
        hanging = asyncio.create_task(tap(waiting, OLGA, APPROVE, message))
        await eventually(lambda: waiting.runs.asked == 2)
        answer = await tap(waiting, PAVEL, APPROVE, message)
        assert not hanging.done()
        late = await hanging
    assert answer["text"].startswith("Recorded.")
    assert "I write what became of it" in late["text"]


async def test_a_failure_nobody_foresaw_is_tried_again_and_the_tap_is_answered(waiting: World) -> None:
    waiting.runs.broken = 2
    async with waiting.bot():
        answer = await tap(waiting, PAVEL, APPROVE)
    assert answer["text"].startswith("Recorded.")
    assert waiting.counted("holdfast_bot_updates_total", outcome="retried") == 2


async def test_a_failure_that_stays_is_told_and_the_next_tap_is_handled(waiting: World) -> None:
    waiting.runs.broken = 3
    message = await waiting.card()
    async with waiting.bot():
        broken = await tap(waiting, PAVEL, APPROVE, message)
        fine = await tap(waiting, PAVEL, APPROVE, message)
    assert broken["show_alert"]
    assert "I could not handle that tap" in broken["text"]
    assert fine["text"].startswith("Recorded.")
    assert waiting.counted("holdfast_bot_updates_total", outcome="quarantined") == 1


async def test_a_long_answer_is_cut_between_words(world: World) -> None:
    world.runs.add(a_view(gate=an_open_gate(if_approved="word " * 100)))
    async with world.bot():
        answer = await tap(world, PAVEL, APPROVE)
    assert answer["text"].startswith("Recorded. word word")
    assert answer["text"].endswith("word …")
    assert len(answer["text"]) <= 200


async def test_a_tap_on_a_run_that_is_not_there_is_told_so(waiting: World) -> None:
    message = await waiting.card()
    waiting.runs.views.clear()
    async with waiting.bot():
        answer = await tap(waiting, PAVEL, APPROVE, message)
    assert answer["text"].startswith("unknown run 'rollout-4f7qk2mz'")
    assert answer["show_alert"]


async def test_a_button_of_another_version_is_answered(world: World) -> None:
    old = InlineKeyboardButton(text="Old", callback_data="old-data")
    await world.client.send_message(
        world.place.chat, "card", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[old]])
    )
    [message] = await world.telegram.from_bot(world.place)
    async with world.bot():
        answer = await tap(world, PAVEL, "old-data", message)
    assert answer["text"].startswith("I do not understand this button")


async def test_a_people_file_that_cannot_be_read_is_told_to_the_person(waiting: World) -> None:
    def unreadable() -> None:
        raise InvalidInput("people.yaml:3: people.0.name: is missing")

    waiting.services["people"] = unreadable
    message = await waiting.card()
    async with waiting.bot():
        answer = await tap(waiting, PAVEL, APPROVE, message)
        await waiting.say(PAVEL, "/runs")
        await waiting.say(PAVEL, "/whoami")
        said = await waiting.said(3)
    assert answer["text"] == "people.yaml:3: people.0.name: is missing"
    assert said[1:] == ["⛔ people.yaml:3: people.0.name: is missing"] * 2


async def test_a_tap_older_than_telegrams_patience_still_counts(waiting: World) -> None:
    message = await waiting.card()
    tap_update = {
        "callback_query": {
            "id": "123456789",
            "from": {"id": PAVEL, "is_bot": False, "first_name": "Pavel"},
            "message": {k: v for k, v in message.items() if k not in {"edited", "silent"}},
            "chat_instance": "1",
            "data": APPROVE,
        }
    }
    await waiting.telegram.raw_update(waiting.place, tap_update)
    await waiting.telegram.raw_update(waiting.place, tap_update)
    waiting.intake = replace(waiting.intake, at_once=1)
    async with waiting.bot():
        await waiting.say(PAVEL, "/runs")
        await waiting.said(2)
    assert [d.id for d in waiting.runs.decisions] == ["telegram:123456789"]
