"""The bot as a whole: from an update to an answer."""

import asyncio
from typing import Any, NoReturn

import structlog
from aiogram import Bot, Dispatcher, Router
from aiogram.enums import ChatType
from aiogram.exceptions import AiogramError
from aiogram.types import BotCommand, Update
from aiogram.utils.backoff import Backoff, BackoffConfig

from holdfast.apps.bot import texts
from holdfast.apps.bot.basics import help_router, whoami_router
from holdfast.apps.bot.clerk import Clerk
from holdfast.apps.bot.codes import Codes
from holdfast.apps.bot.decisions import decisions_router, unknown_buttons_router
from holdfast.apps.bot.errands import Errands
from holdfast.apps.bot.finding import Finder
from holdfast.apps.bot.floods import WaitOutFloods
from holdfast.apps.bot.gates import Gates
from holdfast.apps.bot.handing import Handing
from holdfast.apps.bot.intake import Intake, IntakeSettings
from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.middlewares import ErrorsInWords, OnlyKnownPeople
from holdfast.apps.bot.reasons import Reasons
from holdfast.apps.bot.rollbacks import Rollbacks
from holdfast.apps.bot.rollouts import Rollouts
from holdfast.apps.bot.runs import Runs
from holdfast.apps.bot.second_factor import SecondFactors
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.taps import Taps

_UPDATES = ["message", "callback_query"]
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class BotApp:
    """The Telegram bot of Holdfast.

    Args:
        bot: client of the Bot API; the caller closes its session. One process a token may run this.
        services: what the handlers call.
        metrics: where is counted; by default in `prometheus_client`'s own registry.
        intake: how updates are taken.
    """

    def __init__(
        self,
        bot: Bot,
        services: Services,
        *,
        metrics: BotMetrics | None = None,
        intake: IntakeSettings | None = None,
    ) -> None:
        self._bot = bot
        bot.session.middleware(WaitOutFloods())
        self._metrics = metrics or BotMetrics()
        self._dispatcher = self._routes(services)
        self._intake = Intake(
            bot,
            self._handle,
            allowed_updates=_UPDATES,
            metrics=self._metrics,
            settings=intake or IntakeSettings(),
            on_quarantine=self._apologise,
        )

    async def run(self) -> NoReturn:
        """Answer updates until cancelled; what is being handled then is still brought to its end.

        Raises:
            InvalidInput: Telegram does not accept the token.
        """
        commands = asyncio.create_task(self._publish_commands())
        try:
            await self._intake.run()
        finally:
            commands.cancel()
            await asyncio.wait({commands})

    def _routes(self, services: Services) -> Dispatcher:
        taps, finder = Taps(services, self._metrics), Finder(services)
        clerk = Clerk(services, finder)
        errands, rollbacks = Errands(services, clerk), Rollbacks(services, clerk, taps)
        rollouts, gates = Rollouts(services, taps), Gates(services, finder, taps)
        codes, reasons = Codes(services, errands, finder, taps), Reasons(services, errands, taps)
        known = Router(name="known-people")
        known.message.middleware(OnlyKnownPeople(services, self._metrics))
        known.include_routers(
            rollouts.commands(),
            Runs(services).commands(),
            gates.commands(),
            rollbacks.commands(),
            codes.commands(),
            Handing(services, errands, finder).commands(),
            SecondFactors(services, errands).router(),
            reasons.private(),
            help_router(),
        )
        commands = Router(name="commands")
        commands.message.middleware(ErrorsInWords(services))
        commands.include_routers(whoami_router(services, self._metrics), known, reasons.in_groups())
        dispatcher = Dispatcher(disable_fsm=True)
        dispatcher.include_routers(
            commands,
            decisions_router(errands, taps),
            rollouts.buttons(),
            gates.buttons(),
            codes.buttons(),
            rollbacks.buttons(),
            reasons.buttons(),
            unknown_buttons_router(taps),
        )
        return dispatcher

    async def _handle(self, update: Update, received_at: float) -> None:
        await self._dispatcher.feed_update(self._bot, update, received_at=received_at)

    async def _apologise(self, raw: Any, _: Exception) -> None:
        """Tell the person whose tap or command could not be handled, as far as that can be read."""
        match raw:
            case {"callback_query": {"id": str(query_id)}}:
                await self._bot.answer_callback_query(query_id, text=texts.BROKEN_TAP, show_alert=True)
            case {"message": {"text": str(text), "chat": {"id": int(chat_id), **chat}}} if (
                text.startswith("/") or chat.get("type") == ChatType.PRIVATE
            ):
                await self._bot.send_message(chat_id, texts.BROKEN)
            case _:
                pass

    async def _publish_commands(self) -> None:
        commands = [BotCommand(command=name, description=text) for name, text in texts.COMMANDS.items()]
        for pause_seconds in Backoff(BackoffConfig(min_delay=1, max_delay=300, factor=3, jitter=0.1)):
            try:
                await self._bot.set_my_commands(commands)
            except (AiogramError, UnicodeDecodeError, TypeError) as error:
                _log.warning("bot_commands_not_published", error=type(error).__name__)
                await asyncio.sleep(pause_seconds)
            else:
                return
