"""Wires Telegram; apart from the rest, because quick commands need not load it."""

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.utils.token import TokenValidationError

from holdfast.adapters.telegram import QueuedSending, TelegramChat, Topics
from holdfast.domain.errors import InvalidInput
from holdfast.outbox.outbox import Outbox
from holdfast.ports.chat import Chat
from workers.sending import PATIENCE
from workers.settings import Settings


def telegram_bot(settings: Settings) -> Bot:
    """Return the Telegram bot.

    Raises:
        InvalidInput: no token is set, or it is none.
    """
    if settings.telegram_token is None:
        raise InvalidInput("HOLDFAST_TELEGRAM_TOKEN is not set; create a bot with @BotFather and set its token")
    api = TelegramAPIServer.from_base(settings.telegram_api) if settings.telegram_api else PRODUCTION
    try:
        return Bot(settings.telegram_token.get_secret_value(), session=AiohttpSession(api=api))
    except TokenValidationError:
        raise InvalidInput("HOLDFAST_TELEGRAM_TOKEN is no bot token; it looks like 123456:ABC-DEF") from None


def chat(settings: Settings, outbox: Outbox) -> Chat:
    """Return the chat where runs show themselves.

    Raises:
        InvalidInput: none is set up.
    """
    if settings.telegram_chat is None:
        raise InvalidInput("HOLDFAST_TELEGRAM_CHAT is not set; it is the numeric id of the chat for runs")
    return TelegramChat(
        QueuedSending(outbox, patience=PATIENCE),
        settings.telegram_chat,
        topics=Topics(telegram_bot(settings)),
        language=settings.language,
        zone=settings.zone,
    )
