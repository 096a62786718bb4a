"""Telegram as the place where a run shows itself: one message a run, edited as it goes."""

from holdfast.adapters.telegram.cards import render_view
from holdfast.adapters.telegram.chat import TelegramChat, Timeouts

__all__ = ["TelegramChat", "Timeouts", "render_view"]
