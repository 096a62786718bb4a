import json
import socket
import urllib.parse
from datetime import timedelta
from html import escape
from typing import Any

import pytest
from aiogram import Bot
from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.telegram import TelegramTransport, Timeouts
from holdfast.adapters.telegram.transport import words_of
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, units
from holdfast.domain.errors import RunbookInvalid
from holdfast.outbox.message import Attachment, Message, Request, Row
from holdfast.outbox.transport import Fate, Moved, Never, NotSent, Refused, Sent, Transport, Unknown
from tests.telegram.conftest import a_row
from tests.telegram.scripted import Answer, bot_at, http, refused, scripted
from tests.telegram.standin import STRANGER, Place, TelegramServer

DONE = http("200 OK", '{"ok": true, "result": {"message_id": 5}}')
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x02\x08\x02\x00\x00\x00\xfd\xd4\x9as"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)


def row(method: str = "sendMessage", *, chat: int | str = -1, **params: Any) -> Row:
    changes = {name: params.pop(name) for name in ("repeated", "thread", "replaces", "line") if name in params}
    request = Request(
        method=method, plain=params.pop("plain", ""), files=params.pop("files", {}), params=params
    )
    return a_row(Message(key="k", chat=str(chat), kind="card", request=request), **changes)


def asked_for(body: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(body))


@pytest.fixture
def transport(bot: Bot) -> TelegramTransport:
    return TelegramTransport(bot)


# --- against the stand-in


def test_it_is_a_transport_of_the_outbox(bot: Bot) -> None:
    transport: Transport = TelegramTransport(bot)
    assert transport is not None


async def test_what_arrived_is_sent_with_its_id(
    telegram: TelegramServer, transport: TelegramTransport, room: Place
) -> None:
    fate = await transport.send(row(chat=room.chat, text="<b>hello</b>", parse_mode="HTML"))
    [message] = await telegram.from_bot(room)
    assert fate == Sent(str(message["message_id"]))
    assert (message["text"], message["entities"][0]["type"]) == ("hello", "bold")


async def test_files_go_along(telegram: TelegramServer, transport: TelegramTransport, room: Place) -> None:
    picture = {"photo": Attachment(name="chart.png", content=PNG)}
    assert isinstance(
        await transport.send(row("sendPhoto", chat=room.chat, caption="p95", files=picture)), Sent
    )
    text = {"document": Attachment(name="Отчёт.txt", content=b"all of it")}
    assert isinstance(await transport.send(row("sendDocument", chat=room.chat, files=text)), Sent)
    photo, document = await telegram.from_bot(room)
    assert (photo["caption"], photo["photo"][0]["width"]) == ("p95", 2)
    assert document["document"]["file_name"] == "Отчёт.txt"


async def test_a_created_topic_is_sent_with_its_thread(telegram: TelegramServer, forum: Place) -> None:
    transport = TelegramTransport(telegram.client(forum.token))
    fate = await transport.send(row("createForumTopic", chat=forum.chat, name="Checkout"))
    assert isinstance(fate, Sent)
    assert await transport.send(row(chat=forum.chat, text="in it", thread=fate.message_id)) != fate
    assert [m.get("text") for m in await telegram.messages(forum.chat, thread=int(fate.message_id))] == [
        None,
        "in it",
    ]


async def test_the_general_topic_is_never_named(telegram: TelegramServer, forum: Place) -> None:
    transport = TelegramTransport(telegram.client(forum.token))
    assert isinstance(await transport.send(row(chat=forum.chat, text="x", thread="1")), Sent)
    assert [m["text"] for m in await telegram.messages(forum.chat, thread=1)] == ["x"]


@pytest.mark.parametrize("how", ["deleted", "closed"])
async def test_what_was_for_a_topic_that_is_gone_goes_to_the_group(
    telegram: TelegramServer, forum: Place, how: str
) -> None:
    bot = telegram.client(forum.token)
    transport = TelegramTransport(bot)
    opened = await transport.send(row("createForumTopic", chat=forum.chat, name="Checkout"))
    assert isinstance(opened, Sent)
    if how == "deleted":
        await bot.delete_forum_topic(forum.chat, int(opened.message_id))
        fate = await transport.send(row(chat=forum.chat, text="x", thread=opened.message_id))
    else:
        closed = refused(400, "Bad Request: TOPIC_CLOSED")
        async with scripted(closed, DONE) as closed_bot:
            fate = await TelegramTransport(closed_bot).send(row(text="x", thread=opened.message_id))
    assert isinstance(fate, Sent)


