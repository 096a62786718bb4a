"""Takes updates from Telegram, each at least once, and never stops at one of them.

aiogram's own polling decodes a batch as a whole, so that one update it cannot read blocks all that follow, and
it forgets an update before its handler has ended. Here every update is read alone, put aside when it cannot be
handled, and confirmed only when all before it were handled too. A slow one does not keep the next one waiting.
"""

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    AiogramError,
    TelegramConflictError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.methods import TelegramMethod
from aiogram.types import Update
from aiogram.types.update import UpdateTypeLookupError
from aiogram.utils.backoff import Backoff, BackoffConfig
from pydantic import ValidationError

from holdfast.apps.bot.metrics import BotMetrics
from holdfast.domain.errors import InvalidInput

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Handle = Callable[[Update, float], Awaitable[None]]
"""Handles one update; the number is the `time.monotonic()` of its arrival."""

Quarantined = Callable[[Any, Exception], Awaitable[None]]
"""Is told of an update, as raw JSON, that was given up, and why."""

_SLACK_SECONDS = 10
_LOOK_AGAIN_SECONDS = 0.5
_CONFIRM_SECONDS = 2
_LONGEST_HANDLER_PAUSE_SECONDS = 10
# Beside its own errors aiogram lets through bad UTF-8, and a TypeError for a 5xx without description.
_POLL_FAILURES = (AiogramError, UnicodeDecodeError, TypeError)


class _GetRawUpdates(TelegramMethod[list[Any]]):
    __returning__ = list[Any]
    __api_method__ = "getUpdates"

    offset: int | None
    timeout: int
    allowed_updates: list[str]


@dataclass(frozen=True, kw_only=True)
class IntakeSettings:
    """How updates are taken.

    Attributes:
        long_poll: how long Telegram holds a request while there is nothing new.
        at_once: how many updates are handled at the same time.
        attempts: after so many failures an update is put aside.
        retry_pause: before the second attempt; doubles from there.
        handling_limit: for one attempt.
        longest_pause: between requests while Telegram does not answer.
        conflict_pause: after another process was found polling with the same token.
        stop_within: how long handlers may still take when the bot is stopped.
    """

    long_poll: timedelta = timedelta(seconds=25)
    at_once: int = 8
    attempts: int = 3
    retry_pause: timedelta = timedelta(milliseconds=500)
    handling_limit: timedelta = timedelta(seconds=30)
    longest_pause: timedelta = timedelta(seconds=30)
    conflict_pause: timedelta = timedelta(seconds=5)
    stop_within: timedelta = timedelta(seconds=5)


