"""Handles what is kept in the inbox: each update at least once, its effects once, and none in another's way.

- Updates of one person in one chat go one after the other; those of different people side by side.
- One that cannot be read, or fails again and again, is put aside in the inbox.
- What needs Temporal while it is down is kept, tells the person so once, and is carried out when it is back.
- Taps have places of their own: somebody stands in front of a button.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from typing import Any, NoReturn, Protocol

import structlog
from aiogram import Bot
from aiogram.types import Update

from holdfast.apps.bot.engine import Engine, Probe
from holdfast.apps.bot.failures import pause_before_retry, trace, where
from holdfast.apps.bot.intake_settings import IntakeSettings
from holdfast.apps.bot.marks import Marks
from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.slots import Slots
from holdfast.apps.bot.tickets import CURRENT, Postponed, Ticket, asked_at, can_be_kept, is_tap, lane_of
from holdfast.domain.errors import DeliveryUncertain, Unavailable
from holdfast.ports.inbox import Inbox, KeptUpdate

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Handle = Callable[[Update, float], Awaitable[None]]
"""Handles one update; the number is the `time.monotonic()` of its arrival. `Postponed`: to be called again."""

Around = Callable[[Update], AbstractContextManager[None]]
"""What surrounds the handling of one update."""

_PAGE = 200
_FORGET_EVERY_SECONDS = 3600
_LOOKS_SHARE = 10
_LONGEST_LOOK_PAUSE_SECONDS = 20


class Tell(Protocol):
    """Tells people what becomes of their updates where no handler does."""

    async def kept(self, ticket: Ticket, update: Update, *, slow: bool) -> None:
        """It waits for Temporal, until `ticket.until`."""
        ...

    async def given_up(self, ticket: Ticket, update: Update) -> None:
        """Temporal did not come back in time: it was not done, or it is not known."""
        ...

    async def broken(self, ticket: Ticket) -> None:
        """It was put aside; `ticket.update` is None where it could not be read."""
        ...


class Handling:
    """The loop from the inbox to the handlers.

    Args:
        bot: whose updates; passed to the parsed ones.
        inbox: where they are kept.
        handle: called for each; may be called again after a failure or a restart, so its effects must be
            idempotent.
        tell: speaks for the updates that no handler could answer.
        around: surrounds each call of `handle`.
        probe: asks Temporal something cheap while something is kept for it.
        now: the present moment, aware.
    """

    def __init__(
        self,
        bot: Bot,
        inbox: Inbox,
        handle: Handle,
        *,
        tell: Tell,
        around: Around,
        probe: Probe,
        now: Callable[[], datetime],
        metrics: BotMetrics,
        settings: IntakeSettings,
    ) -> None:
        self._bot = bot
        self._name = str(bot.id)
        self._inbox = inbox
        self._handle = handle
        self._tell = tell
        self._around = around
        self._probe = probe
        self._now = now
        self._metrics = metrics
        self._settings = settings
        self._working = False
        self._begin()

    def _begin(self) -> None:
        settings, hold = self._settings, self._settings.slot_hold.total_seconds()
        self._engine = Engine(self._probe)
        self._slots = Slots(settings.at_once, hold)
        self._tap_slots = Slots(settings.taps_at_once, hold)
        self._kept_slots = Slots(settings.at_once, hold)
        self._marks = Marks(self._inbox, self._name, self._metrics)
        self._lanes: dict[Hashable, deque[Ticket]] = {}
        self._postponed: defaultdict[Hashable, deque[Ticket]] = defaultdict(deque)
        self._queued = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: set[asyncio.Task[Any]] = set()
        self._look = asyncio.Event()

    async def run(self) -> NoReturn:
        """Handle until cancelled: first what is left over, then what comes in.

        What is being handled at the end is brought to its end; what waits is there for the next start.
        """
        forget_at = time.monotonic()
        self._working = True
        try:
            while True:
                self._look.clear()
                await self._marks.write_again()
                began = time.monotonic()
                await self._take_from_the_inbox()
                looked = time.monotonic() - began
                if time.monotonic() >= forget_at:
                    forget_at = time.monotonic() + _FORGET_EVERY_SECONDS
                    await self._marks.forget(done_before=self._now() - self._settings.remember)
                with suppress(TimeoutError):
                    # Where much waits a look takes long, and must not take the time of those who are answered.
                    rest = min(_LOOKS_SHARE * looked, _LONGEST_LOOK_PAUSE_SECONDS)
                    pause = max(self._settings.look_again.total_seconds(), rest)
                    async with asyncio.timeout(pause):
                        await self._look.wait()
        finally:
            await self._finish()

    def offer(self, updates: Iterable[KeptUpdate]) -> None:
        """Hand in what was just put into the inbox; it is left there while nothing is handled."""
        for kept in updates:
            self._take(kept)

    def _take(self, kept: KeptUpdate) -> None:
        if self._marks.knows(kept.update_id) or not self._working:
            return
        if self._queued >= self._settings.most_queued and not is_tap(kept.raw):
            return  # it is in the inbox, and looked for when there is room
        age = max(0.0, (self._now() - kept.received_at).total_seconds())
        lane = lane_of(kept.raw, kept.update_id)
        ticket = Ticket(kept=kept, received_at=time.monotonic() - age, lane=lane, attempts=kept.attempts)
        self._marks.take(kept.update_id)
        self._queue(+1)
        if lane in self._lanes:
            self._lanes[lane].append(ticket)
        else:
            self._lanes[lane] = deque([ticket])
            self._spawn(self._work_through(lane))

    def _queue(self, change: int) -> None:
        self._queued += change
        self._metrics.updates_held.labels("queued").set(self._queued)
        if change < 0 and self._queued == self._settings.most_queued // 2:
            self._look.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- the inbox ------------------------------------------------------------------------------------------

    async def _take_from_the_inbox(self) -> None:
        after = 0
        try:
            while self._queued < self._settings.most_queued:
                page = await self._inbox.waiting(self._name, after=after, limit=_PAGE)
                if not page:
                    return
                self.offer(page)
                after = page[-1].update_id
        except Unavailable as down:
            self._marks.store_failed("waiting", down)

    # --- one update -----------------------------------------------------------------------------------------

    async def _work_through(self, lane: Hashable) -> None:
        tickets = self._lanes[lane]
        while tickets:
            ticket = tickets[0]
            slots = self._tap_slots if is_tap(ticket.kept.raw) else self._slots
            async with slots.one():
                self._queue(-1)
                if not self._working:
                    return
                try:
                    await self._first_turn(ticket)
                except Exception as error:  # noqa: BLE001  a fault of ours must not stop those behind it
                    _log.error("bot_update_not_settled", update_id=ticket.id, trace=trace(error))
            tickets.popleft()
        del self._lanes[lane]

    async def _first_turn(self, ticket: Ticket) -> None:
        try:
            update = Update.model_validate(ticket.kept.raw, context={"bot": self._bot})
            update.event_type  # noqa: B018  raises for a kind of update that this aiogram does not know
            ticket.until = asked_at(update, ticket.kept) + self._settings.keep_for
        except Exception as error:  # noqa: BLE001  there is no end to what cannot be read
            await self._quarantine(ticket, error)
            return
        ticket.update = update
        ticket.must_wait = can_be_kept(update) and (ticket.lane in self._postponed or self._engine.is_down)
        if await self._attempt(ticket, update):
            return
        self._postponed[ticket.lane].append(ticket)
        self._count_kept()
        if len(self._postponed[ticket.lane]) == 1:
            self._spawn(self._try_again(ticket.lane))

    async def _attempt(self, ticket: Ticket, update: Update) -> bool:
        """Handle it, a few times if need be; False when it is to be kept for Temporal."""
        running = asyncio.current_task()
        assert running is not None  # noqa: S101  a coroutine runs in a task
        self._running.add(running)
        token = CURRENT.set(ticket)
        try:
            while True:
                try:
                    await self._handle_once(ticket, update)
                except Postponed as postponed:
                    return await self._settled(ticket, update, postponed)
                except DeliveryUncertain as uncertain:
                    # The outbox shows it to people. Another attempt would end in the same way.
                    self._metrics.updates.labels("uncertain").inc()
                    _log.warning("bot_answer_uncertain", update_id=ticket.id, reason=str(uncertain))
                    await self._marks.write(ticket.id)
                    return True
                except Exception as error:  # noqa: BLE001  whatever a handler raises, the next one must be handled
                    if await self._is_given_up(ticket, error):
                        return True
                else:
                    self._metrics.updates.labels("handled").inc()
                    await self._marks.write(ticket.id)
                    return True
        finally:
            CURRENT.reset(token)
            self._running.discard(running)

    async def _handle_once(self, ticket: Ticket, update: Update) -> None:
        async with asyncio.timeout(self._settings.handling_limit.total_seconds()):
            with self._around(update):
                await self._handle(update, ticket.received_at)

    async def _is_given_up(self, ticket: Ticket, error: Exception) -> bool:
        ticket.attempts = await self._count_failure(ticket)
        _log.error("bot_update_failed", update_id=ticket.id, attempt=ticket.attempts, trace=trace(error))
        if ticket.attempts >= self._settings.attempts:
            await self._quarantine(ticket, error)
            return True
        self._metrics.updates.labels("retried").inc()
        pause = self._settings.retry_pause.total_seconds() * 2 ** (ticket.attempts - 1)
        await asyncio.sleep(pause_before_retry(error, pause))
        return False

    async def _count_failure(self, ticket: Ticket) -> int:
        try:
            return await self._inbox.failed(self._name, ticket.id)
        except Unavailable as down:
            self._marks.store_failed("failed", down)
            return ticket.attempts + 1

    async def _quarantine(self, ticket: Ticket, error: Exception) -> None:
        self._metrics.updates.labels("quarantined").inc()
        why = where(error)
        _log.error("bot_update_quarantined", update_id=ticket.id, error=why)
        await self._tell_safely(ticket, self._tell.broken(ticket))
        await self._marks.write(ticket.id, quarantined=why)

    async def _tell_safely(self, ticket: Ticket, telling: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._settings.handling_limit.total_seconds()):
                await telling
        except Exception as failure:  # noqa: BLE001  as for handlers
            _log.error("bot_update_not_told", update_id=ticket.id, trace=trace(failure))

    # --- kept for Temporal ----------------------------------------------------------------------------------

    async def _settled(self, ticket: Ticket, update: Update, postponed: Postponed) -> bool:
        """Keep it for Temporal, or give it up when its time is over; whether that settles it."""
        self._engine.doubt()
        if self._is_over(ticket):
            await self._give_up(ticket, update)
            return True
        if not ticket.postponed:
            ticket.postponed = True
            self._metrics.updates.labels("kept").inc()
            if not postponed.told:
                await self._tell_safely(ticket, self._tell.kept(ticket, update, slow=postponed.slow))
        return False

    async def _try_again(self, lane: Hashable) -> None:
        """Try what is kept of one person in one chat, in order, until nothing is left."""
        tickets = self._postponed[lane]
        first = pause = self._settings.keep_pause.total_seconds()
        settled = False
        while tickets and self._working:
            if not settled:
                await self._wait_for_the_engine(tickets[0], pause)
            settled = await self._kept_turn(tickets[0])
            pause = first if settled else min(pause * 2, self._settings.longest_keep_pause.total_seconds())
            if settled:
                tickets.popleft()
                self._count_kept()
        if not tickets:
            del self._postponed[lane]

    async def _kept_turn(self, ticket: Ticket) -> bool:
        update = ticket.update
        assert update is not None  # noqa: S101  it was read before it was kept
        if self._is_over(ticket):
            await self._give_up(ticket, update)
            return True
        ticket.must_wait = False
        async with self._kept_slots.one():
            return self._working and await self._attempt(ticket, update)

    async def _wait_for_the_engine(self, ticket: Ticket, pause: float) -> None:
        assert ticket.until is not None  # noqa: S101  as above
        left = (ticket.until - self._now()).total_seconds()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, left)):
                await self._engine.worth_another_try(pause)

    def _is_over(self, ticket: Ticket) -> bool:
        return ticket.until is not None and self._now() >= ticket.until

    async def _give_up(self, ticket: Ticket, update: Update) -> None:
        self._metrics.updates.labels("given_up").inc()
        _log.warning("bot_update_given_up", update_id=ticket.id, reason="Temporal did not answer in time")
        await self._tell_safely(ticket, self._tell.given_up(ticket, update))
        await self._marks.write(ticket.id)

    def _count_kept(self) -> None:
        count = sum(len(tickets) for tickets in self._postponed.values())
        self._metrics.updates_held.labels("kept").set(count)

    # --- the end --------------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        self._working = False
        if self._running:
            await asyncio.wait(set(self._running), timeout=self._settings.stop_within.total_seconds())
        await self._engine.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(Exception):
            await self._marks.write_again()
        self._begin()