async def test_an_edit_is_sent_with_the_id_it_was_made_for_also_when_nothing_changes(
    telegram: TelegramServer, transport: TelegramTransport, room: Place
) -> None:
    sent = await transport.send(row(chat=room.chat, text="one"))
    assert isinstance(sent, Sent)
    edit = row("editMessageText", chat=room.chat, message_id=int(sent.message_id), text="two")
    assert await transport.send(edit) == sent
    assert await transport.send(edit) == sent
    [message] = await telegram.from_bot(room)
    assert message["text"] == "two"


async def test_a_message_that_is_deleted_twice_is_deleted(transport: TelegramTransport, room: Place) -> None:
    sent = await transport.send(row(chat=room.chat, text="one"))
    assert isinstance(sent, Sent)
    deletion = row("deleteMessage", chat=room.chat, message_id=int(sent.message_id))
    assert [await transport.send(deletion) for _ in range(2)] == [sent, sent]


async def test_a_message_that_is_answered_may_be_gone(transport: TelegramTransport, room: Place) -> None:
    fate = await transport.send(row(chat=room.chat, text="x", reply_parameters={"message_id": 4711}))
    assert isinstance(fate, Sent)


async def test_what_telegram_never_takes_keeps_its_words_and_code(
    telegram: TelegramServer, transport: TelegramTransport, room: Place
) -> None:
    await telegram.block(STRANGER, room, blocked=True)
    blocked = await transport.send(row(chat=STRANGER, text="x"))
    assert blocked == Never("Forbidden: bot was blocked by the user", 403)
    assert await transport.send(row(chat=-404, text="x")) == Never("Bad Request: chat not found", 400)


async def test_an_upgraded_group_is_named_and_what_is_left_of_it_stays_behind(
    telegram: TelegramServer, basic_group: Place
) -> None:
    transport = TelegramTransport(telegram.client(basic_group.token))
    old = basic_group.chat
    sent = await transport.send(row(chat=old, text="before"))
    assert isinstance(sent, Sent)
    new = await telegram.upgrade(old)
    assert await transport.send(row(chat=old, text="after")) == Moved(str(new))
    reply = {"message_id": int(sent.message_id), "chat_id": str(old)}
    assert isinstance(await transport.send(row(chat=new, text="after", reply_parameters=reply)), Sent)
    edit = {"message_id": int(sent.message_id), "text": "changed", "replaces": f"edit/{old}/{sent.message_id}"}
    fate = await transport.send(row("editMessageText", chat=new, **edit))
    assert isinstance(fate, Never)
    assert "message to edit not found" in fate.why
    _announcement, message = await telegram.messages(new)
    assert message["text"] == "after"
    assert "reply_to_message" not in message


async def test_an_answer_that_was_lost_is_unknown_and_a_bad_gateway_too(
    telegram: TelegramServer, transport: TelegramTransport, room: Place
) -> None:
    await telegram.faults(drop_after_store=1)
    assert isinstance(await transport.send(row(chat=room.chat, text="x")), Unknown)
    await telegram.faults(bad_gateway=1)
    assert await transport.send(row(chat=room.chat, text="y")) == Unknown("HTTP 502")


async def test_a_long_text_is_cut_and_follows_whole_as_a_file(
    telegram: TelegramServer, transport: TelegramTransport, room: Place
) -> None:
    text = "<b>Report</b>\n" + "line &amp; line\n" * 400
    fate = await transport.send(row(chat=room.chat, text=text, parse_mode="HTML"))
    message, details = await telegram.from_bot(room)
    assert fate == Sent(str(message["message_id"]))
    assert units(message["text"]) <= MESSAGE_LIMIT
    assert message["text"].startswith("Report\nline & line\n")
    assert details["document"]["file_name"] == "details.txt"
    assert details["reply_to_message"]["message_id"] == message["message_id"]
    assert await telegram.file(details["document"]["file_id"]) == words_of(text)


async def test_a_copy_says_that_it_may_be_one(
    telegram: TelegramServer, transport: TelegramTransport, room: Place
) -> None:
    bold = {"text": "<b>hello</b>", "parse_mode": "HTML"}
    marked = {"text": "hello", "entities": [{"type": "bold", "offset": 0, "length": 5}]}
    for params in (bold, marked):
        assert isinstance(await transport.send(row(chat=room.chat, repeated=True, **params)), Sent)
    for message in await telegram.from_bot(room):
        assert message["text"] == "Repeated: an earlier copy of this message may have arrived.\nhello"


async def test_a_copy_that_would_be_too_long_is_cut_rather_than_refused(
    telegram: TelegramServer, transport: TelegramTransport, room: Place
) -> None:
    fate = await transport.send(row(chat=room.chat, text="x" * MESSAGE_LIMIT, repeated=True))
    assert isinstance(fate, Sent)
    [message] = await telegram.from_bot(room)
    assert message["text"].startswith("Repeated: ")
    assert units(message["text"]) <= MESSAGE_LIMIT


