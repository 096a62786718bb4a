"""The third answer of a gate, and requests for roles and tasks, as people see them in Telegram."""

from datetime import timedelta

import pytest
from aiogram import Bot
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.adapters.telegram import DirectSending, QueuedSending, TelegramPrivate, TelegramTransport
from holdfast.adapters.telegram.buttons import group_buttons
from holdfast.adapters.telegram.errands import render_errand
from holdfast.adapters.telegram.notices import render_notice
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, units
from holdfast.domain.people import Person
from holdfast.domain.proofs import Keyring
from holdfast.domain.words import Act
from holdfast.i18n import speaking
from holdfast.ports.notices import Errand, Notice, NoticeKind
from tests.telegram.conftest import SmallOutbox
from tests.telegram.standin import OLGA, Place, TelegramServer
from tests.telegram.views import NOW, an_open_gate

VERA = Person(name="vera", title="Vera", telegram_id=OLGA, time_zone="Europe/Berlin")
RUN = "campaign-4f7qk2mz"
BUTTON = Keyring(["k" * 16]).button(RUN, "accept", "commander", "vera")
LIMITED = {"limit_label": "Go with limits", "if_limited": "It goes at 60 % of the rate."}


def an_errand(**changes: object) -> Errand:
    errand = Errand(
        key=f"errand/{RUN}/commander/vera/1",
        run_id=RUN,
        run_title="Black Friday",
        run_url="https://temporal.example.com/run",
        text="You are asked to be Incident commander of Black Friday. It lasts until 2026-11-28 23:00 UTC.",
        act=Act.ACCEPT,
        to="commander",
        button=BUTTON,
        due=NOW + timedelta(hours=2),
    )
    return errand.model_copy(update=changes)


# --- the third answer ---------------------------------------------------------------------------------------


def test_the_third_answer_stands_between_the_others_in_two_rows() -> None:
    rows = group_buttons(an_open_gate(**LIMITED), RUN, against=False)
    assert [[button.text for button in row] for row in rows] == [
        ["Continue", "Go with limits"],
        ["Roll back"],
        ["Evidence"],
    ]
    assert rows[0][1].callback_data == f"l:{RUN}:k3jd92ksla0a"


def test_no_thumb_finds_either_way_on_while_the_verdict_is_against_it() -> None:
    rows = group_buttons(an_open_gate(**LIMITED), RUN, against=True)
    assert [[button.style for button in row] for row in rows[:2]] == [["danger", "danger"], [None]]


def test_a_notice_says_what_follows_from_each_of_the_three() -> None:
    notice = Notice(
        run_id=RUN,
        run_title="Black Friday",
        gate=an_open_gate(**LIMITED),
        kind=NoticeKind.REQUEST,
        button=BUTTON,
    )
    card = render_notice(VERA, notice)
    lines = card.plain.splitlines()
    at = lines.index("🚧 Go with limits → It goes at 60 % of the rate.")
    assert lines[at - 1].startswith("👍 Continue → ")
    assert lines[at + 1].startswith("👎 Roll back → ")
    assert card.keyboard
    data = [button.callback_data for row in card.keyboard.inline_keyboard for button in row]
    assert data == [f"{letter}:{RUN}:{BUTTON}" for letter in "alrce"]
    assert all(len(str(each).encode()) <= 64 for each in data)


def test_a_gate_with_two_answers_looks_as_ever() -> None:
    rows = group_buttons(an_open_gate(), RUN, against=False)
    assert [[button.text for button in row] for row in rows] == [["Continue", "Roll back"], ["Evidence"]]


# --- roles and tasks ----------------------------------------------------------------------------------------


