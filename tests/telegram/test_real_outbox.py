"""The real outbox and its sender carry messages to the stand-in; its tests of its own use an imagined chat."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from holdfast.adapters.telegram import (
    QueuedSending,
    TelegramChat,
    TelegramPrivate,
    TelegramTransport,
    ThroughOutbox,
    Topics,
    answering,
)
from holdfast.outbox.bell import Bell
from holdfast.outbox.message import RowState
from holdfast.outbox.outbox import Outbox
from holdfast.outbox.sender import Sender
from holdfast.runbook.loader import load_priorities
from tests.outbox.memory import MemoryStore
from tests.telegram.standin import OLGA, Place, TelegramServer
from tests.telegram.test_private import VERA, a_page
from tests.telegram.views import a_view

PRIORITIES = load_priorities(Path(__file__).parents[2] / "runbooks" / "escalation" / "priorities.yaml")


@asynccontextmanager
async def sending(bot: Bot) -> AsyncIterator[tuple[Outbox, MemoryStore]]:
    """An outbox of a bot and the sender that empties it."""
    store, bell = MemoryStore(), Bell()
    sender = Sender(store, TelegramTransport(bot), lambda: PRIORITIES, str(bot.id), "here", bell=bell)
    running = asyncio.create_task(sender.run())
    try:
        yield Outbox(store, lambda: PRIORITIES, bot=str(bot.id), bell=bell), store
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_run_its_topic_and_a_page_arrive_in_their_places(
    telegram: TelegramServer, forum: Place
) -> None:
    bot = telegram.client(forum.token)
    async with sending(bot) as (outbox, store):
        queued = QueuedSending(outbox, patience=timedelta(seconds=20))
        chat = TelegramChat(queued, forum.chat, topics=Topics(bot))
        topic = await chat.open_thread("Checkout fails", key="incident-1")
        card = await chat.publish(a_view(revision=1), message=topic)
        await TelegramPrivate(queued).page(VERA, a_page())
        assert (await store.counts(str(bot.id)))[RowState.SENT] == 3
    in_topic = await telegram.messages(forum.chat, thread=int(topic.thread))
    assert [m["message_id"] for m in in_topic] == [int(topic.thread), int(card.message_id)]
    assert "Relieve a support surge" in (await telegram.in_private(OLGA, forum))[-1]["text"]


async def test_a_group_that_is_upgraded_meanwhile_gets_its_run_shown_anew(
    telegram: TelegramServer, basic_group: Place
) -> None:
    async with sending(telegram.client(basic_group.token)) as (outbox, _):
        chat = TelegramChat(QueuedSending(outbox, patience=timedelta(seconds=20)), basic_group.chat)
        before = await chat.publish(a_view(revision=1), message=None)
        new = await telegram.upgrade(basic_group.chat)
        after = await chat.publish(a_view(revision=2, headline="later"), message=before)
    assert after.chat == str(new)
    _announcement, message = await telegram.messages(new)
    assert (str(message["message_id"]), "later" in message["text"]) == (after.message_id, True)


async def test_a_redelivered_update_is_answered_once(telegram: TelegramServer, room: Place) -> None:
    session = AiohttpSession(api=TelegramAPIServer.from_base(telegram.url))
    async with Bot(room.token, session=session) as bot, sending(bot) as (outbox, _):
        session.middleware(ThroughOutbox(outbox))
        ids: list[int] = []
        for _delivery in range(2):
            with answering(77):
                ids.append((await bot.send_message(room.chat, "hello")).message_id)
    [message] = await telegram.from_bot(room)
    assert ids == [message["message_id"]] * 2
