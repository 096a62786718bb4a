from typing import Any

import pytest
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from holdfast.apps.bot.incidents import IncidentButton, incident_button
from tests.bot.conftest import World
from tests.bot.fakes import INCIDENT, KEYRING, an_incident
from tests.bot.incident_files import write_incident_files
from tests.bot.test_rollout import labels
from tests.telegram.standin import LENA, OLGA, PAVEL, STRANGER

OTHER = "incident-other234"


@pytest.fixture
def open_one(world: World) -> World:
    write_incident_files(world)
    world.runs.add(an_incident())
    return world


def personal(name: str) -> str:
    return KEYRING.button(INCIDENT, "incident", "", name)


async def buttons(world: World, chat: int, **data: str) -> dict[str, Any]:
    """Send a message with buttons of these labels and callback data, as a page or a card has them."""
    rows = [[InlineKeyboardButton(text=label, callback_data=about)] for label, about in data.items()]
    sent = await world.client.send_message(
        chat, "a card", reply_markup=InlineKeyboardMarkup(inline_keyboard=rows)
    )
    return {"chat": {"id": chat, "type": sent.chat.type}, "message_id": sent.message_id}


@pytest.mark.parametrize(
    ("data", "button"),
    [
        ("i:incident-7abc2def:k", IncidentButton("incident-7abc2def", "k", "")),
        ("i:incident-7abc2def:v-", IncidentButton("incident-7abc2def", "v", "")),
        ("i:incident-7abc2def:habc", IncidentButton("incident-7abc2def", "h", "abc")),
        ("i:a:b:k", IncidentButton("a:b", "k", "")),
        ("i:incident-7abc2def:x", None),
        ("i:incident-7abc2def:", None),
        ("i::k", None),
        ("k:incident-7abc2def:k", None),
        ("i", None),
    ],
)
def test_the_buttons_of_incidents_are_read_back(data: str, button: IncidentButton | None) -> None:
    assert incident_button(data) == button


async def test_the_open_incidents_are_listed_with_who_has_them(open_one: World) -> None:
    taken = an_incident(run_id=OTHER, title="The CRM is slow")
    assert taken.incident
    taken.incident.owner = "pavel"
    open_one.runs.add(taken)
    async with open_one.bot():
        await open_one.say(LENA, "/incident")
        listed = await open_one.newest()
        await open_one.telegram.press(LENA, listed, "The CRM is slow")
        *_, card = await open_one.said(2)
    assert listed["text"].startswith("🚨 Open incidents\n\n")
    assert f"🔴 Checkout is down · nobody has it, for 10 minutes\n{INCIDENT}" in listed["text"]
    assert f"🟡 The CRM is slow · Pavel (on call) has it, for 10 minutes\n{OTHER}" in listed["text"]
    assert card.startswith("A copy made at ")


async def test_without_an_open_incident_it_is_said_how_to_open_one(world: World) -> None:
    write_incident_files(world)
    async with world.bot():
        await world.say(LENA, "/incident")
        [text] = await world.said()
    assert text.startswith("✅ No incident is open.\n\n/incident and what is wrong opens one")


@pytest.mark.parametrize("typed", ["/ack", f"/ack {INCIDENT}", f"/ack {INCIDENT.upper()}"])
async def test_an_incident_is_taken_by_one_command(open_one: World, typed: str) -> None:
    async with open_one.bot():
        await open_one.say(PAVEL, typed)
        [text] = await open_one.said()
    assert text == f"Recorded.\n{INCIDENT}"
    assert [(w.act, w.by) for _, w in open_one.runs.words] == [("acknowledge", "pavel")]


async def test_with_several_open_incidents_ack_asks_which_and_takes_one_once(open_one: World) -> None:
    open_one.runs.add(an_incident(run_id=OTHER, title="The CRM is slow"))
    async with open_one.bot():
        await open_one.say(OLGA, "/ack")
        asked = await open_one.newest()
        await open_one.telegram.faults(bad_gateway=1, method="editMessageText")  # so that the buttons stay
        await open_one.telegram.press(OLGA, asked, "The CRM is slow")
        again = await open_one.telegram.press(OLGA, asked, "Checkout is down")
    assert [(run, w.act) for run, w in open_one.runs.words] == [(OTHER, "acknowledge")]
    assert again["text"] == "Recorded."


