"""The bot as a whole: from an update to an answer."""

import asyncio
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import NoReturn, cast

import structlog
from aiogram import Bot
from aiogram.types import Update

from holdfast.apps.bot.floods import WaitOutFloods
from holdfast.apps.bot.handling import Around, Handling
from holdfast.apps.bot.intake import Intake, Leading, always_leading
from holdfast.apps.bot.intake_settings import IntakeSettings
from holdfast.apps.bot.memory_inbox import MemoryInbox
from holdfast.apps.bot.menus import publish_menus
from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.middlewares import FewStrangers
from holdfast.apps.bot.polling import Storing
from holdfast.apps.bot.routes import routes
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.telling import Notices, language_of
from holdfast.apps.bot.tickets import InTurn
from holdfast.apps.bot.webhook import WebhookSettings
from holdfast.i18n import speaking
from holdfast.ports.inbox import Inbox
from holdfast.ports.runs import RunControl

_UPDATES = ["message", "callback_query"]
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def nothing_around(_: Update) -> AbstractContextManager[None]:
    """Surround the handling of an update by nothing."""
    return nullcontext()


class BotApp:
    """The Telegram bot of Holdfast.

    Args:
        bot: client of the Bot API; the caller closes its session.
        services: what the handlers call.
        metrics: where is counted; by default in `prometheus_client`'s own registry.
        intake: how updates are taken.
        inbox: where updates are kept until they are handled. Without one they are kept in memory, and a crash
            loses those that wait; the log says so.
        leading: when this process takes and handles updates, for several on one token; by default always.
        around: surrounds the handling of each update, and each notice about one (whose id is negative).
        webhook: how Telegram reaches the bot; without it updates are fetched.
    """

    def __init__(
        self,
        bot: Bot,
        services: Services,
        *,
        metrics: BotMetrics | None = None,
        intake: IntakeSettings | None = None,
        inbox: Inbox | None = None,
        leading: Leading | None = None,
        around: Around = nothing_around,
        webhook: WebhookSettings | None = None,
    ) -> None:
        self._bot = bot
        self.services = services
        bot.session.middleware(WaitOutFloods())
        self._metrics = metrics or BotMetrics()
        self._leading = leading or always_leading()
        in_turn = replace(services, runs=cast("RunControl", InTurn(services.runs)))
        self.dispatcher = routes(in_turn, self._metrics)
        self.dispatcher.message.outer_middleware(FewStrangers(services, self._metrics))
        self.intake = self._intake(intake or IntakeSettings(), inbox or _in_memory(), around, webhook)

    async def run(self) -> NoReturn:
        """Answer updates until cancelled; what is being handled then is still brought to its end.

        Raises:
            InvalidInput: Telegram does not accept the token, or the webhook's port cannot be had.
        """
        menus = asyncio.create_task(self._publish_menus())
        try:
            await self.intake.run()
        finally:
            menus.cancel()
            await asyncio.wait({menus})

    def _intake(
        self, settings: IntakeSettings, inbox: Inbox, around: Around, webhook: WebhookSettings | None
    ) -> Intake:
        bot, services, metrics = self._bot, self.services, self._metrics
        handling = Handling(
            bot,
            inbox,
            self._handle,
            tell=Notices(bot, services, around),
            around=around,
            probe=lambda: services.runs.recent(limit=1),
            now=services.now,
            metrics=metrics,
            settings=settings,
        )
        storing = Storing(str(bot.id), inbox, handling.offer, now=services.now, metrics=metrics)
        return Intake(
            bot,
            handling,
            storing,
            leading=self._leading,
            webhook=webhook,
            allowed_updates=_UPDATES,
            metrics=metrics,
            settings=settings,
        )

    async def _handle(self, update: Update, received_at: float) -> None:
        with speaking(language_of(update, self.services)):
            await self.dispatcher.feed_update(self._bot, update, received_at=received_at)

    async def _publish_menus(self) -> None:
        await self._leading.wait()
        await publish_menus(self._bot, self.services)


def _in_memory() -> Inbox:
    _log.warning("bot_inbox_in_memory", remedy="hand in a durable inbox; a crash loses the updates that wait")
    return MemoryInbox()
