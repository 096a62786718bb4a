"""The two Bot API methods that cards need, reading of Telegram's answer no more than is needed.

aiogram's own `SendMessage` parses the whole `Message` back, which demands fields that another version of the
server may not send; a message that has arrived would then look as if its fate were unknown.
"""

from typing import Any

from aiogram.methods import TelegramMethod
from aiogram.types import InlineKeyboardMarkup, LinkPreviewOptions, ReplyParameters
from pydantic import BaseModel


class SentMessage(BaseModel):
    """What is read of a message that Telegram took."""

    message_id: int


class SendText(TelegramMethod[SentMessage]):
    """`sendMessage`."""

    __returning__ = SentMessage
    __api_method__ = "sendMessage"

    chat_id: str
    text: str
    parse_mode: str | None = None
    reply_markup: InlineKeyboardMarkup | None = None
    link_preview_options: LinkPreviewOptions | None = None
    reply_parameters: ReplyParameters | None = None


class EditText(TelegramMethod[Any]):
    """`editMessageText`; leaving out `reply_markup` takes the buttons away."""

    __returning__ = Any
    __api_method__ = "editMessageText"

    chat_id: str
    message_id: int
    text: str
    parse_mode: str | None = None
    reply_markup: InlineKeyboardMarkup | None = None
    link_preview_options: LinkPreviewOptions | None = None
