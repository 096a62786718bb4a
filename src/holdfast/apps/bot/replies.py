"""Answering a message, and knowing whose message it is."""

from aiogram import Bot
from aiogram.enums import ChatType, ParseMode
from aiogram.exceptions import AiogramError
from aiogram.types import InlineKeyboardMarkup, LinkPreviewOptions, Message, ReplyParameters, Update

from holdfast.domain.people import People, Person

_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_TURN_SECONDS = 60
_MOST_REMEMBERED = 10_000


async def reply(message: Message, html: str, keyboard: InlineKeyboardMarkup | None = None) -> Message:
    """Answer with HTML of at most 4096 characters; in a group the answer points at the message."""
    in_private = message.chat.type == ChatType.PRIVATE
    return await message.answer(
        html,
        parse_mode=ParseMode.HTML,
        reply_markup=keyboard,
        link_preview_options=_NO_PREVIEW,
        reply_parameters=None
        if in_private
        else ReplyParameters(message_id=message.message_id, allow_sending_without_reply=True),
    )


async def show_instead(message: Message, html: str, keyboard: InlineKeyboardMarkup | None) -> None:
    """Put something else in the message's place; where Telegram does not let us, say it anew."""
    try:
        await message.edit_text(html, parse_mode=ParseMode.HTML, reply_markup=keyboard)
    except AiogramError as error:
        if "not modified" not in str(error):
            await reply(message, html, keyboard)


def command_id(bot: Bot, update: Update) -> str:
    """Return the id of what a command asks for, the same for every delivery of it."""
    return f"telegram:{bot.id}/{update.update_id}"


def is_from_a_chat(message: Message) -> bool:
    """Whether it was written in the name of a chat (an anonymous admin, a channel), whoever typed it."""
    return message.sender_chat is not None


def sender_of(message: Message, people: People) -> Person | None:
    """Return the person who wrote the message; None for strangers and for those who write as a chat."""
    if message.from_user is None or is_from_a_chat(message):
        return None
    return people.on_telegram(message.from_user.id)
