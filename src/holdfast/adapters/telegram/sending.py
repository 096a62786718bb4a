"""Sending, in two ways: as a row of the outbox whose fate is waited for, and straight."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import structlog
from aiogram import Bot
from aiogram.enums import ParseMode
from aiogram.methods import EditMessageText, SendMessage, TelegramMethod
from aiogram.types import LinkPreviewOptions

from holdfast.adapters.telegram.failures import may_repeat, not_taken, refusal
from holdfast.adapters.telegram.layout import Card
from holdfast.adapters.telegram.methods import Asked, SentMessage, Timeouts, asked
from holdfast.adapters.telegram.transport import TelegramTransport
from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, HoldfastError, InvalidInput, Unavailable
from holdfast.outbox.message import Delivery, Message, Request, Row, RowState
from holdfast.outbox.transport import Fate, Moved, Never, NotSent, Refused, Sent, Unknown

_NO_PREVIEW: Final = LinkPreviewOptions(is_disabled=True)
_LONGEST_KEY: Final = 300
_LOOK_AGAIN_SECONDS: Final = 5.0
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Label:
    """What the outbox must know of a message beside what is sent; see `holdfast.outbox.message.Message`."""

    kind: str
    key: str
    replaces: str = ""
    line: str = ""
    thread: str = ""
    tier: str = ""
    value: float = 0.0


class Sending(Protocol):
    """A way to send."""

    async def send(self, method: TelegramMethod[Any], label: Label, *, plain: str | None = None) -> SentMessage:
        """Send it, and return where it is.

        Args:
            method: what to send, one of aiogram's.
            label: what it is.
            plain: the same words without marks, for when Telegram cannot read the marks.

        Raises:
            ChatUnavailable: it was not sent yet; the same call again finds what became of it.
            DeliveryUncertain: it may have arrived.
            MessageVanished: the message to edit is not there any more, or may not be edited any more.
            LinkRefused: Telegram does not take the address of a button.
            InvalidInput: Telegram never takes it, or somebody has dropped it.
        """
        ...


class Outbox(Protocol):
    """What is needed of `holdfast.outbox.outbox.Outbox`."""

    async def put(self, message: Message) -> int:
        """Store a message, unless its key is there, and return the id of its row."""
        ...

    async def settled(self, row_id: int, *, within: timedelta) -> Row:
        """Return the row as soon as nothing more happens to it, or as it is when the time is over."""
        ...


class QueuedSending:
    """Puts a row into the outbox and waits for its fate.

    Args:
        outbox: of the bot.
        patience: how long to wait; what is not sent by then goes out later.
    """

    def __init__(self, outbox: Outbox, *, patience: timedelta) -> None:
        self._outbox = outbox
        self._patience = patience

    async def send(self, method: TelegramMethod[Any], label: Label, *, plain: str | None = None) -> SentMessage:
        """Send it in its turn; see `Sending.send`.

        Raises:
            ChatUnavailable: also when the store does not answer.
        """
        what = await asked(method, plain=plain or "")
        row = await self._put(what, label, short(label.key))
        if key := _another_key(row, what.request):
            row = await self._put(what, label, key)
        return _told(row, what.request)

    async def _put(self, what: Asked, label: Label, key: str) -> Row:
        message = Message(
            key=key,
            chat=what.chat,
            kind=label.kind,
            request=what.request,
            tier=label.tier,
            value=label.value,
            replaces=label.replaces,
            line=label.line,
            thread=label.thread or what.thread,
        )
        try:
            return await self._outbox.settled(await self._outbox.put(message), within=self._patience)
        except Unavailable as error:
            # It is in line or is not; the same call again finds out. No fate, so that nobody takes it for one.
            raise ChatUnavailable(f"the message cannot be put in line: {error}") from error


class DirectSending:
    """Sends at once, without the outbox.

    Args:
        bot: client of the Bot API; the caller closes its session.
        timeouts: for every single request.
    """

    def __init__(self, bot: Bot, timeouts: Timeouts | None = None) -> None:
        self._transport = TelegramTransport(bot, timeouts)

    async def send(self, method: TelegramMethod[Any], label: Label, *, plain: str | None = None) -> SentMessage:
        """Send it now; see `Sending.send`."""
        row = _passing_row(await asked(method, plain=plain or ""), label)
        fate = await self._transport.send(row)
        if isinstance(fate, Moved):
            _log.warning("telegram_chat_moved", old_id=row.chat, new_id=fate.chat)
            row = row.model_copy(update={"chat": fate.chat})
            fate = await self._transport.send(row)
        if isinstance(fate, Sent):
            return SentMessage(row.chat, int(fate.message_id or 0))
        raise _failure(fate)


def new_card(card: Card, chat: str) -> SendMessage:
    """Return the request that sends a card."""
    return SendMessage(
        chat_id=chat,
        text=card.html,
        parse_mode=ParseMode.HTML,
        reply_markup=card.keyboard,
        link_preview_options=_NO_PREVIEW,
    )


def changed_card(card: Card, chat: str, message_id: str) -> EditMessageText:
    """Return the request that puts a card in the place of an earlier message."""
    return EditMessageText(
        chat_id=chat,
        message_id=int(message_id),
        text=card.html,
        parse_mode=ParseMode.HTML,
        reply_markup=card.keyboard,
        link_preview_options=_NO_PREVIEW,
    )


def short(key: str) -> str:
    """Return a key that the outbox takes, the same for the same one."""
    return key if len(key) <= _LONGEST_KEY else f"sha256/{hashlib.sha256(key.encode()).hexdigest()}"


def _another_key(row: Row, request: Request) -> str:
    """Return the key under which to put it again; empty where its row says all there is to say."""
    if row.state is RowState.UNCERTAIN and may_repeat(request.method):
        return short(f"{row.key}/again")
    # Something else was refused under this key, so that this one was never tried, and nothing arrived.
    if row.state is RowState.DEAD and row.code and row.request != request:
        return short(f"{row.key}/{hashlib.sha256(request.model_dump_json().encode()).hexdigest()[:12]}")
    return ""


def _told(row: Row, request: Request) -> SentMessage:
    # An older version of an edit died for a newer one, which is what its author wants as well.
    outdated = row.state is RowState.DEAD and not row.code and "newer version" in row.why
    if row.state is RowState.SENT or outdated:
        return SentMessage(
            row.chat, int(row.message_id or request.params.get("message_id", 0)), older=row.request != request
        )
    raise _failure_of(row)


def _failure_of(row: Row) -> HoldfastError:
    if row.state is RowState.DEAD:
        return refusal(row.why) if row.code else InvalidInput(f"the message was dropped: {row.why}")
    if row.state is RowState.UNCERTAIN:
        return DeliveryUncertain(f"the message may or may not have arrived: {row.why}")
    return ChatUnavailable(
        f"the message waits in the outbox as number {row.id} and goes out in its turn",
        retry_after_seconds=_LOOK_AGAIN_SECONDS,
    )


def _failure(fate: Fate) -> HoldfastError:
    match fate:
        case Never(why=why):
            return refusal(why)
        case Unknown(why=why):
            return DeliveryUncertain(f"the message may or may not have arrived: {why}")
        case Refused(retry_after=seconds):
            return not_taken(f"it asks us to wait {seconds:g} s", retry_after_seconds=seconds)
        case NotSent(why=why):
            return not_taken(why)
        case _:
            return not_taken("the group moves on and on")


def _passing_row(what: Asked, label: Label) -> Row:
    now = datetime.now(UTC)
    return Row(
        id=0,
        bot="",
        key=label.key,
        chat=what.chat,
        kind=label.kind,
        tier=label.tier,
        value=label.value,
        delivery=Delivery.AT_MOST_ONCE,
        state=RowState.SENDING,
        request=what.request,
        replaces=label.replaces,
        line=label.line,
        thread=label.thread or what.thread,
        queued_at=now,
        due=now,
    )
