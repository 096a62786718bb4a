"""Puts the shop together."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator

from aiohttp import web
from prometheus_client import CollectorRegistry

from holdfast.sim.serving import add_monitoring
from holdfast.sim.shop.config_api import ConfigApi
from holdfast.sim.shop.configuration import Configuration
from holdfast.sim.shop.contexts import Contexts
from holdfast.sim.shop.customer_api import CustomerApi
from holdfast.sim.shop.fleet import Fleet
from holdfast.sim.shop.leads import LeadLedger
from holdfast.sim.shop.message_log import MessageLog
from holdfast.sim.shop.metrics import ShopMetrics
from holdfast.sim.shop.workload import Workload

_logger = logging.getLogger(__name__)


def build(
    crm_url: str,
    configuration: Configuration,
    *,
    workload: Workload | None = None,
    seed: int = 1,
    messages: MessageLog | None = None,
) -> web.Application:
    """Make the application of one shop; serve it with `notice_disconnects`, for customers who leave.

    Args:
        crm_url: webhook address of the CRM, with its secret.
        configuration: what `/config` shows and changes.
        workload: how the work inside goes; the usual if None.
        seed: of the shop's chances.
        messages: gets a line for each message; closed with the application.
    """
    workload, messages = workload or Workload(), messages or MessageLog()
    registry = CollectorRegistry()
    crm_url, metrics = crm_url.rstrip("/"), ShopMetrics(registry)
    fleet = Fleet(crm_url, metrics, workload, seed=seed, messages=messages)
    leads = LeadLedger(crm_url, metrics, workload)
    configuration.listen(fleet.configure)

    async def fleet_at_work(_: web.Application) -> AsyncGenerator[None]:
        work = asyncio.ensure_future(_work(fleet, leads))
        work.add_done_callback(_say_if_failed)
        yield
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        messages.close()

    app = web.Application()
    app.cleanup_ctx.append(fleet_at_work)
    CustomerApi(fleet, Contexts(workload, leads, random.Random(seed)), messages).add_routes(app)
    ConfigApi(configuration).add_routes(app)
    add_monitoring(app, registry)
    return app


async def _work(fleet: Fleet, leads: LeadLedger) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.run())
        group.create_task(leads.run())


def _say_if_failed(work: asyncio.Task[None]) -> None:
    if not work.cancelled() and (error := work.exception()):
        _logger.error("the agents of all pods, or the reconciliation of leads, stopped working", exc_info=error)
