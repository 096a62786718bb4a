"""The people of one pod who answer escalations, and the order in which they see them."""

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Protocol

from holdfast.sim.shop.crm_client import CrmFailure, CrmSession
from holdfast.sim.shop.escalations import Escalation, next_of
from holdfast.sim.shop.metrics import SideMetrics
from holdfast.sim.shop.pool import PoolExhausted
from holdfast.sim.shop.settings import SideSettings
from holdfast.sim.shop.workload import Workload
from holdfast.sim.tiers import TIERS, Tier

_LEAD, _DEAL = 1, 2
_LOOK_AGAIN_SECONDS = 0.5
_LOOKUP_FAILED = (CrmFailure, PoolExhausted, TimeoutError)
_NO_VALUES: Mapping[int, float] = MappingProxyType({})


class Services(Protocol):
    """What a desk uses of its pod."""

    @property
    def settings(self) -> SideSettings:
        """The settings that hold now."""
        ...

    @property
    def metrics(self) -> SideMetrics:
        """Where to count."""
        ...

    def crm(self, wait_seconds: float) -> AbstractAsyncContextManager[CrmSession]:
        """A connection to the CRM for the block, waited for at most so long."""
        ...

    async def notify(self) -> bool:
        """Send a message; False when it was lost."""
        ...


class Desk:
    """A queue of escalations and the agents who work on it.

    Each agent's console shows the queue in order and is refreshed all the time. With the values at hand that
    costs nothing; with `crm_each_time` each refresh and each pick asks the CRM for everybody's value.
    """

    def __init__(self, services: Services, workload: Workload, rng: random.Random) -> None:
        self._services = services
        self._workload = workload
        self._rng = rng
        self._waiting: list[Escalation] = []
        self._some_wait = asyncio.Event()
        self._due = rng.random()
        self._lookups: set[asyncio.Timeout] = set()

    @property
    def held_bytes(self) -> int:
        """How much memory the queue holds."""
        return sum(escalation.held_bytes for escalation in self._waiting)

    def waiting(self) -> dict[Tier, int]:
        """Count those who wait, by tier."""
        counts: dict[Tier, int] = dict.fromkeys(TIERS, 0)
        for escalation in self._waiting:
            counts[escalation.tier] += 1
        return counts

    def is_for_a_person(self) -> bool:
        """Decide of the next ticket whether a person must look at it: the usual part of them, evenly spread."""
        self._due += self._workload.escalated_part
        if self._due < 1:
            return False
        self._due -= 1
        return True

    def add(self, escalation: Escalation) -> bool:
        """Let an escalation wait; False when the queue is too long already."""
        if len(self._waiting) >= self._workload.longest_queue:
            return False
        self._waiting.append(escalation)
        self._some_wait.set()
        return True

    def give_up_lookups(self) -> None:
        """Stop asking the CRM for values, as after a change of settings; whoever asked asks anew if need be."""
        for lookup in self._lookups:
            lookup.reschedule(asyncio.get_running_loop().time())
        self._lookups.clear()  # one that is ending must not be rescheduled again

    async def run(self) -> None:
        """Let the agents work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workload.agents_per_pod):
                group.create_task(self._work())
                group.create_task(self._watch_console())

    async def _work(self) -> None:
        while True:
            escalation = await self._pick()
            await self._take_over(escalation)
            if await self._services.notify():
                waited = time.monotonic() - escalation.since
                self._services.metrics.escalation_waited(escalation.tier, waited)
                await asyncio.sleep(self._workload.talk_seconds * self._rng.uniform(0.8, 1.2))

    async def _pick(self) -> Escalation:
        while True:
            await self._some_wait.wait()
            try:
                values = await self._values()
            except _LOOKUP_FAILED:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                continue
            if chosen := self._first(values):
                self._waiting.remove(chosen)
                if not self._waiting:
                    self._some_wait.clear()
                return chosen

    def _first(self, values: Mapping[int, float]) -> Escalation | None:
        def value_of(escalation: Escalation) -> float:
            return values.get(escalation.number, escalation.order_value)

        return next_of(self._waiting, self._services.settings.escalation_order, value_of)

    async def _watch_console(self) -> None:
        await asyncio.sleep(self._rng.uniform(0, self._workload.console_refresh_seconds))
        while True:
            with contextlib.suppress(*_LOOKUP_FAILED):
                await self._values()
            await asyncio.sleep(self._workload.console_refresh_seconds)

    async def _values(self) -> Mapping[int, float]:
        settings = self._services.settings
        if settings.escalation_order == "fifo" or settings.order_value_source == "ticket":
            return _NO_VALUES
        waiting = list(self._waiting)
        async with asyncio.timeout(None) as lookup:
            self._lookups.add(lookup)
            try:
                values = await asyncio.gather(*(self._value_in_crm(one.customer) for one in waiting))
            finally:
                self._lookups.discard(lookup)
        return {one.number: value for one, value in zip(waiting, values, strict=True)}

    async def _value_in_crm(self, customer: int) -> float:
        return max(await asyncio.gather(*(self._highest(kind, customer) for kind in (_DEAL, _LEAD))))

    async def _highest(self, entity_type: int, customer: int) -> float:
        query = {
            "entityTypeId": entity_type,
            "filter": {"contactId": customer},
            "order": {"opportunity": "DESC"},
            "select": ["opportunity"],
        }
        async with self._services.crm(self._workload.desk_wait_seconds) as crm:
            found = (await crm.call("crm.item.list", query))["items"]
        return float(found[0]["opportunity"] or 0) if found else 0.0

    async def _take_over(self, escalation: Escalation) -> None:
        if not escalation.is_lead:
            return
        fields = {"ENTITY_TYPE": "lead", "ENTITY_ID": escalation.number, "COMMENT": "A person takes over."}
        metrics = self._services.metrics
        try:
            async with self._services.crm(self._workload.desk_wait_seconds) as crm:
                await crm.call("crm.timeline.comment.add", {"fields": fields})
        except PoolExhausted:
            metrics.synced(failed=True)  # never sent; what was sent and failed is counted where it failed
        except CrmFailure:
            pass  # the customer gets a person all the same
