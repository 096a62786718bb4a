from tests.bot.conftest import World
from tests.bot.incident_files import write_incident_files
from tests.bot.test_rollout import labels
from tests.telegram.standin import OLGA, PAVEL


async def test_runbooks_are_browsed_by_kind_in_one_message(world: World) -> None:
    write_incident_files(world)
    world.write_runbook("surge")
    async with world.bot():
        await world.say(PAVEL, "/runbooks")
        shelf = await world.newest()
        assert labels(shelf) == ["rollout (1)", "incident (1)"]
        await world.telegram.press(OLGA, shelf, "incident (1)")
        listed = await world.reads(shelf, "Runbooks: incident")
        assert labels(listed) == ["The shop is down", "‹ Back"]
        await world.telegram.press(PAVEL, listed, "The shop is down")
        page = await world.reads(shelf, "May be started by: lead, oncall.")
        await world.telegram.press(PAVEL, page, "‹ Back")
        await world.telegram.press(PAVEL, await world.reads(shelf, "Runbooks: incident"), "‹ Back")
        back = await world.reads(shelf, "Which kind of runbook?")
        [_] = await world.telegram.from_bot(world.place)
    assert "• Is the payment provider up?" in page["text"]
    assert labels(page) == ["Start…", "‹ Back"]
    assert labels(back) == labels(shelf)


async def test_start_on_the_shelf_asks_step_by_step_and_starts_once_a_question(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(OLGA, "/runbooks")
        shelf = await world.newest()
        await world.telegram.press(OLGA, shelf, "Relieve the <surge>")
        page = await world.reads(shelf, "May be started by")
        await world.telegram.press(OLGA, page, "Start…")
        asked = await world.newest(2)
        await world.telegram.press(OLGA, asked, "demo")
        await world.telegram.press(OLGA, await world.reads(asked, "Pace: demo"), "🚀 Start")
    assert [(r.runbook, r.pace) for _, r in world.runs.starts] == [("surge", "demo")]


async def test_a_runbook_that_cannot_be_read_says_so_and_has_no_start(world: World) -> None:
    world.write_runbook("surge")
    world.write_runbook("broken", "kind: rollout\nname: broken\n")
    async with world.bot():
        await world.say(PAVEL, "/runbooks")
        shelf = await world.newest()
        await world.telegram.press(PAVEL, shelf, "⚠️ broken")
        page = await world.reads(shelf, "broken cannot be read: ")
    assert labels(page) == ["‹ Back"]


async def test_a_page_whose_runbook_has_gone_is_told_so(world: World) -> None:
    world.write_runbook("surge")
    async with world.bot():
        await world.say(PAVEL, "/runbooks")
        shelf = await world.newest()
        (world.runbooks / "rollout" / "surge.yaml").unlink()
        answer = await world.telegram.press(PAVEL, shelf, "Relieve the <surge>")
    assert answer["text"].startswith("That runbook is not there any more")
