"""The load workers: they make the load of tests, in processes of their own, and nothing else.

The role `holdfast worker --load-only` is one; `holdfast worker` runs one beside the rest unless
`HOLDFAST_LOAD_WORKER=off`.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any, Final, Literal

import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from temporalio.client import Client
from temporalio.worker import Worker

from activities.load_planning import LoadPlanActivities
from activities.load_watching import LoadWatchActivities
from activities.loading import LoadActivities
from holdfast.adapters.generators import ProcessGenerators
from holdfast.adapters.temporal.load_workers import (
    TemporalCampaigns,
    TemporalLeases,
    TemporalLoadWorkers,
    TemporalOpenTests,
)
from holdfast.loadgen.safety import LOOPBACK, Limits
from holdfast.ports.load import LoadLog
from holdfast.ports.metrics import MetricsSource
from holdfast.runbook.library import RunbookLibrary
from workers.client import connect_patiently, runtime_with_metrics
from workers.secrets import keyring
from workers.settings import Settings
from workers.systems import reveal
from workflows.load_options import LOAD_BEAT, LOAD_QUEUE, own_queue

log = structlog.get_logger()
# One share, and one that is taken over; on each of both queues.
_SLOTS: Final = 2
# A worker that is told to end hands its shares over at once.
_GRACE: Final = timedelta(0)


class LoadSettings(BaseSettings):
    """What this machine may load, from `HOLDFAST_LOAD_…` variables.

    Attributes:
        hosts: separated by commas, see `Limits.hosts`; this machine alone where not set.
        rate: sessions that begin in a second, at most.
        minutes: how long a test may be.
        worker: whether `holdfast worker` makes load beside the rest.
    """

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_LOAD_", env_file=".env", extra="ignore")

    hosts: str = ""
    rate: float = Field(default=1000.0, gt=0)
    minutes: float = Field(default=60.0, gt=0)
    worker: Literal["on", "off"] = "on"

    @property
    def limits(self) -> Limits:
        """The same, as load tests are checked by it."""
        hosts = tuple(host.strip() for host in self.hosts.split(",") if host.strip())
        return Limits(hosts=hosts or LOOPBACK, rate=self.rate, lasts=timedelta(minutes=self.minutes))


@asynccontextmanager
async def load_worker(
    client: Client, log_of_tests: Callable[[], LoadLog | None], limits: Limits
) -> AsyncGenerator[list[Worker]]:
    """Lend the load workers of this process; no generator is left behind when the block is left."""
    generators = ProcessGenerators(reveal, hosts=limits.hosts)
    try:
        leases = TemporalLeases(client)
        yield load_workers(client, LoadActivities(generators, log_of_tests, limits=limits, leases=leases))
    finally:
        await generators.aclose()


def load_workers(client: Client, making: LoadActivities, *, name: str = "") -> list[Worker]:
    """Build the two workers of one process: on the queue of all load workers, and on its own.

    Args:
        client: of the server.
        making: its activities.
        name: by which runs address it; never one that another process has or had.
    """
    name = name or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    return [
        Worker(
            client,
            task_queue=queue,
            activities=[making.ready_for_load, making.make_load],
            identity=name,
            max_concurrent_activities=_SLOTS,
            max_heartbeat_throttle_interval=LOAD_BEAT,
            default_heartbeat_throttle_interval=LOAD_BEAT,
            graceful_shutdown_timeout=_GRACE,
        )
        for queue in (own_queue(name), LOAD_QUEUE)
    ]


def load_planning(client: Client, library: RunbookLibrary) -> list[Callable[..., Any]]:
    """Return what the worker of runs has to serve for load tests."""
    workers = TemporalLoadWorkers(client, task_queue=LOAD_QUEUE)
    planning = LoadPlanActivities(library, workers, TemporalCampaigns(client), TemporalOpenTests(client))
    return [
        planning.plan_load,
        planning.find_load_workers,
        planning.tell_campaign,
        planning.overtake_tests,
    ]


def load_watching(
    metrics: MetricsSource | None, log_of_tests: Callable[[], LoadLog | None]
) -> list[Callable[..., Any]]:
    """Return what the worker of watches has to serve for load tests."""
    watching = LoadWatchActivities(metrics, log_of_tests)
    return [watching.watch_load, watching.conclude_load, watching.record_go]


async def run_load(settings: Settings) -> None:
    """Make load until cancelled; waits for the server, and keeps reports until the database answers."""
    client = await connect_patiently(settings, runtime=runtime_with_metrics(settings.metrics_port))
    opened: list[LoadLog] = []
    async with AsyncExitStack() as stack:
        workers = await stack.enter_async_context(
            load_worker(client, lambda: opened[0] if opened else None, LoadSettings().limits)
        )
        for worker in workers:
            await stack.enter_async_context(worker)
        log.info("load worker ready", server=settings.temporal_address, hosts=LoadSettings().limits.hosts)
        storing = await asyncio.to_thread(import_module, "workers.storing")
        store = await stack.enter_async_context(storing.store(settings, keyring(settings), patiently=True))
        opened.append(store.load_log)
        await asyncio.Event().wait()
