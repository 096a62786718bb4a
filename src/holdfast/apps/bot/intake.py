"""Takes updates from Telegram, each at least once, and never stops at one of them.

They go through the inbox: stored as they came, confirmed to Telegram, then handled. So what waits for a handler
never stands in the way of what comes after it, and a crash loses nothing.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, NoReturn, Protocol

import structlog
from aiogram import Bot

from holdfast.apps.bot.handling import Handling
from holdfast.apps.bot.intake_settings import IntakeSettings
from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.polling import Poller, Storing
from holdfast.apps.bot.webhook import WebhookServer, WebhookSettings, announce

__all__ = ["Intake", "IntakeSettings", "Leading", "always_leading"]

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_LOOK_SECONDS = 0.5


class Leading(Protocol):
    """Whether this process is the one that takes and handles updates; an `asyncio.Event` is one."""

    async def wait(self) -> Any:
        """Return once this process leads."""
        ...

    def is_set(self) -> bool:
        """Whether it leads at this moment."""
        ...


def always_leading() -> Leading:
    """Return the leadership of a process that has no other beside it."""
    event = asyncio.Event()
    event.set()
    return event


class Intake:
    """Takes and handles updates while this process leads.

    Args:
        bot: client of the Bot API.
        handling: works on what is stored.
        storing: stores what comes.
        leading: when to do so.
        webhook: how Telegram reaches the bot; None to fetch updates.
        allowed_updates: the kinds of updates that are asked for.
    """

    def __init__(
        self,
        bot: Bot,
        handling: Handling,
        storing: Storing,
        *,
        leading: Leading,
        webhook: WebhookSettings | None,
        allowed_updates: list[str],
        metrics: BotMetrics,
        settings: IntakeSettings,
    ) -> None:
        self._bot = bot
        self._handling = handling
        self._leading = leading
        self._metrics = metrics
        self._webhook = webhook
        self._allowed_updates = allowed_updates
        self.server = WebhookServer(webhook, storing, metrics=metrics) if webhook else None
        self._poller = Poller(bot, storing, allowed_updates=allowed_updates, metrics=metrics, settings=settings)

    async def run(self) -> NoReturn:
        """Take updates until cancelled; what is being handled then is still brought to its end.

        Raises:
            InvalidInput: Telegram does not accept the token, or the webhook's port cannot be had.
        """
        async with AsyncExitStack() as stack:
            if self.server is not None:
                await stack.enter_async_context(self.server.serving())
            while True:
                await self._leading.wait()
                self._metrics.leading.set(1)
                _log.info("bot_leads")
                try:
                    await self._lead()
                finally:
                    self._metrics.leading.set(0)
                _log.warning("bot_leads_no_more")

    async def _lead(self) -> None:
        """Work until this process does not lead any more."""
        work: list[Coroutine[Any, Any, Any]] = [
            self._handling.run(),
            self._take(),
            self._until_led_by_another(),
        ]
        tasks = [asyncio.create_task(one) for one in work]
        try:
            finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self) -> None:
        if self._webhook is None:
            await self._poller.run()
        else:
            await announce(self._bot, self._webhook, self._allowed_updates)
            await asyncio.Event().wait()  # the server does the rest

    async def _until_led_by_another(self) -> None:
        while self._leading.is_set():  # noqa: ASYNC110  there is nothing to wait for: it may be taken away
            await asyncio.sleep(_LOOK_SECONDS)
