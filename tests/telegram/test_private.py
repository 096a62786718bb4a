import json
import urllib.parse
from datetime import timedelta

import pytest
from aiogram import Bot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.adapters.telegram import DirectSending, QueuedSending, TelegramPrivate, TelegramTransport
from holdfast.adapters.telegram.notices import render_notice
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, units
from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, InvalidInput
from holdfast.domain.evidence import Evidence
from holdfast.domain.people import Person
from holdfast.domain.proofs import Keyring
from holdfast.domain.view import IncidentView, MessageRef, RunState
from holdfast.outbox.message import RowState
from holdfast.ports.notices import Notice, NoticeKind, Page, PrivateChannel
from tests.telegram.conftest import SmallOutbox
from tests.telegram.reading import read
from tests.telegram.scripted import http, refused, scripted
from tests.telegram.standin import NEWCOMER, OLGA, Place, TelegramServer
from tests.telegram.views import NOW, a_long_gate, a_view

VERA = Person(name="vera", title="Vera (client CTO)", telegram_id=OLGA, time_zone="Europe/Berlin")
BUTTON = Keyring(["k" * 16]).button("rollout-4f7qk2mz", "k3jd92ksla0a", "5d41402abc4b", "vera")


def a_notice(**changes: object) -> Notice:
    notice = Notice(
        run_id="rollout-4f7qk2mz",
        run_title="Relieve a support surge",
        run_url="https://temporal.example.com/run",
        gate=a_long_gate(),
        kind=NoticeKind.REQUEST,
        waiting=("vera", "max"),
        button=BUTTON,
        link="https://holdfast.example.com/g/secret",
        next_at=NOW + timedelta(hours=28),
    )
    return notice.model_copy(update=changes)


@pytest.fixture
def private(bot: Bot) -> TelegramPrivate:
    return TelegramPrivate(DirectSending(bot))


def test_it_is_a_private_channel_that_reaches_whoever_has_a_telegram_id(bot: Bot) -> None:
    channel: PrivateChannel = TelegramPrivate(DirectSending(bot))
    assert channel.name == "telegram"
    assert channel.reaches(VERA)
    assert not channel.reaches(Person(name="max", title="Max"))


async def test_a_request_says_everything_on_the_persons_own_clock(
    telegram: TelegramServer, private: TelegramPrivate, room: Place
) -> None:
    sent = await private.notify(VERA, a_notice())
    [message] = await telegram.in_private(OLGA, room)
    assert sent == MessageRef(chat=str(OLGA), message_id=str(message["message_id"]))
    assert message["text"].splitlines() == [
        "✋ Your decision is asked",
        "Relieve a support surge · stage 2, Widen the CRM pool",
        "",
        "❓ Set the CRM pool to 64?",
        "👍 Approve → The canary gets 5 % → 100 % of the traffic.",
        "👎 Reject → The run stops here; stages promoted before stay.",
        "💤 Nobody answers → Until the deadline nothing changes; after it the run stops here.",
        "",
        "📅 Open until Mon 23 Nov 2026, 04:12 Europe/Berlin (03:12 UTC); after that it counts as rejected.",
        "✅ sre-lead: boris · ⏳ client-cto: vera (1 of 2 approvals is missing)",
        "✍️ boris said approve via telegram at 2026-11-21 03:12:40 UTC (proof: telegram)",
        "👥 Asked too, not answered yet: max",
        "🔔 Next reminder: Sun 22 Nov 2026, 08:12 Europe/Berlin (07:12 UTC)",
        "",
        "🔧 pool: 8 → 64",
        "🔧 idle_s: 30 (stays)",
        "📎 Evidence 5d41402abc4b, taken Sat 21 Nov 2026, 04:12:40 Europe/Berlin (03:12:40 UTC).",
        "",
        "🔐 Your answer needs a code of your authenticator app; after the tap you are asked for it.",
        "To reject, give a reason: you are asked for it after the tap.",
        "",
        "rollout-4f7qk2mz",
        "Open in the Temporal UI",
    ]


