import pytest
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
)
from aiogram.types import (
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    MessageEntity,
    ReplyParameters,
)

ANNA, BORIS, CLARA, GROUP = 1001, 1002, 1003, -1001
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x03\x00\x00\x00\x02\x08\x06\x00\x00\x00\x9dt\x9a\x91"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)


def keyboard(*buttons):
    return InlineKeyboardMarkup(inline_keyboard=[[button] for button in buttons])


async def refusal(call):
    with pytest.raises(TelegramBadRequest) as refused:
        await call
    return refused.value.message.removeprefix("Bad Request: ")


async def test_get_me_tells_who_the_bot_is(bot):
    me = await bot.get_me()

    assert (me.id, me.username, me.is_bot, me.can_read_all_group_messages) == (
        4242,
        "holdfast_bot",
        True,
        False,
    )


async def test_a_message_arrives_formatted_with_its_keyboard(bot, server):
    button = InlineKeyboardButton(text="Approve", callback_data="a", style="success")
    sent = await bot.send_message(
        ANNA, "Deploy <b>checkout</b>?", parse_mode="HTML", reply_markup=keyboard(button)
    )

    assert (sent.text, sent.html_text) == ("Deploy checkout?", "Deploy <b>checkout</b>?")
    ((shown,),) = sent.reply_markup.inline_keyboard
    assert shown.model_dump() == button.model_dump()
    assert [message["message_id"] for message in await server.human.messages(ANNA)] == [sent.message_id]


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("x" * 4097, "message is too long"),
        ("", "message text is empty"),
        (" \n ", "text must be non-empty"),
        ("<b>x", "can't parse entities: Can't find end tag corresponding to start tag \"b\""),
    ],
)
async def test_a_text_that_telegram_refuses_is_refused(bot, text, trouble):
    assert await refusal(bot.send_message(ANNA, text, parse_mode="HTML")) == trouble


async def test_the_length_counts_after_the_tags_are_gone(bot):
    sent = await bot.send_message(ANNA, f"<b>{'x' * 4096}</b>", parse_mode="HTML")

    assert len(sent.text) == 4096


