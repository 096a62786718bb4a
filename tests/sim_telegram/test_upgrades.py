import pytest
from aiogram.exceptions import TelegramBadRequest, TelegramMigrateToChat
from aiogram.types import BufferedInputFile, ReactionTypeEmoji

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x02\x08\x02\x00\x00\x00\xfd\xd4\x9as"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)

ANNA, BORIS, GROUP, TEAM = 1001, 1002, -1001, -1002


async def test_an_upgraded_group_lives_on_under_another_id(bot, server):
    before = await bot.send_message(TEAM, "before")
    answer = await server.human.post("upgrade", chat=TEAM)
    new = answer["migrated_to"]

    assert new < -1_000_000_000_000
    with pytest.raises(TelegramMigrateToChat) as moved:
        await bot.send_message(TEAM, "to the old one")
    assert moved.value.migrate_to_chat_id == new
    assert "group chat was upgraded to a supergroup chat" in str(moved.value)
    sent = await bot.send_message(new, "to the new one")
    assert (sent.chat.type, sent.chat.title) == ("supergroup", "Team")
    assert [m.get("text") for m in await server.human.messages(new)] == [None, "to the new one"]
    assert before.message_id != sent.message_id or before.chat.id != sent.chat.id


async def test_bots_are_told_of_the_upgrade_from_both_sides(bot, server):
    new = (await server.human.post("upgrade", chat=TEAM))["migrated_to"]

    old_side, new_side = [update.message for update in await bot.get_updates()]
    assert (old_side.chat.id, old_side.migrate_to_chat_id) == (TEAM, new)
    assert (new_side.chat.id, new_side.migrate_from_chat_id) == (new, TEAM)


async def test_people_find_the_supergroup_in_the_place_of_the_group(server):
    new = (await server.human.post("upgrade", chat=TEAM))["migrated_to"]

    chats = {chat["chat"] for chat in (await server.human.get("state", user=ANNA))["chats"]}
    assert new in chats
    assert TEAM not in chats
    assert (await server.human.send(ANNA, new, "/status"))["chat"]["id"] == new


@pytest.mark.parametrize(("chat", "status"), [(GROUP, 409), (-404, 404), (-1004, 409)])
async def test_only_a_group_can_be_upgraded_and_only_once(server, chat, status):
    assert str(chat) in (await server.human.post("upgrade", expect=status, chat=chat))["error"]


async def test_an_upgrade_survives_a_restart(serve, tmp_path):
    state = str(tmp_path / "state.sqlite")
    async with serve(state=state) as server:
        new = (await server.human.post("upgrade", chat=TEAM))["migrated_to"]
    async with serve(state=state) as server:
        assert (await server.bot().send_message(new, "x")).chat.id == new
        with pytest.raises(TelegramMigrateToChat):
            await server.bot().send_message(TEAM, "x")


async def test_a_bot_sets_one_reaction_and_takes_it_away(bot, server):
    asked = await server.human.send(ANNA, TEAM, "/status")
    place = (TEAM, asked["message_id"])
    for emoji in ("👍", "❤️"):
        assert await bot.set_message_reaction(*place, [ReactionTypeEmoji(emoji=emoji)])
    assert [m["reactions"] for m in await server.human.messages(TEAM)] == [["❤"]]

    assert await bot.set_message_reaction(*place, [])
    assert [m["reactions"] for m in await server.human.messages(TEAM)] == [[]]
    async with server.session.get(f"{server.url}/?user={ANNA}&chat={TEAM}") as page:
        assert 'class="reactions"' not in await page.text()


@pytest.mark.parametrize(
    ("message_id", "emoji", "trouble"),
    [
        (99, ["👍"], "message to react not found"),
        (1, ["🪓"], "REACTION_INVALID"),
        (1, ["👍", "👎"], "REACTIONS_TOO_MANY"),
        (1, [], "REACTION_EMPTY"),
    ],
)
async def test_a_reaction_that_cannot_be_is_refused(bot, server, message_id, emoji, trouble):
    await server.human.send(ANNA, TEAM, "/status")
    with pytest.raises(TelegramBadRequest, match=trouble):
        await bot.set_message_reaction(TEAM, message_id, [ReactionTypeEmoji(emoji=one) for one in emoji])


async def test_the_caption_of_a_picture_is_edited(bot, server):
    sent = await bot.send_photo(TEAM, BufferedInputFile(PNG, "p95.png"), caption="p95")
    edited = await bot.edit_message_caption(chat_id=TEAM, message_id=sent.message_id, caption="p99")
    words = await bot.send_message(TEAM, "no picture")

    assert edited.caption == "p99"
    with pytest.raises(TelegramBadRequest, match="there is no caption in the message to edit"):
        await bot.edit_message_caption(chat_id=TEAM, message_id=words.message_id, caption="x")
    with pytest.raises(TelegramBadRequest, match="MEDIA_CAPTION_TOO_LONG"):
        await bot.edit_message_caption(chat_id=TEAM, message_id=sent.message_id, caption="x" * 1025)


async def test_the_log_counts_refusals_and_copies_by_chat(timed_server):
    for _ in range(5):
        await timed_server.call("sendMessage", chat_id=ANNA, text="again")
    await timed_server.call("sendMessage", chat_id=TEAM, text="once")

    log = await timed_server.human.get("log")
    assert log["rejected_429_by_chat"] == {str(ANNA): 2}
    assert log["duplicates_by_chat"] == {str(ANNA): 2}
