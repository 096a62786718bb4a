"""One request to the Bot API, with its failures told apart."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import structlog
from aiogram import Bot
from aiogram.enums import ParseMode
from aiogram.methods import TelegramMethod
from aiogram.types import LinkPreviewOptions
from aiohttp import ClientTimeout

from holdfast.adapters.telegram.failures import FAILURES, MarksRefused, understood
from holdfast.adapters.telegram.layout import Card
from holdfast.adapters.telegram.methods import EditText, SendText

_T = TypeVar("_T")
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Timeouts:
    """How long a request may take: until the connection stands, and as a whole."""

    connect: timedelta = timedelta(seconds=5)
    total: timedelta = timedelta(seconds=10)


class Sender:
    """Sends and edits with one bot.

    Args:
        bot: client of the Bot API; the caller closes its session.
        timeouts: for every single request.
    """

    def __init__(self, bot: Bot, timeouts: Timeouts | None = None) -> None:
        self._bot = bot
        limits = timeouts or Timeouts()
        self._timeout = ClientTimeout(
            total=limits.total.total_seconds(), connect=limits.connect.total_seconds()
        )

    async def send(self, method: TelegramMethod[_T], *, plain: str | None = None) -> _T:
        """Make a request; when Telegram refuses its marks, once more with the `plain` words, if given.

        Raises:
            HoldfastError: see `failures.understood`.
        """
        try:
            return await self._request(method)
        except MarksRefused:
            if plain is None:
                raise
            _log.warning("telegram_marks_refused", method=method.__api_method__)
            return await self._request(method.model_copy(update={"text": plain, "parse_mode": None}))

    async def _request(self, method: TelegramMethod[_T]) -> _T:
        try:
            # aiogram hands the timeout on to aiohttp, which needs its own type to tell connecting from waiting.
            return await self._bot(method, request_timeout=cast(int, self._timeout))
        except FAILURES as error:
            raise understood(error, may_repeat=isinstance(method, EditText)) from None


def new_card(card: Card, chat: str) -> SendText:
    """Return the request that sends a card."""
    return SendText(
        chat_id=chat,
        text=card.html,
        parse_mode=ParseMode.HTML,
        reply_markup=card.keyboard,
        link_preview_options=_NO_PREVIEW,
    )


def changed_card(card: Card, chat: str, message_id: str) -> EditText:
    """Return the request that puts a card in the place of an earlier message."""
    return EditText(
        chat_id=chat,
        message_id=int(message_id),
        text=card.html,
        parse_mode=ParseMode.HTML,
        reply_markup=card.keyboard,
        link_preview_options=_NO_PREVIEW,
    )
