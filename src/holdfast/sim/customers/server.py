"""Puts the customers together: visits to a shop, and `/rate`."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Annotated

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holdfast.sim.customers.people import People, Visit
from holdfast.sim.customers.telemetry import CustomerTelemetry, Outcome
from holdfast.sim.customers.traffic import OpenTraffic
from holdfast.sim.serving import add_monitoring

MAX_PER_SECOND = 1000


class _Rate(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    per_second: Annotated[float, Field(ge=0, le=MAX_PER_SECOND)]


class Visitors:
    """Sends visits to a shop, each as one customer with one patience."""

    def __init__(self, shop_url: str, people: People, telemetry: CustomerTelemetry) -> None:
        self._people = people
        self._telemetry = telemetry
        self._session = aiohttp.ClientSession(
            shop_url, connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def close(self) -> None:
        """Close all connections to the shop."""
        await self._session.close()

    async def visit(self, due_at: float) -> None:
        """Make one visit that was meant to begin at `due_at`; patience counts from then."""
        visit = self._people.next_visit()
        outcome = await self._outcome(visit, visit.patience_seconds - (time.monotonic() - due_at))
        self._telemetry.visit(visit.kind, outcome, time.monotonic() - due_at)

    async def _outcome(self, visit: Visit, patience_seconds: float) -> Outcome:
        try:
            async with (
                asyncio.timeout(patience_seconds),
                self._session.request(visit.method, visit.path, json=visit.body) as response,
            ):
                await response.read()
        except TimeoutError:
            return "abandoned"
        except aiohttp.ClientError:
            return "unreachable"
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "failed"
        return "ok" if response.ok else "refused"


class RateApi:
    """`GET /rate` and `PUT /rate`."""

    def __init__(self, traffic: OpenTraffic) -> None:
        self._traffic = traffic

    async def get(self, _: web.Request) -> web.Response:
        """Say the rate."""
        return web.json_response({"per_second": self._traffic.per_second})

    async def put(self, request: web.Request) -> web.Response:
        """Change the rate at once."""
        try:
            rate = _Rate.model_validate_json(await request.read())
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]["msg"].lower()
            message = f'per_second: {problem}; send {{"per_second": a number from 0 to {MAX_PER_SECOND}}}'
            return web.json_response({"error": "invalid_rate", "message": message}, status=422)
        self._traffic.set_rate(rate.per_second)
        return await self.get(request)


def build(
    shop_url: str, *, per_second: float = 25, patience_seconds: float = 4, seed: int = 1
) -> web.Application:
    """Make the application of the customers of one shop; call it in a running event loop.

    Args:
        shop_url: base URL of the shop.
        per_second: visits to begin with.
        patience_seconds: mean patience.
        seed: of the customers' chances.
    """
    registry = CollectorRegistry()
    telemetry = CustomerTelemetry(registry)
    people = People(patience_seconds, random.Random(seed))
    visitors = Visitors(shop_url, people, telemetry)
    traffic = OpenTraffic(
        visitors.visit, per_second=per_second, telemetry=telemetry, rng=random.Random(seed + 1)
    )

    async def traffic_under_way(_: web.Application) -> AsyncGenerator[None]:
        running = asyncio.ensure_future(traffic.run())
        yield
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await visitors.close()

    app = web.Application()
    app.cleanup_ctx.append(traffic_under_way)
    api = RateApi(traffic)
    app.router.add_get("/rate", api.get)
    app.router.add_put("/rate", api.put)
    add_monitoring(app, registry)
    return app
