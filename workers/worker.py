"""The role `holdfast worker`: serves runs."""

import asyncio
from contextlib import AsyncExitStack
from importlib import import_module
from typing import TYPE_CHECKING

from activities.guard import Guard, install
from activities.signing import SigningActivities
from holdfast.adapters.temporal.history import TemporalHistory
from holdfast.runbook.loader import load_runbook
from holdfast.verdict.models import load_models
from workers import wiring
from workers.client import connect_patiently, register_search_attributes, runtime_with_metrics
from workers.load import LoadSettings, load_worker
from workers.queues import run_workers
from workers.secrets import keyring
from workers.settings import Settings

if TYPE_CHECKING:
    from holdfast.adapters.sql_store import SqlStore


async def run_worker(settings: Settings) -> None:
    """Serve runs until cancelled; waits for the server and the database if they are not up yet."""
    keys = keyring(settings)
    guard = Guard(keys)
    install(guard)
    client = await connect_patiently(settings, runtime=runtime_with_metrics(settings.metrics_port))
    await register_search_attributes(client)
    library = wiring.library(settings)
    opened: list[SqlStore] = []  # empty until the database answers; watches do not wait for it
    async with AsyncExitStack() as stack:
        for worker in run_workers(
            client,
            library=library,
            providers=wiring.change_providers(settings),
            metrics=wiring.metrics(settings),
            signing=SigningActivities(
                keyring=keys,
                history=TemporalHistory(client),
                file_digest=lambda name: load_runbook(library.path(name)).digest,
            ),
            verdicts=lambda: opened[0].verdicts if opened else None,
            campaigns=lambda: opened[0].campaigns if opened else None,
            tests=lambda: opened[0].load_log if opened else None,
        ):
            await stack.enter_async_context(worker)
        load = LoadSettings()
        if load.worker == "on":
            making = load_worker(client, lambda: opened[0].load_log if opened else None, load.limits)
            for worker in await stack.enter_async_context(making):
                await stack.enter_async_context(worker)
        # Loading the database's and Telegram's types takes seconds; runs need not wait for that.
        records = await asyncio.to_thread(import_module, "workers.records")
        serving = records.serve(settings, client, keys, guard, lend=opened.append)
        # Statistics take half a second, for which the first verdict should not hold the event loop up.
        await asyncio.gather(serving, asyncio.to_thread(load_models))