@pytest.mark.parametrize(
    ("button", "trouble"),
    [
        (InlineKeyboardButton(text="x", callback_data="d" * 65), "BUTTON_DATA_INVALID"),
        (InlineKeyboardButton(text="x", callback_data="é" * 33), "BUTTON_DATA_INVALID"),
        (
            InlineKeyboardButton(text="x"),
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
        (
            InlineKeyboardButton(text="x", url="http://localhost:8080/run"),
            "inline keyboard button URL 'http://localhost:8080/run' is invalid: Wrong HTTP URL",
        ),
    ],
)
async def test_a_button_that_telegram_refuses_is_refused(bot, button, trouble):
    assert await refusal(bot.send_message(ANNA, "x", reply_markup=keyboard(button))) == trouble


async def test_64_bytes_of_data_and_100_buttons_are_accepted_but_no_more_buttons(bot):
    buttons = [InlineKeyboardButton(text=str(number), callback_data=str(number)) for number in range(100)]

    buttons[0] = InlineKeyboardButton(text="x", callback_data="d" * 64)

    await bot.send_message(ANNA, "x", reply_markup=keyboard(*buttons))
    buttons.append(buttons[0])
    assert (
        await refusal(bot.send_message(ANNA, "x", reply_markup=keyboard(*buttons)))
        == "reply markup is too long"
    )


async def test_an_edit_changes_the_message_in_place_and_drops_the_keyboard_it_does_not_repeat(bot, server):
    sent = await bot.send_message(
        ANNA, "asked", reply_markup=keyboard(InlineKeyboardButton(text="x", callback_data="x"))
    )

    await bot.edit_message_text("answered", chat_id=ANNA, message_id=sent.message_id)

    (message,) = await server.human.messages(ANNA)
    assert (message["text"], message["edited"], "reply_markup" in message) == ("answered", True, False)


async def test_an_edit_that_changes_nothing_is_refused(bot):
    button = keyboard(InlineKeyboardButton(text="x", callback_data="x"))
    sent = await bot.send_message(ANNA, "same", reply_markup=button)

    for edit in (
        bot.edit_message_text("same ", chat_id=ANNA, message_id=sent.message_id, reply_markup=button),
        bot.edit_message_reply_markup(chat_id=ANNA, message_id=sent.message_id, reply_markup=button),
    ):
        assert (await refusal(edit)).startswith("message is not modified: specified new message content and")


async def test_only_own_existing_messages_can_be_edited(bot, server):
    theirs = await server.human.send(ANNA, 4242, "hello")

    assert (
        await refusal(bot.edit_message_text("x", chat_id=ANNA, message_id=999)) == "message to edit not found"
    )
    edit = bot.edit_message_text("x", chat_id=ANNA, message_id=theirs["message_id"])
    assert await refusal(edit) == "message can't be edited"
    sent = await bot.send_message(ANNA, "x")
    edit = bot.edit_message_text("x" * 4097, chat_id=ANNA, message_id=sent.message_id)
    assert await refusal(edit) == "MESSAGE_TOO_LONG"


async def test_a_deleted_message_is_gone_and_its_number_is_not_used_again(bot, server):
    sent = await bot.send_message(ANNA, "oops")

    assert await bot.delete_message(ANNA, sent.message_id)

    assert await refusal(bot.delete_message(ANNA, sent.message_id)) == "message to delete not found"
    assert await server.human.messages(ANNA) == []
    assert (await bot.send_message(ANNA, "again")).message_id == sent.message_id + 1


async def test_others_messages_in_a_group_cannot_be_deleted_without_being_admin(bot, server):
    theirs = await server.human.send(ANNA, GROUP, "/keep")

    assert await refusal(bot.delete_message(GROUP, theirs["message_id"])) == "message can't be deleted"


async def test_a_message_older_than_two_days_cannot_be_deleted(timed_server):
    bot = timed_server.bot()
    sent = await bot.send_message(ANNA, "old")
    timed_server.clock.seconds += 48 * 3600 + 1

    assert await refusal(bot.delete_message(ANNA, sent.message_id)) == "message can't be deleted for everyone"


async def test_a_bot_cannot_write_first_nor_to_who_blocked_it(bot):
    with pytest.raises(TelegramForbiddenError, match="Forbidden: bot can't initiate conversation with a user"):
        await bot.send_message(BORIS, "hello")
    with pytest.raises(TelegramForbiddenError, match="Forbidden: bot was blocked by the user"):
        await bot.send_message(CLARA, "hello")


async def test_after_start_a_bot_can_write_until_it_is_blocked_and_again_after(bot, server):
    await server.human.send(BORIS, 4242, "/start")
    await bot.send_message(BORIS, "welcome")
    await server.human.post("block", user=BORIS, blocked=True)
    with pytest.raises(TelegramForbiddenError, match="blocked"):
        await bot.send_message(BORIS, "hello?")
    await server.human.post("block", user=BORIS, blocked=False)
    await bot.send_message(BORIS, "welcome back")

    kinds = [update.event_type for update in await bot.get_updates()]
    assert kinds == ["message", "my_chat_member", "my_chat_member"]


@pytest.mark.parametrize("chat", [999, -999, "@nobody", "nonsense"])
async def test_an_unknown_chat_is_not_found(bot, chat):
    assert await refusal(bot.send_message(chat, "x")) == "chat not found"


async def test_a_group_that_became_a_supergroup_tells_its_new_id(bot):
    with pytest.raises(TelegramMigrateToChat) as moved:
        await bot.send_message(-1004, "x")

    assert moved.value.migrate_to_chat_id == GROUP


async def test_a_reply_carries_what_it_replies_to(bot):
    first = await bot.send_message(ANNA, "question")

    reply = await bot.send_message(
        ANNA, "answer", reply_parameters=ReplyParameters(message_id=first.message_id)
    )

    assert reply.reply_to_message.text == "question"
    missing = bot.send_message(ANNA, "answer", reply_parameters=ReplyParameters(message_id=99))
    assert await refusal(missing) == "message to be replied not found"
    optional = ReplyParameters(message_id=99, allow_sending_without_reply=True)
    assert (await bot.send_message(ANNA, "answer", reply_parameters=optional)).reply_to_message is None


async def test_explicit_entities_are_checked(bot):
    async def send(kind, offset, length):
        return await bot.send_message(
            ANNA, "hello", entities=[MessageEntity(type=kind, offset=offset, length=length)]
        )

    assert (await send("bold", 0, 5)).html_text == "<b>hello</b>"
    assert await refusal(send("bold", 100, 1)) == "entity begins after the end of the text at UTF-16 offset 100"
    assert await refusal(send("nope", 0, 1)) == "can't parse MessageEntity: Unsupported type specified"
    assert await refusal(send("bold", -1, 1)) == "receive an entity with incorrect offset -1"


async def test_photos_and_documents_arrive_with_size_and_caption(bot, server):
    photo = await bot.send_photo(
        ANNA, BufferedInputFile(PNG, "plot.png"), caption="<b>p95</b>", parse_mode="HTML"
    )
    document = await bot.send_document(ANNA, BufferedInputFile(b"a;b\n", "run.csv"))

    assert (photo.photo[0].width, photo.photo[0].height, photo.photo[0].file_size) == (3, 2, len(PNG))
    assert photo.html_text == "<b>p95</b>"
    assert (document.document.file_name, document.document.file_size) == ("run.csv", 4)
    async with server.session.get(f"{server.url}/human/file/{photo.photo[0].file_id}") as response:
        assert await response.read() == PNG
    again = await bot.send_photo(ANNA, photo.photo[0].file_id)
    assert again.photo[0].file_unique_id == photo.photo[0].file_unique_id


async def test_files_that_telegram_refuses_are_refused(bot):
    long_caption = bot.send_photo(ANNA, BufferedInputFile(PNG, "p.png"), caption="x" * 1025)
    assert await refusal(long_caption) == "message caption is too long"
    assert await refusal(bot.send_photo(ANNA, BufferedInputFile(b"text", "p.png"))) == "IMAGE_PROCESS_FAILED"
    assert await refusal(bot.send_document(ANNA, BufferedInputFile(b"", "p.txt"))) == "file must be non-empty"
    assert await refusal(bot.send_photo(ANNA, "no-such-id")) == "wrong file identifier/HTTP URL specified"


async def test_an_unknown_method_and_a_wrong_token_are_told_apart(server):
    assert await server.call("fly") == {"ok": False, "error_code": 404, "description": "Not Found"}
    wrong = await server.call("getMe", token="4242:WRONG")
    assert wrong == {"ok": False, "error_code": 401, "description": "Unauthorized"}


async def test_parameters_come_in_any_of_the_ways_telegram_takes(server):
    url = f"{server.url}/bot4242:DEMO/SENDmessage"
    for arguments in (
        {"params": {"chat_id": ANNA, "text": "hi"}},
        {"data": {"chat_id": str(ANNA), "text": "hi"}},
        {"json": {"chat_id": ANNA, "text": "hi"}},
    ):
        async with server.session.post(url, **arguments) as response:
            assert (await response.json())["result"]["text"] == "hi"
    async with server.session.get(url, params={"chat_id": ANNA, "text": "hi"}) as response:
        assert (await response.json())["ok"]
    (repeated,) = (await server.human.get("log"))["duplicates"]
    assert repeated == {"chat": ANNA, "text": "hi", "message_ids": [1, 2, 3, 4]}


@pytest.mark.parametrize("body", ["{", "[1]", '{"chat_id": 1001, "text": "\\ud800"}'])
async def test_a_body_that_cannot_be_read_is_a_bad_request(server, body):
    headers = {"Content-Type": "application/json"}
    async with server.session.post(
        f"{server.url}/bot4242:DEMO/sendMessage", data=body, headers=headers
    ) as response:
        assert response.status == 400
        assert (await response.json())["description"].startswith("Bad Request: ")


async def test_what_telegram_has_but_this_server_lacks_is_not_found(bot):
    with pytest.raises(TelegramNotFound):
        await bot.send_dice(ANNA)
