"""Telegram: the message in which a run shows itself, private chats with people, and sending."""

from holdfast.adapters.telegram.announcing import TelegramAnnouncer
from holdfast.adapters.telegram.cards import render_view
from holdfast.adapters.telegram.chat import TelegramChat
from holdfast.adapters.telegram.methods import Timeouts
from holdfast.adapters.telegram.passing import ThroughOutbox, answering, without_waiting
from holdfast.adapters.telegram.private import TelegramPrivate
from holdfast.adapters.telegram.sending import DirectSending, Label, QueuedSending, Sending
from holdfast.adapters.telegram.threads import Topics
from holdfast.adapters.telegram.transport import TelegramTransport

__all__ = [
    "DirectSending",
    "Label",
    "QueuedSending",
    "Sending",
    "TelegramAnnouncer",
    "TelegramChat",
    "TelegramPrivate",
    "TelegramTransport",
    "ThroughOutbox",
    "Timeouts",
    "Topics",
    "answering",
    "render_view",
    "without_waiting",
]
