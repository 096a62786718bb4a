import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.domain.people import People
from holdfast.domain.view import RunState, RunView
from tests.bot.conftest import World
from tests.bot.fakes import KEYRING, PEOPLE, RUN
from tests.fakes import eventually
from tests.telegram.standin import LENA, OLGA, PAVEL, STRANGER
from tests.telegram.views import a_standing_entry, an_undoable_view

BUTTON, EVERYTHING, ONLY, CANCEL = "⏪ Roll back…", "Roll back everything", "Only Widen the CRM pool", "Cancel"


@pytest.fixture
def watching(world: World) -> World:
    """A run that olga or pavel may roll back, one stage promoted and the next one out."""
    world.runs.add(an_undoable_view())
    return world


def the_run(world: World) -> RunView:
    return world.runs.views[RUN]


def labels(message: dict[str, Any]) -> list[str]:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [button["text"] for row in rows for button in row]


async def newest(world: World) -> dict[str, Any]:
    return (await world.telegram.from_bot(world.place))[-1]


async def asked(world: World, user: int = OLGA) -> dict[str, Any]:
    """Tap the card's button, and return the question that comes below it."""
    card = await world.card()
    await world.telegram.press(user, card, BUTTON)
    question = await newest(world)
    assert question["message_id"] != card["message_id"]
    return question


async def test_a_tap_shows_all_what_would_be_undone_and_asks_who_tapped(watching: World) -> None:
    async with watching.bot():
        question = await asked(watching)
    assert question["text"].startswith(
        f"⏪ Olga (SRE lead), roll this back?\nRelieve a support surge · {RUN}\n\n"
    )
    assert (
        "Undone, the newest first\n"
        "Widen the CRM pool\n"
        "Let the bot send faster\n"
        "↩️ bot/p pool: 8 → 2\n"
        "“Only Widen the CRM pool” leaves as it is: Let the bot send faster\n"
    ) in question["text"]
    assert "Only you can confirm, until " in question["text"]
    assert labels(question) == [EVERYTHING, ONLY, CANCEL]
    assert watching.runs.rollbacks == []


@pytest.mark.parametrize(("button", "stays"), [(EVERYTHING, ""), (ONLY, "rate")])
async def test_a_confirmation_rolls_back_signed_and_the_question_says_so(
    watching: World, button: str, stays: str
) -> None:
    async with watching.bot():
        question = await asked(watching)
        answer = await watching.press(OLGA, question, button)
        closed = await newest(watching)
    [request] = watching.runs.rollbacks
    assert (request.by, request.to, request.channel, request.proofs) == (
        "olga",
        stays,
        "telegram",
        ("telegram",),
    )
    assert request.id.startswith("telegram:")
    KEYRING.check(request, run=RUN, execution="whichever it is", now=datetime.now(UTC))
    assert (answer["text"], answer["show_alert"]) == ("Rolling back.", False)
    assert closed["message_id"] == question["message_id"]
    assert closed["text"].endswith(f"Olga (SRE lead): {button}.\nRolling back.")
    assert labels(closed) == []
    assert watching.counted("holdfast_bot_taps_total", answer="accepted") == 1


async def test_where_one_stage_stands_there_is_no_choice_of_what_stays(watching: World) -> None:
    the_run(watching).journal = [
        a_standing_entry("rate"),
        a_standing_entry("rate", "Drop a column", lasting=True),
    ]
    async with watching.bot():
        question = await asked(watching)
    assert labels(question) == [EVERYTHING, CANCEL]
    assert "Cannot be undone; a person is asked there\n⚠️ Drop a column" in question["text"]
    assert "leaves as it is" not in question["text"]


async def test_a_double_tap_counts_once_and_is_answered_the_same(watching: World) -> None:
    watching.runs.slow = 0.3
    async with watching.bot():
        question = await asked(watching)
        answers = await asyncio.gather(*(watching.press(OLGA, question, EVERYTHING) for _ in range(2)))
    assert [a["text"] for a in answers] == ["Rolling back."] * 2
    assert len(watching.runs.rollbacks) == 1


@pytest.mark.parametrize(("user", "words"), [(PAVEL, "somebody else's"), (STRANGER, "not known to Holdfast")])
async def test_somebody_elses_confirmation_does_not_count(watching: World, user: int, words: str) -> None:
    async with watching.bot():
        question = await asked(watching)
        answer = await watching.press(user, question, EVERYTHING)
        still = await newest(watching)
    assert words in answer["text"]
    assert answer["show_alert"]
    assert watching.runs.rollbacks == []
    assert labels(still) == [EVERYTHING, ONLY, CANCEL]


