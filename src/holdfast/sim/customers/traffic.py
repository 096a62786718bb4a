"""Open-model traffic: when a visit begins is decided before anybody knows how slow the shop is."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from holdfast.sim.customers.telemetry import CustomerTelemetry

LATE_AFTER_SECONDS = 0.05
_logger = logging.getLogger(__name__)


class OpenTraffic:
    """Starts visits at the times of a Poisson process.

    Args:
        visit: makes one visit that was meant to begin at a time of `time.monotonic`; must not raise.
        per_second: the rate to begin with; 0 pauses.
        telemetry: where late starts are counted.
        rng: the chance.
        say_so_every_seconds: how often it may be logged that the traffic is behind its times.
    """

    def __init__(
        self,
        visit: Callable[[float], Awaitable[None]],
        *,
        per_second: float,
        telemetry: CustomerTelemetry,
        rng: random.Random,
        say_so_every_seconds: float = 5.0,
    ) -> None:
        self._visit = visit
        self._per_second = per_second
        self._telemetry = telemetry
        self._rng = rng
        self._rate_changed = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._lateness = _Lateness(say_so_every_seconds)

    @property
    def per_second(self) -> float:
        """The rate now."""
        return self._per_second

    def set_rate(self, per_second: float) -> None:
        """Change the rate at once."""
        self._per_second = per_second
        self._rate_changed.set()

    async def run(self) -> None:
        """Start visits until cancelled; then those under way are cancelled too."""
        due_at = time.monotonic()
        try:
            while True:
                due_at += self._gap_seconds()
                if not await self._sleep_until(due_at):
                    due_at = time.monotonic()
                    continue
                self._start(due_at)
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def _gap_seconds(self) -> float:
        return self._rng.expovariate(self._per_second) if self._per_second else float("inf")

    async def _sleep_until(self, due_at: float) -> bool:
        """Sleep; False when the rate changed meanwhile and the next time must be drawn anew."""
        left = due_at - time.monotonic()
        if left <= 0:
            return True
        try:
            async with asyncio.timeout(left if left != float("inf") else None):
                await self._rate_changed.wait()
        except TimeoutError:
            return True
        self._rate_changed.clear()
        return False

    def _start(self, due_at: float) -> None:
        late = time.monotonic() - due_at > LATE_AFTER_SECONDS
        if late:
            self._telemetry.late_starts.inc()
        self._lateness.record(late=late)
        task = asyncio.ensure_future(self._visit(due_at))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


class _Lateness:
    """Says now and then, and only if so, that the generator itself is behind."""

    def __init__(self, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self._since = time.monotonic()
        self._started = 0
        self._late = 0

    def record(self, *, late: bool) -> None:
        self._started += 1
        self._late += late
        if time.monotonic() - self._since < self._every_seconds:
            return
        if self._late:
            _logger.warning(
                "late: %d of the last %d visits began more than %.0f ms after their time: the machine is slow",
                self._late,
                self._started,
                LATE_AFTER_SECONDS * 1000,
            )
        self._since, self._started, self._late = time.monotonic(), 0, 0
