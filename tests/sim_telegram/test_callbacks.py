import asyncio

import pytest
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

ANNA, BORIS, GROUP = 1001, 1002, -1001
KEYBOARD = InlineKeyboardMarkup(
    inline_keyboard=[
        [
            InlineKeyboardButton(text="Approve", callback_data="yes"),
            InlineKeyboardButton(text="Docs", url="example.com"),
        ]
    ]
)
TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


def press(server, message, button="yes", user=ANNA, chat=4242, **more):
    body = {"user": user, "chat": chat, "message_id": message.message_id, "button": button}
    return asyncio.create_task(server.human.post("press", **body, **more))


async def test_a_press_brings_the_whole_message_and_its_answer_goes_to_the_presser(bot, server):
    sent = await bot.send_message(ANNA, "Roll out?", reply_markup=KEYBOARD)
    pressed = press(server, sent, "Approve")

    (update,) = await bot.get_updates(timeout=30)
    query = update.callback_query
    assert (query.data, query.from_user.id, query.message.text) == ("yes", ANNA, "Roll out?")
    assert query.message.reply_markup.inline_keyboard[0][0].text == "Approve"
    assert await bot.answer_callback_query(query.id, text="Recorded", show_alert=True)

    assert await pressed == {"answered": True, "text": "Recorded", "show_alert": True, "url": ""}
    with pytest.raises(TelegramBadRequest, match=TOO_OLD):
        await bot.answer_callback_query(query.id)


async def test_a_press_in_a_group_tells_who_pressed(bot, server):
    sent = await bot.send_message(GROUP, "Who takes it?", reply_markup=KEYBOARD)
    pressed = press(server, sent, user=BORIS, chat=GROUP)

    (update,) = await bot.get_updates(timeout=30)
    assert (update.callback_query.from_user.id, update.callback_query.message.chat.id) == (BORIS, GROUP)
    await bot.answer_callback_query(update.callback_query.id)
    assert (await pressed)["text"] == ""


async def test_a_bot_that_does_not_answer_leaves_the_presser_without_an_answer(bot, server):
    sent = await bot.send_message(ANNA, "?", reply_markup=KEYBOARD)

    assert await press(server, sent, wait_seconds=0) == {"answered": False, "reason": "no answer within 0 s"}


async def test_a_query_can_be_answered_for_fifteen_seconds(timed_server):
    bot = timed_server.bot()
    sent = await bot.send_message(ANNA, "?", reply_markup=KEYBOARD)
    for _ in range(2):
        await press(timed_server, sent, wait_seconds=0)
    first, second = await bot.get_updates()

    timed_server.clock.seconds += 15
    assert await bot.answer_callback_query(first.callback_query.id)
    timed_server.clock.seconds += 0.1
    with pytest.raises(TelegramBadRequest, match=TOO_OLD):
        await bot.answer_callback_query(second.callback_query.id)


async def test_an_unknown_query_and_a_long_text_are_refused(bot, server):
    with pytest.raises(TelegramBadRequest, match=TOO_OLD):
        await bot.answer_callback_query("12345")
    sent = await bot.send_message(ANNA, "?", reply_markup=KEYBOARD)
    pressed = press(server, sent)
    (update,) = await bot.get_updates(timeout=30)
    with pytest.raises(TelegramBadRequest, match="MESSAGE_TOO_LONG"):
        await bot.answer_callback_query(update.callback_query.id, text="x" * 201)
    await bot.answer_callback_query(update.callback_query.id, text="x" * 200)
    assert len((await pressed)["text"]) == 200


async def test_buttons_that_are_gone_or_do_not_call_cannot_be_pressed(bot, server):
    sent = await bot.send_message(ANNA, "?", reply_markup=KEYBOARD)

    link = await press(server, sent, "Docs", expect=400)
    assert link["error"] == "button 'Docs': does not call the bot but does ['text', 'url']"
    await bot.edit_message_reply_markup(chat_id=ANNA, message_id=sent.message_id)
    gone = await press(server, sent, expect=409)
    assert gone["error"] == "button 'yes': no longer on message 1"
    await bot.delete_message(ANNA, sent.message_id)
    assert (await press(server, sent, expect=409))["error"] == "message 1: no longer exists"
    assert await bot.get_updates() == []
