"""What a Holdfast process does: the roles that `holdfast worker` and `holdfast bot` start."""

import asyncio
from contextlib import AsyncExitStack

import structlog

from workers import wiring
from workers.client import connect_patiently, runtime_with_metrics
from workers.settings import Settings
from workers.worker import workers

log = structlog.get_logger()


async def run_worker(settings: Settings) -> None:
    """Serve runs until cancelled; waits for the server if that is not up yet."""
    client = await connect_patiently(settings, runtime=runtime_with_metrics(settings.metrics_port))
    async with AsyncExitStack() as stack:
        for worker in workers(
            client,
            library=wiring.library(settings),
            providers=wiring.change_providers(settings),
            metrics=wiring.metrics(settings),
            chat=wiring.chat(settings),
            run_url=settings.run_url,
        ):
            await stack.enter_async_context(worker)
        log.info("worker ready", server=settings.temporal_address)
        await asyncio.Event().wait()
