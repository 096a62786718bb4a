from datetime import UTC, datetime, timedelta

import pytest

from holdfast.runbook.library import RunbookLibrary
from tests.bot.conftest import World
from tests.bot.incident_files import SHOP_DOWN, write_incident_files
from tests.bot.test_rollout import labels
from tests.telegram.standin import LENA, OLGA, PAVEL

OPEN, CANCEL = "🚨 Open", "Cancel"


@pytest.fixture
def shop(world: World) -> World:
    write_incident_files(world)
    return world


async def test_an_incident_shows_who_is_called_and_opens_once_confirmed(shop: World) -> None:
    duty = RunbookLibrary([shop.runbooks]).duty()["first"]
    first = duty.member(duty.turn_at(datetime.now(UTC)))
    title = {"pavel": "Pavel (on call)", "olga": "Olga (SRE lead)"}[first]
    async with shop.bot():
        await shop.say(OLGA, "/incident Checkout is down tier=Gold value=120000")
        asked = await shop.newest()
        assert shop.runs.incidents == []
        answer = await shop.telegram.press(OLGA, asked, OPEN)
    lines = asked["text"].splitlines()
    assert lines[0] == "🚨 Open this incident: Checkout is down?"
    assert "Customer tier: gold" in lines
    assert "Order value: 120\N{NO-BREAK SPACE}000" in lines
    assert f"📟 Called at once: {title}" in lines
    assert ("After 5 minutes without an answer: Olga (SRE lead)" in lines) is (first == "pavel")
    [(run, request)] = shop.runs.incidents
    assert run.startswith("incident-")
    assert answer["text"] == f"Started: {run}"
    assert request.model_dump() == {
        "runbook": "shop-down",
        "requested_by": "olga",
        "title": "Checkout is down",
        "tier": "gold",
        "value": 120000.0,
        "by_run": "",
    }


async def test_what_is_wrong_is_asked_for_and_may_be_written_after_a_restart(shop: World) -> None:
    async with shop.bot():
        asked = await shop.ask(OLGA, "/incident shop-down", "What is wrong?")
    async with shop.bot():
        tiers = await shop.ask(OLGA, "Checkout is\n down", "Which customers does it hit?")
        await shop.press(OLGA, tiers, "gold")
        confirmed = await shop.told(OLGA, "Open this incident: Checkout is down?")
        await shop.press(OLGA, confirmed, OPEN)
    assert "Write it as your next message" in asked["text"]
    [(_, request)] = shop.runs.incidents
    assert (request.title, request.tier) == ("Checkout is down", "gold")


async def test_in_a_group_the_answer_is_a_reply_to_the_question_and_other_talk_is_none(shop: World) -> None:
    async with shop.bot():
        await shop.say(OLGA, "/incident shop-down")
        asked = await shop.newest()
        await shop.say(OLGA, "good morning everybody")
        await shop.telegram._post(
            "send", user=OLGA, chat=shop.place.chat, text="Checkout is down", reply_to=asked["message_id"]
        )
        tiers = await shop.newest(2)
        await shop.telegram.press(OLGA, tiers, "silver")
        confirmed = await shop.reads(tiers, "Open this incident: Checkout is down?")
        await shop.telegram.press(OLGA, confirmed, OPEN)
    assert [r.title for _, r in shop.runs.incidents] == ["Checkout is down"]


@pytest.mark.parametrize(
    ("typed", "refusal"),
    [
        ("/incident down tier=platinum", "⛔ unknown tier 'platinum'; known: bronze, gold, silver"),
        ("/incident down value=much", "⛔ value: 'much' is no amount; write value=120000"),
        ("/incident down value=-1", "⛔ value: '-1' is no amount; write value=120000"),
        (f"/incident {'x' * 121}", "⛔ what is wrong: at most 120 characters; yours has 121."),
    ],
)
async def test_arguments_that_make_no_sense_are_named(shop: World, typed: str, refusal: str) -> None:
    async with shop.bot():
        await shop.say(OLGA, typed)
        [text] = await shop.said()
    assert text.startswith(refusal)
    assert shop.runs.incidents == []


async def test_who_may_not_open_it_is_told_who_may(shop: World) -> None:
    async with shop.bot():
        await shop.say(LENA, "/incident checkout is down")
        [text] = await shop.said()
    assert text == "⛔ Sorry, Lena (guest): this may be opened by lead, oncall. Ask one of them."


async def test_a_broken_rota_keeps_nobody_from_opening_an_incident(shop: World) -> None:
    shop.write_file("escalation/duty.yaml", "rotas: {first: {}}\n")
    async with shop.bot():
        await shop.say(PAVEL, "/incident checkout is down")
        asked = await shop.newest()
        await shop.telegram.press(PAVEL, asked, OPEN)
    assert "⚠️ I cannot tell who is called: " in asked["text"]
    assert len(shop.runs.incidents) == 1


async def test_with_several_kinds_of_incident_it_is_asked_which_and_nothing_typed_is_lost(shop: World) -> None:
    other = SHOP_DOWN.replace("shop-down", "crm-down").replace("The shop is down", "The CRM is down")
    shop.write_file("incident/crm-down.yaml", other)
    async with shop.bot():
        await shop.say(OLGA, "/incident nobody can log in")
        asked = await shop.newest()
        assert labels(asked) == ["The CRM is down", "The shop is down", CANCEL]
        await shop.telegram.press(OLGA, asked, "The CRM is down")
        await shop.telegram.press(OLGA, await shop.reads(asked, "nobody can log in?"), OPEN)
    assert [(r.runbook, r.title) for _, r in shop.runs.incidents] == [("crm-down", "nobody can log in")]


async def test_a_question_that_is_not_answered_in_time_is_closed(shop: World) -> None:
    clock = [datetime.now(UTC)]
    shop.services["now"] = lambda: clock[0]
    async with shop.bot():
        await shop.say(OLGA, "/incident checkout is down")
        asked = await shop.newest()
        clock[0] += timedelta(minutes=6)
        answer = await shop.telegram.press(OLGA, asked, OPEN)
        await shop.reads(asked, "Not answered in time")
    assert answer["text"].startswith("Too late")
    assert shop.runs.incidents == []
