"""`ports.chat.Chat` on Telegram."""

import structlog
from aiogram import Bot
from aiogram.types import ReplyParameters

from holdfast.adapters.telegram.cards import render
from holdfast.adapters.telegram.failures import ChatMoved, MessageVanished, Unchanged
from holdfast.adapters.telegram.layout import Card
from holdfast.adapters.telegram.methods import SendText
from holdfast.adapters.telegram.sending import Sender, Timeouts, changed_card, new_card
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip
from holdfast.domain.view import MessageRef, RunView

_REPEATED = "Repeated: an earlier copy of this message may have arrived."
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class TelegramChat:
    """One Telegram chat as the place where runs show themselves; implements `ports.chat.Chat`.

    Args:
        bot: client of the Bot API; the caller closes its session.
        chat_id: numeric id of the group or person, or `@name` of a public chat.
        timeouts: for every single request.
    """

    def __init__(self, bot: Bot, chat_id: int | str, *, timeouts: Timeouts | None = None) -> None:
        self._sender = Sender(bot, timeouts)
        self._chat = str(chat_id)

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
        try:
            await self._sender.send(changed_card(card, message.chat, message.message_id), plain=card.plain)
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
        return await self._send(new_card(card, chat), plain=card.plain)

    async def _send(self, method: SendText, *, plain: str | None = None) -> MessageRef:
        try:
            sent = await self._sender.send(method, plain=plain)
        except ChatMoved as moved:
            update = {"chat_id": self._moved_to(moved), "reply_parameters": None}
            method = method.model_copy(update=update)
            sent = await self._sender.send(method, plain=plain)
        return MessageRef(chat=method.chat_id, message_id=str(sent.message_id))

    def _moved_to(self, moved: ChatMoved) -> str:
        _log.warning("telegram_chat_moved", old_id=self._chat, new_id=moved.chat_id)
        self._chat = str(moved.chat_id)
        return self._chat
