"""`ports.notices.PrivateChannel` on Telegram: the private chat of a person with the bot."""

from html import escape

import structlog
from aiogram import Bot
from aiogram.utils.formatting import Bold, Text

from holdfast.adapters.telegram.failures import LinkRefused, MessageVanished, Unchanged
from holdfast.adapters.telegram.layout import Card
from holdfast.adapters.telegram.notices import render_notice
from holdfast.adapters.telegram.sending import Sender, Timeouts, changed_card, new_card
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip, shorten, units
from holdfast.domain.errors import InvalidInput
from holdfast.domain.people import Person
from holdfast.domain.view import MessageRef
from holdfast.ports.notices import Notice

_CLOSED = "No answer is needed here any more."
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class TelegramPrivate:
    """Writes to people in their private chats; implements `ports.notices.PrivateChannel`.

    Args:
        bot: client of the Bot API; the caller closes its session.
        timeouts: for every single request.
    """

    name = "telegram"

    def __init__(self, bot: Bot, *, timeouts: Timeouts | None = None) -> None:
        self._sender = Sender(bot, timeouts)

    def reaches(self, person: Person) -> bool:
        """Whether the person's Telegram id is known."""
        return person.telegram_id is not None

    async def notify(self, person: Person, notice: Notice) -> MessageRef:
        """Write about an open gate; see `ports.notices.PrivateChannel.notify`."""
        try:
            return await self._send_card(person, render_notice(person, notice))
        except LinkRefused:
            # Telegram's words repeat the address, which is for this person only.
            _log.warning("telegram_link_refused", run_id=notice.run_id, person=person.name)
            return await self._send_card(person, render_notice(person, notice, link_button=False))

    async def say(self, person: Person, text: str, *, paste: str = "") -> None:
        """Write plain text; see `ports.notices.PrivateChannel.say`.

        Raises:
            InvalidInput: also when `paste` does not fit into one message, since half of it is of no use.
        """
        room = MESSAGE_LIMIT - units(paste) - 1
        if room < 1:
            raise InvalidInput(f"too long to be pasted: {units(paste)} of at most {MESSAGE_LIMIT} characters")
        words = shorten(text, room)
        # aiogram's own mark for code names the language in an attribute that Telegram does not know.
        block = f'\n<pre><code class="language-json">{_escaped(paste)}</code></pre>' if paste else ""
        plain = f"{words}\n{paste}" if paste else words
        await self._send_card(person, Card(html=_escaped(words) + block, plain=plain))

    async def retire(self, message: MessageRef, text: str) -> None:
        """Say in an earlier notice what became of the gate; see `ports.notices.PrivateChannel.retire`."""
        shown = Text(Bold(_CLOSED), "\n", clip(text, MESSAGE_LIMIT - 100))
        plain, _ = shown.render()
        card = Card(html=shown.as_html(), plain=plain)
        try:
            await self._sender.send(changed_card(card, message.chat, message.message_id), plain=plain)
        except (Unchanged, MessageVanished) as done:
            _log.info("telegram_notice_retired_already", reason=str(done), message_id=message.message_id)

    async def _send_card(self, person: Person, card: Card) -> MessageRef:
        sent = await self._sender.send(new_card(card, _chat_of(person)), plain=card.plain)
        return MessageRef(chat=_chat_of(person), message_id=str(sent.message_id))


def _chat_of(person: Person) -> str:
    if person.telegram_id is None:
        raise InvalidInput(f"{person.name} has no telegram_id in people.yaml")
    return str(person.telegram_id)


def _escaped(text: str) -> str:
    return escape(text, quote=False)
