"""Tells the sender of this process that rows were put, and those who wait for a row that it is settled."""

import asyncio
from collections.abc import Generator, Iterable
from contextlib import contextmanager


async def wait_within(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event is set, or for so long; it is set afterwards in both cases."""
    timer = asyncio.get_running_loop().call_later(max(0.0, seconds), event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()


class Bell:
    """Shared by the `Outbox` and the `Sender` of one process and bot; of one event loop.

    Attributes:
        rings: how often rows were put.
        is_heard: whether a sender of this process has listened, which tells of what it settles.
    """

    def __init__(self) -> None:
        self.rings = 0
        self.is_heard = False
        self._rung = asyncio.Event()
        self._watching: dict[int, set[asyncio.Event]] = {}

    def ring(self) -> None:
        """Wake the sender: rows were put."""
        self.rings += 1
        self._rung.set()

    def wake(self) -> None:
        """Wake the sender for another reason."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Wait until it is woken, or was since the last time; at most for so long."""
        self.is_heard = True
        await wait_within(self._rung, seconds)
        self._rung.clear()

    def settled(self, rows: Iterable[int]) -> None:
        """Wake those who wait for these rows."""
        for row in rows:
            for event in self._watching.get(row, ()):
                event.set()

    @contextmanager
    def watch(self, row: int) -> Generator[asyncio.Event]:
        """Give an event that is set whenever the sender of this process has settled a row."""
        event = asyncio.Event()
        self._watching.setdefault(row, set()).add(event)
        try:
            yield event
        finally:
            watching = self._watching[row]
            watching.discard(event)
            if not watching:
                del self._watching[row]
