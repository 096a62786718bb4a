"""Waits out Telegram's short refusals: an answer that is lost to one would leave a person without the truth."""

import asyncio
from typing import Final

from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.exceptions import TelegramRetryAfter
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType

_TRIES: Final = 4
_LONGEST_SECONDS: Final = 5


class WaitOutFloods(BaseRequestMiddleware):
    """Sends again what was answered 429, after the time that Telegram names, if that is short."""

    async def __call__(
        self,
        make_request: NextRequestMiddlewareType[TelegramType],
        bot: Bot,
        method: TelegramMethod[TelegramType],
    ) -> Response[TelegramType]:
        """Request, and wait and repeat a few times; a 429 says that nothing was done.

        Raises:
            TelegramRetryAfter: it takes too long.
        """
        for _ in range(_TRIES - 1):
            try:
                return await make_request(bot, method)
            except TelegramRetryAfter as refused:
                if refused.retry_after > _LONGEST_SECONDS:
                    raise
                await asyncio.sleep(refused.retry_after)
        return await make_request(bot, method)
