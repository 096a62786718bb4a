"""Telegram: the message in which a run shows itself, and the private chats in which people are asked."""

from holdfast.adapters.telegram.cards import render_view
from holdfast.adapters.telegram.chat import TelegramChat
from holdfast.adapters.telegram.private import TelegramPrivate
from holdfast.adapters.telegram.sending import Timeouts

__all__ = ["TelegramChat", "TelegramPrivate", "Timeouts", "render_view"]
