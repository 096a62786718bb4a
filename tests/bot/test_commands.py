import asyncio
import base64
import json
from pathlib import Path
from typing import Any

from tests.bot.conftest import World
from tests.bot.fakes import a_view
from tests.fakes import eventually
from tests.telegram.standin import LENA, OLGA, PAVEL, STRANGER, TelegramServer, place, write_people

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def answers(world: World, user: int, *commands: str) -> list[str]:
    """What the bot writes to these commands, sent one after the other."""
    texts: list[str] = []
    async with world.bot():
        for command in commands:
            before = len(await world.telegram.from_bot(world.place))
            await world.say(user, command)
            texts += (await world.said(before + 1))[before:]
    return texts


async def test_whoami_tells_a_known_person_name_and_roles(world: World) -> None:
    [text] = await answers(world, OLGA, "/whoami")
    chat = f"This chat's id is {world.place.chat}."
    assert text == f"You are Olga (SRE lead) (olga), Telegram id 1. Roles: lead. {chat}"


async def test_whoami_tells_a_stranger_the_id_to_add(world: World) -> None:
    [text] = await answers(world, STRANGER, "/whoami")
    assert text.startswith("Your Telegram id is 9. Holdfast does not know you yet")


async def test_start_greets_and_help_lists_the_commands(world: World) -> None:
    hello, listed = await answers(world, PAVEL, "/start", "/help")
    assert hello.startswith("👋 Hello Pavel (on call).")
    for command in ("/rollout", "/runs", "/run –", "/runbooks", "/incident", "/ack", "/whoami"):
        assert command in hello
        assert command in listed


async def test_strangers_are_refused_once_a_minute_and_then_ignored(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        for _ in range(3):
            await world.say(STRANGER, "/rollout")
        await eventually(lambda: world.counted("holdfast_bot_strangers_ignored_total") == 2)
        [text] = await world.said()
    assert text.startswith("You are not known to Holdfast, so I cannot do that for you. Your Telegram id is 9")
    assert world.runs.starts == []


async def test_runs_lists_the_newest_and_run_shows_the_card_with_its_buttons(world: World) -> None:
    world.runs.add(a_view())
    async with world.bot():
        await world.say(LENA, "/runs")
        await world.said(1)
        await world.say(LENA, "/run")
        await world.said(2)
        await world.say(LENA, "/run Rollout-4F7QK2MZ")
        await world.said(3)
        listed, newest, named = await world.telegram.from_bot(world.place)
        answer = await world.telegram.press(PAVEL, named, "Continue")
        opened = await world.telegram.press(LENA, listed, "Relieve a support surge")
        *_, card = await world.said(4)
    assert listed["text"].startswith(
        "Relieve a support surge\n"
        "rollout-4f7qk2mz · rollout · waiting for a decision · Sat 21 Nov 2026, 03:12 UTC"
    )
    assert "Stage 2 of 3, CRM pool" in listed["text"]
    assert newest["text"].startswith("A copy made at ")
    assert "Keep going to 25 %" in newest["text"]
    assert named["text"].splitlines()[1:] == newest["text"].splitlines()[1:]
    assert answer["text"].startswith("Recorded.")
    assert opened["text"] == "Here it is."
    assert card.startswith("A copy made at ")


async def test_run_shows_the_picture_of_its_numbers_before_its_card(world: World) -> None:
    world.runs.add(a_view())
    world.services["render_chart"] = lambda view: PNG
    async with world.bot():
        await world.say(OLGA, "/run")

        async def both() -> list[dict[str, Any]] | None:
            written = await world.telegram.from_bot(world.place)
            return written if len(written) == 2 else None

        picture, card = await eventually(both)
    assert picture["photo"]
    assert card["text"].startswith("A copy made at ")


async def test_without_runs_it_is_said_how_to_start_one(world: World) -> None:
    texts = await answers(world, PAVEL, "/runs", "/run")
    assert texts == ["There are no runs yet. /runbooks shows what can be started."] * 2


async def test_an_unknown_run_is_told_with_the_known_ones(world: World) -> None:
    world.runs.add(a_view())
    [text] = await answers(world, PAVEL, "/run rollout-nope")
    assert text == "⛔ unknown run 'rollout-nope'; known: rollout-4f7qk2mz"


async def test_a_command_is_kept_while_the_engine_is_down_and_says_so(world: World) -> None:
    world.runs.down = True
    [text] = await answers(world, OLGA, "/runs")
    assert text.startswith("⏳ Temporal does not answer now. I have kept /runs")


async def test_an_unforeseen_failure_is_told_after_the_last_attempt(world: World) -> None:
    world.runs.broken = 3
    [text] = await answers(world, OLGA, "/runs")
    assert text.startswith("⚠️ I could not handle that")


async def test_help_teaches_one_command_by_example(world: World) -> None:
    taught, unknown = await answers(world, PAVEL, "/help /pause", "/help nope")
    assert taught.startswith("/pause – Hold a rollout where it is\n\n/pause rollout-4f7qk2mz the CRM is slow")
    assert unknown == "⛔ command: there is no /nope; /help lists yours"


async def test_what_is_no_command_is_left_alone_in_groups_and_helped_with_in_private(world: World) -> None:
    async with world.bot():
        await world.say(OLGA, "good morning everybody")
        await world.telegram.say(OLGA, "good morning", chat=world.place.bot_id)
        private = await eventually(lambda: _private(world))
        await asyncio.sleep(0.1)
        assert await world.telegram.from_bot(world.place) == []
    assert "/rollout" in private[0]["text"]


async def _private(world: World) -> list[dict[str, Any]]:
    messages = await world.telegram.messages(world.place.bot_id, user=OLGA)
    return [m for m in messages if m["from"]["is_bot"]]


async def test_an_anonymous_admin_is_asked_to_write_as_a_person(world: World) -> None:
    group = {"id": world.place.chat, "type": "supergroup", "title": "Incidents"}
    anonymous = {"id": 1087968824, "is_bot": True, "first_name": "Group"}
    command = {
        "message_id": 900,
        "date": 1,
        "chat": group,
        "sender_chat": group,
        "from": anonymous,
        "text": "/rollout",
        "entities": [{"type": "bot_command", "offset": 0, "length": 8}],
    }
    await world.telegram.raw_update(world.place, {"message": command})
    async with world.bot():
        [text] = await world.said()
    assert text.startswith("You write as a chat, not as yourself")


async def test_in_a_topic_the_answer_comes_in_the_same_topic(tmp_path: Path) -> None:
    server = TelegramServer(tmp_path)
    write_people(tmp_path / "people.json")
    people = json.loads((tmp_path / "people.json").read_text())
    for chat in people["chats"]:
        if chat["id"] == place(1).chat:
            chat["topics"] = [{"id": 7, "name": "Sign-off"}]
    (tmp_path / "people.json").write_text(json.dumps(people))
    try:
        await server.start()
        world = World(server, place(1), tmp_path)
        world.runs.add(a_view())
        async with world.bot():
            for count, command in enumerate(("/gates", "/gate", "/enrol", "/delegate"), start=1):
                await server._post("send", user=OLGA, chat=world.place.chat, text=command, thread=7)
                await world.said(count)
            [_, evidence, *_] = written = await server.from_bot(world.place)
            shown = await world.press(OLGA, evidence, "Continue")
    finally:
        await server.close()
    assert {m["message_thread_id"] for m in written} == {7}
    assert shown["text"].startswith("Recorded.")
