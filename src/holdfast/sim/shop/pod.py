"""One pod: everything that a copy of the application has of its own."""

import asyncio
import random
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from holdfast.sim.shop.crm_client import CrmConnection, CrmSession
from holdfast.sim.shop.desk import Desk
from holdfast.sim.shop.gateway import BotGateway
from holdfast.sim.shop.message_log import MessageLog
from holdfast.sim.shop.metrics import SideMetrics
from holdfast.sim.shop.pool import ConnectionPool, PoolExhausted
from holdfast.sim.shop.settings import PODS, Side, SideSettings
from holdfast.sim.shop.workload import Workload

_SESSIONS_KEPT = 200
_LOST_STATUS = 429
_A_PERSON = "A person takes over."


class Pod:
    """A copy of the application: its pool, its lane through the bot gateway, its desk, its sessions.

    Args:
        crm_url: webhook address of the CRM.
        side, settings, metrics: whose copy it is; see `join`.
        workload: how the work inside goes.
        rng: the pod's own chance.
        messages: gets a line for each message to the CRM and to people.
    """

    def __init__(
        self,
        crm_url: str,
        *,
        side: Side,
        settings: SideSettings,
        metrics: SideMetrics,
        workload: Workload,
        rng: random.Random,
        messages: MessageLog | None = None,
    ) -> None:
        self.side: Side = side
        self.settings = settings
        self.metrics = metrics
        self.pool = ConnectionPool(
            lambda: CrmConnection(crm_url, workload.crm_timeout_seconds),
            size=settings.crm_pool_size,
            keep_alive_seconds=settings.crm_keep_alive_s,
        )
        self._gateway = BotGateway(settings.bot_rate_limit_per_s / PODS, workload, rng)
        self._workload = workload
        self._messages = messages or MessageLog()
        self.desk = Desk(self, workload, rng)
        self._sessions: OrderedDict[int, str] = OrderedDict()
        self._request_bytes = 0
        self._background: set[asyncio.Task[bool]] = set()

    def join(self, side: Side, settings: SideSettings, metrics: SideMetrics) -> None:
        """Run as a copy of this side from now on; work that has begun goes on."""
        if settings != self.settings:
            self.desk.give_up_lookups()
        self.side = side
        self.settings = settings
        self.metrics = metrics
        self.pool.resize(size=settings.crm_pool_size, keep_alive_seconds=settings.crm_keep_alive_s)
        self._gateway.set_rate(settings.bot_rate_limit_per_s / PODS)

    @asynccontextmanager
    async def crm(self, wait_seconds: float | None = None) -> AsyncGenerator[CrmSession]:
        """Borrow a connection to the CRM for the block; wait for it as long as given, or as requests do.

        Raises:
            PoolExhausted: none became free in time.
        """
        metrics, began = self.metrics, time.perf_counter()
        patience = self._workload.pool_wait_seconds if wait_seconds is None else wait_seconds
        try:
            async with self.pool.lease(patience) as connection:
                metrics.pool_wait.observe(time.perf_counter() - began)
                yield CrmSession(connection, metrics, self._messages)
        except PoolExhausted:
            metrics.pool_wait.observe(time.perf_counter() - began)
            raise

    async def notify(self, text: str = _A_PERSON) -> bool:
        """Send one message to a person through the bot; False when it was lost."""
        metrics, began = self.metrics, time.perf_counter()
        with self._messages.exchange("telegram.send", "shop", "telegram", len(text.encode())) as sent:
            sent.ok = arrived = await self._gateway.deliver(metrics)
        (metrics.delivered if arrived else metrics.lost).inc()
        metrics.request("notification", 200 if arrived else _LOST_STATUS, time.perf_counter() - began)
        return arrived

    def notify_later(self, text: str) -> None:
        """Send one message without waiting for it."""
        task = asyncio.ensure_future(self.notify(text))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    @contextmanager
    def holding(self, customer: int, body: str) -> Generator[None]:
        """Keep a request's text in memory while it is worked on, and in the customer's session afterwards."""
        size = sys.getsizeof(body)
        self._request_bytes += size
        try:
            yield
        finally:
            self._request_bytes -= size
            self._sessions[customer] = body
            self._sessions.move_to_end(customer)
            if len(self._sessions) > _SESSIONS_KEPT:
                self._sessions.popitem(last=False)

    @property
    def held_bytes(self) -> int:
        """Bytes of sessions, requests at work and waiting escalations."""
        sessions = sys.getsizeof(self._sessions) + sum(map(sys.getsizeof, self._sessions.values()))
        return self._request_bytes + sessions + self.desk.held_bytes

    async def close(self) -> None:
        """Give up messages under way and close idle connections."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.pool.close()
