import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiogram import Bot

from holdfast.adapters.telegram import DirectSending, QueuedSending, TelegramChat, TelegramTransport, Timeouts
from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, HoldfastError, InvalidInput
from holdfast.domain.view import IncidentView, MessageRef
from holdfast.outbox.message import RowState
from tests.telegram.conftest import SmallOutbox
from tests.telegram.scripted import Answer, bot_at, http, refused, scripted
from tests.telegram.standin import Place, TelegramServer, place
from tests.telegram.views import a_view

SOMEWHERE = MessageRef(chat="-1", message_id="7")


async def test_a_run_has_one_message_that_is_edited(
    telegram: TelegramServer, chat: TelegramChat, room: Place
) -> None:
    sent = await chat.publish(a_view(), message=None)
    edited = await chat.publish(a_view(headline="All is well now.", gate=None), message=sent)
    assert edited == sent
    [message] = await telegram.from_bot(room)
    assert "All is well now." in message["text"]
    assert "reply_markup" not in message
    assert message["edited"]


async def test_an_edit_that_changes_nothing_is_a_success(chat: TelegramChat) -> None:
    sent = await chat.publish(a_view(), message=None)
    assert await chat.publish(a_view(), message=sent) == sent


async def test_a_message_that_vanished_is_sent_anew(
    telegram: TelegramServer, bot: Bot, chat: TelegramChat, room: Place
) -> None:
    first = await chat.publish(a_view(), message=None)
    await bot.delete_message(room.chat, int(first.message_id))
    second = await chat.publish(a_view(), message=first)
    assert second.message_id != first.message_id
    [message] = await telegram.from_bot(room)
    assert str(message["message_id"]) == second.message_id
    assert message["text"].startswith("✋ WAITING")


async def test_a_send_whose_answer_was_lost_is_uncertain_and_its_copy_says_so(
    telegram: TelegramServer, chat: TelegramChat, room: Place
) -> None:
    await telegram.faults(drop_after_store=1)
    with pytest.raises(DeliveryUncertain):
        await chat.publish(a_view(), message=None)
    lost = MessageRef(chat=str(room.chat), message_id="", uncertain=True)
    found = await chat.publish(a_view(), message=lost)
    first, copy = [m["text"] for m in await telegram.from_bot(room)]
    repeated, _, rest = copy.partition("\n")
    assert repeated == "Repeated: an earlier copy of this message may have arrived."
    assert rest == first
    assert not found.uncertain


async def test_a_bad_gateway_is_uncertain_for_a_send_and_repeatable_for_an_edit(
    telegram: TelegramServer, chat: TelegramChat
) -> None:
    sent = await chat.publish(a_view(), message=None)
    await telegram.faults(bad_gateway=2)
    with pytest.raises(DeliveryUncertain):
        await chat.publish(a_view(), message=None)
    with pytest.raises(ChatUnavailable):
        await chat.publish(a_view(headline="new"), message=sent)


async def test_a_ping_answers_the_card_with_a_sound(
    telegram: TelegramServer, chat: TelegramChat, room: Place
) -> None:
    sent = await chat.publish(a_view(), message=None)
    await chat.ping("Pavel: <your> decision is asked", reply_to=sent, key="p")
    ping = (await telegram.from_bot(room))[-1]
    assert ping["text"] == "Pavel: <your> decision is asked"
    assert str(ping["reply_to_message"]["message_id"]) == sent.message_id
    assert not ping["silent"]


async def test_a_ping_reaches_people_although_the_card_is_gone(
    telegram: TelegramServer, bot: Bot, chat: TelegramChat, room: Place
) -> None:
    sent = await chat.publish(a_view(), message=None)
    await bot.delete_message(room.chat, int(sent.message_id))
    await chat.ping("look here", reply_to=sent, key="p")
    assert [m["text"] for m in await telegram.from_bot(room)] == ["look here"]


async def test_a_group_that_became_a_supergroup_is_followed(telegram: TelegramServer) -> None:
    new = place(0)
    chat = TelegramChat(DirectSending(telegram.client(new.token)), -5000)
    sent = await chat.publish(a_view(), message=None)
    assert sent.chat == str(new.chat)
    before = MessageRef(chat="-5000", message_id=sent.message_id)
    await chat.ping("after the move", reply_to=before, key="p")
    edited = await chat.publish(a_view(headline="moved"), message=before)
    assert edited.chat == str(new.chat)
    assert edited.message_id != sent.message_id
    assert [m["text"].splitlines()[0] for m in await telegram.from_bot(new)] == [
        "✋ WAITING FOR A DECISION · Relieve a support surge",
        "after the move",
        "✋ WAITING FOR A DECISION · Relieve a support surge",
    ]


