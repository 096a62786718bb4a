"""Live events for whoever watches: pages and tools."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from holdfast.sim.telegram.shapes import Json, Room

_MAX_UNREAD = 1000


class Hub:
    """Sends every event to every open subscription; a reader that falls far behind misses events."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Json | None]] = set()

    def publish(self, kind: str, room: Room, **details: object) -> None:
        """Tell everyone that something happened in a conversation."""
        event = {"kind": kind, "chat": room.chat_id, **details}
        if room.is_private:
            event |= {"chat": room.bot_id, "user": room.chat_id}
        # Dropped events do no harm: a page looks at the whole state whenever it hears of any change.
        for queue in self._queues:
            if not queue.full():
                queue.put_nowait(event)

    def close(self) -> None:
        """Tell every reader that it is over."""
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    @contextmanager
    def subscription(self) -> Generator[asyncio.Queue[Json | None]]:
        """A queue of events, from now until the end of the block; None says that no more will come."""
        queue: asyncio.Queue[Json | None] = asyncio.Queue(_MAX_UNREAD)
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)