async def test_buttons_carry_what_only_this_person_can_use(
    telegram: TelegramServer, private: TelegramPrivate, room: Place
) -> None:
    await private.notify(VERA, a_notice())
    [message] = await telegram.in_private(OLGA, room)
    rows = message["reply_markup"]["inline_keyboard"]
    assert [[(b["text"], b.get("callback_data") or b["url"]) for b in row] for row in rows] == [
        [("Approve", f"a:rollout-4f7qk2mz:{BUTTON}"), ("Reject", f"r:rollout-4f7qk2mz:{BUTTON}")],
        [
            ("Code for Temporal UI / terminal", f"c:rollout-4f7qk2mz:{BUTTON}"),
            ("Evidence", f"e:rollout-4f7qk2mz:{BUTTON}"),
        ],
        [("Answer on the web page", "https://holdfast.example.com/g/secret")],
    ]
    assert all(len(b.get("callback_data", "").encode()) <= 64 for row in rows for b in row)
    assert message["link_preview_options"] == {"is_disabled": True}


@pytest.mark.parametrize("kind", [NoticeKind.REMINDER, NoticeKind.WARNING, NoticeKind.OVERDUE])
def test_whoever_was_asked_before_is_reminded_in_few_lines(kind: NoticeKind) -> None:
    card = render_notice(VERA, a_notice(kind=kind, number=3))
    asked, reminded = units(render_notice(VERA, a_notice()).plain), units(card.plain)
    assert reminded < 0.8 * asked
    assert "Open until Mon 23 Nov 2026, 04:12 Europe/Berlin" in card.plain
    assert "⏳ client-cto: vera" in card.plain
    assert card.keyboard


@pytest.mark.parametrize(
    ("kind", "number", "first_line"),
    [
        (NoticeKind.REMINDER, 3, "🔔 Reminder no. 3: your decision is still asked"),
        (NoticeKind.WARNING, 1, "⏰ The deadline comes near: your decision is still missing"),
        (NoticeKind.ESCALATION, 1, "🚨 Escalation: the answer is overdue, and you may give it"),
        (NoticeKind.ESCALATION, 2, "🚨 Escalation no. 2: the answer is overdue, and you may give it"),
        (NoticeKind.OVERDUE, 1, "⌛ Overdue: your decision is still asked"),
    ],
)
def test_every_kind_says_why_now(kind: NoticeKind, number: int, first_line: str) -> None:
    assert render_notice(VERA, a_notice(kind=kind, number=number)).plain.startswith(first_line + "\n")


def test_whoever_is_no_approver_is_told_in_whose_place_to_answer() -> None:
    ceo, deputy = Person(name="ceo", title="Ceo"), Person(name="max", title="Max")
    escalated = render_notice(ceo, a_notice(kind=NoticeKind.ESCALATION, waiting=("vera", "ceo"))).plain
    assert "👥 You may answer in place of vera.\n" in escalated
    assert "👥 vera handed this over to you.\n" in render_notice(deputy, a_notice()).plain
    assert "in place of" not in render_notice(VERA, a_notice()).plain


def test_what_changed_and_a_verdict_against_going_on_are_shown() -> None:
    basis = Evidence(
        risk={"outcome": "pause", "risk": "0.85"}, wanted={"pool": 64}, taken_at=NOW - timedelta(minutes=1)
    )
    gate = a_long_gate(again_because="target's pool: 4 → 8", basis=basis)
    card = render_notice(VERA, a_notice(gate=gate, next_at=None))
    assert "🔁 Asked again because: target's pool: 4 → 8" in card.plain
    assert "📊 Verdict: pause, risk 0.85" in card.plain
    assert "🔕 No further reminder." in card.plain
    assert card.keyboard
    assert [b.style for b in card.keyboard.inline_keyboard[0]] == ["danger", None]


async def test_an_address_that_telegram_refuses_stands_in_the_text(
    telegram: TelegramServer, private: TelegramPrivate, room: Place
) -> None:
    await private.notify(VERA, a_notice(link="http://localhost:8088/g/secret"))
    [message] = await telegram.in_private(OLGA, room)
    assert "Web page: http://localhost:8088/g/secret" in message["text"]
    assert len(message["reply_markup"]["inline_keyboard"]) == 2


