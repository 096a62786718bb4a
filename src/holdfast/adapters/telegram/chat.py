"""`ports.chat.Chat` on Telegram."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import structlog
from aiogram import Bot
from aiogram.enums import ParseMode
from aiogram.methods import TelegramMethod
from aiogram.types import LinkPreviewOptions, ReplyParameters
from aiohttp import ClientTimeout

from holdfast.adapters.telegram.cards import Card, render
from holdfast.adapters.telegram.failures import (
    FAILURES,
    ChatMoved,
    MarksRefused,
    MessageVanished,
    Unchanged,
    understood,
)
from holdfast.adapters.telegram.methods import EditText, SendText
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip
from holdfast.domain.view import MessageRef, RunView

_REPEATED = "Repeated: an earlier copy of this message may have arrived."
_T = TypeVar("_T")
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Timeouts:
    """How long a request may take: until the connection stands, and as a whole."""

    connect: timedelta = timedelta(seconds=5)
    total: timedelta = timedelta(seconds=10)


class TelegramChat:
    """One Telegram chat as the place where runs show themselves; implements `ports.chat.Chat`.

    Args:
        bot: client of the Bot API; the caller closes its session.
        chat_id: numeric id of the group or person, or `@name` of a public chat.
        timeouts: for every single request.
    """

    def __init__(self, bot: Bot, chat_id: int | str, *, timeouts: Timeouts | None = None) -> None:
        self._bot = bot
        self._chat = str(chat_id)
        limits = timeouts or Timeouts()
        self._timeout = ClientTimeout(
            total=limits.total.total_seconds(), connect=limits.connect.total_seconds()
        )

    async def publish(self, view: RunView, *, message: MessageRef | None) -> MessageRef:
        """Send or edit the run's message; see `ports.chat.Chat.publish`."""
        if message is not None and message.message_id:
            return await self._edit(render(view), message)
        uncertain = message is not None and message.uncertain
        chat = message.chat if message else ""
        return await self._send_card(render(view, notice=_REPEATED if uncertain else ""), chat or self._chat)

    async def ping(self, text: str, *, reply_to: MessageRef) -> None:
        """Answer the run's message, with a sound; see `ports.chat.Chat.ping`."""
        method = SendText(chat_id=reply_to.chat or self._chat, text=clip(text, MESSAGE_LIMIT))
        if reply_to.message_id:
            method.reply_parameters = ReplyParameters(
                message_id=int(reply_to.message_id), allow_sending_without_reply=True
            )
        await self._send(method)

    async def _edit(self, card: Card, message: MessageRef) -> MessageRef:
        method = EditText(
            chat_id=message.chat,
            message_id=int(message.message_id),
            text=card.html,
            parse_mode=ParseMode.HTML,
            reply_markup=card.keyboard,
            link_preview_options=_NO_PREVIEW,
        )
        try:
            await self._in_html_or_plain(method, card)
        except Unchanged:
            pass
        except MessageVanished as gone:
            _log.warning("telegram_message_sent_anew", reason=str(gone), message_id=message.message_id)
            return await self._send_card(card, message.chat)
        except ChatMoved as moved:
            # Ids of messages do not survive the move: in the new chat the same id is another message.
            return await self._send_card(card, self._moved_to(moved))
        return MessageRef(chat=message.chat, message_id=message.message_id)

    async def _send_card(self, card: Card, chat: str) -> MessageRef:
        method = SendText(
            chat_id=chat,
            text=card.html,
            parse_mode=ParseMode.HTML,
            reply_markup=card.keyboard,
            link_preview_options=_NO_PREVIEW,
        )
        return await self._send(method, card)

    async def _send(self, method: SendText, card: Card | None = None) -> MessageRef:
        try:
            sent = await self._in_html_or_plain(method, card)
        except ChatMoved as moved:
            update = {"chat_id": self._moved_to(moved), "reply_parameters": None}
            method = method.model_copy(update=update)
            sent = await self._in_html_or_plain(method, card)
        return MessageRef(chat=method.chat_id, message_id=str(sent.message_id))

    async def _in_html_or_plain(self, method: TelegramMethod[_T], card: Card | None) -> _T:
        try:
            return await self._request(method)
        except MarksRefused:
            if card is None:
                raise
            _log.warning("telegram_marks_refused", method=method.__api_method__)
            return await self._request(method.model_copy(update={"text": card.plain, "parse_mode": None}))

    async def _request(self, method: TelegramMethod[_T]) -> _T:
        try:
            # aiogram hands the timeout on to aiohttp, which needs its own type to tell connecting from waiting.
            return await self._bot(method, request_timeout=cast(int, self._timeout))
        except FAILURES as error:
            raise understood(error, may_repeat=isinstance(method, EditText)) from None

    def _moved_to(self, moved: ChatMoved) -> str:
        _log.warning("telegram_chat_moved", old_id=self._chat, new_id=moved.chat_id)
        self._chat = str(moved.chat_id)
        return self._chat
