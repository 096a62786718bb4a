"""What customers talk to; the HTTP status truly says what became of a request."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from holdfast.sim.shop.contexts import Contexts, Order, ProfileQuery, Question, Ticket
from holdfast.sim.shop.crm_client import CrmBusy, CrmFailure, CrmNotFound
from holdfast.sim.shop.fleet import Fleet, Route
from holdfast.sim.shop.message_log import MessageLog
from holdfast.sim.shop.metrics import CALLERS, Context
from holdfast.sim.shop.pod import Pod
from holdfast.sim.shop.pool import PoolExhausted

Body = dict[str, Any]
_OK, _CLIENT_LEFT = 200, 499


class CustomerApi:
    """Support, Account and Checkout over HTTP."""

    def __init__(self, fleet: Fleet, contexts: Contexts, messages: MessageLog) -> None:
        self._fleet = fleet
        self._contexts = contexts
        self._messages = messages

    def add_routes(self, app: web.Application) -> None:
        """Put the addresses into the application."""
        app.router.add_post("/support/faq", self._faq)
        app.router.add_post("/support/tickets", self._tickets)
        app.router.add_get("/account/profile", self._profile)
        app.router.add_post("/checkout", self._checkout)

    async def _faq(self, request: web.Request) -> web.Response:
        text = await request.text()

        async def work(pod: Pod) -> Body:
            question = Question.model_validate_json(text)
            with pod.holding(question.customer, text):
                return await self._contexts.answer(pod, question)

        return await self._served("faq", "support", text, work)

    async def _tickets(self, request: web.Request) -> web.Response:
        text = await request.text()

        async def work(pod: Pod) -> Body:
            ticket = Ticket.model_validate_json(text)
            with pod.holding(ticket.customer, text):
                return await self._contexts.take_ticket(pod, ticket)

        return await self._served("ticket", "support", text, work)

    async def _profile(self, request: web.Request) -> web.Response:
        given = request.query.get("customer")

        async def work(pod: Pod) -> Body:
            customer = ProfileQuery.model_validate({"customer": given}).customer
            with pod.holding(customer, request.path_qs):
                return await self._contexts.show_profile(pod, customer)

        return await self._served("profile", "account", "", work)

    async def _checkout(self, request: web.Request) -> web.Response:
        text = await request.text()

        async def work(pod: Pod) -> Body:
            order = Order.model_validate_json(text)
            with pod.holding(order.customer, text):
                return await self._contexts.check_out(pod, order)

        return await self._served("checkout", "checkout", text, work)

    async def _served(
        self, route: Route, context: Context, text: str, work: Callable[[Pod], Awaitable[Body]]
    ) -> web.Response:
        caller = CALLERS[context]
        with self._messages.exchange(f"{context}.{route}", caller, "shop", len(text.encode())) as message:
            response = await self._answered(route, context, work)
            message.ok = response.status == _OK
        return response

    async def _answered(
        self, route: Route, context: Context, work: Callable[[Pod], Awaitable[Body]]
    ) -> web.Response:
        began, pod = time.perf_counter(), self._fleet.route(route)
        metrics = pod.metrics
        try:
            status, body = await _outcome(work(pod))
        except asyncio.CancelledError:
            metrics.request(context, _CLIENT_LEFT, time.perf_counter() - began)
            if context == "checkout":
                metrics.checkouts_abandoned.inc()
            raise
        with metrics.computing():
            text = json.dumps(body)
        metrics.request(context, status, time.perf_counter() - began)
        return web.Response(text=text, status=status, content_type="application/json")


async def _outcome(work: Awaitable[Body]) -> tuple[int, Body]:
    try:
        return 200, await work
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "body"
        return 422, {"error": "invalid_request", "field": field, "message": f"{field}: {first['msg'].lower()}"}
    except PoolExhausted:
        return 503, {"error": "crm_pool_exhausted"}
    except CrmNotFound:
        return 404, {"error": "unknown_customer"}
    except CrmBusy as error:
        return 429, {"error": "crm_limit", "message": str(error)}
    except CrmFailure as error:
        return 502, {"error": "crm_failed", "message": str(error)}
