"""`ports.notices.PrivateChannel` on Telegram: the private chat of a person with the bot."""

import hashlib
import secrets
from collections.abc import Callable
from html import escape
from typing import Final

import structlog
from aiogram.utils.formatting import Bold, Text

from holdfast.adapters.telegram.errands import render_errand
from holdfast.adapters.telegram.failures import LinkRefused, MessageVanished
from holdfast.adapters.telegram.layout import Card
from holdfast.adapters.telegram.methods import SentMessage
from holdfast.adapters.telegram.notices import render_notice
from holdfast.adapters.telegram.pages import render_page
from holdfast.adapters.telegram.sending import Label, Sending, changed_card, new_card
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip, shorten, units
from holdfast.domain.errors import InvalidInput
from holdfast.domain.people import Person
from holdfast.domain.view import IncidentView, MessageRef
from holdfast.i18n import speaking, translate, understood
from holdfast.ports.notices import Errand, Notice, NoticeKind, Page

_LINE_UNITS: Final = 300
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class TelegramPrivate:
    """Writes to people in their private chats; implements `ports.notices.PrivateChannel`.

    Args:
        sending: how messages get there.
        language: gives the language of a chat by its id, for people whose own is not set.
    """

    name = "telegram"

    def __init__(self, sending: Sending, *, language: Callable[[str], str] = lambda _: "en") -> None:
        self._sending = sending
        self._language = language

    def reaches(self, person: Person) -> bool:
        """Whether the person's Telegram id is known."""
        return person.telegram_id is not None

    async def notify(self, person: Person, notice: Notice) -> MessageRef:
        """Write about an open gate; see `ports.notices.PrivateChannel.notify`."""
        chat, key = _chat_of(person), notice.key or f"notice/{secrets.token_hex(8)}"
        kind = "reminder" if notice.kind is NoticeKind.REMINDER else "notice"
        with speaking(self._language_of(person)):
            try:
                card = render_notice(person, notice)
                sent = await self._send(card, chat, Label(kind, key, line=_line(card, kind)))
            except LinkRefused:
                # Telegram's words repeat the address, which is for this person only.
                _log.warning("telegram_link_refused", run_id=notice.run_id, person=person.name)
                card = render_notice(person, notice, link_button=False)
                label = Label(kind, f"{key}/without-link-button", line=_line(card, kind))
                sent = await self._send(card, chat, label)
        return sent.ref()

    async def page(self, person: Person, page: Page) -> MessageRef:
        """Call the person to an incident; see `ports.notices.PrivateChannel.page`."""
        chat, about = _chat_of(person), page.view.incident or IncidentView()
        label = Label("page", page.key or f"page/{secrets.token_hex(8)}", tier=about.tier, value=about.value)
        with speaking(self._language_of(person)):
            sent = await self._send(render_page(person, page), chat, label)
        return sent.ref()

    async def errand(self, person: Person, errand: Errand) -> MessageRef:
        """Ask the person to take a role or to do a task; see `ports.notices.PrivateChannel.errand`."""
        label = Label("notice", errand.key or f"errand/{secrets.token_hex(8)}")
        with speaking(self._language_of(person)):
            sent = await self._send(render_errand(person, errand), _chat_of(person), label)
        return sent.ref()

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
        named = hashlib.sha256(f"{person.name}\n{plain}\n{secrets.token_hex(16)}".encode()).hexdigest()
        card = Card(html=_escaped(words) + block, plain=plain)
        await self._send(card, _chat_of(person), Label("answer", f"say/{named}"))

    async def retire(self, message: MessageRef, text: str) -> None:
        """Say in an earlier notice or page what became of it; see `ports.notices.PrivateChannel.retire`."""
        if not message.message_id:
            return  # it was a line of a digest
        with speaking(self._language(message.chat)):
            closed = translate("No answer is needed here any more.")
            shown = Text(Bold(closed), "\n", clip(understood(text), MESSAGE_LIMIT - 100))
        plain, _ = shown.render()
        place = f"edit/{message.chat}/{message.message_id}"
        key = f"{place}/retired/{hashlib.sha256(plain.encode()).hexdigest()[:12]}"
        method = changed_card(Card(html=shown.as_html(), plain=plain), message.chat, message.message_id)
        try:
            await self._sending.send(method, Label("card", key, replaces=place), plain=plain)
        except MessageVanished as gone:
            _log.info("telegram_notice_retired_already", reason=str(gone), message_id=message.message_id)

    async def _send(self, card: Card, chat: str, label: Label) -> SentMessage:
        return await self._sending.send(new_card(card, chat), label, plain=card.plain)

    def _language_of(self, person: Person) -> str:
        return person.language or self._language(_chat_of(person))


def _chat_of(person: Person) -> str:
    if person.telegram_id is None:
        raise InvalidInput(f"{person.name} has no telegram_id in people.yaml")
    return str(person.telegram_id)


def _line(card: Card, kind: str) -> str:
    """Return what becomes of a reminder in a digest: its first two lines, which say what and about what."""
    return clip(" ".join(card.plain.splitlines()[:2]), _LINE_UNITS) if kind == "reminder" else ""


def _escaped(text: str) -> str:
    return escape(text, quote=False)
