"""What everybody writes first: one queue, one loop over aiogram that sleeps as long as a 429 asks for."""

import asyncio
import time
from collections.abc import Sequence

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramRetryAfter

from benchmarks.outbox_parts.loads import Arrival
from benchmarks.outbox_parts.world import TOKEN, World


async def run_plain(world: World, load: Sequence[Arrival]) -> dict[str, float]:
    """Send the load; return the seconds that each text waited, from its arrival until it was taken."""
    queue: asyncio.Queue[Arrival] = asyncio.Queue()
    began = time.monotonic()
    waits: dict[str, float] = {}
    session = AiohttpSession(api=TelegramAPIServer.from_base(world.url))
    async with Bot(TOKEN, session=session) as bot:
        arriving = asyncio.create_task(_arrive(queue, load, began))
        for _ in load:
            arrival = await queue.get()
            await _send(bot, arrival)
            waits[arrival.text] = time.monotonic() - began - arrival.at
        await arriving
    return waits


async def _arrive(queue: asyncio.Queue[Arrival], load: Sequence[Arrival], began: float) -> None:
    for arrival in load:
        await asyncio.sleep(max(0.0, arrival.at - (time.monotonic() - began)))
        queue.put_nowait(arrival)


async def _send(bot: Bot, arrival: Arrival) -> None:
    while True:
        try:
            await bot.send_message(arrival.chat, arrival.text)
        except TelegramRetryAfter as refused:
            await asyncio.sleep(refused.retry_after)
        else:
            return
