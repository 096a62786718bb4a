"""Keeps the lease of a bot: one process sends, others stand by and take over when it is gone."""

import asyncio
import random
from collections.abc import Callable, Collection
from typing import Final

import structlog

from holdfast.domain.errors import Unavailable
from holdfast.outbox.clock import Clock
from holdfast.outbox.gcra import nanoseconds
from holdfast.outbox.store import Lease, LeaseLost, OutboxStore
from holdfast.outbox.timing import Timing

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# Of a lease of 6 s that is one second: by so much the machines' clocks may differ (docs/outbox.md).
_BEFORE_THE_END: Final = 6  # sending stops this part of the lease's time before others may take it
DeadHolders = Callable[[Lease | None], Collection[str]]


class Leading:
    """Whether this process sends; others, such as the intake of updates, wait for either."""

    def __init__(self) -> None:
        self._leads = asyncio.Event()
        self._stands_by = asyncio.Event()
        self._stands_by.set()

    def is_set(self) -> bool:
        """Whether this process sends."""
        return self._leads.is_set()

    async def wait(self) -> bool:
        """Wait until this process sends."""
        return await self._leads.wait()

    async def wait_over(self) -> bool:
        """Wait until this process does not send."""
        return await self._stands_by.wait()

    def set(self) -> None:
        """Say that this process sends."""
        self._leads.set()
        self._stands_by.clear()

    def clear(self) -> None:
        """Say that it does not."""
        self._leads.clear()
        self._stands_by.set()


class LeaseKeeper:
    """Takes, renews and gives up the lease of one bot.

    Args:
        store: where it is.
        bot: whose.
        holder: who this is; a name that nobody else has.
        timing: after what time others may take it, and how often it is renewed.
        clock: whose `now` the processes agree on within a second or so.
        dead_holders: tells which holder is known to be gone.
    """

    def __init__(
        self,
        store: OutboxStore,
        bot: str,
        holder: str,
        *,
        timing: Timing,
        clock: Clock,
        dead_holders: DeadHolders,
    ) -> None:
        self._store = store
        self._bot = bot
        self._holder = holder
        self._ttl = timing.lease
        self._renew_seconds = timing.renew.total_seconds()
        self._clock = clock
        self._dead_holders = dead_holders
        self._lease: Lease | None = None
        self._good_until = 0
        self._seen: tuple[Lease, int] | None = None

    @property
    def is_held(self) -> bool:
        """Whether nobody else can have it at this moment."""
        return self._lease is not None and self._clock.monotonic() < self._good_until

    @property
    def lease(self) -> Lease:
        """The lease.

        Raises:
            LeaseLost: it is not held.
        """
        if self._lease is None or not self.is_held:
            raise LeaseLost(f"bot {self._bot}: this process does not hold the lease")
        return self._lease

    async def take(self) -> None:
        """Wait until it is ours."""
        self._lease = None
        is_told = False
        while True:
            try:
                self._lease = await self._ask()
            except Unavailable as away:
                if not is_told:
                    _log.warning(
                        "outbox store does not answer, nobody can send", bot=self._bot, error=str(away)
                    )
                is_told = True
            if self._lease is not None:
                return
            # Spread, so that several that stand by do not ask in step.
            await asyncio.sleep(self._renew_seconds * random.uniform(0.8, 1.2))  # noqa: S311  not a secret

    async def keep(self) -> None:
        """Renew it; return when it is lost, or could not be renewed in time."""
        pause = self._renew_seconds
        while True:
            await asyncio.sleep(pause)
            lease = self._lease
            if lease is None:
                return
            try:
                async with asyncio.timeout((self._good_until - self._clock.monotonic()) / 1e9):
                    renewed = await self._ask()
            except (Unavailable, TimeoutError):
                if not self.is_held:
                    break
                pause = self._renew_seconds / 5
                continue
            pause = self._renew_seconds
            if renewed is None or renewed.epoch != lease.epoch:
                break
        self.lose()

    def lose(self) -> None:
        """Take note that somebody else has it."""
        self._lease = None

    async def give_up(self) -> None:
        """Let the next one take it at once."""
        lease, self._lease = self._lease, None
        if lease is not None:
            await self._store.give_up_lease(lease)

    def _silent(self, current: Lease | None) -> Collection[str]:
        """Return the holder that has not renewed for a whole lease's time by a clock that never jumps.

        After the clock was set back by an hour, its lease would last for an hour after its end.
        """
        now = self._clock.monotonic()
        if current is None or self._seen is None or self._seen[0] != current:
            self._seen = None if current is None else (current, now)
            return ()
        return (current.holder,) if now - self._seen[1] > nanoseconds(self._ttl) else ()

    async def _ask(self) -> Lease | None:
        now, asked = self._clock.now(), self._clock.monotonic()
        dead: Collection[str] = ()
        if self._lease is None:
            current = await self._store.holder(self._bot)
            dead = {*self._dead_holders(current), *self._silent(current)}
        lease = await self._store.take_lease(self._bot, self._holder, ttl=self._ttl, now=now, dead=dead)
        if lease is not None:
            # Counted from before the question: the answer may have taken long.
            self._good_until = asked + nanoseconds(self._ttl - self._ttl / _BEFORE_THE_END)
        return lease
