import pytest

from holdfast.apps.bot.roles import COMMANDS
from holdfast.runbook import commands as rules
from tests.bot.conftest import World
from tests.telegram.standin import LENA, OLGA, PAVEL

RULES = """
commands:
  rollout: [lead]
  pause: [lead, oncall]
"""


@pytest.fixture
def ruled(world: World) -> World:
    world.write_file("commands.yaml", RULES)
    world.write_runbook("surge")
    return world


async def test_who_may_not_run_a_command_is_told_who_may_and_the_attempt_is_recorded(ruled: World) -> None:
    async with ruled.bot():
        await ruled.say(PAVEL, "/rollout surge")
        [text] = await ruled.said()
    assert text == "⛔ Sorry, Pavel (on call): /rollout is for lead. Ask one of them."
    [entry] = ruled.audit.entries.values()
    assert (entry.kind, entry.person, entry.text) == ("refusal", "pavel", "pavel may not run /rollout")
    assert ruled.runs.starts == []


async def test_a_command_with_the_name_of_the_bot_is_checked_as_well(ruled: World) -> None:
    me = await ruled.client.me()
    async with ruled.bot():
        await ruled.say(LENA, f"/rollout@{me.username} surge")
        [text] = await ruled.said()
    assert "/rollout is for lead" in text


async def test_who_holds_the_role_may_run_it(ruled: World) -> None:
    async with ruled.bot():
        await ruled.say(OLGA, "/rollout surge")
        [text] = await ruled.said()
    assert text.startswith("🚀 Start “Relieve the <surge>”?")
    assert ruled.audit.entries == {}


async def test_a_start_button_is_checked_like_the_command(ruled: World) -> None:
    async with ruled.bot():
        await ruled.say(OLGA, "/runbooks")
        shelf = await ruled.newest()
        await ruled.telegram.press(PAVEL, shelf, "Relieve the <surge>")
        page = await ruled.reads(shelf, "May be started by")
        refused = await ruled.telegram.press(PAVEL, page, "Start…")
    assert refused["text"] == "Sorry, Pavel (on call): /rollout is for lead. Ask one of them."
    assert [e.person for e in ruled.audit.entries.values()] == ["pavel"]


async def test_help_lists_only_what_the_reader_may_use(ruled: World) -> None:
    async with ruled.bot():
        await ruled.say(OLGA, "/help")
        await ruled.said(1)
        await ruled.say(LENA, "/help")
        olga, lena = await ruled.said(2)
    assert "/rollout –" in olga
    assert "/rollout –" not in lena
    assert "/pause –" not in lena
    assert "/whoami –" in lena


async def test_a_broken_file_of_rules_is_told_and_nothing_is_done(ruled: World) -> None:
    ruled.write_file("commands.yaml", "commands: {nope: [lead]}\n")
    async with ruled.bot():
        await ruled.say(OLGA, "/rollout surge")
        [text] = await ruled.said()
    assert text.startswith("⛔ ")
    assert "commands.nope: is no command" in text


def test_every_command_that_rules_may_name_is_in_the_table_unless_it_is_not_the_bots() -> None:
    assert rules.COMMANDS - COMMANDS.keys() <= {"cover", "outbox"}
    assert {n for n, c in COMMANDS.items() if not c.for_all} <= rules.COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_fits_telegrams_menu(name: str) -> None:
    assert 1 <= len(COMMANDS[name].line) <= 256
    assert name.islower()
    assert len(name) <= 32
