"""Forum topics: whether a chat has them and the bot may open one."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from aiogram import Bot
from aiohttp import ClientError

from holdfast.adapters.telegram.methods import Answer, Timeouts, call
from holdfast.outbox.message import Request

_KEPT: Final = timedelta(minutes=5)
_REFUSALS: Final = range(400, 500)
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Known:
    may_open: bool
    until: float


class Topics:
    """Knows for a few minutes where the bot may open topics.

    Args:
        bot: client of the Bot API; the caller closes its session.
        timeouts: for every single request.
    """

    def __init__(self, bot: Bot, timeouts: Timeouts | None = None) -> None:
        self._bot = bot
        self._timeouts = timeouts or Timeouts()
        self._known: dict[str, _Known] = {}

    async def may_open(self, chat: str) -> bool:
        """Whether it is worth asking for a topic; True also where Telegram does not answer now."""
        known = self._known.get(chat)
        if known is not None and time.monotonic() < known.until:
            return known.may_open
        try:
            may_open = await self._ask(chat)
        except (ClientError, TimeoutError) as error:
            _log.warning("telegram_topics_unknown", error=type(error).__name__)
            return True
        self._known[chat] = _Known(may_open, time.monotonic() + _KEPT.total_seconds())
        return may_open

    async def _ask(self, chat: str) -> bool:
        found = await self._call("getChat", chat_id=chat)
        if (moved := found.parameter("migrate_to_chat_id")) is not None:
            chat = str(moved)
            found = await self._call("getChat", chat_id=chat)
        if found.result is None:
            return found.status not in _REFUSALS
        if found.result.get("is_forum") is not True:
            return False
        return _may_manage(await self._call("getChatMember", chat_id=chat, user_id=self._bot.id))

    async def _call(self, method: str, **params: Any) -> Answer:
        return await call(self._bot, Request(method=method, params=params), timeouts=self._timeouts)


def _may_manage(member: Answer) -> bool:
    match member.result:
        case {"status": "creator"}:
            return True
        case {"status": "administrator"}:
            return member.result.get("can_manage_topics") is True
        case _:
            return member.result is None and member.status not in _REFUSALS
