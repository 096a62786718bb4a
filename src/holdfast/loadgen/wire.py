"""One kept-alive HTTP/1.1 connection as an asyncio `Protocol`: one request under way at a time.

`httptools` (llhttp) parses the answers. A head that it has parsed once, byte for byte the same, is not parsed
again: targets repeat their heads (within a second, where `Date` stands in it), and looking one up costs a tenth
of parsing it. Only whole answers in one piece, with their length in the head, are taken that way.

The methods that a request passes are long and plain on purpose: at 60,000 requests a second there are 16 µs for
all of it, kernel included.
"""

import asyncio
import socket
import struct
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import httptools

from holdfast.loadgen.ledger import Cell
from holdfast.loadgen.sessions import Session, StepPlan, settle

if TYPE_CHECKING:
    from holdfast.loadgen.connections import ConnectionPool

_END = b"\r\n\r\n"
_MOST_HEADS = 256
_LONGEST_HEAD = 2048
_FIRST_FINAL_STATUS = 200
_NO_CONTENT = frozenset({204, 304})
_NOTHING: Mapping[str, str] = {}
# Bytes of Linux' `struct tcp_info`, and where the milliseconds since the last acknowledgement are in it.
_INFO_SIZE, _LAST_ACK = 104, 56


# Of an answer, for checks and extracts; thousands of answers may be under way at once.
_MOST_BODY = 16_777_216