async def test_a_button_that_telegram_refuses_all_the_same_becomes_a_link() -> None:
    requests: list[str] = []
    no = refused(400, "Bad Request: inline keyboard button URL 'https://a.b' is invalid: Wrong HTTP URL")
    sent = http("200 OK", '{"ok": true, "result": {"message_id": 5}}')
    async with scripted(no, sent, requests=requests) as bot:
        assert (await TelegramPrivate(DirectSending(bot)).notify(VERA, a_notice())).message_id == "5"
    assert ["Answer on the web page</a>" in urllib.parse.unquote_plus(r) for r in requests] == [False, True]


def test_a_request_lists_all_facts_and_a_reminder_the_first_one() -> None:
    gate = a_long_gate(question="Does the campaign go?", facts=["The test failed.", "The window opens soon."])
    asked = render_notice(VERA, a_notice(gate=gate)).plain
    reminded = render_notice(VERA, a_notice(gate=gate, kind=NoticeKind.REMINDER)).plain
    assert "▪️ The test failed.\n▪️ The window opens soon.\n❓ Does the campaign go?" in asked
    assert "▪️ The test failed.\n❓ Does the campaign go?" in reminded


def test_without_buttons_the_other_ways_are_named() -> None:
    long_id = render_notice(VERA, a_notice(run_id="rollout-" + "x" * 60, link=""))
    assert long_id.keyboard is None
    assert "answer in the Temporal UI or on the command line" in long_id.plain
    assert render_notice(VERA, a_notice(button="", link="")).keyboard is None


async def test_markup_in_names_and_texts_is_shown_not_obeyed(
    telegram: TelegramServer, private: TelegramPrivate, room: Place
) -> None:
    evil = '</b><a href="http://evil.example">&amp;<'
    fields = dict.fromkeys(("question", "title", "if_nothing", "again_because"), evil)
    gate = a_long_gate(**fields, approvers=(evil,), slots=())
    await private.notify(VERA, a_notice(gate=gate, run_title=evil, waiting=(evil, "x")))
    [message] = await telegram.in_private(OLGA, room)
    assert message["text"].count(evil) == 8
    assert [e.get("url") for e in message["entities"] if e["type"] == "text_link"] == [
        "https://temporal.example.com/run"
    ]


async def test_a_person_without_a_chat_with_the_bot_is_told_how_to_open_one(
    telegram: TelegramServer, private: TelegramPrivate, room: Place
) -> None:
    await telegram.block(OLGA, room, blocked=True)
    for person in (VERA, VERA.model_copy(update={"telegram_id": NEWCOMER})):
        with pytest.raises(InvalidInput, match="must open a private chat with the bot and press Start"):
            await private.notify(person, a_notice())
    with pytest.raises(InvalidInput, match="vera has no telegram_id"):
        await private.say(VERA.model_copy(update={"telegram_id": None}), "hello")


async def test_an_id_that_telegram_does_not_know_is_told(private: TelegramPrivate) -> None:
    with pytest.raises(InvalidInput, match=r"chat not found.*press Start"):
        await private.notify(VERA.model_copy(update={"telegram_id": 404404}), a_notice())


async def test_what_was_not_taken_may_be_sent_again_and_what_is_unsure_may_not(
    telegram: TelegramServer, private: TelegramPrivate
) -> None:
    await telegram.faults(drop_after_store=1)
    with pytest.raises(DeliveryUncertain):
        await private.notify(VERA, a_notice())
    async with scripted(refused(429, "Too Many Requests: retry after 3", retry_after=3)) as bot:
        with pytest.raises(ChatUnavailable) as told:
            await TelegramPrivate(DirectSending(bot)).notify(VERA, a_notice())
    assert told.value.retry_after_seconds == 3


async def test_json_to_paste_stands_in_a_block_that_is_copied_whole(
    telegram: TelegramServer, private: TelegramPrivate, room: Place
) -> None:
    paste = json.dumps({"by": "vera", "reason": "<b>&"}, indent=1)
    await private.say(VERA, "Paste this:\nwithin 30 min", paste=paste)
    [message] = await telegram.in_private(OLGA, room)
    assert message["text"] == f"Paste this:\nwithin 30 min\n{paste}"
    [block] = message["entities"]
    assert (block["type"], block["language"], block["length"]) == ("pre", "json", len(paste))
    assert json.loads(message["text"][block["offset"] :])["reason"] == "<b>&"


