import time
from typing import Any

from holdfast.domain.ids import run_id
from tests.bot.conftest import World
from tests.telegram.standin import OLGA, PAVEL

START, CANCEL = "🚀 Start", "Cancel"


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


def labels(message: dict[str, Any]) -> list[str]:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [button["text"] for row in rows for button in row]


async def test_a_rollout_shows_what_it_will_do_and_starts_nothing_before_it_is_confirmed(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(OLGA, "/rollout Surge pace=demo")
        asked = await world.newest()
    assert asked["text"].startswith("🚀 Start “Relieve the <surge>”?\nsurge · Three small fixes.")
    assert "1. Let the bot send faster – 5 → 100 %, sign-off: lead" in asked["text"]
    assert "Pace: demo (there is also default)." in asked["text"]
    assert "Olga (SRE lead), only you can answer, until " in asked["text"].splitlines()[-1]
    assert labels(asked) == [START, "Pace: default", CANCEL]
    assert world.runs.starts == []


async def test_a_confirmed_rollout_starts_a_run_named_after_the_update(world: World) -> None:
    world.write_runbook("surge")
    update_id = await world.telegram.raw_update(
        world.place, command(world, "/rollout Surge pace=demo", sent_at=time.time())
    )
    async with world.bot():
        asked = await world.newest()
        answer = await world.telegram.press(OLGA, asked, START)
        closed = await world.reads(asked, "Started by")
    expected = run_id("rollout", f"telegram/{world.place.bot_id}/{update_id}")
    [(started, request)] = world.runs.starts
    assert started == expected
    assert (request.runbook, request.requested_by, request.pace) == ("surge", "olga", "demo")
    assert answer["text"] == f"Started: {expected}"
    assert f"✅ Started by Olga (SRE lead): {expected}" in closed["text"]
    assert "1. Let the bot send faster" in closed["text"]
    assert labels(closed) == []


async def test_a_question_starts_once_however_often_it_is_tapped(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(OLGA, "/rollout")
        asked = await world.newest()
        await world.telegram.faults(bad_gateway=2, method="editMessageText")  # so that the buttons stay
        first = await world.telegram.press(OLGA, asked, START)
        second = await world.telegram.press(OLGA, asked, START)
        cancelled = await world.telegram.press(OLGA, asked, CANCEL)
    [(started, _)] = world.runs.starts
    assert first["text"] == f"Started: {started}"
    assert second["text"].startswith(f"This question has already started {started}")
    assert cancelled["text"] == second["text"]


async def test_a_cancelled_question_starts_nothing_and_says_so(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(OLGA, "/rollout")
        asked = await world.newest()
        answer = await world.telegram.press(OLGA, asked, CANCEL)
        await world.reads(asked, "Cancelled by Olga (SRE lead); nothing was done.")
    assert answer["text"] == "Cancelled. Nothing was done."
    assert world.runs.starts == []


async def test_a_question_is_its_askers_only_and_who_taps_it_otherwise_is_recorded(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(OLGA, "/rollout")
        asked = await world.newest()
        refused = await world.telegram.press(PAVEL, asked, START)
    assert refused["text"] == "This button is Olga (SRE lead)'s. Send the command yourself for your own."
    assert world.runs.starts == []
    assert [e.data["answer"] for e in world.audit.entries.values()] == ["others_button"]


async def test_a_question_is_answered_after_a_restart_of_the_bot(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(OLGA, "/rollout")
        asked = await world.newest()
    async with world.bot():
        answer = await world.telegram.press(OLGA, asked, START)
    assert answer["text"].startswith("Started: ")
    assert len(world.runs.starts) == 1


async def test_an_older_question_starts_nothing_once_a_newer_one_is_asked(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(OLGA, "/rollout")
        older = await world.newest()
        await world.say(OLGA, "/rollout")
        await world.newest(2)
        answer = await world.telegram.press(OLGA, older, START)
    assert answer["text"].startswith("Too late, or a newer question of yours has taken its place.")
    assert world.runs.starts == []


async def test_a_runbook_that_was_changed_meanwhile_is_shown_again_before_it_starts(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(OLGA, "/rollout")
        asked = await world.newest()
        text = (world.runbooks / "rollout" / "surge.yaml").read_text()
        world.write_runbook("surge", text.replace("Three small fixes", "Four small fixes"))
        await world.telegram.press(OLGA, asked, START)
        again = await world.reads(asked, "The runbook has been changed since I asked.")
        assert world.runs.starts == []
        assert "Four small fixes." in again["text"]
        await world.telegram.press(OLGA, again, START)
    assert len(world.runs.starts) == 1


async def test_while_the_engine_is_down_a_confirmed_start_is_not_done_and_not_lost(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(OLGA, "/rollout")
        asked = await world.newest()
        world.runs.down = True
        answer = await world.telegram.press(OLGA, asked, START)
        world.runs.down = False
        await world.reads(asked, "Started by Olga (SRE lead)")
    assert "Temporal does not answer" in answer["text"]
    assert len(world.runs.starts) == 1


async def test_a_default_runbook_is_shown_without_asking_which(world: World) -> None:
    world.write_runbook("surge")
    world.write_runbook("other")
    world.services |= {"default_runbook": "surge", "default_pace": "demo"}
    async with world.bot():
        await world.say(OLGA, "/rollout")
        await world.telegram.press(OLGA, await world.newest(), START)
    assert [(r.runbook, r.pace) for _, r in world.runs.starts] == [("surge", "demo")]


async def test_what_is_missing_is_asked_for_one_by_one_in_one_message(world: World) -> None:
    long_name = "a" * 64
    world.write_runbook("surge")
    world.write_runbook(long_name)
    async with world.bot():
        await world.say(OLGA, "/rollout")
        asked = await world.newest()
        assert asked["text"].startswith("Which runbook shall be started?")
        await world.telegram.press(OLGA, asked, f"Relieve the <{long_name}>"[:40])
        paced = await world.reads(asked, "At which pace?")
        assert labels(paced) == ["default", "demo", CANCEL]
        await world.telegram.press(OLGA, paced, "demo")
        shown = await world.reads(asked, "Pace: demo")
        await world.telegram.press(OLGA, shown, START)
    assert [(r.runbook, r.pace) for _, r in world.runs.starts] == [(long_name, "demo")]


async def test_another_pace_is_one_tap_away_from_the_confirmation(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(OLGA, "/rollout surge")
        asked = await world.newest()
        await world.telegram.press(OLGA, asked, "Pace: demo")
        shown = await world.reads(asked, "Pace: demo (there is also default).")
        await world.telegram.press(OLGA, shown, START)
    assert [r.pace for _, r in world.runs.starts] == ["demo"]


async def test_a_button_whose_runbook_has_gone_is_told_so(world: World) -> None:
    world.write_runbook("surge")
    world.write_runbook("other")
    async with world.bot():
        await world.say(OLGA, "/rollout")
        asked = await world.newest()
        (world.runbooks / "rollout" / "other.yaml").unlink()
        answer = await world.telegram.press(OLGA, asked, "Relieve the <other>")
    assert answer["text"].startswith("That is not there any more")
    assert world.runs.starts == []


async def test_wrong_arguments_are_answered_in_words(world: World) -> None:
    world.write_runbook("surge")
    world.write_runbook("broken", "kind: rollout\nname: broken\n")
    said: list[str] = []
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


async def test_who_may_not_start_is_told_so_before_anything_is_asked(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(PAVEL, "/rollout")
        [text] = await world.said()
    assert text == "⛔ Pavel (on call) may not start surge; leads may"
    assert world.runs.starts == []


async def test_a_kind_without_runbooks_is_told_so(world: World) -> None:
    async with world.bot():
        await world.say(OLGA, "/campaign")
        await world.said(1)
        await world.say(OLGA, "/rollout")
        campaign, rollout = await world.said(2)
    assert campaign.startswith("There is no runbook of kind “campaign” that can be started.")
    assert rollout.startswith("There is no runbook of kind “rollout” that can be started.")


async def test_a_rollout_asked_for_while_the_bot_was_down_for_long_is_not_started(world: World) -> None:
    world.write_runbook("surge")
    await world.telegram.raw_update(world.place, command(world, "/rollout", sent_at=time.time() - 3600))
    async with world.bot():
        [text] = await world.said()
    assert text.startswith("⛔ you asked for this 60 minutes ago")
    assert world.runs.starts == []
