"""The Telegram bot: commands and buttons for the people on call."""

from holdfast.apps.bot.app import BotApp
from holdfast.apps.bot.intake import IntakeSettings
from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.services import Services

__all__ = ["BotApp", "BotMetrics", "IntakeSettings", "Services"]
