"""What handlers of the bot send becomes rows of the outbox, without the handlers knowing.

A redelivered update meets the rows that its first delivery put, so that nothing is said twice.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn, cast

import structlog
from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.enums import ChatType
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramNotFound,
)
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiogram.types import Chat
from aiogram.types import Message as ChatMessage

from holdfast.adapters.telegram.methods import Asked, asked
from holdfast.adapters.telegram.sending import Outbox
from holdfast.adapters.telegram.transport import words_of
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, shorten
from holdfast.domain.errors import DeliveryUncertain, Unavailable
from holdfast.outbox.message import Message, Row, RowState

_PASSED: Final = frozenset(
    {
        *("sendMessage", "sendPhoto", "sendDocument", "deleteMessage", "setMessageReaction"),
        *("editMessageText", "editMessageCaption", "editMessageReplyMarkup"),
    }
)
# What a newer call of the same kind for the same message makes superfluous.
_CHANGES: Final = {
    "editMessageText": "edit",
    "editMessageCaption": "edit",
    "editMessageReplyMarkup": "buttons",
    "deleteMessage": "delete",
    "setMessageReaction": "reaction",
}
_ERRORS: Final[dict[int, type[TelegramAPIError]]] = {
    400: TelegramBadRequest,
    403: TelegramForbiddenError,
    404: TelegramNotFound,
    413: TelegramEntityTooLarge,
}
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class AnswerUncertain(TelegramNetworkError, DeliveryUncertain):
    """The answer may have arrived; its row stays for people, and no repetition changes that."""


@dataclass
class _Answering:
    name: str
    count: int = 0

    def next_key(self, bot: Bot) -> str:
        number, self.count = self.count, self.count + 1
        return f"answer/{bot.id}/{self.name}/{number}"


_answering: ContextVar[_Answering | None] = ContextVar("holdfast_telegram_answering", default=None)
_waits: ContextVar[bool] = ContextVar("holdfast_telegram_waits", default=True)


@contextmanager
def answering(update_id: int, *, part: str = "") -> Generator[None]:
    """Let everything that is sent within the block be an answer to an update.

    Args:
        update_id: of the update; the n-th message of the block is the same one at every delivery of it.
        part: names what is said about the same update at another time, such as when a kept command is carried
            out.
    """
    token = _answering.set(_Answering(f"{update_id}/{part}" if part else str(update_id)))
    try:
        yield
    finally:
        _answering.reset(token)


@contextmanager
def without_waiting() -> Generator[None]:
    """Let what is sent within the block go out in its turn; the id of such a message is not known: 0."""
    token = _waits.set(False)
    try:
        yield
    finally:
        _waits.reset(token)


class ThroughOutbox(BaseRequestMiddleware):
    """Middleware of a session of aiogram: puts what is sent within `answering` into the outbox.

    Args:
        outbox: of the bot.
        patience: how long a handler waits for the fate of its message; one that takes longer goes out later,
            and looks as in `without_waiting`.
    """

    def __init__(self, outbox: Outbox, *, patience: timedelta = timedelta(seconds=10)) -> None:
        self._outbox = outbox
        self._patience = patience

    async def __call__(
        self,
        make_request: NextRequestMiddlewareType[TelegramType],
        bot: Bot,
        method: TelegramMethod[TelegramType],
    ) -> Response[TelegramType]:
        """Send in its turn what is an answer, and everything else at once.

        Raises:
            TelegramAPIError: the one that Telegram's answer means; `AnswerUncertain` where it may have arrived.
        """
        now = _answering.get()
        if now is None or method.__api_method__ not in _PASSED:
            return await make_request(bot, method)
        what = await asked(method, bot=bot)
        if not what.chat.lstrip("-").isdigit():
            return await make_request(bot, method)
        try:
            row_id = await self._outbox.put(_row_to_be(what, now.next_key(bot)))
        except Unavailable:
            # A person must hear that the database is down.
            _log.warning("telegram_answer_past_the_outbox", method=method.__api_method__)
            return await make_request(bot, method)
        # What a middleware returns is what the caller gets, whatever aiogram's annotation says.
        return cast("Response[TelegramType]", await self._outcome(row_id, what, bot, method))

    async def _outcome(self, row_id: int, what: Asked, bot: Bot, method: TelegramMethod[Any]) -> Any:
        row = await self._settled(row_id) if _waits.get() else None
        if row is not None and _has_failed(row):
            _raise_as_aiogram(row, method)
        if method.__returning__ is bool:
            return True
        return _message(row, what, bot)

    async def _settled(self, row_id: int) -> Row | None:
        try:
            return await self._outbox.settled(row_id, within=self._patience)
        except Unavailable:
            return None  # the row is there, and sending it straight could say it twice


def _row_to_be(what: Asked, key: str) -> Message:
    request, target = what.request, what.request.params.get("message_id")
    text = str(request.params.get("text", request.params.get("caption", "")))
    plain = shorten(words_of(text, str(request.params.get("parse_mode", ""))), MESSAGE_LIMIT)
    return Message(
        key=key,
        chat=what.chat,
        kind="answer",
        request=request.model_copy(update={"plain": plain}),
        replaces=f"{change}/{what.chat}/{target}" if (change := _CHANGES.get(request.method)) else "",
        thread=what.thread,
    )


def _has_failed(row: Row) -> bool:
    return row.state is RowState.UNCERTAIN or (
        row.state is RowState.DEAD and (row.code != 0 or "newer version" not in row.why)
    )


def _raise_as_aiogram(row: Row, method: TelegramMethod[Any]) -> NoReturn:
    if row.state is RowState.UNCERTAIN:
        raise AnswerUncertain(method=method, message=f"it may or may not have arrived: {row.why}")
    raise _ERRORS.get(row.code, TelegramAPIError)(method=method, message=row.why)


def _message(row: Row | None, what: Asked, bot: Bot) -> ChatMessage:
    """Return the message as far as it is known, bound to the bot; id 0 where that is not known."""
    params = what.request.params
    number = (row.message_id if row is not None else "") or params.get("message_id") or 0
    chat = int(row.chat if row is not None else what.chat)
    kind = ChatType.PRIVATE if chat > 0 else ChatType.SUPERGROUP
    message = ChatMessage(
        message_id=int(number),
        date=(row.sent_at if row is not None else None) or datetime.now(UTC),
        chat=Chat(id=chat, type=kind),
        text=params.get("text"),
        caption=params.get("caption"),
        message_thread_id=int(what.thread) if what.thread else None,
        is_topic_message=True if what.thread else None,
    )
    return message.as_(bot)