async def test_a_note_goes_into_the_only_open_incident_or_the_named_one(open_one: World) -> None:
    async with open_one.bot():
        await open_one.say(PAVEL, "/note the pool is full")
        await open_one.said(1)
        await open_one.say(PAVEL, f"/note {INCIDENT} since 03:05")
        await open_one.said(2)
    assert [(w.act, w.reason) for _, w in open_one.runs.words] == [
        ("note", "the pool is full"),
        ("note", "since 03:05"),
    ]


async def test_an_incident_is_resolved_once_confirmed(open_one: World) -> None:
    async with open_one.bot():
        await open_one.say(OLGA, f"/resolve {INCIDENT} the pool is wider")
        asked = await open_one.newest()
        assert open_one.runs.words == []
        await open_one.telegram.press(OLGA, asked, "✅ Resolve")
        closed = await open_one.reads(asked, "Resolved by Olga (SRE lead): the pool is wider")
    assert asked["text"].startswith(f"✅ Resolve “Checkout is down”?\n{INCIDENT}\nWhy: the pool is wider")
    assert [(w.act, w.reason) for _, w in open_one.runs.words] == [("resolve", "the pool is wider")]
    assert labels(closed) == []


async def test_without_a_reason_it_is_asked_why_and_one_tap_is_enough(open_one: World) -> None:
    async with open_one.bot():
        await open_one.say(OLGA, "/resolve")
        asked = await open_one.newest()
        refused = await open_one.telegram.press(PAVEL, asked, "False alarm")
        await open_one.telegram.press(OLGA, asked, "False alarm")
    assert asked["text"].startswith("✅ Why is “Checkout is down” over?")
    assert refused["text"].startswith("This button is Olga (SRE lead)'s.")
    assert [w.reason for _, w in open_one.runs.words] == ["False alarm"]


async def test_why_may_be_written_as_well(open_one: World) -> None:
    async with open_one.bot():
        asked = await open_one.ask(OLGA, f"/resolve {INCIDENT}", "Why is “Checkout is down” over?")
        await open_one.ask(OLGA, "12345678", "Resolved by Olga (SRE lead): 12345678")
        late = await open_one.press(OLGA, asked, "False alarm")
    assert [w.reason for _, w in open_one.runs.words] == ["12345678"]
    assert late["text"] == "Recorded."


@pytest.mark.parametrize(
    ("user", "typed", "refusal"),
    [
        (LENA, f"/ack {INCIDENT}", "⛔ 'lena' may not say that to this run."),
        (
            LENA,
            f"/resolve {INCIDENT} done",
            f"⛔ Sorry, Lena (guest): {INCIDENT} may be answered by olga, pavel.",
        ),
        (OLGA, "/ack incident-nope", "⛔ unknown run 'incident-nope'"),
        (OLGA, f"/note {INCIDENT}", "⛔ /note RUN TEXT – the text is missing"),
        (OLGA, f"/note {'x' * 1001}", "⛔ text: at most 1000 characters; yours has 1001"),
        (STRANGER, "/ack", "You are not known to Holdfast"),
    ],
)
async def test_what_cannot_be_said_is_refused_in_words(
    open_one: World, user: int, typed: str, refusal: str
) -> None:
    async with open_one.bot():
        await open_one.say(user, typed)
        [text] = await open_one.said()
    assert text.startswith(refusal)
    assert open_one.runs.words == []


async def test_with_several_open_incidents_a_note_needs_its_run(open_one: World) -> None:
    open_one.runs.add(an_incident(run_id=OTHER))
    async with open_one.bot():
        await open_one.say(OLGA, "/note the pool is full")
        [text] = await open_one.said()
    assert text.startswith("⛔ which incident? Open are: ")
    assert INCIDENT in text
    assert OTHER in text


