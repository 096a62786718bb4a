"""The portal's bounded workers: where its latency comes from."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

_SHAPE = 8.0  # of the gamma spread of working times: a coefficient of variation of 0.35


class Worker:
    """One worker while it serves one request."""

    def __init__(self, pool: "Workers") -> None:
        self._pool = pool

    async def work(self, weight: float) -> float:
        """Spend the time that a call of this weight takes now; returns it in seconds."""
        seconds = self._pool.working_seconds(weight)
        await asyncio.sleep(seconds)
        return seconds


class Workers:
    """A fixed number of workers with a queue before them; those at work slow each other down.

    Args:
        count: how many.
        service_seconds: mean time of a call of weight 1 that is alone.
        contention: slow-down by each further call at work, as a part of the time.
        rng: spreads the times.
    """

    def __init__(self, count: int, service_seconds: float, contention: float, rng: random.Random) -> None:
        self._free = asyncio.Semaphore(count)
        self._service_seconds = service_seconds
        self._contention = contention
        self._rng = rng
        self._busy = 0
        self.present = 0

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[Worker]:
        """Queue for a worker and keep it while the block runs."""
        self.present += 1
        try:
            async with self._free:
                self._busy += 1
                try:
                    yield Worker(self)
                finally:
                    self._busy -= 1
        finally:
            self.present -= 1

    def working_seconds(self, weight: float) -> float:
        """Draw how long a call takes with as many at work as there are now, itself included."""
        spread = self._rng.gammavariate(_SHAPE, 1 / _SHAPE)
        return weight * self._service_seconds * spread * (1 + self._contention * max(0, self._busy - 1))
