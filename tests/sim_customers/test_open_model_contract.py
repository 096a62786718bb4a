"""Customers come when they come: however slow the shop is, at the rate that was asked, and they may leave."""

import asyncio
import random
import signal
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from holdfast.sim.customers.telemetry import CustomerTelemetry
from holdfast.sim.customers.traffic import OpenTraffic
from holdfast.sim.serving import running as serving
from tests.sim_crm.conftest import Sim, running

PATIENT = ("--patience-seconds", 1000)


@dataclass
class Target:
    """A shop that holds every request for the same time, and remembers when they came and who left."""

    hold_seconds: float
    url: str = ""
    arrivals: list[float] = field(default_factory=list)
    left: int = 0

    async def answer(self, _: web.Request) -> web.Response:
        self.arrivals.append(time.monotonic())
        try:
            await asyncio.sleep(self.hold_seconds)
        except asyncio.CancelledError:
            self.left += 1
            raise
        return web.json_response({})

    async def watch(self, seconds: float) -> tuple[int, float]:
        """Count what arrives meanwhile; the number and how long it really was."""
        began, before = time.monotonic(), len(self.arrivals)
        await asyncio.sleep(seconds)
        return len(self.arrivals) - before, time.monotonic() - began


@asynccontextmanager
async def target_that_holds(seconds: float) -> AsyncIterator[Target]:
    target, app = Target(seconds), web.Application()
    app.router.add_route("*", "/{path:.*}", target.answer)
    async with serving(app, notice_disconnects=True) as target.url:
        yield target


@asynccontextmanager
async def customers_of(target: Target, *switches: object) -> AsyncIterator[Sim]:
    async with running("customers", "--shop-url", target.url, *switches) as sim:
        yield sim


async def put_rate(customers: Sim, per_second: float) -> None:
    answer = await customers.request("PUT", "/rate", json={"per_second": per_second})
    assert answer == (200, {"per_second": per_second})


async def latencies(customers: Sim) -> tuple[float, float]:
    """How many visits were measured, and the sum of their latencies in seconds."""
    count = await customers.total("customers_latency_seconds_count")
    return count, await customers.total("customers_latency_seconds_sum")


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await true():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.02)


def assert_poisson(count: int, mean: float) -> None:
    assert abs(count - mean) <= 5 * sqrt(mean), f"{count} came where {mean:.0f} were due"


async def test_a_stalling_shop_does_not_slow_its_customers_down():
    async with target_that_holds(1) as target, customers_of(target, "--rate", 100, *PATIENT) as customers:
        count, seconds = await target.watch(2.5)
        assert_poisson(count, 100 * seconds)

        await put_rate(customers, 0)
        await until(lambda: _all_are_answered(target, customers))
        visits, total = await latencies(customers)
        assert total / visits >= 1
        assert visits == len(target.arrivals)


async def _all_are_answered(target: Target, customers: Sim) -> bool:
    return await customers.total("customers_requests_total", outcome="ok") == len(target.arrivals)


async def test_the_rate_changes_live_from_nothing_and_back():
    async with target_that_holds(0) as target, customers_of(target, "--rate", 0) as customers:
        assert (await target.watch(0.3))[0] == 0
        assert await customers.request("GET", "/rate") == (200, {"per_second": 0})

        await put_rate(customers, 100)
        count, seconds = await target.watch(1)
        assert_poisson(count, 100 * seconds)

        await put_rate(customers, 20)
        count, seconds = await target.watch(1)
        assert_poisson(count, 20 * seconds)

        await put_rate(customers, 0)
        await until(lambda: _all_are_answered(target, customers))
        assert (await target.watch(0.3))[0] == 0