async def test_the_buttons_of_a_card_are_everybodys_who_may_answer(open_one: World) -> None:
    async with open_one.bot():
        card = await buttons(open_one, open_one.place.chat, take=f"i:{INCIDENT}:k", over=f"i:{INCIDENT}:v-")
        refused = await open_one.telegram.press(LENA, card, "take")
        taken = await open_one.telegram.press(PAVEL, card, "take")
        asked = await open_one.telegram.press(PAVEL, card, "over")
        question = await open_one.newest(2)
        await open_one.telegram.press(PAVEL, question, "It works again")
    assert refused["text"] == "'lena' may not say that to this run."
    assert taken["text"] == "Recorded."
    assert asked["text"] == "Why is it over? One tap on a reason below is enough."
    assert [(w.act, w.by) for _, w in open_one.runs.words] == [("acknowledge", "pavel"), ("resolve", "pavel")]


async def test_the_buttons_of_a_page_are_only_the_called_persons(open_one: World) -> None:
    async with open_one.bot():
        page = await buttons(open_one, open_one.place.chat, take=f"i:{INCIDENT}:k{personal('pavel')}")
        refused = await open_one.telegram.press(OLGA, page, "take")
        taken = await open_one.telegram.press(PAVEL, page, "take")
    assert refused["text"] == f"This button is Pavel (on call)'s. Send /ack {INCIDENT} for your own."
    assert taken["text"] == "Recorded."
    assert [e.data["answer"] for e in open_one.audit.entries.values()] == ["others_button"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (f"i:{INCIDENT}:kabcdefghijklmnopqrst", "This button is outdated."),
        (f"i:{INCIDENT}:z", "I do not understand this button."),
        ("i:incident-nope:k", "unknown run 'incident-nope'"),
    ],
)
async def test_buttons_that_are_not_ours_do_nothing(open_one: World, data: str, words: str) -> None:
    async with open_one.bot():
        card = await buttons(open_one, open_one.place.chat, button=data)
        answer = await open_one.telegram.press(PAVEL, card, "button")
    assert answer["text"].startswith(words)
    assert open_one.runs.words == []


async def test_the_hand_over_button_asks_to_whom_by_names(open_one: World) -> None:
    async with open_one.bot():
        card = await buttons(open_one, open_one.place.chat, over=f"i:{INCIDENT}:h")
        await open_one.telegram.press(PAVEL, card, "over")
        asked = await open_one.newest(2)
        [name] = [label for label in labels(asked) if "Olga" in label]
        await open_one.telegram.press(PAVEL, asked, name)
        await open_one.reads(asked, "Pavel (on call) hands it over to Olga (SRE lead).")
    assert asked["text"].startswith("🤝 To whom shall “Checkout is down” go?")
    assert [(w.act, w.by, w.to) for _, w in open_one.runs.words] == [("hand_over", "pavel", "olga")]


async def test_a_hand_over_by_command_is_shown_and_confirmed(open_one: World) -> None:
    async with open_one.bot():
        await open_one.say(PAVEL, f"/handover {INCIDENT} @Olga the pool is full")
        asked = await open_one.newest()
        assert open_one.runs.words == []
        await open_one.telegram.press(PAVEL, asked, "🤝 Hand over")
    assert asked["text"].startswith(f"🤝 Hand “Checkout is down” over to Olga (SRE lead)?\n{INCIDENT}")
    assert "Note: the pool is full" in asked["text"]
    assert [(w.to, w.reason) for _, w in open_one.runs.words] == [("olga", "the pool is full")]


@pytest.mark.parametrize(
    ("typed", "refusal"),
    [
        (f"/handover {INCIDENT} nobody", "⛔ unknown name 'nobody'; known: lena, olga"),
        (f"/handover {INCIDENT} pavel", "⛔ name: 'pavel' is you; name somebody else"),
        ("/handover nobody", "⛔ 'nobody' is neither a person nor a run. People: olga, lena."),
        ("/handover", "/handover RUN NAME [note] hands an incident over."),
    ],
)
async def test_a_hand_over_to_nobody_is_refused_in_words(open_one: World, typed: str, refusal: str) -> None:
    async with open_one.bot():
        await open_one.say(PAVEL, typed)
        [text] = await open_one.said()
    assert text.startswith(refusal)
