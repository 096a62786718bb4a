import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiogram import Bot

from holdfast.adapters.telegram import TelegramChat, Timeouts
from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, HoldfastError, InvalidInput
from holdfast.domain.view import MessageRef
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
    await chat.ping("Pavel: <your> decision is asked", reply_to=sent)
    ping = (await telegram.from_bot(room))[-1]
    assert ping["text"] == "Pavel: <your> decision is asked"
    assert str(ping["reply_to_message"]["message_id"]) == sent.message_id
    assert not ping["silent"]


async def test_a_ping_reaches_people_although_the_card_is_gone(
    telegram: TelegramServer, bot: Bot, chat: TelegramChat, room: Place
) -> None:
    sent = await chat.publish(a_view(), message=None)
    await bot.delete_message(room.chat, int(sent.message_id))
    await chat.ping("look here", reply_to=sent)
    assert [m["text"] for m in await telegram.from_bot(room)] == ["look here"]


async def test_a_group_that_became_a_supergroup_is_followed(telegram: TelegramServer) -> None:
    new = place(0)
    chat = TelegramChat(telegram.client(new.token), -5000)
    sent = await chat.publish(a_view(), message=None)
    assert sent.chat == str(new.chat)
    before = MessageRef(chat="-5000", message_id=sent.message_id)
    await chat.ping("after the move", reply_to=before)
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
        await TelegramChat(bot, -404).publish(a_view(), message=None)


async def test_a_token_that_is_not_valid_is_refused_without_being_shown(telegram: TelegramServer) -> None:
    with pytest.raises(InvalidInput, match="BotFather") as refused:
        await TelegramChat(telegram.client("77:SECRET"), -1001).publish(a_view(), message=None)
    assert "SECRET" not in str(refused.value)


@asynccontextmanager
async def answering(*answers: Answer, timeouts: Timeouts | None = None) -> AsyncIterator[TelegramChat]:
    async with scripted(*answers) as bot:
        yield TelegramChat(bot, -1, timeouts=timeouts)


@asynccontextmanager
async def chat_at(port: int, timeouts: Timeouts | None = None) -> AsyncIterator[TelegramChat]:
    async with bot_at(port) as bot:
        yield TelegramChat(bot, -1, timeouts=timeouts)


@pytest.mark.parametrize(
    ("answer", "for_a_send", "for_an_edit"),
    [
        (refused(429, "Too Many Requests"), ChatUnavailable, ChatUnavailable),
        (refused(500, "Internal Server Error"), DeliveryUncertain, ChatUnavailable),
        (http("500 X", '{"ok": false}'), DeliveryUncertain, ChatUnavailable),
        (http("429 X", "<html>slow down</html>", "text/html"), DeliveryUncertain, ChatUnavailable),
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
