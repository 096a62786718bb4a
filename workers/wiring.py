"""Puts adapters behind ports: the only place that knows both. A new adapter adds its line to a table here."""

from collections.abc import Callable, Mapping

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from holdfast.adapters.http_config import CanaryShareProvider, HttpConfigProvider

from holdfast.adapters.prometheus import PrometheusMetrics
from holdfast.adapters.telegram import TelegramChat
from holdfast.adapters.temporal.runs import TemporalRuns
from holdfast.domain.errors import InvalidInput
from holdfast.ports.changes import ChangeProvider
from holdfast.ports.chat import Chat
from holdfast.runbook.library import RunbookLibrary
from workers.client import connect
from workers.settings import Settings
from workflows.options import RUNBOOK_QUEUE

CHANGE_PROVIDERS: dict[str, Callable[[Mapping[str, str]], ChangeProvider]] = {
    "http_config": HttpConfigProvider,
    "canary_share": CanaryShareProvider,
}


def change_providers(settings: Settings) -> dict[str, ChangeProvider]:
    """Return a provider for each kind of change, all over the same endpoints."""
    return {kind: build(settings.endpoints) for kind, build in CHANGE_PROVIDERS.items()}


def metrics(settings: Settings) -> PrometheusMetrics:
    """Return the metrics backend."""
    return PrometheusMetrics(settings.prometheus_url)


def library(settings: Settings) -> RunbookLibrary:
    """Return the reviewed runbooks."""
    return RunbookLibrary(settings.runbook_dirs)


def runs(settings: Settings) -> TemporalRuns:
    """Return the way to start and decide runs."""
    return TemporalRuns(lambda: connect(settings), task_queue=RUNBOOK_QUEUE)


def telegram_bot(settings: Settings) -> Bot:
    """Return the Telegram bot.

    Raises:
        InvalidInput: no token is set.
    """
    if settings.telegram_token is None:
        raise InvalidInput("HOLDFAST_TELEGRAM_TOKEN is not set; create a bot with @BotFather and set its token")
    api = TelegramAPIServer.from_base(settings.telegram_api) if settings.telegram_api else PRODUCTION
    return Bot(settings.telegram_token.get_secret_value(), session=AiohttpSession(api=api))


def chat(settings: Settings) -> Chat | None:
    """Return the chat where runs show themselves, or None when none is set up."""
    if settings.telegram_token is None:
        return None
    if settings.telegram_chat is None:
        raise InvalidInput("HOLDFAST_TELEGRAM_CHAT is not set; it is the numeric id of the chat for runs")
    return TelegramChat(telegram_bot(settings), settings.telegram_chat)
