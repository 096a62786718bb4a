"""A pod's few connections to the CRM: who waits, who fails, and what a live change of the pool does."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from holdfast.sim.serving import running as serving
from holdfast.sim.shop.escalations import Escalation, next_of
from holdfast.sim.shop.pool import ConnectionPool, PoolExhausted
from holdfast.sim.tiers import TIERS
from tests.sim_crm.conftest import WEBHOOK, Sim, running

PODS = 20
UNLIMITED = ("--burst", 0, "--operating-limit-seconds", 0)
TICKET = {"customer": 7, "tier": "gold", "order_value": 90.0, "text": "My card was declined."}
ORDER = {"customer": 7, "tier": "gold", "order_value": 90.0}
CONTACT = {"id": 7, "name": "Ada", "lastName": "Byron", "ufCrmTier": "gold"}


@dataclass
class Shop:
    """A running shop whose pods are visited in turn, so that N times 20 requests are N for each pod."""

    sim: Sim

    async def put(self, part: str, **body: Any) -> None:
        version = (await self.sim.request("GET", "/config"))[1]["version"]
        body |= {"expected_version": version, "key": "a test"}
        assert (await self.sim.request("PUT", f"/config/{part}", json=body))[0] == 200

    async def set(self, side: str, **settings: Any) -> None:
        now = (await self.sim.request("GET", "/config"))[1][side]
        await self.put(side, settings={**now, **settings})

    async def profile(self) -> tuple[int, Any]:
        return await self.sim.request("GET", "/account/profile?customer=7")

    async def ticket(self) -> tuple[int, Any]:
        return await self.sim.request("POST", "/support/tickets", json=TICKET)

    async def checkout(self) -> tuple[int, Any]:
        return await self.sim.request("POST", "/checkout", json=ORDER)

    async def on_each_pod(
        self, visit: Callable[[], Awaitable[tuple[int, Any]]], times: int = 1
    ) -> Counter[int]:
        """Make visits all at once; how often each status was answered."""
        answers = await asyncio.gather(*(visit() for _ in range(PODS * times)))
        return Counter(status for status, _ in answers)

    async def waited(self, side: str) -> float:
        return await self.sim.total("shop_crm_pool_wait_seconds_sum", side=side)

    async def stale(self, side: str) -> float:
        return await self.sim.total("shop_crm_stale_connections_total", side=side)


@asynccontextmanager
async def shop_before(crm_url: str) -> AsyncIterator[Shop]:
    async with running("shop", "--crm-url", f"{crm_url}{WEBHOOK}") as sim:
        yield Shop(sim)


@asynccontextmanager
async def half_and_half(crm_url: str) -> AsyncIterator[Shop]:
    """Ten pods on each side, so that both meet the same traffic at the same time."""
    async with shop_before(crm_url) as shop:
        await shop.put("share", percent=50)
        yield shop


async def test_tickets_wait_for_the_only_connection_of_their_pod():
    quick = ("--service-seconds", 0.01, "--idle-drop-seconds", 0)
    async with running("crm", *UNLIMITED, *quick) as crm, half_and_half(crm.url) as shop:
        await shop.set("stable", crm_pool_size=1)
        await shop.set("canary", crm_pool_size=4)

        assert await shop.on_each_pod(shop.ticket, times=3) == {200: 3 * PODS}

        waited = {side: await shop.waited(side) for side in ("stable", "canary")}
        assert waited["stable"] > 10 * 0.2  # on each of ten pods the last waited for two whole tickets
        assert waited["canary"] < waited["stable"] / 10


async def test_connections_kept_for_too_long_fail_a_request_each():
    quick = ("--service-seconds", 0.01, "--idle-drop-seconds", 1)
    async with running("crm", *UNLIMITED, *quick) as crm, half_and_half(crm.url) as shop:
        await shop.set("stable", crm_keep_alive_s=60)
        await shop.set("canary", crm_keep_alive_s=0.4)
        assert await shop.on_each_pod(shop.profile) == {200: PODS}

        await asyncio.sleep(1.5)
        assert await shop.on_each_pod(shop.profile) == {502: 10, 200: 10}

        assert (await shop.stale("stable"), await shop.stale("canary")) == (10, 0)
        failed = {"context": "account", "status": "502"}
        assert await shop.sim.total("shop_requests_total", side="stable", **failed) == 10
        assert await shop.sim.total("shop_requests_total", side="canary", **failed) == 0
        assert await shop.on_each_pod(shop.profile) == {200: PODS}


@dataclass
class Gate:
    """A CRM that holds every call until it is told to let all pass."""

    url: str = ""
    held: int = 0
    passes: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, _: web.Request) -> web.Response:
        self.held += 1
        try:
            await self.passes.wait()
        finally:
            self.held -= 1
        return web.json_response({"result": {"item": CONTACT}})

    async def holds(self, count: int) -> None:
        """Wait until so many calls are held."""
        async with asyncio.timeout(60):
            while self.held != count:  # noqa: ASYNC110 - the calls come from another process
                await asyncio.sleep(0.02)


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    gate, app = Gate(), web.Application()
    app.router.add_post(f"{WEBHOOK}/{{method}}", gate.answer)
    async with serving(app, notice_disconnects=True) as gate.url:
        yield gate


async def test_a_pool_that_grows_serves_the_waiting_at_once_and_fails_nobody(gate):
    async with shop_before(gate.url) as shop:
        await shop.set("stable", crm_pool_size=1)
        visits = asyncio.create_task(shop.on_each_pod(shop.profile, times=3))
        await gate.holds(PODS)
        await asyncio.sleep(0.2)
        assert gate.held == PODS

        await shop.set("stable", crm_pool_size=2)
        await gate.holds(2 * PODS)
        await shop.set("stable", crm_pool_size=100)
        await gate.holds(3 * PODS)

        gate.passes.set()
        assert await visits == {200: 3 * PODS}


async def test_a_pool_that_shrinks_lets_the_requests_at_work_finish(gate):
    async with shop_before(gate.url) as shop:
        await shop.set("stable", crm_pool_size=2)
        visits = asyncio.create_task(shop.on_each_pod(shop.profile, times=2))
        await gate.holds(2 * PODS)

        await shop.set("stable", crm_pool_size=1)
        gate.passes.set()
        assert await visits == {200: 2 * PODS}

        gate.passes.clear()
        visits = asyncio.create_task(shop.on_each_pod(shop.profile, times=2))
        await gate.holds(PODS)
        await asyncio.sleep(0.2)
        assert gate.held == PODS
        gate.passes.set()
        assert await visits == {200: 2 * PODS}


async def test_a_request_that_waited_in_vain_fails_and_says_why(gate):
    async with shop_before(gate.url) as shop:
        await shop.set("stable", crm_pool_size=1)
        first = [asyncio.create_task(shop.profile()) for _ in range(PODS)]
        await gate.holds(PODS)

        assert await shop.profile() == (503, {"error": "crm_pool_exhausted"})

        gate.passes.set()
        assert [status for status, _ in await asyncio.gather(*first)] == [200] * PODS


async def test_customers_who_leave_are_counted_and_give_their_connection_back(gate):
    async with shop_before(gate.url) as shop:
        await shop.set("stable", crm_pool_size=1)
        visits = [asyncio.create_task(shop.checkout()) for _ in range(2 * PODS)]
        await gate.holds(PODS)
        for visit in visits:
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
        await gate.holds(0)

        gate.passes.set()
        assert await shop.on_each_pod(shop.profile, times=2) == {200: 2 * PODS}
        left = await shop.sim.total("shop_requests_total", context="checkout", status="499")
        assert left == await shop.sim.total("shop_checkouts_abandoned_total") == 2 * PODS


class Line:
    """A connection of nothing but what the pool looks at."""

    def __init__(self) -> None:
        self.broken = False
        self.idle_since = 0.0
        self.closed = False

    async def close(self) -> None:
        self.closed = True


def pool_of(size: int, keep_alive_seconds: float = 60) -> ConnectionPool[Line]:
    return ConnectionPool(Line, size=size, keep_alive_seconds=keep_alive_seconds)


async def test_waiting_callers_are_served_in_the_order_they_came():
    pool, served = pool_of(1), []

    async def caller(number: int) -> None:
        async with pool.lease(10):
            served.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(caller(number) for number in range(8)))

    assert served == list(range(8))
    assert (pool.lent, pool.idle, pool.waiting) == (0, 1, 0)


async def test_a_caller_who_gives_up_takes_no_connection_away():
    pool = pool_of(1)
    async with pool.lease(10):
        with pytest.raises(PoolExhausted):
            async with pool.lease(0.01):
                pytest.fail("there is only one connection")
        impatient = asyncio.create_task(pool.lease(10).__aenter__())
        await asyncio.sleep(0)
        impatient.cancel()
        with suppress(asyncio.CancelledError):
            await impatient

    async with pool.lease(0.01):
        assert (pool.lent, pool.waiting) == (1, 0)


async def test_a_broken_connection_is_closed_and_replaced():
    pool = pool_of(1)
    async with pool.lease(1) as first:
        first.broken = True
    async with pool.lease(1) as second:
        assert second is not first
    await pool.close()
    assert (first.closed, second.closed) == (True, True)


async def test_connections_that_are_too_many_after_a_change_are_closed_when_given_back():
    pool = pool_of(2)
    async with pool.lease(1) as first, pool.lease(1) as second:
        pool.resize(size=1, keep_alive_seconds=60)
        assert pool.lent == 2
        with pytest.raises(PoolExhausted):
            async with pool.lease(0.01):
                pytest.fail("two are lent already")
    assert (pool.lent, pool.idle) == (0, 1)
    await pool.close()
    assert (first.closed, second.closed) == (True, True)


async def test_an_idle_connection_expires_after_the_keep_alive():
    pool = pool_of(1, keep_alive_seconds=30)
    async with pool.lease(1) as first:
        pass
    first.idle_since = time.monotonic() - 29
    async with pool.lease(1) as again:
        assert again is first
    first.idle_since = time.monotonic() - 31
    async with pool.lease(1) as fresh:
        assert fresh is not first


escalations = st.builds(
    Escalation,
    number=st.integers(1, 10**6),
    customer=st.integers(1, 2000),
    tier=st.sampled_from(TIERS),
    order_value=st.floats(0, 10**6),
    since=st.floats(0, 10**6),
)
queues = st.lists(escalations, unique_by=(lambda one: one.number, lambda one: one.since))


@given(queues)
def test_first_come_first_served_takes_the_one_who_waits_longest(waiting):
    chosen = next_of(waiting, "fifo", lambda one: one.order_value)

    assert chosen == (sorted(waiting, key=lambda one: one.since) or [None])[0]


@given(queues, st.data())
def test_tier_and_value_take_the_best_tier_then_the_highest_value_then_the_longest_wait(waiting, data):
    few = st.sampled_from([0.0, 10.0, 99.5])  # so that values tie
    values = {one.number: data.draw(few) for one in waiting}

    chosen = next_of(waiting, "tier_value", lambda one: values[one.number])

    left = [one for one in waiting if one.tier == min((w.tier for w in waiting), key=TIERS.index)]
    left = [one for one in left if values[one.number] == max(values[other.number] for other in left)]
    assert chosen == (sorted(left, key=lambda one: one.since) or [None])[0]


@given(queues, st.sampled_from(["fifo", "tier_value"]))
def test_a_queue_is_emptied_without_losing_or_repeating_anybody(waiting, order):
    left, served = list(waiting), []
    while chosen := next_of(left, order, lambda one: one.order_value):
        left.remove(chosen)
        served.append(chosen)

    assert not left
    assert {one.number for one in served} == {one.number for one in waiting}
    assert len(served) == len(waiting)
