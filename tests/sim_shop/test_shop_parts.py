"""The shop's parts against a real CRM, within this process."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from holdfast.sim.crm import server as crm_server
from holdfast.sim.crm.settings import CrmSettings
from holdfast.sim.serving import running
from holdfast.sim.shop.configuration import ConfigState
from holdfast.sim.shop.crm_client import CrmConnection, CrmFailure, CrmNotFound
from holdfast.sim.shop.escalations import Escalation
from holdfast.sim.shop.fleet import Fleet
from holdfast.sim.shop.gateway import BotGateway
from holdfast.sim.shop.metrics import ShopMetrics
from holdfast.sim.shop.pod import Pod
from holdfast.sim.shop.pool import PoolExhausted
from holdfast.sim.shop.settings import DEFAULTS
from holdfast.sim.shop.workload import Workload

CONTACT = {"entityTypeId": 3, "id": 1}
QUICK = Workload(
    gateway_seconds=0.001,
    first_backoff_seconds=0.005,
    talk_seconds=0.01,
    agents_per_pod=1,
    escalated_part=1,
    console_refresh_seconds=0.01,
)
StartCrm = Callable[..., Awaitable[str]]


@pytest.fixture
async def start_crm() -> AsyncIterator[StartCrm]:
    async with AsyncExitStack() as stack:

        async def start(**settings: float) -> str:
            limits = {"burst": 0, "operating_limit_seconds": 0, "service_seconds": 0.002, "contacts": 20}
            app = crm_server.build(CrmSettings(**{**limits, **settings}))
            return await stack.enter_async_context(running(app)) + "/rest/1/SECRET"

        yield start


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry) -> ShopMetrics:
    return ShopMetrics(registry)


def _pod(crm_url: str, metrics: ShopMetrics, **settings: object) -> Pod:
    return Pod(
        crm_url,
        side="stable",
        settings=DEFAULTS.model_copy(update=settings),
        metrics=metrics.sides["stable"],
        workload=QUICK,
        rng=random.Random(1),
    )


async def test_a_connection_is_really_one_and_really_reused():
    ports: list[int] = []

    async def crm(request: web.Request) -> web.Response:
        ports.append(request.transport.get_extra_info("peername")[1])
        return web.json_response({"result": 1})

    app = web.Application()
    app.router.add_post("/{method}", crm)
    async with running(app) as url:
        connections = [CrmConnection(url, 1), CrmConnection(url, 1)]
        for connection in connections * 3:
            assert await connection.call("m", {}) == 1
        await asyncio.gather(*(connection.close() for connection in connections))
    assert sorted(Counter(ports).values()) == [3, 3]


async def test_a_crm_that_is_down_is_a_failure_and_an_unknown_customer_is_another(start_crm):
    connection = CrmConnection("http://127.0.0.1:1", 1)
    with pytest.raises(CrmFailure):
        await connection.call("crm.item.get", CONTACT)
    await connection.close()
    connection = CrmConnection(await start_crm(), 1)
    with pytest.raises(CrmNotFound):
        await connection.call("crm.item.get", {"entityTypeId": 3, "id": 999})
    assert not connection.broken
    await connection.close()


async def test_a_call_given_up_midway_does_not_leave_its_answer_to_the_next(start_crm, metrics):
    pod = _pod(await start_crm(service_seconds=0.2), metrics)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), pod.crm() as crm:
            await crm.call("crm.item.get", CONTACT)
    async with pod.crm() as crm:
        item = (await crm.call("crm.item.get", {**CONTACT, "id": 2}))["item"]
    assert item["id"] == 2
    await pod.close()


async def test_waits_for_the_pool_are_measured_even_when_they_fail(start_crm, metrics, registry):
    pod = _pod(await start_crm(), metrics)
    async with pod.crm():
        with pytest.raises(PoolExhausted):
            async with pod.crm(0.05):
                pass
    await pod.close()
    assert registry.get_sample_value("shop_crm_pool_wait_seconds_count", {"side": "stable"}) == 2
    assert registry.get_sample_value("shop_crm_pool_wait_seconds_sum", {"side": "stable"}) >= 0.05


async def test_the_gateway_refuses_above_its_rate_and_a_message_is_lost_after_all_attempts(metrics, registry):
    gateway = BotGateway(0.001, QUICK, random.Random(1))
    outcomes = await asyncio.gather(*(gateway.deliver(metrics.sides["stable"]) for _ in range(6)))
    assert outcomes.count(True) == QUICK.gateway_burst
    sends = {
        result: registry.get_sample_value("shop_bot_sends_total", {"side": "stable", "result": result})
        for result in ("ok", "429", "error")
    }
    assert sends == {"ok": 4, "429": 8, "error": 2}


async def test_a_raised_rate_lets_waiting_messages_through(metrics):
    gateway = BotGateway(0.001, QUICK, random.Random(1))
    assert all([await gateway.deliver(metrics.sides["stable"]) for _ in range(4)])
    late = asyncio.create_task(gateway.deliver(metrics.sides["stable"]))
    await asyncio.sleep(0.004)
    gateway.set_rate(1000)
    assert await late


def _escalation(number: int, tier: str, value: float = 1) -> Escalation:
    return Escalation(number=number, customer=number, tier=tier, order_value=value, since=time.monotonic())


def _waited(registry: CollectorRegistry) -> dict[str, float]:
    name = "shop_escalation_wait_seconds_sum"
    tiers = ("gold", "bronze")
    return {tier: registry.get_sample_value(name, {"side": "stable", "tier": tier}) for tier in tiers}


@pytest.mark.parametrize("source", ["ticket", "crm_each_time"])
async def test_gold_waits_less_than_bronze_when_tiers_count(start_crm, metrics, registry, source):
    settings = {"escalation_order": "tier_value", "order_value_source": source, "bot_rate_limit_per_s": 1000}
    pod = _pod(await start_crm(), metrics, crm_pool_size=4, **settings)
    for number in range(1, 13):
        assert pod.desk.add(_escalation(number, "bronze" if number <= 6 else "gold"))
    working = asyncio.create_task(pod.desk.run())
    async with asyncio.timeout(60):
        while sum(pod.desk.waiting().values()):  # noqa: ASYNC110  the desk tells nobody when it is empty
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    await pod.close()
    assert _waited(registry)["gold"] < _waited(registry)["bronze"]
    lists = {"side": "stable", "method": "crm.item.list"}
    asked = registry.get_sample_value("shop_crm_call_duration_seconds_count", lists)
    assert asked == 0 if source == "ticket" else asked >= 2 * 12


async def test_a_full_desk_takes_no_more(start_crm, metrics):
    pod = _pod(await start_crm(), metrics)
    taken = [pod.desk.add(_escalation(number, "silver")) for number in range(QUICK.longest_queue + 1)]
    assert taken == [True] * QUICK.longest_queue + [False]
    assert pod.desk.waiting()["silver"] == QUICK.longest_queue
    assert pod.held_bytes > QUICK.longest_queue * 50


def test_a_side_without_pods_has_no_gauges(metrics, registry):
    fleet = Fleet("http://127.0.0.1:1", metrics, QUICK, seed=1)
    assert registry.get_sample_value("shop_pods", {"side": "canary"}) is None
    fleet.configure(ConfigState(canary_share_percent=25))
    assert registry.get_sample_value("shop_pods", {"side": "canary"}) == 5
    assert registry.get_sample_value("shop_canary_share_percent") == 25