async def test_a_long_text_is_cut_for_what_is_to_be_pasted_which_never_is(
    telegram: TelegramServer, private: TelegramPrivate, room: Place
) -> None:
    await private.say(VERA, "long\n" * 2000, paste='{"by": "vera"}')
    [message] = await telegram.in_private(OLGA, room)
    assert message["text"].endswith('…\n{"by": "vera"}')
    assert units(message["text"]) <= MESSAGE_LIMIT
    with pytest.raises(InvalidInput, match="too long to be pasted"):
        await private.say(VERA, "x", paste="x" * MESSAGE_LIMIT)


async def test_an_earlier_notice_loses_its_buttons_and_says_what_became_of_the_gate(
    telegram: TelegramServer, private: TelegramPrivate, room: Place
) -> None:
    sent = await private.notify(VERA, a_notice())
    for _ in range(2):  # saying it twice changes nothing
        await private.retire(sent, "✅ gate '2-crm-pool' is approved: <boris> said approve via telegram.")
    [message] = await telegram.in_private(OLGA, room)
    assert message["text"].splitlines() == [
        "No answer is needed here any more.",
        "✅ gate '2-crm-pool' is approved: <boris> said approve via telegram.",
    ]
    assert "reply_markup" not in message


async def test_a_notice_that_is_gone_or_cannot_be_edited_any_more_is_retired(
    bot: Bot, private: TelegramPrivate
) -> None:
    sent = await private.notify(VERA, a_notice())
    await bot.delete_message(OLGA, int(sent.message_id))
    await private.retire(sent, "over")
    async with scripted(refused(400, "Bad Request: message can't be edited")) as other:
        await TelegramPrivate(DirectSending(other)).retire(sent, "over")


async def test_a_notice_in_a_blocked_chat_cannot_be_retired(
    telegram: TelegramServer, private: TelegramPrivate, room: Place
) -> None:
    sent = await private.notify(VERA, a_notice())
    await telegram.block(OLGA, room, blocked=True)
    with pytest.raises(InvalidInput, match="bot was blocked by the user"):
        await private.retire(sent, "over")


# --- through the outbox

PATIENCE = timedelta(seconds=5)


def a_page(**changes: object) -> Page:
    incident = IncidentView(tier="gold", value=125_000, called=["vera"], step=1, steps=2)
    view = a_view(run_id="incident-1", kind="incident", gate=None, state=RunState.OPEN, incident=incident)
    return Page(key="page/incident-1/vera/1", view=view, because="vera is on duty").model_copy(update=changes)


def queued(outbox: SmallOutbox) -> TelegramPrivate:
    return TelegramPrivate(QueuedSending(outbox, patience=PATIENCE))


async def test_a_page_is_sent_once_with_the_tier_and_value_of_its_incident(
    telegram: TelegramServer, bot: Bot, room: Place
) -> None:
    outbox = SmallOutbox(TelegramTransport(bot))
    sent = await queued(outbox).page(VERA, a_page())
    assert await queued(outbox).page(VERA, a_page()) == sent
    [row] = outbox.rows.values()
    assert (row.kind, row.key, row.tier, row.value) == ("page", "page/incident-1/vera/1", "gold", 125_000)
    [message] = await telegram.in_private(OLGA, room)
    assert "Relieve a support surge" in message["text"]


async def test_an_answered_page_says_so_in_its_place(
    telegram: TelegramServer, private: TelegramPrivate, room: Place
) -> None:
    sent = await private.page(VERA, a_page())
    await private.retire(sent, "pavel has it.")
    [message] = await telegram.in_private(OLGA, room)
    assert message["text"] == "No answer is needed here any more.\npavel has it."


