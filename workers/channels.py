"""Wires the ways to reach people; apart from the rest, because quick commands need not load Telegram."""

from holdfast.adapters.email import EmailChannel
from holdfast.adapters.telegram import TelegramPrivate
from holdfast.ports.notices import PrivateChannel
from workers import telegram
from workers.settings import Settings


def private(settings: Settings) -> list[PrivateChannel]:
    """Return the ways to write to one person, the preferred one first."""
    channels: list[PrivateChannel] = []
    if settings.telegram_token is not None:
        channels.append(TelegramPrivate(telegram.telegram_bot(settings)))
    if settings.email_url is not None and settings.email_url.get_secret_value():
        channels.append(EmailChannel(settings.email_url.get_secret_value()))
    return channels
