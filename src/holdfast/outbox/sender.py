"""Sends the messages of a bot as long as it holds the bot's lease; otherwise stands by."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, NoReturn

import structlog
from prometheus_client import CollectorRegistry

from holdfast.domain.errors import Unavailable
from holdfast.outbox.bell import Bell
from holdfast.outbox.clock import Clock
from holdfast.outbox.holders import dead_holders
from holdfast.outbox.lease import DeadHolders, Leading, LeaseKeeper
from holdfast.outbox.metrics import OutboxMetrics
from holdfast.outbox.shift import Shift
from holdfast.outbox.steady import LastGood
from holdfast.outbox.store import LeaseLost, OutboxStore
from holdfast.outbox.timing import Timing
from holdfast.outbox.transport import Transport
from holdfast.runbook.priorities import DEFAULT_PRIORITIES, Priorities

_BEGIN_ANEW_SECONDS: Final = 1.0
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Sender:
    """Sends the messages of one bot while it holds the bot's lease.

    Args:
        store: where the rows are.
        transport: tries them.
        priorities: gives the policy that holds now; a changed one is kept to from the next message on. Where it
            raises, the last good one goes on counting.
        bot: whose messages.
        holder: who this is, see `holder_name`.
        bell: shared with the `Outbox` of this process, and with no other sender.
        metrics: what is counted; left out: nothing is exposed.
        clock: gives the moments; pauses are the event loop's.
        timing: times and sizes.
        gone: tells which holder of a lease is known to be gone.

    Attributes:
        leading: set while this process sends.
    """

    def __init__(
        self,
        store: OutboxStore,
        transport: Transport,
        priorities: Callable[[], Priorities],
        bot: str,
        holder: str,
        *,
        bell: Bell | None = None,
        metrics: OutboxMetrics | None = None,
        clock: Clock | None = None,
        timing: Timing | None = None,
        gone: DeadHolders = dead_holders,
    ) -> None:
        # In the bot's process and not one of its own: whoever taps waits, and a bell is quicker than a poll
        # (docs/decisions/0013).
        self.leading = Leading()
        self._store = store
        self._transport = transport
        self._priorities = LastGood(priorities, DEFAULT_PRIORITIES, what="priorities")
        self._bot = bot
        self._bell = bell or Bell()
        self._metrics = metrics or OutboxMetrics(CollectorRegistry())
        self._clock = clock or Clock()
        self._timing = timing or Timing()
        self._keeper = LeaseKeeper(
            store, bot, holder, timing=self._timing, clock=self._clock, dead_holders=gone
        )

    async def run(self) -> NoReturn:
        """Send, or stand by for the one that sends, until cancelled.

        When cancelled it waits for the tries under way, and gives the lease up.
        """
        while True:
            await self._keeper.take()
            try:
                await self._lead()
            except LeaseLost as lost:
                _log.warning("this process does not send any more", bot=self._bot, why=str(lost))
            except Exception:  # noqa: BLE001  it is logged
                # A fault of ours, of one row or of the store, must not end the sending of all others.
                _log.exception("sending failed, begun anew", bot=self._bot)
                await asyncio.sleep(_BEGIN_ANEW_SECONDS)

    async def _lead(self) -> NoReturn:
        shift = self._shift()
        keeping = asyncio.create_task(self._keeper.keep())
        keeping.add_done_callback(self._kept)
        patience: float | None = None
        try:
            await shift.take_over()
            self.leading.set()
            _log.info("this process sends", bot=self._bot)
            await shift.dispatch()
        except asyncio.CancelledError:
            patience = self._timing.drain.total_seconds()
            raise
        finally:
            self.leading.clear()
            # Renewed meanwhile: nobody is to take over what is still under way.
            try:
                await shift.drain(patience)
            finally:
                keeping.cancel()
                self._metrics.not_measured()
            with contextlib.suppress(Unavailable):  # then it runs out
                await self._keeper.give_up()

    def _shift(self) -> Shift:
        shift = Shift(
            self._store,
            self._transport,
            self._priorities,
            keeper=self._keeper,
            bell=self._bell,
            metrics=self._metrics,
            clock=self._clock,
            timing=self._timing,
        )
        self._metrics.watch(leads=self.leading.is_set, tokens=shift.tokens)
        return shift

    def _kept(self, keeping: asyncio.Task[None]) -> None:
        """Wake the loop when the lease is not kept any longer."""
        if not keeping.cancelled() and (error := keeping.exception()):
            _log.error("renewing the lease failed", bot=self._bot, exc_info=error)
            self._keeper.lose()
        self._bell.wake()
