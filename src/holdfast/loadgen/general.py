"""HTTP/2 through httpx: for targets that need it. Slower by a factor of a hundred, so the reports name it.

One HTTP/2 connection carries a limited number of requests at once, and httpx would let further ones wait. An
open model does not wait, so there are as many clients, each with its connection, as are needed.
"""

import asyncio
import socket
import ssl
from time import monotonic

import httpx

from holdfast.domain.errors import InvalidInput
from holdfast.loadgen.ledger import Cell
from holdfast.loadgen.sessions import Session, StepPlan, settle
from holdfast.runbook.kinds.load import Target

# Servers allow at least 100 streams (RFC 9113, 6.5.2); what httpx counts as ended may not be so for them yet.
_STREAMS = 90
_CLOSING_SECONDS = 0.1
# Each request has its own end.
_NO_TIMEOUT = httpx.Timeout(None)
# The connection's own headers; in HTTP/2 they are forbidden or written by the client.
_LEFT_OUT = frozenset({b"host", b"content-length", b"connection"})


class GeneralPool:
    """A `sessions.Pool` that sends through httpx.

    Args:
        name: of the target.
        target: where it is.

    Attributes:
        opened: clients so far, each with one connection.
    """

    def __init__(self, name: str, target: Target) -> None:
        url = target.url
        self._base = f"{url.scheme}://{url.host}:{url.port}"
        self._verify = _context(name, target)
        self._free: list[httpx.AsyncClient] = []
        self._used: dict[httpx.AsyncClient, int] = {}
        self._running: dict[asyncio.Task[None], Cell] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._stopped = False
        self.opened = 0

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return len(self._running)

    @property
    def connections(self) -> int:
        """Open connections, one a client."""
        return len(self._used)

    async def start(self, connections: int) -> None:
        """Open nothing beforehand; httpx opens with the first request."""
        del connections

    def send(self, data: bytes, step: StepPlan, cell: Cell, due: float, session: Session | None) -> None:
        """Send a request, see `sessions.Pool`."""
        if self._stopped:
            cell.unsent += 1
            return
        task = asyncio.get_running_loop().create_task(self._sent(data, step, cell, due, session))
        self._running[task] = cell
        task.add_done_callback(self._forget)

    def expire(self, now: float) -> None:
        """Give nothing up; each request looks after its own time."""
        del now

    def stop(self) -> None:
        """Cancel everything; requests under way count as not sent."""
        self._stopped = True
        for task, cell in self._running.items():
            cell.unsent += 1
            task.cancel()
        self._running.clear()
        for client in self._used:
            self._closing.add(asyncio.get_running_loop().create_task(client.aclose()))
        self._used.clear()

    async def closed(self) -> None:
        """Wait a moment until the clients are closed."""
        if self._closing:
            await asyncio.wait(self._closing, timeout=_CLOSING_SECONDS)

    async def _sent(self, data: bytes, step: StepPlan, cell: Cell, due: float, session: Session | None) -> None:
        client = self._client()
        try:
            async with asyncio.timeout(max(due + step.timeout - monotonic(), 0)):
                answer = await client.send(_request(self._base, data))
        except Exception as error:  # noqa: BLE001  whatever ails a client, its request has failed
            if not self._stopped:  # then it is counted already
                cell.failed(_kind(error))
            return
        finally:
            self._done_with(client)
        now = monotonic()
        cell.received += len(answer.content) + sum(len(k) + len(v) for k, v in answer.headers.raw)
        if self._stopped:
            return
        settle(
            step,
            cell,
            due,
            session,
            status=answer.status_code,
            body=answer.content,
            headers=dict(answer.headers),
            now=now,
        )

    def _client(self) -> httpx.AsyncClient:
        """Return a client whose connection has room for a request."""
        if not self._free:
            client = httpx.AsyncClient(
                http2=True, http1=False, verify=self._verify, timeout=_NO_TIMEOUT, trust_env=False
            )
            self.opened += 1
            self._used[client] = 0
            self._free.append(client)
        client = self._free[-1]
        self._used[client] += 1
        if self._used[client] >= _STREAMS:
            self._free.pop()
        return client

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)  # `stop` has forgotten all of them already

    def _done_with(self, client: httpx.AsyncClient) -> None:
        if client not in self._used:
            return
        if self._used[client] == _STREAMS:
            self._free.append(client)
        self._used[client] -= 1


def _request(base: str, data: bytes) -> httpx.Request:
    """Read our own request back, so that both ways send the same."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, path, _ = first.split(b" ")
    pairs = [line.split(b": ", 1) for line in lines]
    headers = [(name, value) for name, value in pairs if name.lower() not in _LEFT_OUT]
    return httpx.Request(method.decode(), base + path.decode(), headers=headers, content=body)


def _kind(error: Exception) -> str:
    """Name what went wrong, as the engine does; the client lets errors of its own parts through.

    A host without an address and a certificate that is no good are `OSError`s as a broken connection is.
    """
    match error:
        case TimeoutError() | httpx.TimeoutException():
            return "timeout"
        case httpx.ConnectError() | ssl.SSLError() | socket.gaierror() | ConnectionRefusedError():
            return "connect"
        case httpx.NetworkError() | OSError() | EOFError():
            return "closed"
        case _:
            return "protocol"


def _context(name: str, target: Target) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=target.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(f"target '{name}': ca: '{target.ca}' cannot be read: {error}") from None
