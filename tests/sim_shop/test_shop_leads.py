"""What the shop believes to have written to the CRM against what is there, and who called whom."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from holdfast.sim.crm import server as crm_server
from holdfast.sim.crm.settings import CrmSettings
from holdfast.sim.customers.people import People
from holdfast.sim.serving import running
from holdfast.sim.shop import server as shop_server
from holdfast.sim.shop.configuration import Configuration
from holdfast.sim.shop.crm_client import CrmConnection, CrmFailure, CrmNotFound, CrmSession
from holdfast.sim.shop.leads import LeadLedger
from holdfast.sim.shop.metrics import ShopMetrics
from holdfast.sim.shop.settings import DEFAULTS
from holdfast.sim.shop.workload import Workload
from tests.sim_crm.conftest import WEBHOOK

QUICK = Workload(
    ticket_scan_seconds=0.001,
    profile_render_seconds=0.001,
    payment_seconds=0.001,
    gateway_seconds=0.001,
    talk_seconds=0.01,
    reconcile_seconds=0.05,
)
TICKET = {"customer": 1, "tier": "gold", "order_value": 10.5, "text": "Where is my parcel?"}
LEADS = {"caller": "shop", "callee": "crm-leads"}
PODS = 20


@dataclass
class World:
    """A shop within this process, half canary, with a real CRM behind it."""

    http: aiohttp.ClientSession

    async def ticket(self) -> int:
        async with self.http.post("/support/tickets", json=TICKET) as response:
            assert response.status == 200, await response.text()
            number: int = (await response.json())["ticket"]
            return number

    async def tickets(self, rounds: int = 1) -> list[int]:
        """File tickets on each pod; as many for the canary as for stable."""
        return await asyncio.gather(*(self.ticket() for _ in range(rounds * PODS)))

    async def total(self, name: str, **labels: str) -> float:
        async with self.http.get("/metrics") as response:
            text = await response.text()
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        lines = [line for line in text.splitlines() if line.startswith(name + "{")]
        split = [line[len(name) + 1 :].rsplit("} ", 1) for line in lines]
        return sum(float(value) for own, value in split if wanted <= set(own.split(",")))

    async def until_compared(self, side: str, count: int) -> None:
        async with asyncio.timeout(60):
            while await self.total("shop_crm_leads_expected_total", side=side) < count:  # noqa: ASYNC110  the ledger tells nobody
                await asyncio.sleep(0.02)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    crm = CrmSettings(burst=0, operating_limit_seconds=0, service_seconds=0.001)
    configuration = Configuration()
    configuration.put_side(
        "canary",
        DEFAULTS.model_copy(update={"crm_write_leads": False}),
        expected_version=1,
        key="a test",
    )
    configuration.put_share(50, expected_version=2, key="a test")
    async with running(crm_server.build(crm)) as crm_url:
        shop = shop_server.build(crm_url + WEBHOOK, configuration, workload=QUICK)
        async with running(shop, notice_disconnects=True) as url, aiohttp.ClientSession(url) as http:
            yield World(http)


async def test_a_side_that_does_not_write_its_leads_answers_all_the_same_and_only_the_comparison_shows_it(
    world,
):
    numbers = await world.tickets(rounds=3)
    for side in ("stable", "canary"):
        await world.until_compared(side, 3 * PODS // 2)

    assert len(set(numbers)) == 3 * PODS
    found = {side: await world.total("shop_crm_leads_found_total", side=side) for side in ("stable", "canary")}
    assert found == {"stable": 3 * PODS / 2, "canary": 0}
    assert await world.total("shop_requests_total", status="200", side="canary", context="support") == 30
    assert await world.total("shop_crm_call_failures_total") == 0
    assert await world.total("shop_crm_sync_failures_total") == 0


async def test_a_side_that_does_not_write_its_leads_calls_nobody_for_them(world):
    await world.tickets()
    await world.until_compared("canary", PODS // 2)

    calls = {
        side: await world.total("shop_edge_calls_total", side=side, **LEADS) for side in ("stable", "canary")
    }
    assert calls == {"stable": PODS / 2, "canary": 0}
    asked = {
        side: await world.total("shop_edge_calls_total", side=side, caller="bot", callee="shop", result="ok")
        for side in ("stable", "canary")
    }
    assert asked == {"stable": PODS / 2, "canary": PODS / 2}
    assert await world.total("shop_edge_calls_total", side="canary", callee="crm-timeline") == 0


async def test_what_customers_get_wrong_is_no_error_of_the_edge_and_no_failure_of_the_crm(world):
    async with world.http.get("/account/profile?customer=4000") as response:
        assert response.status == 404

    account = {"caller": "account-page", "callee": "shop"}
    assert await world.total("shop_edge_calls_total", **account, result="ok") == 1
    assert await world.total("shop_edge_calls_total", callee="crm-contacts", result="ok") == 1
    assert await world.total("shop_edge_calls_total", result="error") == 0
    assert await world.total("shop_crm_call_failures_total") == 0


async def test_a_shop_with_nothing_to_compare_says_that_it_looked(world):
    async with asyncio.timeout(60):
        while not await world.total("shop_crm_reconciliations_total", side="canary", result="ok"):  # noqa: ASYNC110  see above
            await asyncio.sleep(0.02)

    assert await world.total("shop_crm_leads_expected_total") == 0


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeCrm:
    """A CRM that answers as it is told, and the metrics of the shop that asks it."""

    url: str
    registry: CollectorRegistry
    metrics: ShopMetrics
    answers: Handler | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert self.answers
        return await self.answers(request)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"side": "stable", **labels})


@pytest.fixture
async def crm() -> AsyncIterator[FakeCrm]:
    registry = CollectorRegistry()
    fake, app = FakeCrm("", registry, ShopMetrics(registry)), web.Application()
    app.router.add_post("/{method}", fake.answer)
    async with running(app, notice_disconnects=True) as fake.url:
        yield fake


def _refuses(status: int, error: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"error": error}, status=status)

    return answer


async def _breaks(request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


async def _sleeps(_: web.Request) -> web.Response:
    await asyncio.sleep(5)
    return web.Response()


async def _speaks_html(_: web.Request) -> web.Response:
    return web.Response(status=502, text="<h1>Bad Gateway</h1>", content_type="text/html")


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (_refuses(503, "QUERY_LIMIT_EXCEEDED"), "query_limit"),
        (_refuses(429, "OPERATION_TIME_LIMIT"), "operation_limit"),
        (_refuses(500, "INTERNAL_SERVER_ERROR"), "server_error"),
        (_speaks_html, "server_error"),
        (_refuses(400, "CRM_FIELD_ERROR_VALUE_NOT_VALID"), "refused"),
        (_refuses(400, "NOT_FOUND"), "refused"),
        (_sleeps, "timeout"),
        (_breaks, "dropped"),
    ],
)
async def test_a_failed_write_is_counted_by_how_it_failed(crm, answers, kind):
    crm.answers = answers
    connection = CrmConnection(crm.url, 0.2)
    with pytest.raises(CrmFailure):
        await CrmSession(connection, crm.metrics.sides["stable"]).call("crm.item.add", {"entityTypeId": 1})
    await connection.close()

    failed = {
        k: crm.value("shop_crm_call_failures_total", kind=k)
        for k in ("query_limit", "operation_limit", "server_error", "refused", "timeout", "dropped")
    }
    assert failed == {**dict.fromkeys(failed, 0), kind: 1}
    assert crm.value("shop_edge_calls_total", **LEADS, result="error") == 1
    assert crm.value("shop_crm_syncs_total") == crm.value("shop_crm_sync_failures_total") == 1


async def test_looking_up_what_is_not_there_is_an_answer(crm):
    crm.answers = _refuses(400, "NOT_FOUND")
    connection = CrmConnection(crm.url, 0.2)
    with pytest.raises(CrmNotFound):
        await CrmSession(connection, crm.metrics.sides["stable"]).call("crm.item.get", {"entityTypeId": 3})
    await connection.close()

    assert crm.value("shop_crm_call_failures_total", kind="refused") == 0
    assert crm.value("shop_edge_calls_total", caller="shop", callee="crm-contacts", result="ok") == 1
    assert crm.value("shop_crm_syncs_total") == 0


async def test_a_call_given_up_midway_is_neither_a_success_nor_an_error(crm):
    crm.answers = _sleeps
    connection = CrmConnection(crm.url, 5)
    session = CrmSession(connection, crm.metrics.sides["stable"])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await session.call("crm.item.add", {"entityTypeId": 1})
    await connection.close()

    results = {r: crm.value("shop_edge_calls_total", **LEADS, result=r) for r in ("ok", "error", "abandoned")}
    assert results == {"ok": 0, "error": 0, "abandoned": 1}
    assert crm.value("shop_crm_sync_failures_total") == 0


async def test_what_could_not_be_compared_is_compared_later_page_by_page(crm):
    ledger = LeadLedger(crm.url, crm.metrics, QUICK)
    filings = [ledger.filing() for _ in range(120)]
    for filing in filings:
        ledger.expect("stable", filing)
    there = {filing.origin for filing in filings[:100]}

    async def finds(request: web.Request) -> web.Response:
        wanted = (await request.json())["filter"]["@originId"]
        assert len(wanted) <= 50
        items = [{"id": 1, "originId": origin} for origin in wanted if origin in there]
        return web.json_response({"result": {"items": items}})

    crm.answers = _refuses(429, "OPERATION_TIME_LIMIT")
    await ledger.reconcile()
    assert crm.value("shop_crm_leads_expected_total") == 0
    assert crm.value("shop_crm_reconciliations_total", result="error") == 1

    crm.answers = finds
    await ledger.reconcile()
    await ledger.reconcile()
    assert crm.value("shop_crm_leads_expected_total") == 120
    assert crm.value("shop_crm_leads_found_total") == 100
    assert crm.value("shop_crm_reconciliations_total", result="ok") == 2


async def test_a_few_of_a_hundred_customers_make_a_mistake_and_are_told(world):
    people = People(1000, random.Random(5))
    visits = [people.next_visit() for _ in range(600)]

    async def status_of(number: int) -> int:
        visit = visits[number]
        async with world.http.request(visit.method, visit.path, json=visit.body) as response:
            return response.status

    statuses: Counter[int] = Counter()
    for first in range(0, len(visits), PODS):  # few at once: each pod has a single connection to the CRM
        statuses.update(await asyncio.gather(*map(status_of, range(first, first + PODS))))

    assert set(statuses) == {200, 404, 422}
    assert 0.01 < (statuses[404] + statuses[422]) / len(visits) < 0.06
