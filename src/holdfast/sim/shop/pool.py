"""A bounded pool of connections: a full one makes callers wait; idle ones are trusted for as long as told."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar


class Connection(Protocol):
    """What the pool needs to know of a connection.

    Attributes:
        broken: set by its user when it must not be used again.
        idle_since: kept by the pool, on the clock of `time.monotonic`.
    """

    broken: bool
    idle_since: float

    async def close(self) -> None:
        """Close it for good."""
        ...


C = TypeVar("C", bound=Connection)


class PoolExhausted(Exception):
    """No connection became free in time."""


class ConnectionPool(Generic[C]):
    """Lends each connection to one caller at a time; waiting callers are served in order.

    The connection used last is lent first, so that the others may expire when there is less to do.

    Args:
        connect: makes a new connection; must not block.
        size: connections at most, lent and idle.
        keep_alive_seconds: an idle connection is closed after that.
    """

    def __init__(self, connect: Callable[[], C], *, size: int, keep_alive_seconds: float) -> None:
        self._connect = connect
        self._size = size
        self._keep_alive_seconds = keep_alive_seconds
        self._idle: list[C] = []
        self._lent = 0
        self._waiting: deque[asyncio.Future[C]] = deque()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def lent(self) -> int:
        """Connections in use now."""
        return self._lent

    @property
    def idle(self) -> int:
        """Open connections that nobody uses now."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Callers that wait for a connection now."""
        return len(self._waiting)

    @asynccontextmanager
    async def lease(self, wait_seconds: float) -> AsyncGenerator[C]:
        """Borrow a connection for the block.

        Raises:
            PoolExhausted: all were in use for `wait_seconds`.
        """
        connection = await self._acquire(wait_seconds)
        try:
            yield connection
        finally:
            self._release(connection)

    def resize(self, *, size: int, keep_alive_seconds: float) -> None:
        """Change the limits at once; connections in use too many are closed only when given back."""
        self._size = size
        self._keep_alive_seconds = keep_alive_seconds
        while self._idle and self._lent + len(self._idle) > size:
            self._close(self._idle.pop(0))
        self.close_expired()
        self._serve_waiting()

    def close_expired(self) -> None:
        """Close the connections that were idle for longer than they are kept."""
        oldest = time.monotonic() - self._keep_alive_seconds
        while self._idle and self._idle[0].idle_since < oldest:
            self._close(self._idle.pop(0))

    async def close(self) -> None:
        """Close all idle connections and wait for those that are closing."""
        while self._idle:
            self._close(self._idle.pop())
        await asyncio.gather(*self._closing)

    async def _acquire(self, wait_seconds: float) -> C:
        connection = None if self._waiting else self._take()
        if connection is not None:
            return connection
        turn: asyncio.Future[C] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(wait_seconds):
                return await turn
        except TimeoutError:
            self._give_up(turn)
            raise PoolExhausted from None
        except asyncio.CancelledError:
            self._give_up(turn)
            raise

    def _give_up(self, turn: asyncio.Future[C]) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif not turn.cancelled():
            self._release(turn.result())  # it was handed over in the very moment the caller gave up

    def _take(self) -> C | None:
        self.close_expired()
        if self._idle:
            connection = self._idle.pop()
        elif self._lent < self._size:
            connection = self._connect()
        else:
            return None
        self._lent += 1
        return connection

    def _release(self, connection: C) -> None:
        self._lent -= 1
        if connection.broken or self._lent + len(self._idle) >= self._size:
            self._close(connection)
        else:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            connection = self._take()
            if connection is None:
                return
            self._waiting.popleft().set_result(connection)

    def _close(self, connection: C) -> None:
        task = asyncio.ensure_future(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
