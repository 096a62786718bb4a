"""One pod's lane through the client's bot gateway: above its rate it answers 429."""

import asyncio
import random
import time

from holdfast.sim.shop.metrics import SideMetrics
from holdfast.sim.shop.workload import Workload


class BotGateway:
    """Takes `rate` messages a second and a small burst; refuses the others.

    Args:
        rate: messages a second.
        workload: burst, speed, attempts and pauses.
        rng: spreads the pauses.
    """

    def __init__(self, rate: float, workload: Workload, rng: random.Random) -> None:
        self._rate = rate
        self._workload = workload
        self._rng = rng
        self._tokens = workload.gateway_burst
        self._filled_at = time.monotonic()

    def set_rate(self, rate: float) -> None:
        """Change the rate; what was saved up so far stays."""
        self._fill()
        self._rate = rate

    async def deliver(self, metrics: SideMetrics) -> bool:
        """Send one message, again after each refusal, with growing pauses; False when it is given up.

        Each refusal counts as `429`, the last one of a message that is given up as `error`.
        """
        pause = self._workload.first_backoff_seconds
        for attempt in range(1, self._workload.send_attempts + 1):
            await asyncio.sleep(self._workload.gateway_seconds)
            if self._accepts():
                metrics.send("ok")
                return True
            if attempt < self._workload.send_attempts:
                metrics.send("429")
                await asyncio.sleep(pause * self._rng.uniform(0.75, 1.25))
                pause *= 2
        metrics.send("error")
        return False

    def _accepts(self) -> bool:
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _fill(self) -> None:
        now = time.monotonic()
        gained = (now - self._filled_at) * self._rate
        self._tokens = min(self._workload.gateway_burst, self._tokens + gained)
        self._filled_at = now