@pytest.mark.parametrize(
    ("kind", "row_kind", "words"),
    [(NoticeKind.REQUEST, "notice", ""), (NoticeKind.REMINDER, "reminder", "Reminder no. 1")],
)
async def test_only_a_reminder_may_become_a_line_of_a_digest(
    kind: NoticeKind, row_kind: str, words: str
) -> None:
    outbox = SmallOutbox()
    with pytest.raises(ChatUnavailable):
        await queued(outbox).notify(VERA, a_notice(kind=kind, key="notice/1"))
    [row] = outbox.rows.values()
    assert (row.kind, row.key, bool(row.line)) == (row_kind, "notice/1", bool(words))
    assert words in row.line
    assert "\n" not in row.line


async def test_a_notice_without_a_key_is_never_the_same(bot: Bot) -> None:
    outbox = SmallOutbox(TelegramTransport(bot))
    for _ in range(2):
        await queued(outbox).notify(VERA, a_notice())
        await queued(outbox).say(VERA, "hello")
    assert len({row.key for row in outbox.rows.values()}) == 4


async def test_a_line_of_a_digest_has_no_message_that_could_be_retired() -> None:
    outbox = SmallOutbox()
    with pytest.raises(ChatUnavailable):
        await queued(outbox).notify(VERA, a_notice(kind=NoticeKind.REMINDER, key="notice/1"))
    outbox.settle(1, state=RowState.SENT)
    sent = await queued(outbox).notify(VERA, a_notice(kind=NoticeKind.REMINDER, key="notice/1"))
    assert sent == MessageRef(chat=str(OLGA), message_id="")
    await queued(outbox).retire(sent, "over")
    assert len(outbox.rows) == 1


async def test_a_refused_link_is_tried_once_and_its_substitute_sent_once() -> None:
    no = refused(400, "Bad Request: inline keyboard button URL 'https://a.b' is invalid: Wrong HTTP URL")
    sent = http("200 OK", '{"ok": true, "result": {"message_id": 5}}')
    async with scripted(no, sent) as bot:
        outbox = SmallOutbox(TelegramTransport(bot))
        for _ in range(2):
            assert (await queued(outbox).notify(VERA, a_notice(key="notice/1"))).message_id == "5"
    assert [row.key for row in outbox.rows.values()] == ["notice/1", "notice/1/without-link-button"]


texts = st.one_of(st.text(max_size=30), st.text(min_size=1, alphabet='<>&"😀 a\n', max_size=60)).flatmap(
    lambda piece: st.sampled_from([piece, piece * 40, piece * 400])
)
notices = st.builds(
    lambda gate, **fields: a_notice(gate=a_long_gate(**gate), **fields),
    st.fixed_dictionaries(
        {
            **dict.fromkeys(("title", "question", "if_approved", "if_rejected", "if_nothing"), texts),
            **dict.fromkeys(("approve_label", "reject_label", "again_because", "evidence"), texts),
            "facts": st.lists(texts, max_size=9),
            "approvers": st.lists(texts, min_size=1, max_size=9).map(tuple),
            "slots": st.just(()),
            "quorum": st.integers(1, 9),
            "basis": st.builds(
                Evidence,
                risk=st.dictionaries(st.sampled_from(["outcome", "risk"]), texts),
                wanted=st.dictionaries(texts, texts, max_size=9),
                taken_at=st.just(NOW),
            ),
        }
    ),
    run_id=st.text(max_size=60),
    run_title=texts,
    run_url=texts.map(lambda t: f"https://h.example/{t}"),
    kind=st.sampled_from(NoticeKind),
    number=st.integers(1, 10**6),
    waiting=st.lists(texts, max_size=9).map(tuple),
    button=st.text(max_size=60),
    link=st.sampled_from(["", "http://localhost/x"]) | texts.map(lambda t: f"http://h/{t}"),
)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(notices)
def test_every_notice_fits_reads_back_as_its_words_and_has_buttons_that_telegram_takes(notice: Notice) -> None:
    card = render_notice(VERA, notice)
    assert units(card.plain) <= MESSAGE_LIMIT
    assert read(card.html).text == card.plain
    buttons = [b for row in card.keyboard.inline_keyboard for b in row] if card.keyboard else []
    assert all(b.text.strip() and b.callback_data and len(b.callback_data.encode()) <= 64 for b in buttons)
