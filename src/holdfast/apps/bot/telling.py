"""Tells people what became of what they asked for, where no handler could answer."""

import textwrap
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC
from typing import Any, Final

from aiogram import Bot
from aiogram.enums import ChatType, ParseMode
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import Update, User

from holdfast.apps.bot import intake_texts, texts
from holdfast.apps.bot.handling import Around
from holdfast.apps.bot.replies import reply
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.taps import write_where_tapped
from holdfast.apps.bot.tickets import Ticket
from holdfast.domain.errors import InvalidInput
from holdfast.domain.people import Person
from holdfast.i18n import speaking

_KEPT, _GIVEN_UP, _BROKEN = 0, 1, 2
_NOTICES: Final = 3
_COMMAND_LENGTH = 100


class Notices:
    """Messages about updates, in the reader's language.

    Each notice is surrounded as if it were the answer to an update of its own, with a negative id: the answers
    of a handler, which is called again later, are counted from the first one each time.

    Args:
        bot: client of the Bot API.
        services: who is who.
        around: as for the handling of updates.
    """

    def __init__(self, bot: Bot, services: Services, around: Around) -> None:
        self._bot = bot
        self._services = services
        self._around = around

    async def kept(self, ticket: Ticket, update: Update, *, slow: bool) -> None:
        """Say that it waits for Temporal, and until when."""
        with self._about(ticket, _KEPT):
            until = self._clock(ticket, update)
            if update.message is not None:
                template = intake_texts.KEPT_SLOW if slow else intake_texts.KEPT
                await reply(update.message, texts.fill(template, command=_command(update), until=until))
            elif update.callback_query is not None:
                template = intake_texts.KEPT_SLOW_TAP if slow else intake_texts.KEPT_TAP
                await write_where_tapped(update.callback_query, texts.say(template, until=until))

    async def given_up(self, ticket: Ticket, update: Update) -> None:
        """Say that Temporal did not come back in time."""
        with self._about(ticket, _GIVEN_UP):
            if update.message is not None:
                await reply(update.message, texts.fill(intake_texts.NOT_DONE, command=_command(update)))
            elif update.callback_query is not None:
                await write_where_tapped(update.callback_query, texts.say(intake_texts.NOT_DONE_TAP))

    async def broken(self, ticket: Ticket) -> None:
        """Tell the person whose tap or command could not be handled, as far as that can be read."""
        with self._about(ticket, _BROKEN):
            match ticket.kept.raw:
                case {"callback_query": {"id": str(query_id)}}:
                    await self._answer_broken_tap(ticket, query_id)
                case {"message": {"text": str(text), "chat": {"id": int(chat_id), **chat}}} if (
                    text.startswith("/") or chat.get("type") == ChatType.PRIVATE
                ):
                    await self._bot.send_message(chat_id, texts.fill(texts.BROKEN), parse_mode=ParseMode.HTML)
                case _:
                    pass

    async def _answer_broken_tap(self, ticket: Ticket, query_id: str) -> None:
        if not ticket.tap.answered:
            with suppress(TelegramBadRequest):  # too late: a message tells it
                await self._bot.answer_callback_query(
                    query_id, text=texts.say(texts.BROKEN_TAP), show_alert=True
                )
                return
        if ticket.update is not None and ticket.update.callback_query is not None:
            await write_where_tapped(ticket.update.callback_query, texts.say(intake_texts.BROKEN_TAP))

    @contextmanager
    def _about(self, ticket: Ticket, notice: int) -> Generator[None]:
        update_id = -(ticket.id * _NOTICES + notice + 1)
        if ticket.update is None:
            about = Update(update_id=update_id)
        else:
            about = ticket.update.model_copy(update={"update_id": update_id})
        with self._around(about), speaking(language_of_raw(ticket.kept.raw, self._services)):
            yield

    def _clock(self, ticket: Ticket, update: Update) -> str:
        sender = sender_of_update(update)
        person = known(self._services, sender.id) if sender else None
        until = ticket.until or ticket.kept.received_at
        return f"{until.astimezone(person.zone if person else UTC):%H:%M %Z}"


def sender_of_update(update: Update) -> User | None:
    """Return who wrote or tapped; None where Telegram does not tell."""
    if update.callback_query is not None:
        return update.callback_query.from_user
    return update.message.from_user if update.message else None


def known(services: Services, telegram_id: int) -> Person | None:
    """Return who this is; None for strangers, and while nobody can be told from one."""
    try:
        return services.people().on_telegram(telegram_id)
    except InvalidInput:
        return None


def language_of(update: Update, services: Services) -> str:
    """Return the language of the person who wrote or tapped: as the people file says, else as Telegram does."""
    sender = sender_of_update(update)
    return _language(services, sender.id, sender.language_code) if sender else ""


def language_of_raw(raw: Any, services: Services) -> str:
    """Do the same for an update that may not be readable."""
    match raw:
        case {"message": {"from": {"id": int(sender), **more}}}:
            return _language(services, sender, more.get("language_code"))
        case {"callback_query": {"from": {"id": int(sender), **more}}}:
            return _language(services, sender, more.get("language_code"))
        case _:
            return ""


def _language(services: Services, sender: int, code: Any) -> str:
    person = known(services, sender)
    return (person.language if person else "") or str(code or "")


def _command(update: Update) -> str:
    text = update.message.text if update.message else None
    return textwrap.shorten(text or "", width=_COMMAND_LENGTH, placeholder=" …") or "/…"