async def test_a_confirmation_after_two_minutes_does_not_count(watching: World) -> None:
    late = timedelta(0)
    watching.services["now"] = lambda: datetime.now(UTC) + late
    async with watching.bot():
        question = await asked(watching)
        late = timedelta(minutes=2, seconds=1)
        answer = await watching.press(OLGA, question, EVERYTHING)
        closed = await newest(watching)
    assert answer["text"].startswith("Too late: this could be confirmed for 2 minutes. Nothing was undone")
    assert watching.runs.rollbacks == []
    assert closed["text"].endswith("Nobody confirmed in time; nothing was undone.")
    assert labels(closed) == []


async def test_a_question_that_was_asked_anew_makes_the_earlier_one_void(watching: World) -> None:
    async with watching.bot():
        earlier = await asked(watching)
        await asked(watching)
        answer = await watching.press(OLGA, earlier, EVERYTHING)
    assert "a newer one of yours has taken its place" in answer["text"]
    assert watching.runs.rollbacks == []


async def test_cancel_undoes_nothing_and_ends_the_question(watching: World) -> None:
    async with watching.bot():
        question = await asked(watching)
        answer = await watching.press(OLGA, question, CANCEL)
        closed = await newest(watching)
        again = await watching.telegram.press(OLGA, await watching.card(), BUTTON)
    assert answer["text"] == "Cancelled. Nothing was undone."
    assert closed["text"].endswith("Cancelled by Olga (SRE lead); nothing was undone.")
    assert labels(closed) == []
    assert again["text"].startswith("I show you what would be undone")
    assert watching.runs.rollbacks == []


async def test_a_strangers_tap_is_told_no_and_on_record(watching: World) -> None:
    async with watching.bot():
        card = await watching.card()
        answer = await watching.telegram.press(STRANGER, card, BUTTON)
        await eventually(lambda: watching.audit.entries)
        last = await newest(watching)
    assert answer["text"].startswith("You are not known to Holdfast (Telegram id 9)")
    assert last["message_id"] == card["message_id"]


async def test_a_known_person_who_may_not_is_told_who_may_and_that_is_on_record(watching: World) -> None:
    async with watching.bot():
        card = await watching.card()
        answer = await watching.telegram.press(LENA, card, BUTTON)
        [entry] = await eventually(lambda: list(watching.audit.entries.values()))
        last = await newest(watching)
    assert answer["text"] == (
        f"Sorry, Lena (guest): run {RUN} may be rolled back by olga, pavel. Ask one of them."
    )
    assert (entry.kind, entry.data["answer"]) == ("refusal", "may_not_roll_back")
    assert last["message_id"] == card["message_id"]


async def test_a_tap_while_it_is_rolling_back_says_so(watching: World) -> None:
    async with watching.bot():
        card = await watching.card()
        question = await asked(watching)
        await watching.press(OLGA, question, EVERYTHING)
        answer = await watching.telegram.press(PAVEL, card, BUTTON)
    assert answer["text"] == f"Run {RUN} is rolling back already: olga asked for it."
    assert len(watching.runs.rollbacks) == 1


async def test_who_confirms_after_somebody_else_is_told_so_and_the_question_ends(watching: World) -> None:
    async with watching.bot():
        slower = await asked(watching, PAVEL)
        await watching.press(OLGA, await asked(watching), EVERYTHING)
        answer = await watching.press(PAVEL, slower, EVERYTHING)
        messages = await watching.telegram.from_bot(watching.place)
    [closed] = [m for m in messages if m["message_id"] == slower["message_id"]]
    assert (answer["text"], answer["show_alert"]) == ("It is rolling back already.", True)
    assert closed["text"].endswith("Pavel (on call): Roll back everything.\nIt is rolling back already.")
    assert labels(closed) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": RunState.PROMOTED}, f"Run {RUN} has ended (promoted), so it undoes nothing any more."),
        ({"journal": []}, f"Nothing of run {RUN} stands that a rollback would undo."),
    ],
)
async def test_an_old_card_cannot_roll_back_what_is_over(
    watching: World, changes: dict[str, Any], words: str
) -> None:
    async with watching.bot():
        card = await watching.card()
        watching.runs.add(an_undoable_view(**changes))
        answer = await watching.telegram.press(OLGA, card, BUTTON)
    assert answer["text"].startswith(words)
    assert answer["show_alert"]


