"""Roles and tasks that people accept and tick off in the chat, a load test that they stop, a third answer."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.adapters.telegram import DirectSending, TelegramPrivate
from holdfast.domain.campaign import CampaignView, LoadView, RoleLine, TaskLine
from holdfast.domain.decisions import parse_decision
from holdfast.domain.view import RunState, RunView
from holdfast.domain.words import Act
from holdfast.ports.notices import Errand
from tests.bot.conftest import World
from tests.bot.fakes import KEYRING, PEOPLE, RUN, a_view, an_open_gate
from tests.bot.test_codes import pasted
from tests.telegram.standin import LENA, OLGA, PAVEL, STRANGER

CAMPAIGN, LOAD = "campaign-4f7qk2mz", "load-4f7qk2mz"
DUE = datetime.now(UTC) + timedelta(hours=5)


def a_campaign(run_id: str = CAMPAIGN, **changes: object) -> RunView:
    """Olga is asked to command, pavel has operations and one task; lena may tick off anything."""
    shown = CampaignView(
        opens=DUE,
        closes=DUE + timedelta(days=1),
        roles=[
            RoleLine(name="commander", title="Incident commander", asked=["olga"]),
            RoleLine(name="operations", title="Operations", asked=["pavel"], person="pavel"),
        ],
        tasks=[TaskLine(id="check", title="Check dashboards", owner="operations", person="pavel", due=DUE)],
        may_answer=["lena"],
    )
    view = RunView(
        run_id=run_id,
        runbook="black-friday",
        title="Black Friday",
        requested_by="olga",
        started_at=datetime.now(UTC) - timedelta(days=2),
        state=RunState.PREPARING,
        kind="campaign",
        people=PEOPLE,
        campaign=shown,
    )
    return view.model_copy(update=changes)


def a_load_test(**changes: object) -> RunView:
    view = a_campaign(
        LOAD,
        kind="load",
        title="Peak",
        campaign=None,
        load=LoadView(may_stop=["olga"]),
        state=RunState.TESTING,
        headline="40 sessions/s of 90",
    )
    return view.model_copy(update=changes)


@pytest.fixture
def running(world: World) -> World:
    world.runs.add(a_campaign())
    return world


def buttons(message: dict[str, Any]) -> list[str]:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [button["text"] for row in rows for button in row]


def words(world: World) -> list[tuple[str, Act, str, str]]:
    return [(run, word.act, word.to, word.by) for run, word in world.runs.words]


async def asked_for_role(world: World, person: str = "olga", *, button: str = "") -> dict[str, Any]:
    """Send the request that a worker sends, and return the message."""
    errand = Errand(
        key=f"errand/{person}",
        run_id=CAMPAIGN,
        run_title="Black Friday",
        text="You are asked.",
        act=Act.ACCEPT,
        to="commander",
        button=button or KEYRING.button(CAMPAIGN, Act.ACCEPT, "commander", person),
    )
    whom = PEOPLE.named(person)
    assert whom is not None
    await TelegramPrivate(DirectSending(world.client)).errand(whom, errand)
    return await world.told(whom.telegram_id or 0, "You are asked.")


# --- taps ---------------------------------------------------------------------------------------------------


async def test_a_tap_on_a_request_takes_the_role(running: World) -> None:
    async with running.bot():
        message = await asked_for_role(running)
        answer = await running.press(OLGA, message, "🙋 I accept")
    assert answer["text"] == "Recorded."
    assert words(running) == [(CAMPAIGN, Act.ACCEPT, "commander", "olga")]
    [(_, word)] = running.runs.words
    assert (word.channel, word.proofs) == ("telegram", ("telegram",))


@pytest.mark.parametrize(
    ("button", "told"),
    [
        (KEYRING.button(CAMPAIGN, Act.ACCEPT, "commander", "olga"), "This button is Olga (SRE lead)'s. Send"),
        (KEYRING.button(CAMPAIGN, Act.DONE, "check", "pavel"), "This button is outdated. Send"),
        ("x" * 20, "This button is outdated. Send"),
    ],
)
async def test_a_button_is_its_owners_only_and_for_one_thing(running: World, button: str, told: str) -> None:
    async with running.bot():
        message = await asked_for_role(running, "pavel", button=button)
        answer = await running.press(PAVEL, message, "🙋 I accept")
    assert answer["text"].startswith(f"{told} /tasks {CAMPAIGN}")
    assert running.runs.words == []


async def test_a_second_tap_is_told_that_it_is_done(running: World) -> None:
    async with running.bot():
        message = await running.ask(PAVEL, "/tasks", "Check dashboards")
        await running.press(PAVEL, message, "✅ Done: Check dashboards")
        again = await running.press(PAVEL, message, "✅ Done: Check dashboards")
    assert again["text"] == "The task 'check' is done already, pavel ticked it off."
    assert words(running) == [(CAMPAIGN, Act.DONE, "check", "pavel")]


# --- lists --------------------------------------------------------------------------------------------------


async def test_tasks_shows_what_is_asked_of_the_person_with_a_button_each(running: World) -> None:
    async with running.bot():
        olgas = await running.ask(OLGA, "/tasks", "Yours")
        pavels = await running.ask(PAVEL, "/tasks", "Yours")
        lenas = await running.ask(LENA, "/tasks", "Nothing is asked of you")
    assert "🙋 Incident commander · role commander, you are asked" in olgas["text"]
    assert "Check dashboards" not in olgas["text"]
    assert buttons(olgas) == ["🙋 I accept: Incident commander"]
    assert "☐ Check dashboards · check, Pavel (on call)" in pavels["text"]
    assert "👤 Operations · role operations, yours" in pavels["text"]
    assert pavels["text"].index("Check dashboards") < pavels["text"].index("Operations")
    assert buttons(pavels) == ["✅ Done: Check dashboards"]
    assert buttons(lenas) == []


async def test_all_of_a_campaign_is_shown_with_buttons_for_what_the_person_may(running: World) -> None:
    async with running.bot():
        lenas = await running.ask(LENA, f"/tasks {CAMPAIGN}", "Black Friday")
        pavels = await running.ask(PAVEL, f"/tasks {CAMPAIGN}", "Black Friday")
    assert "role commander, nobody has it; asked: Olga (SRE lead)" in lenas["text"]
    assert "role operations: Pavel (on call)" in lenas["text"]
    assert buttons(lenas) == ["🙋 I accept: Incident commander", "✅ Done: Check dashboards"]
    assert buttons(pavels) == ["✅ Done: Check dashboards"]


async def test_campaigns_that_have_ended_are_not_asked_about(running: World) -> None:
    running.runs.views[CAMPAIGN].state = RunState.FINISHED
    async with running.bot():
        await running.ask(PAVEL, "/tasks", "Nothing is asked of you")
    assert running.runs.words == []


# --- commands -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "typed", "said"),
    [
        (OLGA, f"/accept {CAMPAIGN} commander", (CAMPAIGN, Act.ACCEPT, "commander", "olga")),
        (OLGA, "/accept Commander", (CAMPAIGN, Act.ACCEPT, "commander", "olga")),
        (OLGA, "/accept", (CAMPAIGN, Act.ACCEPT, "commander", "olga")),
        (PAVEL, f"/done {CAMPAIGN} check all green", (CAMPAIGN, Act.DONE, "check", "pavel")),
        (PAVEL, "/done", (CAMPAIGN, Act.DONE, "check", "pavel")),
    ],
)
async def test_roles_and_tasks_are_said_in_words_too(
    running: World, user: int, typed: str, said: tuple[str, Act, str, str]
) -> None:
    async with running.bot():
        answer = await running.ask(user, typed, "Recorded.")
    assert words(running) == [said]
    assert answer["text"] == f"Recorded.\n{CAMPAIGN}"


async def test_what_follows_a_task_is_kept_as_a_note(running: World) -> None:
    async with running.bot():
        await running.ask(PAVEL, f"/done {CAMPAIGN} check all green", "Recorded.")
    assert [word.reason for _, word in running.runs.words] == ["all green"]


async def test_where_it_is_not_clear_which_the_list_is_shown(running: World) -> None:
    async with running.bot():
        shown = await running.ask(LENA, f"/accept {CAMPAIGN}", "Black Friday")
    assert buttons(shown) == ["🙋 I accept: Incident commander", "✅ Done: Check dashboards"]
    assert running.runs.words == []


async def test_with_several_campaigns_the_run_has_to_be_named(running: World) -> None:
    running.runs.add(a_campaign("campaign-other", title="Cyber Monday"))
    async with running.bot():
        refused = await running.ask(OLGA, "/accept commander", "which campaign?")
        listed = await running.ask(OLGA, "/accept", "Yours")
    assert "campaign-other" in refused["text"]
    assert CAMPAIGN in refused["text"]
    assert len(buttons(listed)) == 2
    assert running.runs.words == []


@pytest.mark.parametrize(
    ("user", "typed", "refusal"),
    [
        (PAVEL, f"/accept {CAMPAIGN} commander", "⛔ 'pavel' may not say 'accept' to this run; olga, lena may"),
        (PAVEL, f"/accept {CAMPAIGN} boss", "⛔ to: 'boss' is none of the roles"),
        (PAVEL, f"/done {CAMPAIGN} chekc", "⛔ to: 'chekc' is none of the tasks; those that are open: check."),
        (PAVEL, f"/done {CAMPAIGN} check {'x' * 1001}", "⛔ note: at most 1000 characters; yours has 1001"),
        (PAVEL, f"/tasks {RUN}", f"⛔ Run {RUN} is no campaign."),
        (PAVEL, "/tasks campaign-nope", "⛔ unknown run 'campaign-nope'"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(running: World, user: int, typed: str, refusal: str) -> None:
    running.runs.add(a_view())
    async with running.bot():
        await running.ask(user, typed, refusal)
    assert running.runs.words == []


async def test_without_any_campaign_that_is_said(world: World) -> None:
    async with world.bot():
        await world.ask(OLGA, "/accept commander", "⛔ run: no campaign is running")
        await world.say(STRANGER, "/tasks")
        [text] = await world.said()
    assert text.startswith("You are not known to Holdfast")


# --- stopping a load test -----------------------------------------------------------------------------------


async def test_a_load_test_is_stopped_after_one_question(world: World) -> None:
    world.runs.add(a_load_test())
    async with world.bot():
        await world.say(OLGA, "/loadstop")
        question = await world.newest()
        assert world.runs.words == []
        answer = await world.telegram.press(OLGA, question, "⏹ Stop it")
        closed = await world.reads(question, "Olga (SRE lead) stops it.")
    assert question["text"].startswith(f"⏹ Stop “Peak”?\n{LOAD} · 40 sessions/s of 90\n")
    assert answer["text"] == "Recorded."
    assert closed["text"].endswith(LOAD)
    assert words(world) == [(LOAD, Act.STOP, "", "olga")]


@pytest.mark.parametrize(
    ("user", "typed", "refusal"),
    [
        (PAVEL, f"/loadstop {LOAD}", f"⛔ Sorry, Pavel (on call): load test {LOAD} may be stopped by olga."),
        (PAVEL, "/loadstop", "No load test is under way that you could stop."),
        (OLGA, f"/loadstop {CAMPAIGN}", f"⛔ Run {CAMPAIGN} is no load test."),
        (OLGA, "/loadstop load-ended", "⛔ Run load-ended has ended (stopped)"),
    ],
)
async def test_a_load_test_is_not_stopped_by_whom_or_when_it_cannot(
    running: World, user: int, typed: str, refusal: str
) -> None:
    running.runs.add(a_load_test())
    running.runs.add(a_load_test(run_id="load-ended", state=RunState.STOPPED))
    async with running.bot():
        await running.say(user, typed)
        [text] = await running.said()
    assert text.startswith(refusal)
    assert running.runs.words == []


async def test_with_several_load_tests_it_is_asked_which(world: World) -> None:
    world.runs.add(a_load_test())
    world.runs.add(a_load_test(run_id="load-other", title="Second"))
    async with world.bot():
        await world.say(OLGA, "/loadstop")
        asked = await world.newest()
        await world.telegram.press(OLGA, asked, "Second")
        confirmed = await world.reads(asked, "Stop “Second”?")
        await world.telegram.press(OLGA, confirmed, "⏹ Stop it")
    assert [run for run, _ in world.runs.words] == ["load-other"]


# --- a gate's third answer ----------------------------------------------------------------------------------

LIMITS = {"limit_label": "Go with limits", "if_limited": "It goes at 60 %."}
GATE = "2-crm-pool-pause-1"


async def test_one_tap_goes_with_limits_without_a_reason(world: World) -> None:
    world.runs.add(a_view(gate=an_open_gate(**LIMITS)))
    async with world.bot():
        answer = await world.telegram.press(PAVEL, await world.card(), "Go with limits")
    assert answer["text"] == "Recorded. It goes at 60 %."
    assert [(d.decision, d.by) for d in world.runs.decisions] == [("limit", "pavel")]


async def test_the_gate_shows_three_answers_with_buttons_for_this_person(world: World) -> None:
    world.runs.add(a_view(gate=an_open_gate(**LIMITS)))
    async with world.bot():
        shown = await world.ask(PAVEL, "/gate", "Go with limits")
        answer = await world.press(PAVEL, shown, "Go with limits")
    assert "🚧 Go with limits → It goes at 60 %." in shown["text"]
    rows = shown["reply_markup"]["inline_keyboard"]
    assert [[b["text"] for b in row] for row in rows] == [
        ["Continue", "Go with limits"],
        ["Roll back"],
        ["Code for UI / CLI"],
    ]
    assert answer["text"] == "Recorded. It goes at 60 %."


async def test_a_code_for_limits_is_handed_out_where_the_gate_takes_it(world: World) -> None:
    world.runs.add(a_view(gate=an_open_gate(**LIMITS)))
    async with world.bot():
        message = await world.ask(PAVEL, f"/code {GATE} limit", "Good until")
    said = parse_decision(pasted(message))
    KEYRING.check(said, run=RUN, execution="execution-1", now=datetime.now(UTC))
    assert said.decision == "limit"
    assert f"holdfast gate limit {RUN} --as pavel --paste -" in message["text"]
    [entry] = world.audit.entries.values()
    assert entry.text == f"pavel was given an approval code to go on with limits at gate '{GATE}'"


async def test_a_gate_with_two_answers_hands_out_no_code_for_limits(world: World) -> None:
    world.runs.add(a_view())
    async with world.bot():
        refused = await world.ask(PAVEL, f"/code {GATE} limit", "does not take the answer")
    assert refused["text"].endswith("Choose from: approve, reject.")
    assert world.audit.entries == {}
