"""The plain sockets of a pool, read by one epoll of their own inside the loop.

A transport of the loop costs a call, a context switch of variables and a second poll for each answer. Here one
call takes all answers that have come. The sockets are edge-triggered: a piece that is shorter than the buffer
was all there is (epoll(7)), so nothing is asked twice.
"""

import asyncio
import errno
import os
import select
import socket
from time import monotonic
from typing import Any

from holdfast.loadgen.wire import Connection

_PIECE = 65536
_MOST_AT_ONCE = 512
_READ = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_WRITE = _READ | select.EPOLLOUT
_ANSWER = select.EPOLLIN
_NO_DESCRIPTOR = -1


class Link(asyncio.Transport):
    """One socket; serves its connection as a transport does.

    Args:
        sockets: it belongs to.
        taken: the connected socket.
        connection: that uses it.
    """

    __slots__ = ("_rest", "_sockets", "connection", "taken")

    def __init__(self, sockets: "Sockets", taken: socket.socket, connection: Connection) -> None:
        super().__init__()
        self._sockets = sockets
        self._rest = b""
        self.taken = taken
        self.connection: Connection | None = connection

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write at once, and what the socket does not take as soon as it does."""
        connection = self.connection
        if connection is None:
            return
        try:
            written = os.write(connection.fd, data)
        except BlockingIOError:
            written = 0
        except OSError as error:
            self.lost(error)
            return
        if written < len(data):
            self.keep(bytes(data[written:]))

    def keep(self, rest: bytes) -> None:
        """Write the rest of a request as soon as the socket takes more."""
        if self.connection is None:
            return
        first = not self._rest
        self._rest += rest
        if first:
            self._sockets.poll.modify(self.connection.fd, _WRITE)
            self.connection.pause_writing()

    def go_on(self) -> None:
        """Write what is left."""
        rest, self._rest = self._rest, b""
        if not rest or self.connection is None:
            return
        self._sockets.poll.modify(self.connection.fd, _READ)
        try:
            written = os.write(self.connection.fd, rest)
        except BlockingIOError:
            written = 0
        except OSError as error:
            self.lost(error)
            return
        if written < len(rest):
            self._rest = rest[written:]
            self._sockets.poll.modify(self.connection.fd, _WRITE)
        else:
            self.connection.resume_writing()

    def abort(self) -> None:
        """Close at once; what is not written is dropped."""
        connection, self.connection = self.connection, None
        if connection is not None:
            self._sockets.forget(connection.fd)
            connection.fd = _NO_DESCRIPTOR
            self.taken.close()

    def lost(self, error: Exception | None) -> None:
        """Tell the connection that the other side has closed."""
        connection = self.connection
        if connection is not None:
            self.abort()
            connection.connection_lost(error)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the socket by its name."""
        return self.taken if name == "socket" else default


class Sockets:
    """All plain sockets of a pool.

    Args:
        idle: the pool's connections that may be used.

    Attributes:
        poll: what they are read by.
    """

    def __init__(self, idle: dict[Connection, None]) -> None:
        self.poll = select.epoll()
        self._idle = idle
        self._links: dict[int, Link] = {}
        self._opening: dict[int, asyncio.Future[None]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.poll.fileno(), self._readable)

    async def connect(self, taken: socket.socket, address: str, port: int) -> None:
        """Connect a socket; the loop's own way would look the address up in a thread each time.

        Raises:
            OSError: the other side, or this machine, does not want it.
        """
        code = taken.connect_ex((address, port))
        if code == errno.EINPROGRESS:
            fd = taken.fileno()
            stands = self._opening[fd] = self._loop.create_future()
            self.poll.register(fd, _WRITE)
            try:
                await stands
            finally:
                del self._opening[fd]
                if not self.poll.closed:
                    self.poll.unregister(fd)
            code = taken.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def _stands(self, fd: int) -> None:
        stands = self._opening.get(fd)
        if stands is not None and not stands.done():
            stands.set_result(None)

    def add(self, taken: socket.socket, connection: Connection) -> Link:
        """Take a connected socket in."""
        link = Link(self, taken, connection)
        connection.fd = taken.fileno()
        self._links[connection.fd] = link
        self.poll.register(connection.fd, _READ)
        return link

    def keep(self, fd: int, rest: bytes) -> None:
        """Write the rest of a request as soon as its socket takes more."""
        self._links[fd].keep(rest)

    def forget(self, fd: int) -> None:
        """Drop a socket that is going to be closed."""
        del self._links[fd]
        self.poll.unregister(fd)

    def close(self) -> None:
        """Read nothing any more; the sockets are closed already."""
        if not self.poll.closed:
            self._loop.remove_reader(self.poll.fileno())
            self.poll.close()

    def _readable(self) -> None:  # noqa: C901  calls would cost as much as the rest
        """Take what has come on all sockets; the way of the usual answer is written out."""
        links, idle, read = self._links, self._idle, os.read
        for fd, events in self.poll.poll(0, _MOST_AT_ONCE):
            link = links.get(fd)
            if link is None or link.connection is None:
                self._stands(fd)
                continue
            connection = link.connection
            try:
                if events != _ANSWER:
                    self._unusual(link, events)
                    continue
                data = read(fd, _PIECE)
                step = connection.step
                if step is not None and data == step.usual and not connection.midway:
                    cell = connection.cell
                    cell.received += len(data)
                    connection.step = None
                    connection.reused = True
                    idle[connection] = None
                    now = monotonic()
                    cell.good.append(now - connection.due)
                    session = connection.session
                    if session is not None:
                        session.go_on({}, now)
                elif data:
                    connection.data_received(data)
                    if len(data) == _PIECE:
                        self._read_all(link)
                else:
                    link.lost(None)
            except BlockingIOError:
                # The event was that of an earlier socket with the same number.
                continue
            except OSError as error:
                link.lost(error)
            except Exception as error:  # noqa: BLE001  the events of this turn come only once
                self._broken(connection, error)

    def _unusual(self, link: Link, events: int) -> None:
        if events & select.EPOLLOUT:
            link.go_on()
        if events & ~select.EPOLLOUT:
            self._read_all(link)

    def _read_all(self, link: Link) -> None:
        """Read until nothing is left, the end included."""
        while (connection := link.connection) is not None:
            data = os.read(connection.fd, _PIECE)
            if not data:
                link.lost(None)
                return
            connection.data_received(data)

    def _broken(self, connection: Connection, error: Exception) -> None:
        connection.fail("protocol")
        self._loop.call_exception_handler({"message": "an answer could not be taken", "exception": error})


def opened(address: str) -> socket.socket:
    """Return a socket that can be connected to an address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
