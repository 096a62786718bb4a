"""Wires the ways to reach people; apart from the rest, because quick commands need not load Telegram."""

from holdfast.adapters.email import EmailChannel
from holdfast.adapters.telegram import QueuedSending, TelegramPrivate
from holdfast.outbox.outbox import Outbox
from holdfast.ports.notices import PrivateChannel
from workers.sending import PATIENCE, language_of_chat
from workers.settings import Settings


def private(settings: Settings, outbox: Outbox | None) -> list[PrivateChannel]:
    """Return the ways to write to one person, the preferred one first; no Telegram without an outbox."""
    channels: list[PrivateChannel] = []
    if outbox is not None:
        sending = QueuedSending(outbox, patience=PATIENCE)
        channels.append(TelegramPrivate(sending, language=language_of_chat(settings)))
    if settings.email_url is not None and settings.email_url.get_secret_value():
        channels.append(EmailChannel(settings.email_url.get_secret_value()))
    return channels
