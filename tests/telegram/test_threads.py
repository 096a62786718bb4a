from datetime import timedelta

import pytest
from aiogram import Bot

from holdfast.adapters.telegram import DirectSending, QueuedSending, TelegramChat, TelegramTransport, Topics
from holdfast.domain.errors import ChatUnavailable
from holdfast.domain.view import MessageRef
from tests.telegram.conftest import SmallOutbox
from tests.telegram.scripted import http, refused, scripted
from tests.telegram.standin import OLGA, Place, TelegramServer
from tests.telegram.views import a_view

FORUM = http("200 OK", '{"ok": true, "result": {"id": -1, "type": "supergroup", "is_forum": true}}')
MANAGER = http("200 OK", '{"ok": true, "result": {"status": "administrator", "can_manage_topics": true}}')


def member(status: str, *, topics: str = "false") -> object:
    return http("200 OK", f'{{"ok": true, "result": {{"status": "{status}", "can_manage_topics": {topics}}}}}')


@pytest.fixture
def forum_bot(telegram: TelegramServer, forum: Place) -> Bot:
    return telegram.client(forum.token)


def chat_with_topics(bot: Bot, chat: int, outbox: SmallOutbox | None = None) -> TelegramChat:
    box = outbox or SmallOutbox(TelegramTransport(bot))
    return TelegramChat(QueuedSending(box, patience=timedelta(seconds=5)), chat, topics=Topics(bot))


async def test_an_incident_gets_a_topic_in_which_everything_about_it_stands(
    telegram: TelegramServer, forum_bot: Bot, forum: Place
) -> None:
    chat = chat_with_topics(forum_bot, forum.chat)
    topic = await chat.open_thread("🔥 Checkout fails", key="incident-1")
    sent = await chat.publish(a_view(), message=topic)
    await chat.ping("look here", reply_to=sent, key="p")
    assert (topic.chat, topic.message_id) == (str(forum.chat), "")
    assert sent.thread == topic.thread
    opened, card, ping = await telegram.messages(forum.chat, thread=int(topic.thread))
    assert opened["forum_topic_created"]["name"] == "🔥 Checkout fails"
    assert card["text"].startswith("✋")
    assert ping["reply_to_message"]["message_id"] == card["message_id"]


async def test_a_topic_is_opened_once_however_often_it_is_asked_for(
    telegram: TelegramServer, forum_bot: Bot, forum: Place
) -> None:
    chat = chat_with_topics(forum_bot, forum.chat)
    assert await chat.open_thread("Checkout", key="i") == await chat.open_thread("Checkout", key="i")
    assert len(await telegram.from_bot(forum)) == 1


async def test_a_long_title_is_cut_to_what_a_topic_takes(
    telegram: TelegramServer, forum_bot: Bot, forum: Place
) -> None:
    await chat_with_topics(forum_bot, forum.chat).open_thread("word " * 60, key="i")
    [opened] = await telegram.from_bot(forum)
    name = opened["forum_topic_created"]["name"]
    assert name.endswith("…")
    assert len(name) <= 128


async def test_a_group_without_topics_is_its_own_thread(bot: Bot, room: Place) -> None:
    outbox = SmallOutbox(TelegramTransport(bot))
    found = await chat_with_topics(bot, room.chat, outbox).open_thread("Checkout", key="i")
    assert found == MessageRef(chat=str(room.chat), message_id="")
    assert not outbox.rows


@pytest.mark.parametrize("status", ["member", "administrator"])
async def test_a_bot_that_may_not_open_topics_does_not_try(status: str) -> None:
    outbox = SmallOutbox()
    async with scripted(FORUM, member(status)) as bot:
        assert (await chat_with_topics(bot, -1, outbox).open_thread("x", key="i")).thread == ""
    assert not outbox.rows


async def test_what_was_learnt_about_a_chat_is_kept_for_some_minutes() -> None:
    asked: list[str] = []
    async with scripted(FORUM, MANAGER, requests=asked) as bot:
        topics = Topics(bot)
        assert [await topics.may_open("-1") for _ in range(3)] == [True, True, True]
    assert len(asked) == 2


async def test_a_refusal_that_comes_all_the_same_leads_to_the_chat_itself() -> None:
    no = refused(400, "Bad Request: not enough rights to create a topic")
    async with scripted(FORUM, MANAGER, no) as bot:
        chat = TelegramChat(DirectSending(bot), -1, topics=Topics(bot))
        assert await chat.open_thread("x", key="i") == MessageRef(chat="-1", message_id="")


async def test_a_topic_of_unknown_fate_leads_to_the_chat_itself() -> None:
    async with scripted(FORUM, MANAGER, lambda _: None) as bot:
        chat = TelegramChat(DirectSending(bot), -1, topics=Topics(bot))
        assert (await chat.open_thread("x", key="i")).thread == ""


async def test_a_chat_that_cannot_be_asked_now_may_have_topics() -> None:
    bad_gateway = http("502 X", "<html>", "text/html")
    async with scripted(bad_gateway, lambda _: None) as bot:
        assert await Topics(bot).may_open("-1")
        assert await Topics(bot).may_open("-1")


async def test_what_waits_is_no_refusal(forum_bot: Bot, forum: Place) -> None:
    with pytest.raises(ChatUnavailable):
        await chat_with_topics(forum_bot, forum.chat, SmallOutbox()).open_thread("x", key="i")


async def test_the_rights_are_asked_of_the_group_as_which_it_lives_on() -> None:
    moved = refused(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-1007)
    asked: list[str] = []
    async with scripted(moved, FORUM, MANAGER, requests=asked) as bot:
        assert await Topics(bot).may_open("-1")
    assert "-1007" in asked[1]
    assert "-1007" in asked[2]


async def test_a_topic_that_vanished_does_not_swallow_what_was_meant_for_it(
    telegram: TelegramServer, forum_bot: Bot, forum: Place
) -> None:
    chat = chat_with_topics(forum_bot, forum.chat)
    topic = await chat.open_thread("Checkout", key="i")
    sent = await chat.publish(a_view(), message=topic)
    await forum_bot.delete_forum_topic(forum.chat, int(topic.thread))
    await chat.ping("look here", reply_to=sent, key="p")
    again = await chat.publish(a_view(revision=2), message=sent)
    assert [m["message_id"] for m in await telegram.messages(forum.chat, thread=1)][-1] == int(again.message_id)
    assert (await telegram.messages(forum.chat))[0]["text"] == "look here"


async def test_people_in_the_group_see_the_topic(
    telegram: TelegramServer, forum_bot: Bot, forum: Place
) -> None:
    await chat_with_topics(forum_bot, forum.chat).open_thread("Checkout", key="i")
    [found] = [c for c in await telegram.chats(OLGA) if c["chat"] == forum.chat]
    assert [topic["name"] for topic in found["topics"]] == ["General", "Checkout"]
