"""The shop as customers see it: a process, over HTTP, with a CRM behind it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from holdfast.sim.crm import server as crm_server
from holdfast.sim.crm.settings import CrmSettings
from holdfast.sim.serving import running
from tests.sim_crm.conftest import WEBHOOK, Sim
from tests.sim_crm.conftest import running as process

TICKET = {"customer": 1, "tier": "gold", "order_value": 10.5, "text": "Where is my parcel?"}
ORDER = {"customer": 1, "tier": "gold", "order_value": 99}


@pytest.fixture(scope="module")
async def sim() -> AsyncIterator[Sim]:
    settings = CrmSettings(burst=0, operating_limit_seconds=0, contacts=20, service_seconds=0.01)
    async with (
        running(crm_server.build(settings)) as crm_url,
        process("shop", "--crm-url", crm_url + WEBHOOK) as sim,
    ):
        yield sim


async def test_each_context_does_its_work(sim):
    question = {"customer": 1, "question": "reset my password"}
    status, faq = await sim.request("POST", "/support/faq", json=question)
    assert (status, faq["answers"][0]) == (200, "account: how to, reset my password, what to do")
    status, ticket = await sim.request("POST", "/support/tickets", json=TICKET)
    assert (status, ticket["ticket"] > 0) == (200, True)
    status, profile = await sim.request("GET", "/account/profile?customer=10")
    assert (status, profile["tier"]) == (200, "gold")
    assert (await sim.request("POST", "/checkout", json=ORDER))[0] == 200
    assert await sim.total("shop_requests_total", side="stable", context="checkout", status="200") == 1
    assert await sim.total("shop_cpu_seconds_total", side="stable") > 0
    assert await sim.total("shop_memory_bytes", side="stable") > 0
    async with asyncio.timeout(60):
        while not await sim.total("shop_messages_delivered_total", side="stable"):  # noqa: ASYNC110  other process
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/support/tickets", {**TICKET, "tier": "tin"}, 422, "tier"),
        ("/support/tickets", {**TICKET, "customer": 4000}, 404, "unknown_customer"),
        ("/support/faq", {"customer": 1}, 422, "question"),
        ("/checkout", {**ORDER, "order_value": -1}, 422, "order_value"),
        ("/checkout", [], 422, "body"),
    ],
)
async def test_a_request_that_cannot_be_served_says_why(sim, path, body, status, word):
    answered, answer = await sim.request("POST", path, json=body)
    assert answered == status
    assert word in answer.values()


async def test_a_profile_needs_to_say_whose(sim):
    status, answer = await sim.request("GET", "/account/profile")
    assert (status, answer["field"]) == (422, "customer")
