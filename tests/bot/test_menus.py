from typing import Any

import pytest
from aiogram.types import (
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    BotCommandScopeDefault,
)
from aiogram.utils.backoff import BackoffConfig

from holdfast.apps.bot import menus
from holdfast.domain.people import People, Person
from holdfast.runbook.kinds.table import KINDS
from tests.bot.conftest import World
from tests.bot.fakes import PEOPLE
from tests.fakes import eventually
from tests.telegram.standin import LENA, NEWCOMER, OLGA

RULES = "commands: {rollout: [lead], pause: [lead]}\n"


@pytest.fixture
def ruled(world: World) -> World:
    world.write_file("commands.yaml", RULES)
    return world


async def shown(world: World, scope: Any, language: str | None = None) -> dict[str, str]:
    commands = await world.client.get_my_commands(scope=scope, language_code=language)
    return {c.command: c.description for c in commands}


async def publish(world: World) -> None:
    await menus.publish_menus(world.client, world.app().services)


async def test_strangers_are_shown_only_what_they_may_use(ruled: World) -> None:
    await publish(ruled)
    assert set(await shown(ruled, BotCommandScopeDefault())) == {"whoami", "help"}
    assert set(await shown(ruled, BotCommandScopeAllPrivateChats())) == {"whoami", "help"}


async def test_each_person_is_shown_what_that_person_may_use(ruled: World) -> None:
    await publish(ruled)
    olga = await shown(ruled, BotCommandScopeChat(chat_id=OLGA))
    lena = await shown(ruled, BotCommandScopeChat(chat_id=LENA))
    assert {"rollout", "pause", "ack", "enrol"} <= olga.keys()
    assert olga.keys() - lena.keys() == {"rollout", "pause"}


async def test_groups_are_not_shown_what_belongs_into_private_chats(ruled: World) -> None:
    await publish(ruled)
    group = await shown(ruled, BotCommandScopeAllGroupChats())
    assert {"incident", "ack", "rollout"} <= group.keys()
    assert not {"enrol", "code"} & group.keys()


async def test_every_kind_of_runbook_has_a_command_in_the_menus(ruled: World) -> None:
    await publish(ruled)
    for scope in (BotCommandScopeAllGroupChats(), BotCommandScopeChat(chat_id=OLGA)):
        assert KINDS.keys() <= (await shown(ruled, scope)).keys()


async def test_menus_are_in_the_readers_language(ruled: World) -> None:
    await publish(ruled)
    scope = BotCommandScopeChat(chat_id=OLGA)
    english, russian = await shown(ruled, scope), await shown(ruled, scope, "ru")
    assert english["ack"] == "I have it: take an incident"
    assert russian["ack"] == "Беру: взять инцидент на себя"
    assert english.keys() == russian.keys()


async def test_a_persons_own_language_goes_before_that_of_the_application(ruled: World) -> None:
    olga = PEOPLE.people[0].model_copy(update={"language": "ru"})
    ruled.services["people"] = lambda: People(people=(olga,))
    await publish(ruled)
    assert (await shown(ruled, BotCommandScopeChat(chat_id=OLGA)))["ack"].startswith("Беру")


async def test_only_what_has_changed_is_sent(ruled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    client = ruled.client
    real = type(client).set_my_commands

    async def counted(*args: Any, **kwargs: Any) -> Any:
        sent.append(kwargs["scope"])
        return await real(*args, **kwargs)

    monkeypatch.setattr(type(client), "set_my_commands", counted)
    await publish(ruled)
    assert len(sent) == 2 * (3 + len(PEOPLE.people))
    sent.clear()
    await publish(ruled)
    assert sent == []
    ruled.write_file("commands.yaml", "commands: {rollout: [lead], pause: [lead], resume: [lead]}\n")
    await publish(ruled)
    assert {s.chat_id for s in sent} == {p.telegram_id for p in PEOPLE.people} - {OLGA}


async def test_an_answer_that_is_lost_is_tried_again(ruled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(menus, "_BACKOFF", BackoffConfig(min_delay=0.01, max_delay=0.02, factor=2, jitter=0))
    await ruled.telegram.faults(bad_gateway=2, method="setMyCommands")
    await publish(ruled)
    assert "rollout" in await shown(ruled, BotCommandScopeChat(chat_id=OLGA))


async def test_who_has_never_opened_the_private_chat_does_not_hold_up_the_others(ruled: World) -> None:
    newcomer = Person(name="nina", title="Nina", telegram_id=NEWCOMER)
    nobody = Person(name="otto", title="Otto")
    ruled.services["people"] = lambda: People(people=(newcomer, nobody, *PEOPLE.people))
    await publish(ruled)
    assert "rollout" in await shown(ruled, BotCommandScopeChat(chat_id=OLGA))


async def test_the_menus_are_published_when_the_bot_starts(ruled: World) -> None:
    async def there() -> dict[str, str]:
        return await shown(ruled, BotCommandScopeChat(chat_id=LENA), "ru")

    async with ruled.bot():
        menu = await eventually(there)
    assert "rollout" not in menu
    assert menu["help"] == "Что делают команды"


async def test_a_newcomer_gets_a_menu_by_opening_the_private_chat(ruled: World) -> None:
    newcomer = Person(name="nina", title="Nina", telegram_id=NEWCOMER, roles=("lead",))
    ruled.services["people"] = lambda: People(people=(newcomer,))
    async with ruled.bot():
        await ruled.whisper(NEWCOMER, "/start")
        await ruled.told(NEWCOMER, "Hello Nina.")

        async def there() -> dict[str, str]:
            return await shown(ruled, BotCommandScopeChat(chat_id=NEWCOMER), "ru")

        menu = await eventually(there)
    assert "rollout" in menu
