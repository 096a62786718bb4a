import pytest
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllChatAdministrators,
    BotCommandScopeAllGroupChats,
    BotCommandScopeChat,
    ChatMemberAdministrator,
    ChatMemberLeft,
    ChatMemberMember,
    ChatMemberOwner,
)

from holdfast.sim.telegram import People

ANNA, BORIS, CLARA, GROUP, TEAM = 1001, 1002, 1003, -1001, -1002


async def test_in_a_group_a_bot_hears_only_what_is_meant_for_it(bot, server):
    asked = await bot.send_message(TEAM, "Anyone?")
    for text in ("just talking", "/status", "/status@holdfast_bot", "/status@other_bot", "look, @Holdfast_bot"):
        await server.human.send(ANNA, TEAM, text)
    await server.human.send(ANNA, TEAM, "me", reply_to=asked.message_id)

    heard = [update.message for update in await bot.get_updates()]
    assert [message.text for message in heard] == [
        "/status",
        "/status@holdfast_bot",
        "look, @Holdfast_bot",
        "me",
    ]
    assert heard[1].entities[0].type == "bot_command"
    assert heard[3].reply_to_message.text == "Anyone?"


async def test_a_bot_without_privacy_mode_hears_everything(serve):
    talkative = {"id": 4242, "first_name": "Holdfast", "username": "holdfast_bot", "privacy": False}
    people = {"users": [{"id": 1, "first_name": "Anna"}], "chats": [], "bots": [talkative]}
    people["chats"].append({"id": -5, "type": "group", "title": "Team", "members": [1]})
    async with serve(people=People.model_validate(people)) as open_server:
        await open_server.human.send(1, -5, "just talking")

        assert [update.message.text for update in await open_server.bot().get_updates()] == ["just talking"]


async def test_topics_keep_their_messages_apart(bot, server):
    sent = await bot.send_message(GROUP, "Incident 12", message_thread_id=7)
    await bot.send_message(GROUP, "in General")
    await server.human.send(ANNA, GROUP, "/ack", thread=7)

    assert (sent.message_thread_id, sent.is_topic_message) == (7, True)
    (update,) = await bot.get_updates()
    assert update.message.message_thread_id == 7
    assert [message["text"] for message in await server.human.messages(GROUP, thread=7)] == [
        "Incident 12",
        "/ack",
    ]
    assert [message["text"] for message in await server.human.messages(GROUP, thread=1)] == ["in General"]


@pytest.mark.parametrize(("chat", "thread"), [(GROUP, 1), (GROUP, 99), (TEAM, 7), (ANNA, 7)])
async def test_a_topic_that_does_not_exist_is_not_found(bot, chat, thread):
    with pytest.raises(TelegramBadRequest, match="message thread not found"):
        await bot.send_message(chat, "x", message_thread_id=thread)


async def test_a_bot_cannot_write_to_a_group_it_is_not_in(bot):
    with pytest.raises(TelegramForbiddenError, match="Forbidden: bot is not a member of the group chat"):
        await bot.send_message(-1003, "x")


async def test_a_person_cannot_write_to_a_group_they_are_not_in(server):
    refused = await server.human.post("send", expect=403, user=CLARA, chat=GROUP, text="let me in")

    assert refused["error"] == f"chat {GROUP}: Clara is not a member"


async def test_get_chat_describes_a_chat(bot):
    group, anna = await bot.get_chat(GROUP), await bot.get_chat("@anna")

    assert (group.title, group.type, group.is_forum) == ("On-call", "supergroup", True)
    assert (anna.id, anna.type, anna.first_name) == (ANNA, "private", "Anna")
    with pytest.raises(TelegramBadRequest, match="chat not found"):
        await bot.get_chat(BORIS)


@pytest.mark.parametrize(
    ("user", "kind"),
    [
        (BORIS, ChatMemberOwner),
        (ANNA, ChatMemberAdministrator),
        (4242, ChatMemberMember),
        (CLARA, ChatMemberLeft),
    ],
)
async def test_get_chat_member_tells_the_standing_of_each(bot, user, kind):
    member = await bot.get_chat_member(GROUP, user)

    assert isinstance(member, kind)
    assert member.user.id == user


async def test_get_chat_member_refuses_nobody(bot):
    with pytest.raises(TelegramBadRequest, match="member not found"):
        await bot.get_chat_member(GROUP, 99)


async def test_a_chat_action_is_accepted_where_the_bot_may_write(bot):
    assert await bot.send_chat_action(ANNA, "typing")
    with pytest.raises(TelegramBadRequest, match="wrong parameter action in request"):
        await bot.send_chat_action(ANNA, "dancing")


async def menu(server, user, chat):
    state = await server.human.get("state", user=user)
    return [item["command"] for entry in state["chats"] if entry["chat"] == chat for item in entry["commands"]]


async def test_each_person_sees_the_menu_of_the_narrowest_scope_in_their_language(bot, server):
    def commands(*names):
        return [BotCommand(command=name, description=name) for name in names]

    await bot.set_my_commands(commands("help"))
    await bot.set_my_commands(commands("hilfe"), language_code="de")
    await bot.set_my_commands(commands("ack"), scope=BotCommandScopeAllGroupChats())
    await bot.set_my_commands(commands("rollback"), scope=BotCommandScopeAllChatAdministrators())
    await bot.set_my_commands(commands("team"), scope=BotCommandScopeChat(chat_id=TEAM))

    assert await menu(server, ANNA, 4242) == ["help"]
    assert await menu(server, BORIS, 4242) == ["hilfe"]
    assert await menu(server, BORIS, GROUP) == ["rollback"]
    assert await menu(server, BORIS, TEAM) == ["team"]
    assert [command.command for command in await bot.get_my_commands(language_code="de")] == ["hilfe"]
    await bot.delete_my_commands(scope=BotCommandScopeChat(chat_id=TEAM))
    assert await menu(server, BORIS, TEAM) == ["ack"]


@pytest.mark.parametrize(
    ("commands", "trouble"),
    [
        ([("Bad", "x")], "BOT_COMMAND_INVALID"),
        ([("ok", "x" * 257)], "BOT_COMMAND_DESCRIPTION_INVALID"),
        ([("ok", " ")], "command description must be non-empty"),
        ([(f"c{number}", "x") for number in range(101)], "BOT_COMMANDS_TOO_MUCH"),
    ],
)
async def test_commands_that_telegram_refuses_are_refused(bot, commands, trouble):
    with pytest.raises(TelegramBadRequest, match=trouble):
        await bot.set_my_commands([BotCommand(command=name, description=text) for name, text in commands])