async def test_a_chat_that_does_not_exist_is_refused_with_a_remedy(bot: Bot) -> None:
    with pytest.raises(InvalidInput, match=r"chat not found.*add the bot to the group"):
        await TelegramChat(DirectSending(bot), -404).publish(a_view(), message=None)


async def test_a_token_that_is_not_valid_is_no_fault_of_the_message_and_is_not_shown(
    telegram: TelegramServer,
) -> None:
    chat = TelegramChat(DirectSending(telegram.client("77:SECRET")), -1001)
    with pytest.raises(ChatUnavailable, match="BotFather") as refused:
        await chat.publish(a_view(), message=None)
    assert "SECRET" not in str(refused.value)


@asynccontextmanager
async def answering(*answers: Answer, timeouts: Timeouts | None = None) -> AsyncIterator[TelegramChat]:
    async with scripted(*answers) as bot:
        yield TelegramChat(DirectSending(bot, timeouts), -1)


@asynccontextmanager
async def chat_at(port: int, timeouts: Timeouts | None = None) -> AsyncIterator[TelegramChat]:
    async with bot_at(port) as bot:
        yield TelegramChat(DirectSending(bot, timeouts), -1)


@pytest.mark.parametrize(
    ("answer", "for_a_send", "for_an_edit"),
    [
        (refused(429, "Too Many Requests"), ChatUnavailable, ChatUnavailable),
        (refused(500, "Internal Server Error"), DeliveryUncertain, ChatUnavailable),
        (http("500 X", '{"ok": false}'), DeliveryUncertain, ChatUnavailable),
        (http("429 X", "<html>slow down</html>", "text/html"), ChatUnavailable, ChatUnavailable),
        (http("403 X", "<html>blocked by a proxy</html>", "text/html"), ChatUnavailable, ChatUnavailable),
        (http("502 X", "<html>bad gateway</html>", "text/html"), DeliveryUncertain, ChatUnavailable),
        (http("200 OK", "<html>a portal asks you to log in</html>"), DeliveryUncertain, ChatUnavailable),
        (http("200 OK", '{"ok": true, "result": {}}'), DeliveryUncertain, None),
        (lambda _: None, DeliveryUncertain, ChatUnavailable),
        (refused(403, "Forbidden: bot was kicked from the supergroup chat"), InvalidInput, InvalidInput),
        (refused(400, "Bad Request: something new"), InvalidInput, InvalidInput),
    ],
)
async def test_every_broken_answer_has_its_meaning(
    answer: Answer, for_a_send: type[HoldfastError], for_an_edit: type[HoldfastError] | None
) -> None:
    async with answering(answer, answer) as chat:
        with pytest.raises(for_a_send):
            await chat.publish(a_view(), message=None)
        if for_an_edit is None:
            assert await chat.publish(a_view(), message=SOMEWHERE) == SOMEWHERE
        else:
            with pytest.raises(for_an_edit):
                await chat.publish(a_view(), message=SOMEWHERE)


async def test_flood_control_tells_how_long_to_wait() -> None:
    async with answering(refused(429, "Too Many Requests: retry after 17", retry_after=17)) as chat:
        with pytest.raises(ChatUnavailable) as told:
            await chat.publish(a_view(), message=None)
    assert told.value.retry_after_seconds == 17


async def test_a_card_whose_marks_are_refused_is_sent_as_plain_words() -> None:
    cannot = refused(400, "Bad Request: can't parse entities: unsupported start tag")
    sent = http("200 OK", '{"ok": true, "result": {"message_id": 5}}')
    async with answering(cannot, sent, cannot, http("200 OK", '{"ok": true, "result": true}')) as chat:
        first = await chat.publish(a_view(), message=None)
        assert first.message_id == "5"
        assert await chat.publish(a_view(), message=first) == first


async def test_a_server_that_takes_the_message_and_says_nothing_is_uncertain() -> None:
    timeouts = Timeouts(total=timedelta(seconds=0.3))
    async with answering(timeouts=timeouts) as chat:
        with pytest.raises(DeliveryUncertain):
            await chat.publish(a_view(), message=None)


async def test_a_refused_connection_means_that_nothing_was_sent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        async with chat_at(taken.getsockname()[1]) as chat:
            with pytest.raises(ChatUnavailable):
                await chat.publish(a_view(), message=None)


