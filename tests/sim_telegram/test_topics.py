import pytest
from aiogram.exceptions import TelegramBadRequest

from holdfast.sim.telegram import People

ANNA, BORIS, BOT, FORUM, TEAM = 1001, 1002, 4242, -1001, -1002


def people(**forum):
    group = {"id": FORUM, "type": "supergroup", "title": "On-call", "members": [ANNA, BORIS]}
    chats = [
        {**group, "forum": True, "admins": [BOT], **forum},
        {"id": TEAM, "type": "supergroup", "title": "Team", "members": [ANNA], "admins": [BOT]},
    ]
    users = [
        {"id": number, "first_name": name, "started": True}
        for number, name in ((ANNA, "Anna"), (BORIS, "Boris"))
    ]
    return People.model_validate({"users": users, "chats": chats})


@pytest.fixture
async def forum(serve):
    async with serve(people=people()) as server:
        yield server


@pytest.fixture
def bot(forum):
    return forum.bot()


async def refused(call):
    with pytest.raises(TelegramBadRequest) as raised:
        await call
    return raised.value.message.removeprefix("Bad Request: ")


async def names(server):
    state = await server.human.get("state", user=ANNA)
    return {chat["chat"]: [topic["name"] for topic in chat["topics"]] for chat in state["chats"]}[FORUM]


async def test_a_new_topic_begins_with_a_service_message_that_gives_it_its_id(forum, bot):
    topic = await bot.create_forum_topic(FORUM, "Checkout  fails")
    sent = await bot.send_message(FORUM, "looking", message_thread_id=topic.message_thread_id)

    assert (topic.name, topic.icon_color) == ("Checkout fails", 7322096)
    assert topic.message_thread_id > 1
    opened, first = await forum.human.messages(FORUM, thread=topic.message_thread_id)
    assert opened["message_id"] == opened["message_thread_id"] == topic.message_thread_id
    assert opened["forum_topic_created"] == {"name": "Checkout fails", "icon_color": 7322096}
    assert (first["message_id"], first["is_topic_message"]) == (sent.message_id, True)
    assert await names(forum) == ["General", "Checkout fails"]


async def test_the_bots_of_the_group_hear_of_a_new_topic(bot):
    topic = await bot.create_forum_topic(FORUM, "Checkout")

    (update,) = await bot.get_updates()
    assert update.message.message_thread_id == topic.message_thread_id
    assert update.message.forum_topic_created.name == "Checkout"


async def test_what_replies_to_nothing_replies_to_what_opened_the_topic(forum, bot):
    topic = await bot.create_forum_topic(FORUM, "Checkout")
    sent = await bot.send_message(FORUM, "looking", message_thread_id=topic.message_thread_id)
    answer = await forum.human.send(
        ANNA, FORUM, "/ack", thread=topic.message_thread_id, reply_to=sent.message_id
    )

    assert sent.reply_to_message.forum_topic_created.name == "Checkout"
    assert answer["reply_to_message"]["message_id"] == sent.message_id
    async with forum.session.get(f"{forum.url}/?user={ANNA}&chat={FORUM}") as page:
        assert (await page.text()).count('class="reply"') == 1


async def test_topics_survive_their_renaming_closing_and_reopening(forum, bot):
    topic = await bot.create_forum_topic(FORUM, "Checkout")
    place = {"chat_id": FORUM, "message_thread_id": topic.message_thread_id}
    await bot.edit_forum_topic(**place, name="✅ Checkout")
    await bot.close_forum_topic(**place)

    assert await names(forum) == ["General", "✅ Checkout"]
    closed = await forum.human.post(
        "send", expect=403, user=ANNA, chat=FORUM, text="x", thread=place["message_thread_id"]
    )
    assert "closed" in closed["error"]
    await bot.send_message(FORUM, "managers may", message_thread_id=topic.message_thread_id)
    await bot.reopen_forum_topic(**place)
    await forum.human.send(ANNA, FORUM, "x", thread=topic.message_thread_id)
    kinds = [
        set(m) & {"forum_topic_edited", "forum_topic_closed", "forum_topic_reopened"}
        for m in await forum.human.messages(FORUM)
    ]
    assert set().union(*kinds) == {"forum_topic_edited", "forum_topic_closed", "forum_topic_reopened"}


