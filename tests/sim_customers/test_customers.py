import asyncio
import itertools
import random
import time
from contextlib import suppress

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from holdfast.sim.customers.people import MIX, People
from holdfast.sim.customers.server import build
from holdfast.sim.customers.telemetry import CustomerTelemetry
from holdfast.sim.customers.traffic import OpenTraffic
from holdfast.sim.serving import running
from holdfast.sim.tiers import tier_of


async def test_being_late_is_said_in_words(caplog):
    said, numbers = asyncio.Event(), itertools.count(1)

    async def visit(_: float) -> None:
        if next(numbers) % 20 == 0:
            time.sleep(0.1)  # noqa: ASYNC251  everything stands still, as on a machine too slow for the rate
        if caplog.messages:
            said.set()

    traffic = OpenTraffic(
        visit,
        per_second=100,
        telemetry=CustomerTelemetry(CollectorRegistry()),
        rng=random.Random(1),
        say_so_every_seconds=0.3,
    )
    under_way = asyncio.create_task(traffic.run())
    await asyncio.wait_for(said.wait(), 60)
    under_way.cancel()
    with suppress(asyncio.CancelledError):
        await under_way
    assert "visits began more than 50 ms after their time" in caplog.text


@pytest.mark.parametrize(("status", "outcome"), [(200, "ok"), (429, "refused"), (503, "failed")])
async def test_visits_are_counted_by_what_became_of_them(status, outcome):
    answered = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/checkout":
            answered.set()
        return web.json_response({}, status=status)

    shop = web.Application()
    shop.router.add_route("*", "/{path:.*}", answer)
    async with (
        running(shop) as shop_url,
        running(build(shop_url, per_second=200)) as url,
        aiohttp.ClientSession() as http,
    ):
        await asyncio.wait_for(answered.wait(), 60)
        await asyncio.sleep(0.1)
        async with http.get(f"{url}/metrics") as response:
            samples = (await response.text()).splitlines()
    counted = [
        line for line in samples if line.startswith("customers_requests_total") and not line.endswith(" 0.0")
    ]
    assert any('kind="checkout"' in line for line in counted)
    assert all(f'outcome="{outcome}"' in line for line in counted)


def test_customers_come_for_everything_with_their_own_tier_and_value():
    people = People(4, random.Random(3))
    visits = [people.next_visit() for _ in range(4000)]
    shares = {kind: sum(visit.kind == kind for visit in visits) / len(visits) for kind in MIX}
    assert shares == {kind: pytest.approx(share, abs=0.03) for kind, share in MIX.items()}
    orders = [visit.body for visit in visits if visit.kind == "checkout"]
    assert all(order["tier"] == tier_of(order["customer"]) and order["order_value"] > 0 for order in orders)
    patience = sorted(visit.patience_seconds for visit in visits)
    assert patience[len(patience) // 2] == pytest.approx(4, rel=0.1)
    assert patience[20] > 1.5
