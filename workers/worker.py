"""The role `holdfast worker`: serves runs."""

import asyncio
from contextlib import AsyncExitStack

import structlog

from holdfast.ports.chat import Chat
from workers import wiring
from workers.client import connect_patiently, runtime_with_metrics
from workers.queues import chat_worker, run_workers
from workers.settings import Settings

log = structlog.get_logger()


async def run_worker(settings: Settings) -> None:
    """Serve runs until cancelled; waits for the server if that is not up yet."""
    client = await connect_patiently(settings, runtime=runtime_with_metrics(settings.metrics_port))
    async with AsyncExitStack() as stack:
        for worker in run_workers(
            client,
            library=wiring.library(settings),
            providers=wiring.change_providers(settings),
            metrics=wiring.metrics(settings),
        ):
            await stack.enter_async_context(worker)
        # Loading Telegram's some hundred types takes seconds; runs need not wait for that.
        chat = await asyncio.to_thread(_chat, settings)
        await stack.enter_async_context(chat_worker(client, chat, run_url=settings.run_url))
        log.info("worker ready", server=settings.temporal_address)
        await asyncio.Event().wait()


def _chat(settings: Settings) -> Chat | None:
    from workers import telegram  # noqa: PLC0415  see run_worker

    return telegram.chat(settings)
