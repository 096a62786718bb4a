"""The connections to one target: as many as are needed at once, kept alive, never waited for.

A request takes the connection that was idle for the shortest time. Where none is idle, one more is opened.
"""

import asyncio
import errno
import os
import ssl
import sys
from time import monotonic
from typing import Any

from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.loadgen.ledger import Cell
from holdfast.loadgen.sessions import Session, StepPlan
from holdfast.loadgen.sockets import Sockets, opened
from holdfast.loadgen.wire import Connection
from holdfast.runbook.kinds.load import Target

# Not the target's fault: this machine has no more files, ports or memory.
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})


class ConnectionPool:
    """All connections to one target; a `sessions.Pool`.

    Args:
        name: of the target.
        target: where it is.
        on_time: seconds that a request may be late.

    Attributes:
        idle: connections that may be used, the one that was used last at the end.
        opened: how many were opened so far.
    """

    def __init__(self, name: str, target: Target, on_time: float) -> None:
        self._name = name
        self._host = (target.url.host or "").strip("[]")
        self._port = target.url.port or (443 if target.url.scheme == "https" else 80)
        self._ssl = _context(name, target) if target.url.scheme == "https" else None
        self._addresses: list[str] = []
        self._all: set[Connection] = set()
        # Opened without a request, and not standing yet.
        self._beforehand: set[Connection] = set()
        self._stopped = False
        self._sockets: Sockets | None = None
        self.on_time = on_time
        # A dict, because the newest is taken and any may vanish, both at once.
        self.idle: dict[Connection, None] = {}
        self.opened = 0

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return len(self._all) - len(self.idle) - len(self._beforehand)

    @property
    def connections(self) -> int:
        """Open connections, and those that are being opened."""
        return len(self._all)

    async def start(self, connections: int) -> None:
        """Look the host up, and begin to open connections.

        Raises:
            Unavailable: the host has no address.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, proto=6)
        except OSError as error:
            raise Unavailable(f"target '{self._name}': host '{self._host}' has no address: {error}") from None
        self._addresses = list(dict.fromkeys(str(place[4][0]) for place in found))
        if self._ssl is None and sys.platform == "linux" and not self._stopped:
            self._sockets = Sockets(self.idle)
        for _ in range(0 if self._stopped else connections):
            self._beforehand.add(self._connection())

    def send(self, data: bytes, step: StepPlan, cell: Cell, due: float, session: Session | None) -> None:
        """Send a request, see `sessions.Pool`."""
        if not self.idle:
            self.open(data, step, cell, due, session)
            return
        connection = self.idle.popitem()[0]
        connection.step = step
        connection.cell = cell
        connection.due = due
        connection.session = session
        connection.request = data
        if connection.fd < 0:
            connection.write(data)
            return
        # As `Link.write`, without its call.
        try:
            written = os.write(connection.fd, data)
        except OSError:
            # Tried once more there, where the error is taken care of.
            connection.write(data)
            return
        if written < len(data) and self._sockets is not None:
            self._sockets.keep(connection.fd, data[written:])

    def open(
        self,
        data: bytes,
        step: StepPlan,
        cell: Cell,
        due: float,
        session: Session | None,
        *,
        again: bool = False,
    ) -> None:
        """Send a request on a connection of its own; `again` as in `Connection.take`."""
        if self._stopped:
            cell.unsent += 1
        else:
            self._connection().take(data, step, cell, due, session, again=again)

    def stands(self, connection: Connection) -> None:
        """Take a connection that is open and has no request yet."""
        self._beforehand.discard(connection)
        self.idle[connection] = None

    def forget(self, connection: Connection) -> None:
        """Drop a connection that is closed."""
        self._all.discard(connection)
        self._beforehand.discard(connection)
        self.idle.pop(connection, None)

    def expire(self, now: float) -> None:
        """Give up the requests whose time is over."""
        over = [c for c in self._all if c.step is not None and c.due + c.step.timeout <= now]
        for connection in over:
            connection.fail("timeout")

    def stop(self) -> None:
        """Close everything at once; requests under way count as not sent."""
        self._stopped = True
        for connection in list(self._all):
            if connection.step is not None:
                connection.cell.unsent += 1
            connection.close()
        if self._sockets is not None:
            self._sockets.close()

    async def closed(self) -> None:
        """Wait until the closed connections are gone: the transports say so in the next turn of the loop."""
        await asyncio.sleep(0)

    def _connection(self) -> Connection:
        connection = Connection(self)
        self.opened += 1
        self._all.add(connection)
        connection.opening = asyncio.get_running_loop().create_task(self._connect(connection))
        return connection

    async def _connect(self, connection: Connection) -> None:
        connection.begun = monotonic()
        try:
            await self._connected(connection)
        except OSError as error:
            if error.errno in _OURS and connection.step is not None:
                connection.cell.unsent += 1
                connection.step = None
            connection.opening = None
            connection.fail("connect")

    async def _connected(self, connection: Connection) -> None:
        addresses = self._addresses
        for address in addresses:
            try:
                await self._to(address, connection)
            except OSError:
                if address == addresses[-1]:
                    raise
            else:
                # The next one tries first what worked.
                self._addresses = [address, *(other for other in addresses if other != address)]
                return

    async def _to(self, address: str, connection: Connection) -> None:
        if self._sockets is None:
            loop = asyncio.get_running_loop()
            more: dict[str, Any] = {"ssl": self._ssl, "server_hostname": self._host} if self._ssl else {}
            await loop.create_connection(lambda: connection, address, self._port, **more)
            return
        taken = opened(address)
        try:
            await self._sockets.connect(taken, address, self._port)
        except BaseException:
            taken.close()
            raise
        connection.connection_made(self._sockets.add(taken, connection))


def _context(name: str, target: Target) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=target.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(f"target '{name}': ca: '{target.ca}' cannot be read: {error}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context