async def test_many_become_one_message_with_a_line_each(
    telegram: TelegramServer, transport: TelegramTransport, room: Place
) -> None:
    rows = [row(chat=room.chat, text="<b>x</b>", line=f"<Reminder> no. {n}") for n in range(1, 4)]
    assert await transport.send_digest(rows) == Sent()
    [message] = await telegram.from_bot(room)
    assert message["text"].splitlines() == [
        "🗂 3 messages at once:",
        "• <Reminder> no. 1",
        "• <Reminder> no. 2",
        "• <Reminder> no. 3",
    ]


async def test_a_hundred_long_lines_all_stay_and_fit(
    telegram: TelegramServer, transport: TelegramTransport, room: Place
) -> None:
    rows = [row(chat=room.chat, line=f"{n} " + "😀" * 300) for n in range(99)] + [
        row(chat=room.chat, line="short")
    ]
    assert await transport.send_digest(rows) == Sent()
    [message] = await telegram.from_bot(room)
    assert units(message["text"]) <= MESSAGE_LIMIT
    lines = message["text"].splitlines()[1:]
    assert [line.split()[1] for line in lines] == [*map(str, range(99)), "short"]


# --- against broken answers

WRONG_ADDRESS = "Not Found: check the address of the Bot API, and take a valid token from @BotFather"
NO_METHOD = Never("Not Found: method not found", 404)


@pytest.mark.parametrize(
    ("answer", "of_a_send", "of_an_edit"),
    [
        (refused(429, "Too Many Requests: retry after 17", retry_after=17), Refused(17), Refused(17)),
        (refused(429, "Too Many Requests"), Refused(5), Refused(5)),
        (http("429 X", "<html>slow down</html>", "text/html"), Refused(5), Refused(5)),
        (http("502 X", "<html>bad gateway</html>", "text/html"), Unknown("HTTP 502"), NotSent("HTTP 502")),
        (
            refused(500, "Internal Server Error"),
            Unknown("Internal Server Error"),
            NotSent("Internal Server Error"),
        ),
        (http("403 X", "<html>proxy</html>", "text/html"), NotSent("HTTP 403"), NotSent("HTTP 403")),
        (http("404 X", "<html>proxy</html>", "text/html"), NotSent("HTTP 404"), NotSent("HTTP 404")),
        (refused(404, "Not Found"), NotSent(WRONG_ADDRESS), NotSent(WRONG_ADDRESS)),
        (refused(404, "Not Found: method not found"), NO_METHOD, NO_METHOD),
        (refused(413, "Request Entity Too Large"), Never("Request Entity Too Large", 413), None),
        (refused(409, "Conflict: whatever"), NotSent("Conflict: whatever"), NotSent("Conflict: whatever")),
        (http("200 OK", "[]"), Unknown("HTTP 200"), NotSent("HTTP 200")),
        (
            http("200 OK", '{"ok": true, "result": {}}'),
            Unknown("Telegram's answer names no message"),
            Sent("7"),
        ),
        (
            http("200 OK", '{"ok": true, "result": true}'),
            Unknown("Telegram's answer names no message"),
            Sent("7"),
        ),
        (
            lambda w: w.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\xff\xfe{}}"),
            Unknown("HTTP 200"),
            None,
        ),
        (
            lambda w: w.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"),
            Unknown("ClientPayloadError"),
            NotSent("ClientPayloadError"),
        ),
        (lambda _: None, Unknown("ServerDisconnectedError"), NotSent("ServerDisconnectedError")),
        (
            refused(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-1009),
            Moved("-1009"),
            Moved("-1009"),
        ),
    ],
)
async def test_every_broken_answer_has_one_fate(
    answer: Answer, of_a_send: Fate, of_an_edit: Fate | None
) -> None:
    async with scripted(answer, answer) as bot:
        transport = TelegramTransport(bot)
        assert await transport.send(row(text="x")) == of_a_send
        if of_an_edit is not None:
            assert await transport.send(row("editMessageText", text="x", message_id=7)) == of_an_edit


async def test_a_token_that_is_not_valid_loses_no_message(telegram: TelegramServer) -> None:
    fate = await TelegramTransport(telegram.client("77:SECRET")).send(row(text="x"))
    assert isinstance(fate, NotSent)
    assert "BotFather" in fate.why
    assert "SECRET" not in fate.why