class Reader:
    """Reads answers with `httptools`; called back by it.

    Attributes:
        status: of the answer.
        body: of the answer, where it is needed.
        headers: by name in small letters, where they are needed.
        complete: the answer is whole.
        keeps: the target keeps the connection open.
        repeatable: the head alone says how long the answer is.
        too_much: more came than was asked for.
    """

    __slots__ = (
        "_bodiless", "_feed", "_final", "_keep_body", "_length", "_parser", "body", "chunked", "complete",
        "headers", "interim", "keeps", "size", "status", "too_much",
    )  # fmt: skip

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data
        self.begin(keep_body=False, keep_headers=False, bodiless=False)

    def begin(self, *, keep_body: bool, keep_headers: bool, bodiless: bool) -> None:
        """Get ready for the next answer."""
        self.status = self.size = 0
        self.body: list[bytes] = []
        self.headers: dict[str, str] | None = {} if keep_headers else None
        self.complete = self.chunked = self.interim = self.too_much = self._final = False
        self.keeps = False
        self._length: int | None = None
        self._keep_body = keep_body
        self._bodiless = bodiless

    def feed(self, data: bytes) -> None:
        """Take what came.

        Raises:
            httptools.HttpParserError: it is no HTTP.
        """
        self._feed(data)

    def drop(self) -> None:
        """Let the parser go; the two know each other, and nobody collects circles while the load runs."""
        del self._parser, self._feed

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of this answer."""
        return self._final and self._length is None and not self.chunked

    @property
    def repeatable(self) -> bool:
        """Whether another answer with the same head is as long as this one, and ends as this one does."""
        sized = self._length == self.size or self.status in _NO_CONTENT
        return sized and self.keeps and not (self.chunked or self.interim or self._bodiless or self.too_much)

    def on_message_begin(self) -> None:
        """Note an answer that nobody asked for."""
        self.too_much = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes behind the body (RFC 9112, 7.1.2) is none."""
        if self._final:
            return
        lower = name.lower()
        if lower == b"content-length":
            self._length = int(value)
        elif lower == b"transfer-encoding":
            self.chunked = True
        if self.headers is not None:
            self.headers[lower.decode("latin-1")] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Take the head."""
        if self.complete:
            return
        self.status = self._parser.get_status_code()
        self._final = self.status >= _FIRST_FINAL_STATUS
        if self._final and self._bodiless:
            self.complete = True
            # The parser expects a body and would eat the next answer, so it serves no more.
            self.keeps = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self.size += len(body)
        if self._keep_body and self.size <= _MOST_BODY:
            self.body.append(body)

    def on_message_complete(self) -> None:
        """Take the end, unless it was an interim answer such as 100 or 103."""
        if self._final and not self._bodiless:
            self.complete = True
            self.keeps = self._parser.should_keep_alive()
        elif not self._final:
            self.interim = True
            self._length = None
            if self.headers:
                self.headers.clear()


class Connection(asyncio.Protocol):
    """One connection of a pool.

    Attributes:
        step, cell, due, session, request: of the request under way; `step` is None while there is none.
        midway: a part of its answer has come.
        reused: it has been idle, so the target may have closed it unnoticed.
        opening: the task that opens it.
        begun: when it began to connect.
        fd: of its socket, where that is read by `sockets`; -1 otherwise.
    """

    __slots__ = (
        "_closed", "_idle", "_pool", "_reader", "_transport", "_waits", "begun", "cell", "due", "fd", "midway",
        "opening", "request", "reused", "session", "step", "write",
    )  # fmt: skip

    def __init__(self, pool: "ConnectionPool") -> None:
        self._pool = pool
        self._idle = pool.idle
        self._transport: asyncio.Transport | None = None
        self._reader: Reader | None = None
        self._closed = False
        # The request is not late yet, and not written either.
        self._waits = False
        self.midway = False
        self.opening: asyncio.Task[None] | None = None
        self.begun = 0.0
        self.fd = -1
        self.step: StepPlan | None = None
        self.session: Session | None = None
        self.due = 0.0
        self.request = b""
        self.reused = False
        self.write: Any = None
        self.cell: Cell

    def take(
        self, data: bytes, step: StepPlan, cell: Cell, due: float, session: Session | None, *, again: bool
    ) -> None:
        """Take the first request, which is written as soon as the connection stands.

        The arguments are those of `sessions.Pool.send`; `again`: it was written before, on a connection that
        the target has closed.
        """
        self.step = step
        self.cell = cell
        self.due = due
        self.session = session
        self.request = data
        self._waits = not again and monotonic() - due <= self._pool.on_time

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request that waits."""
        self._transport = cast("asyncio.Transport", transport)
        self.write = self._transport.write
        self.opening = None
        if self._closed:
            self._transport.abort()
        elif self.step is not None:
            if self._waits:
                self._waits = False
                if monotonic() - self.due > self._pool.on_time:
                    self._count_late()
            self.write(self.request)
        else:
            self.reused = True
            self._pool.stands(self)

    def _count_late(self) -> None:
        """Count a request as late whose connection stands too late by our fault.

        How long the target took to accept is no fault of ours, but a part of its answer. The rest is: from the
        request's moment until the connection was begun, and from its last word until this process noticed.
        """
        now = monotonic()
        taken = self._transport.get_extra_info("socket") if self._transport else None
        info = taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE) if taken else b""
        unnoticed = struct.unpack_from("I", info, _LAST_ACK)[0] / 1000 if len(info) > _LAST_ACK + 4 else 0.0
        accepting = max(now - unnoticed - self.begun, 0.0)
        if now - self.due - accepting > self._pool.on_time:
            self.cell.late += 1

    def pause_writing(self) -> None:
        """Take note that the socket took only a part of a request."""
        self._waits = self.step is not None and monotonic() - self.due <= self._pool.on_time

    def resume_writing(self) -> None:
        """Count a request as late that is written only by this moment."""
        if self._waits and self.step is not None and monotonic() - self.due > self._pool.on_time:
            self.cell.late += 1
        self._waits = False

    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer."""
        step = self.step
        if step is not None and not self.midway:
            end = data.find(_END) + 4
            known = step.heads.get(data[:end])
            if known is not None and known[0] == len(data) - end:
                now = monotonic()
                cell = self.cell
                cell.received += len(data)
                due, session = self.due, self.session
                self.step = None
                self.reused = True
                self._idle[self] = None
                if known[2]:
                    step.usual = data
                    cell.good.append(now - due)
                    if session is not None:
                        session.go_on(_NOTHING, now)
                else:
                    # As `settle`, without its call.
                    body = data[end:] if step.rules.needs_body else b""
                    error, values = step.rules.judged(known[1], body, _NOTHING, now - due)
                    if error:
                        cell.bad.append(now - due)
                        cell.failed(error)
                    else:
                        cell.good.append(now - due)
                        if session is not None:
                            session.go_on(values, now)
                return
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        step = self.step
        if step is None:
            # Nobody asked: what comes next on this connection could not be told apart.
            self.close()
            return
        reader = self._reading(step)
        first = not self.midway
        self.midway = True
        self.cell.received += len(data)
        try:
            reader.feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, ValueError):
            if not reader.complete:
                self.fail("protocol")
                return
            reader.too_much = True
        if reader.complete:
            if first and reader.repeatable and not reader.headers:
                _remember(step, data, reader)
            self._finish(reader)

    def _reading(self, step: StepPlan) -> Reader:
        """Return the reader, ready for the answer under way."""
        if self._reader is None:
            self._reader = Reader()
        elif self.midway:
            return self._reader
        rules = step.rules
        self._reader.begin(keep_body=rules.needs_body, keep_headers=rules.needs_headers, bodiless=step.bodiless)
        return self._reader

    def _finish(self, reader: Reader) -> None:
        """Settle a whole answer."""
        now = monotonic()
        step, cell, due, session = self.step, self.cell, self.due, self.session
        self.step = None
        self.midway = False
        if step is None:
            return
        if step.bodiless:
            self._drop_reader()
        if reader.keeps and not reader.too_much:
            self._rest()
        else:
            self.close()
        body = b"".join(reader.body)
        headers = reader.headers or _NOTHING
        settle(step, cell, due, session, status=reader.status, body=body, headers=headers, now=now)

    def _rest(self) -> None:
        self.reused = True
        self._idle[self] = None

    def fail(self, kind: str) -> None:
        """Count the request under way as failed and close; its session ends."""
        if self.step is not None:
            self.cell.failed(kind)
        self.close()

    def close(self) -> None:
        """Close at once, without a word."""
        self._closed = True
        self.step = self.session = None
        self._drop_reader()
        self._pool.forget(self)
        if self._transport is not None:
            self._transport.abort()
        elif self.opening is not None:
            self.opening.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle what was under way when the target closed."""
        self._pool.forget(self)
        step, reader = self.step, self._reader
        if step is not None:
            if exc is None and reader is not None and self.midway and reader.ends_with_connection:
                self._finish(reader)
            elif self.reused and not self.midway:
                # The target closed while the connection was idle; that is no answer to this request.
                self.step = None
                self._pool.open(self.request, step, self.cell, self.due, self.session, again=True)
            else:
                self.cell.failed("closed")
                self.step = None
        # Nobody collects circles while the load runs, so they are cut.
        self._drop_reader()
        self._transport = self.session = self.write = None

    def _drop_reader(self) -> None:
        if self._reader is not None:
            self._reader.drop()
            self._reader = None


def _remember(step: StepPlan, data: bytes, reader: Reader) -> None:
    end = data.find(_END) + 4
    if len(data) - end != reader.size or end > _LONGEST_HEAD:
        return
    if len(step.heads) >= _MOST_HEADS:
        step.heads.clear()
    good = step.rules.plain and reader.status in step.rules.statuses
    step.heads[data[:end]] = (reader.size, reader.status, good)
