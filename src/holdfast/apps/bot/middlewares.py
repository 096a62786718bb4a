"""What stands before the commands: only known people get through, and every error is answered in words."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware
from aiogram.enums import ChatType
from aiogram.types import Message, TelegramObject

from holdfast.apps.bot import texts
from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.refusals import refusal_words
from holdfast.apps.bot.replies import is_from_a_chat, reply, sender_of
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.strangers import Strangers, record_refusal
from holdfast.apps.bot.tickets import Postponed, ticket
from holdfast.domain.errors import DecisionRefused, EngineUnavailable, InvalidInput, Unavailable

Next = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


class FewStrangers(BaseMiddleware):
    """Lets a stranger's command through once an hour, so that one is refused politely and a flood is ignored.

    It stands outermost: what is ignored costs neither an answer nor a look at who may do what.
    """

    def __init__(self, services: Services, metrics: BotMetrics) -> None:
        self._services = services
        self._strangers = Strangers(metrics.strangers_ignored)

    async def __call__(self, handler: Next, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Pass the message on, or drop it."""
        if not isinstance(event, Message) or not _is_addressed(event) or self._is_known(event):
            return await handler(event, data)
        sender = event.from_user.id if event.from_user else event.chat.id
        # The one thing that a stranger may do is to ask for the id that an admin needs.
        asks_who = (event.text or "").startswith("/whoami")
        if not self._strangers.may_be_answered(sender, asks_who):
            return None
        if not asks_who:
            await record_refusal(self._services, sender, "a message")
        return await handler(event, data)

    def _is_known(self, message: Message) -> bool:
        try:
            return sender_of(message, self._services.people()) is not None
        except InvalidInput:
            return True  # nobody can be told from a stranger, and those who are known must hear why


class OnlyKnownPeople(BaseMiddleware):
    """Gives handlers the `person` who wrote; refuses others politely. `FewStrangers` keeps them few."""

    def __init__(self, services: Services, metrics: BotMetrics) -> None:
        del metrics  # the signature is that of its neighbours
        self._services = services

    async def __call__(self, handler: Next, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Pass the message on, or refuse it."""
        if not isinstance(event, Message):
            raise TypeError("OnlyKnownPeople stands before messages only")
        person = sender_of(event, self._services.people())
        if person is None:
            return await _refuse(event)
        return await handler(event, {**data, "person": person})


class ErrorsInWords(BaseMiddleware):
    """Answers what a person can act on; anything else is for the log and another attempt.

    A command for which Temporal does not answer is kept: it raises `Postponed`.
    """

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
            await _keep_or_tell(event, texts.ENGINE_DOWN, slow=False)
        except Unavailable:
            await reply(event, texts.fill(texts.STORE_DOWN))
        except TimeoutError:
            await _keep_or_tell(event, texts.ENGINE_SLOW, slow=True)
        except (DecisionRefused, InvalidInput) as error:
            await reply(event, texts.refusal(refusal_words(error)))
        return None


async def _keep_or_tell(message: Message, text: str, *, slow: bool) -> None:
    if ticket() is not None and (message.text or "").startswith("/"):
        raise Postponed(slow=slow)
    await reply(message, texts.fill(text))


async def _refuse(message: Message) -> None:
    if is_from_a_chat(message):
        await reply(message, texts.fill(texts.NOT_AS_YOURSELF))
        return
    sender = message.from_user.id if message.from_user else message.chat.id
    await reply(message, texts.fill(texts.STRANGER, id=sender))


def _is_addressed(message: Message) -> bool:
    return message.chat.type == ChatType.PRIVATE or (message.text or "").startswith("/")
