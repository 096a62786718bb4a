"""How many updates are handled at the same time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Slots:
    """Places at the counter; who takes long steps aside and keeps nobody waiting.

    A handler that runs for longer than a moment waits for somebody else and costs nothing here, so that
    eight of them must not close the counter.

    Args:
        count: places.
        hold_seconds: for how long a handler may have one to itself.
    """

    def __init__(self, count: int, hold_seconds: float) -> None:
        self._free = asyncio.Semaphore(count)
        self._hold_seconds = hold_seconds

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None]:
        """Have a place within the block, or for as long as it may be had."""
        await self._free.acquire()
        stepped_aside = asyncio.Event()

        def step_aside() -> None:
            stepped_aside.set()
            self._free.release()

        timer = asyncio.get_running_loop().call_later(self._hold_seconds, step_aside)
        try:
            yield
        finally:
            timer.cancel()
            if not stepped_aside.is_set():
                self._free.release()