async def test_a_role_is_asked_for_once_with_what_why_until_when_and_what_if_not(
    telegram: TelegramServer, bot: Bot, room: Place
) -> None:
    outbox = SmallOutbox(TelegramTransport(bot))
    channel = TelegramPrivate(QueuedSending(outbox, patience=timedelta(seconds=5)))
    sent = await channel.errand(VERA, an_errand())
    assert await channel.errand(VERA, an_errand()) == sent
    [message] = await telegram.in_private(OLGA, room)
    assert message["text"].splitlines() == [
        "🙋 You are asked to take a role",
        "You are asked to be Incident commander of Black Friday. It lasts until 2026-11-29 00:00 CET.",
        "📣 Black Friday",
        "",
        "📅 Until Sat 21 Nov 2026, 06:12 CET",
        "👤 You, because you are on the list for this role.",
        "💤 If you do not accept, the next person on the list is asked.",
        "",
        f"{RUN} · commander",
        "Open in the Temporal UI",
    ]
    [[button]] = message["reply_markup"]["inline_keyboard"]
    assert (button["text"], button["callback_data"]) == ("🙋 I accept", f"t:{RUN}:a{BUTTON}")
    assert len(button["callback_data"].encode()) <= 64
    [row] = outbox.rows.values()
    assert (row.kind, row.key) == ("notice", f"errand/{RUN}/commander/vera/1")


async def test_a_request_that_is_answered_loses_its_button(
    telegram: TelegramServer, bot: Bot, room: Place
) -> None:
    channel = TelegramPrivate(DirectSending(bot))
    await channel.retire(await channel.errand(VERA, an_errand()), "boris is Incident commander")
    [message] = await telegram.in_private(OLGA, room)
    assert message["text"] == "No answer is needed here any more.\nboris is Incident commander"
    assert "reply_markup" not in message


@pytest.mark.parametrize(
    ("changes", "first", "follows"),
    [
        ({"number": 3}, "🙋 Asked again (no. 3): will you take this role?", "the next person on the list"),
        ({"act": Act.DONE}, "📋 A task for you", "you and the commander are called"),
        ({"act": Act.DONE, "number": 2}, "📋 Reminder no. 2: this task is still open", "the commander"),
        ({"act": Act.DONE, "overdue": True}, "⌛ Overdue: a task is not done", "You are asked until somebody"),
    ],
)
def test_the_first_line_says_what_and_the_last_what_if_not(
    changes: dict[str, object], first: str, follows: str
) -> None:
    card = render_errand(VERA, an_errand(**changes))
    assert card.plain.splitlines()[0] == first
    assert follows in card.plain
    assert card.keyboard


def test_an_overdue_task_says_since_when() -> None:
    card = render_errand(VERA, an_errand(act=Act.DONE, to="check", overdue=True))
    assert "📅 It was due Sat 21 Nov 2026, 06:12 CET" in card.plain


def test_a_task_is_ticked_off_by_one_button_that_may_have_words_of_its_own() -> None:
    buttons = [
        render_errand(VERA, an_errand(act=Act.DONE, to="check", label=label)).keyboard
        for label in ("", "All green")
    ]
    texts = [keyboard.inline_keyboard[0][0].text for keyboard in buttons if keyboard]
    assert texts == ["✅ Done", "All green"]


def test_without_room_for_a_button_the_command_is_named() -> None:
    long = an_errand(run_id="campaign-" + "x" * 50, act=Act.DONE, to="check")
    card = render_errand(VERA, long)
    assert card.keyboard is None
    assert f"Answer me with /done {long.run_id} check" in card.plain


def test_it_is_said_in_russian_to_those_who_read_russian() -> None:
    with speaking("ru"):
        card = render_errand(VERA, an_errand())
    assert card.plain.startswith("🙋 Вам предлагают роль\n")
    assert "Если не согласитесь, спросят следующего по списку." in card.plain
    assert card.keyboard
    assert card.keyboard.inline_keyboard[0][0].text == "🙋 Согласен(на)"


anything = st.text(max_size=900)


@settings(max_examples=50)
@given(text=anything, title=anything, label=anything, to=st.text(max_size=48), act=st.sampled_from(list(Act)))
def test_every_request_fits_and_escapes_what_people_wrote(
    text: str, title: str, label: str, to: str, act: Act
) -> None:
    card = render_errand(VERA, an_errand(text=text, run_title=title, label=label, to=to, act=act))
    assert units(card.plain) <= MESSAGE_LIMIT
    assert card.keyboard is None or all(b.text for row in card.keyboard.inline_keyboard for b in row)