async def test_a_deleted_topic_takes_its_messages_along_and_is_found_no_more(forum, bot):
    topic = await bot.create_forum_topic(FORUM, "Checkout")
    place = {"chat_id": FORUM, "message_thread_id": topic.message_thread_id}
    await bot.send_message(text="gone soon", **place)
    await bot.delete_forum_topic(**place)

    assert await forum.human.messages(FORUM) == []
    assert await names(forum) == ["General"]
    assert await refused(bot.send_message(text="x", **place)) == "message thread not found"
    assert await refused(bot.edit_forum_topic(name="x", **place)) == "TOPIC_ID_INVALID"


async def test_what_changes_nothing_is_refused(bot):
    topic = await bot.create_forum_topic(FORUM, "Checkout")
    place = {"chat_id": FORUM, "message_thread_id": topic.message_thread_id}

    assert await refused(bot.reopen_forum_topic(**place)) == "TOPIC_NOT_MODIFIED"
    assert await refused(bot.edit_forum_topic(name="Checkout", **place)) == "TOPIC_NOT_MODIFIED"
    assert await refused(bot.close_forum_topic(FORUM, 0)) == "invalid forum topic identifier specified"


@pytest.mark.parametrize("chat", [TEAM, ANNA])
async def test_a_chat_without_topics_is_no_forum(bot, chat):
    assert await refused(bot.create_forum_topic(chat, "x")) == "the chat is not a forum"


@pytest.mark.parametrize("rights", [{"admins": []}, {"topic_managers": []}])
async def test_opening_topics_needs_the_right_to(serve, rights):
    async with serve(people=people(**rights)) as server:
        bot = server.bot()
        assert await refused(bot.create_forum_topic(FORUM, "x")) == "not enough rights to create a topic"
        member = await bot.get_chat_member(FORUM, BOT)
        assert getattr(member, "can_manage_topics", False) is False


async def test_a_closed_topic_takes_nothing_from_those_who_do_not_manage_it(serve):
    incidents = people(topics=[{"id": 7, "name": "Incidents"}])
    async with serve(people=incidents, tokens=["4242:DEMO", "4343:DEMO"]) as server:
        manager, member = server.bot(), server.bot("4343:DEMO")
        await member.send_message(FORUM, "x", message_thread_id=7)
        await manager.close_forum_topic(FORUM, 7)
        assert await refused(member.send_message(FORUM, "x", message_thread_id=7)) == "TOPIC_CLOSED"
        denied = await refused(member.reopen_forum_topic(FORUM, 7))
    assert denied == "not enough rights to close or open the topic"


async def test_a_forum_says_that_it_is_one_before_it_has_topics(bot):
    assert (await bot.get_chat(FORUM)).is_forum is True
    assert (await bot.get_chat(TEAM)).is_forum is None


async def test_the_message_that_opened_a_topic_cannot_be_deleted(bot):
    topic = await bot.create_forum_topic(FORUM, "Checkout")

    assert await refused(bot.delete_message(FORUM, topic.message_thread_id)) == "message can't be deleted"


async def test_topics_survive_a_restart(serve, tmp_path):
    state = {"people": people(), "state": str(tmp_path / "state.sqlite")}
    async with serve(**state) as server:
        topic = await server.bot().create_forum_topic(FORUM, "Checkout")
    async with serve(**state) as server:
        await server.bot().send_message(FORUM, "still here", message_thread_id=topic.message_thread_id)
        assert await names(server) == ["General", "Checkout"]


async def test_the_page_shows_topics_that_were_opened_at_run_time(forum, bot):
    await bot.create_forum_topic(FORUM, "Checkout <fails>")

    async with forum.session.get(f"{forum.url}/?user={ANNA}&chat={FORUM}") as response:
        page = await response.text()
    assert "# Checkout &lt;fails&gt;</a>" in page
    assert "created the topic “Checkout &lt;fails&gt;”" in page
