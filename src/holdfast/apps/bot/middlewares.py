"""What stands before the commands: only known people get through, and every error is answered in words."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware
from aiogram.types import Message, TelegramObject

from holdfast.apps.bot import texts
from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.replies import OncePerMinute, is_from_a_chat, reply, sender_of
from holdfast.apps.bot.services import Services
from holdfast.domain.errors import DecisionRefused, EngineUnavailable, InvalidInput, Unavailable

Next = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


class OnlyKnownPeople(BaseMiddleware):
    """Gives handlers the `person` who wrote; strangers get one polite refusal a minute."""

    def __init__(self, services: Services, metrics: BotMetrics) -> None:
        self._services = services
        self._metrics = metrics
        self._refusals = OncePerMinute()

    async def __call__(self, handler: Next, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Pass the message on, or refuse it."""
        if not isinstance(event, Message):
            raise TypeError("OnlyKnownPeople stands before messages only")
        person = sender_of(event, self._services.people())
        if person is None:
            return await self._refuse(event)
        return await handler(event, {**data, "person": person})

    async def _refuse(self, message: Message) -> None:
        sender = message.from_user.id if message.from_user else message.chat.id
        if not self._refusals.allows(sender):
            self._metrics.strangers_ignored.inc()
        elif is_from_a_chat(message):
            await reply(message, texts.NOT_AS_YOURSELF)
        else:
            await reply(message, texts.fill(texts.STRANGER, id=sender))


class ErrorsInWords(BaseMiddleware):
    """Answers what a person can act on; anything else is for the log and another attempt."""

    def __init__(self, services: Services) -> None:
        self._answer_within = services.answer_within

    async def __call__(self, handler: Next, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Run the handler; turn its refusals into replies."""
        if not isinstance(event, Message):
            raise TypeError("ErrorsInWords stands before messages only")
        try:
            async with asyncio.timeout(self._answer_within.total_seconds()):
                return await handler(event, data)
        except EngineUnavailable:
            await reply(event, texts.ENGINE_DOWN)
        except Unavailable:
            await reply(event, texts.STORE_DOWN)
        except TimeoutError:
            await reply(event, texts.ENGINE_SLOW)
        except (DecisionRefused, InvalidInput) as error:
            await reply(event, texts.refusal(str(error)))
        return None