async def test_a_connection_that_never_stands_means_that_nothing_was_sent() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):  # they fill the queue, so that the next one's greeting is dropped
            waiting.settimeout(0)
            waiting.connect_ex(full.getsockname())
        timeouts = Timeouts(connect=timedelta(seconds=0.3), total=timedelta(seconds=5))
        async with chat_at(full.getsockname()[1], timeouts) as chat:
            with pytest.raises(ChatUnavailable):
                await chat.publish(a_view(), message=None)


# --- through the outbox

PATIENCE = timedelta(seconds=5)


def queued_chat(outbox: SmallOutbox, chat: int, **more: Any) -> TelegramChat:
    return TelegramChat(QueuedSending(outbox, patience=PATIENCE), chat, **more)


async def test_a_run_is_two_kinds_of_rows_its_message_and_its_edits(bot: Bot, room: Place) -> None:
    outbox = SmallOutbox(TelegramTransport(bot))
    chat = queued_chat(outbox, room.chat)
    sent = await chat.publish(a_view(revision=1), message=None)
    assert await chat.publish(a_view(revision=2, headline="on it"), message=sent) == sent
    await chat.ping("look", reply_to=sent, key="ping/1")
    first, edit, ping = outbox.rows.values()
    assert (first.kind, first.key, first.replaces) == ("card", "card/rollout-4f7qk2mz", "card/rollout-4f7qk2mz")
    assert (edit.kind, edit.key) == ("card", f"edit/{room.chat}/{sent.message_id}/2")
    assert edit.replaces == f"edit/{room.chat}/{sent.message_id}"
    assert (ping.kind, ping.key, ping.line) == ("ping", "ping/1", "look")
    assert {row.state for row in outbox.rows.values()} == {RowState.SENT}


async def test_an_activity_that_is_repeated_sends_its_message_once(
    telegram: TelegramServer, bot: Bot, room: Place
) -> None:
    chat = queued_chat(SmallOutbox(TelegramTransport(bot)), room.chat)
    assert await chat.publish(a_view(), message=None) == await chat.publish(a_view(), message=None)
    for _ in range(2):
        await chat.ping("look", reply_to=MessageRef(chat="", message_id=""), key="ping/1")
    assert len(await telegram.from_bot(room)) == 2


async def test_what_waits_is_said_to_wait_and_found_again_when_it_was_sent(bot: Bot, room: Place) -> None:
    outbox = SmallOutbox()
    chat = queued_chat(outbox, room.chat)
    with pytest.raises(ChatUnavailable, match="waits in the outbox as number 1") as told:
        await chat.publish(a_view(), message=None)
    assert told.value.retry_after_seconds
    outbox.transport = TelegramTransport(bot)
    assert (await chat.publish(a_view(), message=None)).message_id
    assert len(outbox.rows) == 1


async def test_a_first_message_that_went_out_with_an_older_view_is_brought_up_to_date(
    telegram: TelegramServer, bot: Bot, room: Place
) -> None:
    outbox = SmallOutbox()
    chat = queued_chat(outbox, room.chat)
    with pytest.raises(ChatUnavailable):
        await chat.publish(a_view(revision=1, headline="old"), message=None)
    outbox.transport = TelegramTransport(bot)
    await chat.publish(a_view(revision=2, headline="news"), message=None)
    [message] = await telegram.from_bot(room)
    assert "news" in message["text"]


async def test_an_edit_that_waits_takes_the_newest_view(bot: Bot, room: Place) -> None:
    outbox = SmallOutbox(TelegramTransport(bot))
    chat = queued_chat(outbox, room.chat)
    sent = await chat.publish(a_view(), message=None)
    outbox.transport = None
    for revision in (2, 3):
        with pytest.raises(ChatUnavailable):
            await chat.publish(a_view(revision=revision, headline=f"no. {revision}"), message=sent)
    assert len(outbox.rows) == 2
    assert "no. 3" in outbox.rows[2].request.params["text"]


async def test_a_copy_after_an_uncertain_message_has_a_key_of_its_own(
    telegram: TelegramServer, bot: Bot, room: Place
) -> None:
    outbox = SmallOutbox(TelegramTransport(bot))
    chat = queued_chat(outbox, room.chat)
    await telegram.faults(drop_after_store=1)
    with pytest.raises(DeliveryUncertain):
        await chat.publish(a_view(), message=None)
    with pytest.raises(DeliveryUncertain):  # the same once more changes nothing
        await chat.publish(a_view(), message=None)
    lost = MessageRef(chat=str(room.chat), message_id="", uncertain=True)
    await chat.publish(a_view(revision=7), message=lost)
    assert [row.key for row in outbox.rows.values()] == [
        "card/rollout-4f7qk2mz",
        "card/rollout-4f7qk2mz/again/7",
    ]
    assert len(await telegram.from_bot(room)) == 2