class Intake:
    """The loop from `getUpdates` to the handlers.

    Args:
        bot: client of the Bot API.
        handle: called for each update, up to `at_once` at a time; may be called again after a failure or a
            restart, so its effects must be idempotent.
        allowed_updates: the kinds of updates that are asked for.
        on_quarantine: told of every update that was put aside.
    """

    def __init__(
        self,
        bot: Bot,
        handle: Handle,
        *,
        allowed_updates: list[str],
        metrics: BotMetrics,
        settings: IntakeSettings,
        on_quarantine: Quarantined,
    ) -> None:
        self._bot = bot
        self._handle = handle
        self._allowed_updates = allowed_updates
        self._metrics = metrics
        self._settings = settings
        self._on_quarantine = on_quarantine
        self._offset: int | None = None
        self._in_hand: dict[int, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(settings.at_once)
        longest = settings.longest_pause.total_seconds()
        self._backoff = Backoff(BackoffConfig(min_delay=0.5, max_delay=longest, factor=2, jitter=0.1))

    async def run(self) -> NoReturn:
        """Take updates until cancelled; what is being handled then is still brought to its end.

        Raises:
            InvalidInput: Telegram does not accept the token.
        """
        try:
            while True:
                asked_at = time.monotonic()
                taken = self._take(await self._next_batch())
                if unfinished := self._unfinished():
                    await asyncio.wait(unfinished.values(), timeout=_LOOK_AGAIN_SECONDS)
                elif not taken:
                    # A server that does not hold the request would otherwise be asked without end.
                    await asyncio.sleep(max(0.0, _LOOK_AGAIN_SECONDS - (time.monotonic() - asked_at)))
        finally:
            await self._finish()

    def _take(self, batch: list[Any]) -> bool:
        """Begin to handle what is new in the batch; whether anything was."""
        if not batch and not self._in_hand:
            self._offset = None  # all is confirmed, and after a week of silence Telegram counts from elsewhere
        received_at = time.monotonic()
        new = {i: raw for raw in batch if (i := _id_of(raw)) is not None and i not in self._in_hand}
        for update_id, raw in new.items():
            self._in_hand[update_id] = asyncio.create_task(self._handle_raw(raw, received_at))
        return bool(new)

    def _unfinished(self) -> dict[int, asyncio.Task[None]]:
        return {update_id: task for update_id, task in self._in_hand.items() if not task.done()}

    def _confirmable(self) -> int | None:
        """Return the id before which everything is handled, and forget what lies before it."""
        if self._in_hand:
            self._offset = min(self._unfinished(), default=max(self._in_hand) + 1)
            self._in_hand = {i: task for i, task in self._in_hand.items() if i >= self._offset}
        return self._offset

    async def _next_batch(self) -> list[Any]:
        while True:
            # While something is in hand Telegram repeats it at once, but also tells what came after it.
            hold = timedelta(0) if self._unfinished() else self._settings.long_poll
            try:
                batch = await self._poll(hold)
            except (TelegramUnauthorizedError, TelegramNotFound):
                raise InvalidInput(
                    "telegram token: Telegram does not accept it; take a valid one from @BotFather"
                ) from None
            except _POLL_FAILURES as error:
                await self._pause_after(error)
            else:
                self._backoff.reset()
                return batch

    async def _poll(self, hold: timedelta) -> list[Any]:
        seconds = int(hold.total_seconds())
        request = _GetRawUpdates(
            offset=self._confirmable(), timeout=seconds, allowed_updates=self._allowed_updates
        )
        return await self._bot(request, request_timeout=seconds + _SLACK_SECONDS)

    async def _finish(self) -> None:
        """Bring what is in hand to its end, and confirm it so that the next start does not get it again."""
        if unfinished := self._unfinished().values():
            await asyncio.wait(unfinished, timeout=self._settings.stop_within.total_seconds())
        with suppress(*_POLL_FAILURES, TimeoutError):
            async with asyncio.timeout(_CONFIRM_SECONDS):
                await self._poll(timedelta(0))
        for task in self._in_hand.values():
            task.cancel()
        await asyncio.gather(*self._in_hand.values(), return_exceptions=True)

    async def _pause_after(self, error: Exception) -> None:
        self._metrics.polls_failed.labels(type(error).__name__).inc()
        if isinstance(error, TelegramRetryAfter):
            seconds, remedy = float(error.retry_after), "Telegram asked for this pause"
        elif isinstance(error, TelegramConflictError):
            seconds = self._settings.conflict_pause.total_seconds()
            remedy = f"this token's updates go elsewhere too, stop that: {error.message}"
        else:
            seconds, remedy = next(self._backoff), "check that the Bot API can be reached"
        _log.warning(
            "bot_poll_failed", error=type(error).__name__, pause_seconds=round(seconds, 1), remedy=remedy
        )
        await asyncio.sleep(seconds)

    async def _handle_raw(self, raw: Any, received_at: float) -> None:
        async with self._slots:
            try:
                update = Update.model_validate(raw, context={"bot": self._bot})
                update.event_type  # noqa: B018  raises for a kind of update that this aiogram does not know
            except (ValidationError, UpdateTypeLookupError) as error:
                await self._quarantine(raw, error)
            else:
                await self._attempt(update, raw, received_at)

    async def _attempt(self, update: Update, raw: Any, received_at: float) -> None:
        pause = self._settings.retry_pause.total_seconds()
        for attempt in range(1, self._settings.attempts + 1):
            try:
                async with asyncio.timeout(self._settings.handling_limit.total_seconds()):
                    await self._handle(update, received_at)
            except Exception as error:  # noqa: BLE001  whatever a handler raises, the next update must be handled
                _log.error(
                    "bot_update_failed", update_id=update.update_id, attempt=attempt, trace=_trace(error)
                )
                if attempt == self._settings.attempts:
                    await self._quarantine(raw, error)
                    return
                self._metrics.updates.labels("retried").inc()
                await asyncio.sleep(_pause_before_retry(error, pause * 2 ** (attempt - 1)))
            else:
                self._metrics.updates.labels("handled").inc()
                return

    async def _quarantine(self, raw: Any, error: Exception) -> None:
        self._metrics.updates.labels("quarantined").inc()
        _log.error("bot_update_quarantined", update_id=_id_of(raw), error=_where(error))
        try:
            async with asyncio.timeout(self._settings.handling_limit.total_seconds()):
                await self._on_quarantine(raw, error)
        except Exception as failure:  # noqa: BLE001  as above
            _log.error("bot_quarantine_not_told", update_id=_id_of(raw), trace=_trace(failure))


def _id_of(raw: Any) -> int | None:
    match raw:
        case {"update_id": int(update_id)}:
            return update_id
        case _:
            return None


def _where(error: Exception) -> str:
    """Name the error and the fields it is about, without what people wrote into them."""
    if not isinstance(error, ValidationError):
        return type(error).__name__
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors()[:5])


def _trace(error: Exception) -> str:
    # Not `exc_info`: a renderer that shows local variables would show tokens, and takes seconds meanwhile.
    return "".join(traceback.format_exception(error, limit=-5))


def _pause_before_retry(error: Exception, seconds: float) -> float:
    if isinstance(error, TelegramRetryAfter):
        return min(float(error.retry_after), _LONGEST_HANDLER_PAUSE_SECONDS)
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311  jitter is no secret