async def test_a_refused_connection_sent_nothing_and_a_silent_server_may_have_got_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        async with bot_at(taken.getsockname()[1]) as bot:
            assert await TelegramTransport(bot).send(row(text="x")) == NotSent("ClientConnectorError")
    async with scripted() as bot:
        transport = TelegramTransport(bot, Timeouts(total=timedelta(seconds=0.3)))
        assert isinstance(await transport.send(row(text="x")), Unknown)


async def test_marks_that_telegram_cannot_read_are_left_out_once() -> None:
    asked: list[str] = []
    cannot = refused(400, "Bad Request: can't parse entities: unsupported start tag")
    async with scripted(cannot, DONE, cannot, cannot, requests=asked) as bot:
        transport = TelegramTransport(bot)
        told = {"text": "<x>hello", "parse_mode": "HTML", "plain": "hello"}
        assert await transport.send(row(**told)) == Sent("5")
        assert isinstance(await transport.send(row(**told)), Never)
    assert asked_for(asked[1]) == {"chat_id": "-1", "text": "hello"}


async def test_paid_broadcast_is_asked_for_and_left_out_where_it_is_not_granted() -> None:
    asked: list[str] = []
    async with scripted(refused(400, "Bad Request: FLOODSKIP_NOT_ALLOWED"), DONE, requests=asked) as bot:
        fate = await TelegramTransport(bot, paid_broadcast=True).send(row(text="x"))
    assert fate == Sent("5")
    assert [asked_for(body).get("allow_paid_broadcast") for body in asked] == ["true", None]


async def test_an_edit_is_never_paid_for() -> None:
    asked: list[str] = []
    async with scripted(DONE, requests=asked) as bot:
        await TelegramTransport(bot, paid_broadcast=True).send(row("editMessageText", text="x", message_id=7))
    assert "allow_paid_broadcast" not in asked_for(asked[0])


async def test_parameters_are_json_where_they_are_not_text() -> None:
    asked: list[str] = []
    keyboard = {"inline_keyboard": [[{"text": "Да", "callback_data": "yes"}]]}
    async with scripted(DONE, requests=asked) as bot:
        await TelegramTransport(bot).send(row(text="x", disable_notification=True, reply_markup=keyboard))
    sent = asked_for(asked[0])
    assert (sent["chat_id"], sent["disable_notification"]) == ("-1", "true")
    assert json.loads(sent["reply_markup"]) == keyboard


async def test_each_chat_is_told_in_its_own_language() -> None:
    asked: list[str] = []
    languages = {"-7": "ru", "-8": "ru", "-9": "en"}
    async with scripted(DONE, DONE, DONE, requests=asked) as bot:
        transport = TelegramTransport(bot, language=languages.__getitem__)
        await transport.send(row(chat=-7, text="x", repeated=True))
        await transport.send_digest([row(chat=-8, line="x")] * 22)
        await transport.send_digest([row(chat=-9, line="x")] * 22)
    assert [asked_for(body)["text"].splitlines()[0] for body in asked] == [
        "Повторная отправка: возможно, это сообщение уже приходило.",
        "🗂 22 сообщения сразу:",
        "🗂 22 messages at once:",
    ]


@given(st.text(alphabet="<>&;ab \n😀", max_size=60))
def test_words_that_were_escaped_are_read_back(text: str) -> None:
    assert words_of(f"<b>{escape(text)}</b>") == text


def test_words_are_what_stands_between_the_marks() -> None:
    assert words_of('<b>1 &lt; 2</b> <a href="http://x.y">here</a>') == "1 < 2 here"
    assert words_of("*bold*", "MarkdownV2") == "*bold*"


async def test_who_breaks_the_file_of_languages_stops_no_message() -> None:
    def broken(_: str) -> str:
        raise RunbookInvalid("people.yaml:3: people: not a list")

    async with scripted(DONE) as bot:
        assert await TelegramTransport(bot, language=broken).send(row(text="x")) == Sent("5")


async def test_whether_to_pay_is_asked_for_each_message() -> None:
    pays, requests = [False], list[str]()
    async with scripted(DONE, DONE, requests=requests) as bot:
        transport = TelegramTransport(bot, paid_broadcast=lambda: pays[0])
        await transport.send(row(text="x"))
        pays[0] = True
        await transport.send(row(text="x"))
    assert ["allow_paid_broadcast" in asked_for(body) for body in requests] == [False, True]


async def test_a_topic_that_is_no_number_is_left_out() -> None:
    requests: list[str] = []
    async with scripted(DONE, requests=requests) as bot:
        assert await TelegramTransport(bot).send(row(text="x", thread="general")) == Sent("5")
    assert "message_thread_id" not in asked_for(requests[0])
