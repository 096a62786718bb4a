"""Fetches updates from Telegram and confirms them as soon as they are stored.

aiogram's own polling decodes a batch as a whole, so that one update it cannot read blocks all that follow, and
it forgets an update before its handler has ended. Here updates are stored as they came, unread.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
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
from aiogram.utils.backoff import Backoff, BackoffConfig

from holdfast.apps.bot.intake_settings import IntakeSettings
from holdfast.apps.bot.metrics import BotMetrics
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.ports.inbox import Inbox, KeptUpdate

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Offer = Callable[[Sequence[KeptUpdate]], None]
"""Is handed what was just stored."""

# Beside its own errors aiogram lets through bad UTF-8, and a TypeError for a 5xx without description.
TELEGRAM_FAILURES = (AiogramError, UnicodeDecodeError, TypeError)
_SLACK_SECONDS = 10
_LEAST_PAUSE_SECONDS = 0.5
_CONFIRM_SECONDS = 2
_LARGEST_ID = 2**63  # no store keeps longer ones


class _GetRawUpdates(TelegramMethod[list[Any]]):
    __returning__ = list[Any]
    __api_method__ = "getUpdates"

    offset: int | None
    timeout: int
    limit: int = 100
    allowed_updates: list[str]


def update_id_of(raw: Any) -> int | None:
    """Return the id of a raw update; None where there is none."""
    match raw:
        case {"update_id": bool()}:
            return None
        case {"update_id": int(update_id)} if 0 <= update_id < _LARGEST_ID:
            return update_id
        case _:
            return None


class Storing:
    """Puts raw updates into the inbox, and hands on those that were not there before.

    Args:
        bot: name under which they are kept.
        offer: told of each that is new.
        now: the present moment, aware.
    """

    def __init__(
        self, bot: str, inbox: Inbox, offer: Offer, *, now: Callable[[], datetime], metrics: BotMetrics
    ) -> None:
        self._bot = bot
        self._inbox = inbox
        self._offer = offer
        self._now = now
        self._metrics = metrics

    async def store(self, batch: Sequence[Any]) -> int | None:
        """Store them in one transaction; return the highest id, None where nothing has one.

        Raises:
            Unavailable: nothing was stored.
        """
        found = {i: raw for raw in batch if (i := update_id_of(raw)) is not None}
        if strange := len(batch) - len(found):
            self._metrics.unidentified.inc(strange)
            _log.error("bot_updates_without_id", count=strange)
        if not found:
            return None
        now = self._now()
        try:
            new = await self._keep(found, now)
        except Unavailable:
            self._metrics.inbox_failed.labels("keep").inc()
            raise
        self._offer([KeptUpdate(bot=self._bot, update_id=i, raw=found[i], received_at=now) for i in new])
        return max(found)

    async def _keep(self, found: dict[int, Any], now: datetime) -> list[int]:
        try:
            return await self._inbox.keep(self._bot, found, now=now)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  what no store can keep must not hold up the rest
            _log.error("bot_updates_not_storable", count=len(found), error=type(error).__name__)
            if len(found) > 1:
                return [new for i, raw in found.items() for new in await self._keep({i: raw}, now)]
            [update_id] = found
            found[update_id] = {"update_id": update_id}  # which is put aside as unreadable
            return await self._inbox.keep(self._bot, found, now=now)


class Poller:
    """The loop of `getUpdates`.

    Args:
        bot: client of the Bot API.
        storing: takes what came; Telegram is told so afterwards.
        allowed_updates: the kinds of updates that are asked for.
    """

    def __init__(
        self,
        bot: Bot,
        storing: Storing,
        *,
        allowed_updates: list[str],
        metrics: BotMetrics,
        settings: IntakeSettings,
    ) -> None:
        self._bot = bot
        self._storing = storing
        self._allowed_updates = allowed_updates
        self._metrics = metrics
        self._settings = settings
        self._offset: int | None = None
        self._webhook_is_off = False
        longest, conflict = settings.longest_pause.total_seconds(), settings.conflict_pause.total_seconds()
        most = max(settings.longest_conflict_pause.total_seconds(), 2 * conflict)
        self._backoff = Backoff(BackoffConfig(min_delay=0.5, max_delay=longest, factor=2, jitter=0.1))
        self._conflicts = Backoff(BackoffConfig(min_delay=conflict, max_delay=most, factor=2, jitter=0.1))

    async def run(self) -> NoReturn:
        """Fetch until cancelled.

        Raises:
            InvalidInput: Telegram does not accept the token.
        """
        self._offset, self._webhook_is_off = None, False
        try:
            while True:
                await self._turn()
        finally:
            self._metrics.conflict_pause_seconds.set(0)
            await self._confirm()

    async def _turn(self) -> None:
        asked_at = time.monotonic()
        try:
            batch = await self._fetch()
            stored = await self._storing.store(batch)
        except (TelegramUnauthorizedError, TelegramNotFound):
            raise InvalidInput(
                "telegram token: Telegram does not accept it; take a valid one from @BotFather"
            ) from None
        except Unavailable as down:
            remedy = "check Holdfast's database; the updates stay at Telegram meanwhile"
            await self._pause(next(self._backoff), type(down).__name__, remedy)
        except TELEGRAM_FAILURES as error:
            await self._pause_after(error)
        else:
            self._recovered()
            # All is confirmed when nothing came, and after a week of silence Telegram counts from elsewhere.
            self._offset = None if stored is None else stored + 1
            if stored is None:  # a server that does not hold the request would otherwise be asked without end
                await asyncio.sleep(max(0.0, _LEAST_PAUSE_SECONDS - (time.monotonic() - asked_at)))

    async def _fetch(self) -> list[Any]:
        if not self._webhook_is_off:
            await self._bot.delete_webhook(drop_pending_updates=False)
            self._webhook_is_off = True
        return await self._poll(self._settings.long_poll)

    async def _poll(self, hold: timedelta) -> list[Any]:
        seconds = int(hold.total_seconds())
        request = _GetRawUpdates(offset=self._offset, timeout=seconds, allowed_updates=self._allowed_updates)
        return await self._bot(request, request_timeout=seconds + _SLACK_SECONDS)

    async def _confirm(self) -> None:
        """Say what was stored, so that the next start does not get it again."""
        if self._offset is None:
            return
        with suppress(*TELEGRAM_FAILURES, TimeoutError):
            async with asyncio.timeout(_CONFIRM_SECONDS):
                await self._poll(timedelta(0))

    def _recovered(self) -> None:
        self._backoff.reset()
        self._conflicts.reset()
        self._metrics.conflict_pause_seconds.set(0)

    async def _pause_after(self, error: Exception) -> None:
        self._metrics.polls_failed.labels(type(error).__name__).inc()
        if isinstance(error, TelegramRetryAfter):
            seconds, remedy = float(error.retry_after), "Telegram asked for this pause"
        elif isinstance(error, TelegramConflictError):
            self._webhook_is_off = False  # it is one of the two reasons
            seconds = next(self._conflicts)
            remedy = f"this token's updates go elsewhere too, stop that: {error.message}"
            self._metrics.conflict_pause_seconds.set(seconds)
        else:
            seconds, remedy = next(self._backoff), "check that the Bot API can be reached"
        await self._pause(seconds, type(error).__name__, remedy)

    async def _pause(self, seconds: float, error: str, remedy: str) -> None:
        _log.warning("bot_poll_failed", error=error, pause_seconds=round(seconds, 1), remedy=remedy)
        await asyncio.sleep(seconds)