async def test_the_command_asks_the_same_with_a_reason_for_the_record(watching: World) -> None:
    async with watching.bot():
        question = await watching.ask(PAVEL, f"/rollback {RUN.upper()} tickets pile up", "roll this back?")
        answer = await watching.press(PAVEL, question, EVERYTHING)
    [request] = watching.runs.rollbacks
    assert (request.by, request.reason, answer["text"]) == ("pavel", "tickets pile up", "Rolling back.")


async def test_a_question_leaves_what_else_is_awaited_in_the_chat_alone(watching: World) -> None:
    watching.factor.apps["olga"] = 1
    async with watching.bot():
        await watching.ask(OLGA, "/delegate all pavel 2027-01-01 2027-01-02", "6 digits")
        await watching.ask(OLGA, f"/rollback {RUN}", "roll this back?")
        done = await watching.ask(OLGA, "100001", "Remembered: pavel stands for you")
    assert done
    assert len(watching.delegations.there) == 1


async def test_the_command_tells_what_is_wrong(watching: World) -> None:
    async with watching.bot():
        usage = await watching.ask(OLGA, "/rollback", "/rollback RUN [reason]")
        unknown = await watching.ask(OLGA, "/rollback rollout-nope", "unknown run")
        long = await watching.ask(OLGA, f"/rollback {RUN} {'x' * 1001}", "at most 1000 characters")
        guest = await watching.ask(LENA, f"/rollback {RUN}", "may be rolled back by olga, pavel")
    assert "/runs lists the runs" in usage["text"]
    assert all(m["text"].startswith("⛔") for m in (unknown, long, guest))
    assert watching.runs.rollbacks == []


async def test_while_no_worker_is_up_it_is_asked_blindly_and_stored(watching: World) -> None:
    async with watching.bot():
        card = await watching.card()
        watching.runs.no_worker = True
        await watching.telegram.press(OLGA, card, BUTTON)
        question = await newest(watching)
        answer = await watching.press(OLGA, question, EVERYTHING)
    assert "I cannot show what would be undone" in question["text"]
    assert labels(question) == [EVERYTHING, CANCEL]
    assert (answer["text"], answer["show_alert"]) == ("Stored.", True)


async def test_while_temporal_is_down_a_confirmation_is_kept_and_rolls_back_once(watching: World) -> None:
    async with watching.bot():
        question = await asked(watching)
        watching.runs.down = True
        kept = await watching.press(OLGA, question, EVERYTHING)
        assert watching.runs.rollbacks == []
        watching.runs.down = False
        await eventually(lambda: watching.runs.rollbacks)
    assert "Your tap is kept until" in kept["text"]
    assert len(watching.runs.rollbacks) == 1


async def test_code_has_the_json_for_a_rollback_sent_by_the_run(watching: World) -> None:
    async with watching.bot():
        told = await watching.ask(OLGA, f"/code {RUN} rollback Rate", "Sent to")
        unknown = await watching.ask(OLGA, "/code rollout-nope rollback", "unknown gate or run")
    [request] = watching.runs.codes
    assert (request.by, request.gate, request.to) == ("olga", "rollback", "rate")
    assert told["text"] == "Sent to olga."
    assert unknown["text"].startswith("⛔")


async def test_a_rollback_is_asked_about_and_confirmed_in_russian(watching: World) -> None:
    people = tuple(p.model_copy(update={"language": "ru"}) for p in PEOPLE.people)
    watching.services["people"] = lambda: People(people=people)
    async with watching.bot():
        question = await watching.ask(OLGA, f"/rollback {RUN}", "откатить это?")
        buttons = labels(question)
        refused = await watching.ask(LENA, f"/rollback {RUN}", "Извините")
        answer = await watching.press(OLGA, question, buttons[0])
    assert "Откатится, сначала новое" in question["text"]
    assert "Подтвердить можете только вы" in question["text"]
    assert buttons[0] == "Откатить всё"
    assert buttons[-1] == "Отмена"
    assert "могут откатить" in refused["text"]
    assert answer["text"] == "Идёт откат."
