"""`ports.chat.Chat` on Telegram."""

import secrets
from datetime import UTC, tzinfo
from typing import Final

import structlog
from aiogram.methods import CreateForumTopic, SendMessage
from aiogram.types import ReplyParameters

from holdfast.adapters.telegram.cards import render
from holdfast.adapters.telegram.failures import MessageVanished
from holdfast.adapters.telegram.layout import Card
from holdfast.adapters.telegram.sending import Label, Sending, changed_card, new_card
from holdfast.adapters.telegram.threads import Topics
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip
from holdfast.domain.errors import DeliveryUncertain, InvalidInput
from holdfast.domain.view import IncidentView, MessageRef, RunView
from holdfast.i18n import speaking, translate, understood

_TITLE_UNITS: Final = 128
_LINE_UNITS: Final = 300
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class TelegramChat:
    """One Telegram chat as the place where runs show themselves; implements `ports.chat.Chat`.

    Args:
        sending: how messages get there.
        chat_id: numeric id of the group or person, or `@name` of a public chat.
        topics: knows whether topics can be opened; None where no run gets one.
        language: of what is written there.
        zone: whose clock times are told on.
    """

    def __init__(
        self,
        sending: Sending,
        chat_id: int | str,
        *,
        topics: Topics | None = None,
        language: str = "en",
        zone: tzinfo = UTC,
    ) -> None:
        self._sending = sending
        self._chat = str(chat_id)
        self._topics = topics
        self._language = language
        self._zone = zone

    async def publish(self, view: RunView, *, message: MessageRef | None) -> MessageRef:
        """Send or edit the run's message; see `ports.chat.Chat.publish`."""
        with speaking(self._language):
            if message is not None and message.message_id:
                return await self._edit(view, message)
            key = f"card/{view.run_id}"
            if message is None or not message.uncertain:
                return await self._send_card(view, message, key)
            # The store gives one key one fate; the copy needs a key of its own.
            notice = translate("Repeated: an earlier copy of this message may have arrived.")
            return await self._send_card(view, message, f"{key}/again/{view.revision}", notice=notice)

    async def ping(self, text: str, *, reply_to: MessageRef, key: str) -> None:
        """Answer the run's message, with a sound; see `ports.chat.Chat.ping`."""
        with speaking(self._language):
            words = clip(understood(text), MESSAGE_LIMIT)
        method = SendMessage(chat_id=reply_to.chat or self._chat, text=words, parse_mode=None)
        if reply_to.message_id:
            method.reply_parameters = ReplyParameters(
                message_id=int(reply_to.message_id), allow_sending_without_reply=True
            )
        label = Label(
            "ping", key or f"ping/{secrets.token_hex(8)}", line=clip(words, _LINE_UNITS), thread=reply_to.thread
        )
        await self._sending.send(method, label, plain=words)

    async def open_thread(self, title: str, *, key: str) -> MessageRef:
        """Open a topic, or name the chat itself; see `ports.chat.Chat.open_thread`."""
        itself = MessageRef(chat=self._chat, message_id="")
        if self._topics is None or not await self._topics.may_open(self._chat):
            return itself
        method = CreateForumTopic(chat_id=self._chat, name=clip(title, _TITLE_UNITS) or "…")
        try:
            sent = await self._sending.send(method, Label("card", f"topic/{key}"))
        except (InvalidInput, DeliveryUncertain) as refused:
            # An incident goes on without a topic; at worst an empty one stays.
            _log.warning("telegram_topic_not_opened", reason=str(refused), key=key)
            return itself
        return MessageRef(chat=sent.chat, message_id="", thread=str(sent.message_id))

    async def _edit(self, view: RunView, message: MessageRef) -> MessageRef:
        card = render(view, zone=self._zone)
        place = f"edit/{message.chat}/{message.message_id}"
        label = _label(view, f"{place}/{view.revision}", replaces=place)
        try:
            method = changed_card(card, message.chat, message.message_id)
            await self._sending.send(method, label, plain=card.plain)
        except MessageVanished as gone:
            _log.warning("telegram_message_sent_anew", reason=str(gone), message_id=message.message_id)
            return await self._send_card(view, message, f"card/{view.run_id}/after/{message.message_id}")
        return message.model_copy(update={"uncertain": False})

    async def _send_card(
        self, view: RunView, message: MessageRef | None, key: str, *, notice: str = ""
    ) -> MessageRef:
        chat, thread = (message.chat or self._chat, message.thread) if message else (self._chat, "")
        card: Card = render(view, notice=notice, zone=self._zone)
        label = _label(view, key, replaces=f"card/{view.run_id}", thread=thread)
        sent = await self._sending.send(new_card(card, chat), label, plain=card.plain)
        there = sent.ref(thread)
        # What was sent earlier under this key may show an older view.
        return await self._edit(view, there) if sent.older else there


def _label(view: RunView, key: str, *, replaces: str, thread: str = "") -> Label:
    about = view.incident or IncidentView()
    return Label("card", key, replaces=replaces, thread=thread, tier=about.tier, value=about.value)
