import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.enums import ParseMode
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
)
from aiogram.methods import SendMessage
from aiogram.types import BufferedInputFile, ReactionTypeEmoji, ReplyParameters

from holdfast.adapters.telegram import TelegramTransport, ThroughOutbox, answering, without_waiting
from holdfast.outbox.message import Message, RowState
from holdfast.outbox.transport import Never
from tests.telegram.conftest import SmallOutbox
from tests.telegram.standin import STRANGER, Place, TelegramServer
from tests.telegram.test_transport import PNG


@pytest.fixture
async def speaker(telegram: TelegramServer, room: Place) -> AsyncIterator[Bot]:
    """A bot with a session of its own, whose answers pass through an outbox."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(telegram.url))
    async with Bot(room.token, session=session) as bot:
        yield bot


@pytest.fixture
def outbox(bot: Bot, speaker: Bot) -> SmallOutbox:
    box = SmallOutbox(TelegramTransport(bot))
    speaker.session.middleware(ThroughOutbox(box, patience=timedelta(seconds=5)))
    return box


async def test_an_answer_is_a_row_and_comes_back_as_the_message_that_it_became(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place
) -> None:
    before = datetime.now(UTC)
    with answering(77):
        sent = await speaker.send_message(room.chat, "<b>hello</b>", parse_mode=ParseMode.HTML)
    [row], [message] = outbox.rows.values(), await telegram.from_bot(room)
    assert (row.kind, row.key, row.request.plain) == ("answer", f"answer/{room.bot_id}/77/0", "hello")
    assert (sent.message_id, sent.chat.id) == (message["message_id"], room.chat)
    assert sent.date >= before - timedelta(seconds=1)


async def test_a_redelivered_update_says_nothing_twice(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place
) -> None:
    ids: list[int] = []
    for _ in range(2):
        with answering(77):
            ids += [(await speaker.send_message(room.chat, text)).message_id for text in ("one", "two")]
    assert ids[:2] == ids[2:]
    assert [m["text"] for m in await telegram.from_bot(room)] == ["one", "two"]
    assert len(outbox.rows) == 2


async def test_what_is_said_about_an_update_later_is_something_else(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place
) -> None:
    with answering(77):
        await speaker.send_message(room.chat, "kept")
    with answering(77, part="carried out"):
        await speaker.send_message(room.chat, "done")
    assert [m["text"] for m in await telegram.from_bot(room)] == ["kept", "done"]
    assert outbox.rows[2].key.endswith("/77/carried out/0")


async def test_the_message_can_be_answered_edited_and_deleted(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place
) -> None:
    with answering(77):
        sent = await speaker.send_message(room.chat, "one")
        edited = await sent.edit_text("two")
        answer = await sent.reply("three")
        assert await answer.delete() is True
    assert not isinstance(edited, bool)
    assert edited.message_id == sent.message_id
    assert [m["text"] for m in await telegram.from_bot(room)] == ["two"]
    assert [row.replaces for row in outbox.rows.values()] == [
        "",
        f"edit/{room.chat}/{sent.message_id}",
        "",
        f"delete/{room.chat}/{answer.message_id}",
    ]


async def test_pictures_files_and_reactions_pass_as_well(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place
) -> None:
    with answering(77):
        photo = await speaker.send_photo(room.chat, BufferedInputFile(PNG, "p95.png"), caption="p95")
        await speaker.send_document(room.chat, BufferedInputFile(b"all", "details.txt"))
        await speaker.edit_message_caption(chat_id=room.chat, message_id=photo.message_id, caption="p99")
        assert await speaker.set_message_reaction(room.chat, photo.message_id, [ReactionTypeEmoji(emoji="👍")])
    first, second = await telegram.from_bot(room)
    assert (first["caption"], first["reactions"]) == ("p99", ["👍"])
    assert second["document"]["file_name"] == "details.txt"
    assert outbox.rows[1].request.files["photo"].content == PNG


async def test_an_answer_in_a_topic_stays_there(telegram: TelegramServer, forum: Place) -> None:
    session = AiohttpSession(api=TelegramAPIServer.from_base(telegram.url))
    async with Bot(forum.token, session=session) as bot:
        topic = await bot.create_forum_topic(forum.chat, "Checkout")
        session.middleware(ThroughOutbox(SmallOutbox(TelegramTransport(bot))))
        with answering(77):
            first = await bot.send_message(forum.chat, "one", message_thread_id=topic.message_thread_id)
            await first.answer("two")
    found = await telegram.messages(forum.chat, thread=topic.message_thread_id)
    assert [m["text"] for m in found[1:]] == ["one", "two"]


async def test_what_is_no_answer_and_what_cannot_wait_goes_straight(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place
) -> None:
    await speaker.send_message(room.chat, "straight")
    with answering(77):
        assert (await speaker.get_me()).id == room.bot_id
        await speaker.send_chat_action(room.chat, "typing")
    assert not outbox.rows
    assert [m["text"] for m in await telegram.from_bot(room)] == ["straight"]


async def test_a_person_hears_of_it_when_the_store_is_down(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place
) -> None:
    outbox.is_down = True
    with answering(77):
        sent = await speaker.send_message(room.chat, "the database is down")
    assert sent.message_id
    assert [m["text"] for m in await telegram.from_bot(room)] == ["the database is down"]


async def test_a_store_that_fails_while_a_row_is_waited_for_does_not_double_the_message(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = outbox.put

    async def put_and_fail(message: Message) -> int:
        row_id = await put(message)
        outbox.is_down = True
        return row_id

    monkeypatch.setattr(outbox, "put", put_and_fail)
    with answering(77):
        assert (await speaker.send_message(room.chat, "once")).message_id == 0
    assert not await telegram.from_bot(room)
    assert outbox.rows[1].state is RowState.QUEUED


async def test_whoever_does_not_wait_gets_a_message_without_a_number(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place
) -> None:
    with answering(77), without_waiting():
        sent = await speaker.send_message(room.chat, "later")
    assert (sent.message_id, sent.chat.id, sent.text) == (0, room.chat, "later")
    assert outbox.rows[1].state is RowState.QUEUED
    assert not await telegram.from_bot(room)


async def test_patience_that_is_over_is_no_error(speaker: Bot, outbox: SmallOutbox, room: Place) -> None:
    outbox.transport = None
    with answering(77):
        assert (await speaker.send_message(room.chat, "later")).message_id == 0


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Never("Bad Request: chat not found", 400), TelegramBadRequest),
        (Never("Forbidden: bot was blocked by the user", 403), TelegramForbiddenError),
        (Never("dropped by olga: not needed", 0), TelegramAPIError),
    ],
)
async def test_a_dead_row_is_the_error_that_telegrams_words_mean(
    speaker: Bot, outbox: SmallOutbox, room: Place, refusal: Never, error: type[TelegramAPIError]
) -> None:
    with answering(77), without_waiting():
        await speaker.send_message(room.chat, "x")
    outbox.settle(1, state=RowState.DEAD, why=refusal.why, code=refusal.code)
    with answering(77), pytest.raises(error, match=refusal.why) as raised:
        await speaker.send_message(room.chat, "x")
    assert type(raised.value) is error
    assert isinstance(raised.value.method, SendMessage)


async def test_a_refusal_of_telegram_itself_reaches_the_handler(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place
) -> None:
    await telegram.block(STRANGER, room, blocked=True)
    with answering(77), pytest.raises(TelegramForbiddenError, match="blocked by the user"):
        await speaker.send_message(STRANGER, "x")
    assert outbox.rows[1].code == 403


async def test_an_uncertain_row_is_a_network_error(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place
) -> None:
    await telegram.faults(drop_after_store=1)
    for _ in range(2):
        with answering(77), pytest.raises(TelegramNetworkError, match="may or may not have arrived"):
            await speaker.send_message(room.chat, "x")
    assert len(await telegram.from_bot(room)) == 1


async def test_updates_that_are_handled_side_by_side_do_not_share_their_keys(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place
) -> None:
    async def handle(update_id: int) -> None:
        with answering(update_id):
            for number in range(3):
                await speaker.send_message(room.chat, f"{update_id} {number}")

    await asyncio.gather(*map(handle, range(5)))
    keys = {row.key for row in outbox.rows.values()}
    assert keys == {f"answer/{room.bot_id}/{update}/{n}" for update in range(5) for n in range(3)}
    assert len(await telegram.from_bot(room)) == 15


async def test_an_answer_points_at_its_message_and_at_none_in_another_chat(
    telegram: TelegramServer, speaker: Bot, outbox: SmallOutbox, room: Place
) -> None:
    with answering(77):
        sent = await speaker.send_message(room.chat, "one")
        reply = ReplyParameters(message_id=sent.message_id, allow_sending_without_reply=True)
        await speaker.send_message(room.chat, "two", reply_parameters=reply)
    assert outbox.rows[2].request.params["reply_parameters"]["chat_id"] == str(room.chat)
    assert (await telegram.from_bot(room))[1]["reply_to_message"]["message_id"] == sent.message_id
