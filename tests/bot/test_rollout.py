import time
from typing import Any

from holdfast.domain.ids import run_id
from tests.bot.conftest import World
from tests.telegram.standin import OLGA, PAVEL


def command(world: World, text: str, *, sent_at: float) -> dict[str, Any]:
    return {
        "message": {
            "message_id": 500,
            "date": int(sent_at),
            "chat": {"id": world.place.chat, "type": "supergroup", "title": "Incidents"},
            "from": {"id": OLGA, "is_bot": False, "first_name": "Olga"},
            "text": text,
        }
    }


async def test_a_rollout_starts_a_run_named_after_the_update_and_says_what_it_will_do(world: World) -> None:
    world.write_runbook("surge")
    update_id = await world.telegram.raw_update(
        world.place, command(world, "/rollout Surge pace=demo", sent_at=time.time())
    )
    async with world.bot():
        [text] = await world.said()
    expected = run_id("rollout", f"telegram/{world.place.bot_id}/{update_id}")
    [(started, request)] = world.runs.starts
    assert started == expected
    assert (request.runbook, request.requested_by, request.pace) == ("surge", "olga", "demo")
    assert text.startswith("🚀 Started: Relieve the <surge>\nThree small fixes.")
    assert "1. Let the bot send faster – 5 → 100 %, sign-off: lead" in text
    assert f"Run {expected}, pace demo." in text


async def test_an_answer_that_is_lost_starts_no_second_run(world: World) -> None:
    world.write_runbook("surge")
    await world.telegram.faults(bad_gateway=1, method="sendMessage")
    async with world.bot():
        await world.say(OLGA, "/rollout")
        [text] = await world.said()
    [(started, _)] = world.runs.starts
    assert text == f"Run {started} is there already: this request has started it before. See /runs."


async def test_a_default_runbook_is_started_without_asking(world: World) -> None:
    world.write_runbook("surge")
    world.write_runbook("other")
    world.services |= {"default_runbook": "surge", "default_pace": "demo"}
    async with world.bot():
        await world.say(OLGA, "/rollout")
        await world.said()
    assert [(r.runbook, r.pace) for _, r in world.runs.starts] == [("surge", "demo")]


async def test_several_runbooks_are_shown_as_buttons_and_one_list_starts_each_once(world: World) -> None:
    long_name = "a" * 64
    world.write_runbook("surge")
    world.write_runbook(long_name)
    async with world.bot():
        await world.say(OLGA, "/rollout pace=demo")
        await world.said()
        [asked] = await world.telegram.from_bot(world.place)
        refused = await world.telegram.press(PAVEL, asked, long_name)
        started = await world.telegram.press(OLGA, asked, long_name)
        again = await world.telegram.press(OLGA, asked, long_name)
        _, told = await world.said(2)
    assert "Which runbook shall be started, at pace demo?" in asked["text"]
    assert refused["text"] == f"Pavel (on call) may not start {long_name}; leads may"
    [(run, request)] = world.runs.starts
    assert (request.runbook, request.pace) == (long_name, "demo")
    assert started["text"] == f"Started: {run}"
    assert again["text"].startswith(f"This list has already started {run}")
    assert f"Run {run}, pace demo" in told


async def test_a_button_whose_runbook_has_gone_is_told_so(world: World) -> None:
    world.write_runbook("surge")
    world.write_runbook("other")
    async with world.bot():
        await world.say(OLGA, "/rollout")
        await world.said()
        [asked] = await world.telegram.from_bot(world.place)
        (world.runbooks / "rollout" / "other.yaml").unlink()
        answer = await world.telegram.press(OLGA, asked, "other")
    assert answer["text"].startswith("That runbook or pace is not there any more")
    assert world.runs.starts == []


async def test_wrong_arguments_are_answered_in_words(world: World) -> None:
    world.write_runbook("surge")
    world.write_runbook("broken", "kind: rollout\nname: broken\n")
    async with world.bot():
        for count, text in enumerate(
            ["/rollout nope", "/rollout surge pace=fast", "/rollout surge now", "/rollout broken"], start=1
        ):
            await world.say(OLGA, text)
            said = await world.said(count)
    assert said[:3] == [
        "⛔ unknown runbook 'nope'; known: broken, surge",
        "⛔ unknown pace 'fast'; known: default, demo",
        "⛔ /rollout takes a runbook's name and pace=NAME; 'now' is one too many",
    ]
    assert "broken.yaml:1: title: " in said[3]
    assert world.runs.starts == []


async def test_who_may_not_start_is_told_so(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(PAVEL, "/rollout")
        [text] = await world.said()
    assert text == "⛔ Pavel (on call) may not start surge; leads may"
    assert world.runs.starts == []


async def test_runbooks_lists_what_can_be_started_and_what_cannot_be_read(world: World) -> None:
    world.write_runbook("surge")
    world.write_runbook("broken", "kind: rollout\nname: broken\n")
    async with world.bot():
        await world.say(PAVEL, "/runbooks")
        [text] = await world.said()
    assert "⚠️ broken cannot be read: " in text
    assert "Relieve the <surge>\nsurge · paces: default, demo\nThree small fixes." in text


async def test_a_rollout_asked_for_while_the_bot_was_down_for_long_is_not_started(world: World) -> None:
    world.write_runbook("surge")
    await world.telegram.raw_update(world.place, command(world, "/rollout", sent_at=time.time() - 3600))
    async with world.bot():
        [text] = await world.said()
    assert text.startswith("⛔ you asked for this 60 minutes ago")
    assert world.runs.starts == []