async def test_a_message_that_vanished_is_sent_anew_under_another_key(bot: Bot, room: Place) -> None:
    outbox = SmallOutbox(TelegramTransport(bot))
    chat = queued_chat(outbox, room.chat)
    first = await chat.publish(a_view(), message=None)
    await bot.delete_message(room.chat, int(first.message_id))
    second = await chat.publish(a_view(revision=2, headline="on it"), message=first)
    assert second.message_id != first.message_id
    assert outbox.rows[3].key == f"card/rollout-4f7qk2mz/after/{first.message_id}"


async def test_an_edit_of_unknown_fate_is_simply_made_again(
    telegram: TelegramServer, bot: Bot, room: Place
) -> None:
    outbox = SmallOutbox(TelegramTransport(bot))
    chat = queued_chat(outbox, room.chat)
    sent = await chat.publish(a_view(), message=None)
    outbox.transport = None
    with pytest.raises(ChatUnavailable):
        await chat.publish(a_view(revision=2, headline="on it"), message=sent)
    outbox.settle(2, state=RowState.UNCERTAIN, why="the sender ended in the middle of its try")
    outbox.transport = TelegramTransport(bot)
    assert await chat.publish(a_view(revision=2, headline="on it"), message=sent) == sent
    assert "on it" in (await telegram.from_bot(room))[0]["text"]


async def test_an_edit_that_died_for_a_newer_one_is_a_success(bot: Bot, room: Place) -> None:
    outbox = SmallOutbox(TelegramTransport(bot))
    chat = queued_chat(outbox, room.chat)
    sent = await chat.publish(a_view(), message=None)
    outbox.transport = None
    with pytest.raises(ChatUnavailable):
        await chat.publish(a_view(revision=2), message=sent)
    outbox.settle(2, state=RowState.DEAD, why="replaced by a newer version")
    assert await chat.publish(a_view(revision=2), message=sent) == sent


async def test_a_dropped_message_is_not_sent_behind_the_persons_back(room: Place) -> None:
    outbox = SmallOutbox()
    chat = queued_chat(outbox, room.chat)
    with pytest.raises(ChatUnavailable):
        await chat.publish(a_view(), message=None)
    outbox.settle(1, state=RowState.DEAD, why="dropped by olga: wrong chat")
    for headline in ("as before", "another"):
        with pytest.raises(InvalidInput, match="dropped by olga: wrong chat"):
            await chat.publish(a_view(headline=headline), message=None)
    assert len(outbox.rows) == 1


async def test_a_refused_first_message_does_not_keep_later_views_from_being_tried(
    bot: Bot, room: Place
) -> None:
    outbox = SmallOutbox(TelegramTransport(bot))
    for _ in range(2):
        with pytest.raises(InvalidInput, match="chat not found"):
            await queued_chat(outbox, -404).publish(a_view(), message=None)
    assert len(outbox.rows) == 1
    outbox.settle(1, chat=str(room.chat))
    found = await queued_chat(outbox, room.chat).publish(a_view(headline="later"), message=None)
    assert found.chat == str(room.chat)


async def test_an_incident_brings_the_tier_and_the_value_of_its_order() -> None:
    outbox = SmallOutbox()
    view = a_view(kind="incident", gate=None, incident=IncidentView(tier="gold", value=125_000))
    with pytest.raises(ChatUnavailable):
        await queued_chat(outbox, -1).publish(view, message=None)
    assert (outbox.rows[1].tier, outbox.rows[1].value) == ("gold", 125_000)


async def test_a_chat_tells_times_on_its_own_clock(room: Place) -> None:
    outbox = SmallOutbox()
    chat = queued_chat(outbox, room.chat, zone=ZoneInfo("Asia/Yekaterinburg"))
    with pytest.raises(ChatUnavailable):
        await chat.publish(a_view(), message=None)
    text = outbox.rows[1].request.params["text"]
    assert "08:12" in text  # 03:12 UTC


async def test_a_database_that_is_down_leaves_the_fate_open(room: Place) -> None:
    outbox = SmallOutbox()
    outbox.is_down = True
    with pytest.raises(ChatUnavailable, match="the store is down"):
        await queued_chat(outbox, room.chat).publish(a_view(), message=None)