async def test_latency_counts_from_when_a_visit_was_due_not_from_when_it_began():
    async with target_that_holds(0) as target, customers_of(target, "--rate", 100, *PATIENT) as customers:
        await until(lambda: _is_past(target, 10))
        _, total_before = await latencies(customers)
        arrived_before = len(target.arrivals)
        customers.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1)
        customers.process.send_signal(signal.SIGCONT)

        await until(lambda: _is_past(target, arrived_before + 100))
        _, total = await latencies(customers)
        assert (
            total - total_before > 20
        )  # 100 visits were due while it stood still, half a second ago on average
        assert await customers.total("customers_late_starts_total") > 40


async def _is_past(target: Target, count: int) -> bool:
    return len(target.arrivals) > count


async def test_a_customer_whose_patience_ends_closes_the_connection():
    patience = ("--patience-seconds", 0.4)
    async with target_that_holds(60) as target, customers_of(target, "--rate", 50, *patience) as customers:
        await until(lambda: _has_lost(target, 30))
        await put_rate(customers, 0)
        await until(lambda: _has_lost(target, len(target.arrivals)))

        visits, total = await latencies(customers)
        assert await customers.total("customers_requests_total", outcome="abandoned") == visits
        assert total / visits > 0.25


async def _has_lost(target: Target, count: int) -> bool:
    return target.left >= count


async def test_a_shop_that_is_not_there_is_counted_as_unreachable():
    async with target_that_holds(0) as gone:
        pass
    async with customers_of(gone, "--rate", 50) as customers:

        async def some_found_nobody() -> bool:
            return await customers.total("customers_requests_total", outcome="unreachable") > 5

        await until(some_found_nobody)
        await put_rate(customers, 0)
        assert await customers.total("customers_requests_total", outcome="ok") == 0


@pytest.fixture(scope="module")
async def idle_customers() -> AsyncIterator[Sim]:
    async with running("customers", "--rate", 0) as sim:
        yield sim


@pytest.mark.parametrize(
    "body",
    [
        b'{"per_second": -1}',
        b'{"per_second": 1001}',
        b'{"per_second": "50"}',
        b'{"per_second": true}',
        b'{"per_second": NaN}',
        b'{"per_second": Infinity}',
        b'{"per_second": null}',
        b"{}",
        b"[]",
        b"",
    ],
)
async def test_a_rate_that_cannot_be_is_refused_by_name_with_a_remedy(idle_customers, body):
    status, answer = await idle_customers.request("PUT", "/rate", data=body)

    assert (status, answer["error"]) == (422, "invalid_rate")
    assert answer["message"].startswith("per_second: ")
    assert "a number from 0 to 1000" in answer["message"]
    assert (await idle_customers.request("GET", "/rate"))[1] == {"per_second": 0}


async def visits_due(per_second: float, seconds: float, visit: Callable[[], None]) -> list[float]:
    """Let traffic run for a while; when its visits were due."""
    due: list[float] = []

    async def one(due_at: float) -> None:
        due.append(due_at)
        visit()

    telemetry = CustomerTelemetry(CollectorRegistry())
    traffic = OpenTraffic(one, per_second=per_second, telemetry=telemetry, rng=random.Random(1))
    running_traffic = asyncio.create_task(traffic.run())
    await asyncio.sleep(seconds)
    running_traffic.cancel()
    with suppress(asyncio.CancelledError):
        await running_traffic
    return due


async def test_the_gaps_between_visits_are_those_of_a_poisson_process():
    due = await visits_due(1000, 1, visit=lambda: None)

    gaps = [after - before for before, after in pairwise(due)]
    error = 5 / sqrt(len(gaps))
    assert statistics.mean(gaps) == pytest.approx(0.001, rel=error)
    assert statistics.stdev(gaps) == pytest.approx(statistics.mean(gaps), rel=2 * error)


async def test_visits_that_were_due_while_nothing_could_run_are_made_up_for():
    blocks = iter([0.4])

    def block_once() -> None:
        time.sleep(next(blocks, 0))

    due = await visits_due(500, 0.8, visit=block_once)

    assert_poisson(len(due), 500 * (due[-1] - due[0]))
    assert max(after - before for before, after in pairwise(due)) < 0.05
