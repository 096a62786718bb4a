import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import httpx
import pytest

from holdfast.loadgen.generator import Generator
from holdfast.loadgen.report import Report, Share
from tests.fakes import eventually
from tests.loadgen.engine_targets import Made, certificate, get, load_of, made


class Speaker(asyncio.Protocol):
    """An HTTP/2 server: `/silent` is never answered, `/gone` closes, `/moved` leads away."""

    def __init__(self, asked: list[dict[str, str]], connections: list["Speaker"]) -> None:
        self._asked = asked
        connections.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        self._h2.initiate_connection()
        self.transport.write(self._h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                headers = {str(name): str(value) for name, value in event.headers}
                self._asked.append(headers)
                if headers[":path"] == "/gone":
                    self.transport.abort()
                    return
                if headers[":path"] == "/moved":
                    there = headers[":authority"].replace("127.0.0.1", "localhost")
                    moved = [(":status", "302"), ("location", f"https://{there}/elsewhere")]
                    self._h2.send_headers(event.stream_id, moved, end_stream=True)
                elif headers[":path"] != "/silent":
                    self._h2.send_headers(event.stream_id, [(":status", "200"), ("x-ticket", "T-1")])
                    self._h2.send_data(event.stream_id, headers[":path"].encode(), end_stream=True)
        self.transport.write(self._h2.data_to_send())


class Target:
    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.connections: list[Speaker] = []
        self.url = ""


@asynccontextmanager
async def _speaking(context: ssl.SSLContext) -> AsyncIterator[Target]:
    target = Target()
    context.set_alpn_protocols(["h2"])
    server = await asyncio.get_running_loop().create_server(
        lambda: Speaker(target.asked, target.connections), "127.0.0.1", 0, ssl=context
    )
    target.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield target
    finally:
        server.close()
        for speaker in target.connections:
            speaker.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)


@pytest.fixture(name="tls")
def _tls(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    context, authority = certificate(tmp_path)
    return context, str(authority)


async def test_http2_goes_through_a_general_client_and_the_reports_say_so(
    tls: tuple[ssl.SSLContext, str],
) -> None:
    first = get("first", "/first", extract={"ticket": {"header": "X-Ticket"}})
    second = get("second", "/second/{ticket}", check={"contains": "T-1"})
    async with _speaking(tls[0]) as target:
        run = await made(load_of(target.url, first, second, target={"ca": tls[1], "http2": True}))

    assert run.outcome("first") == {"due": 20, "good": 20}
    assert run.outcome("second") == {"due": 20, "good": 20}
    assert {report.client for report in run.reports} == {"httpx (HTTP/2)"}
    assert target.asked[0]["user-agent"].startswith("holdfast-load/")
    assert target.asked[0]["x-holdfast-load"] == "run-1"
    assert run.latencies("first").count == 20


async def test_http2_requests_never_wait_for_a_stream(tls: tuple[ssl.SSLContext, str]) -> None:
    silent = get(path="/silent", timeout="3s")
    async with _speaking(tls[0]) as target:
        run = await made(load_of(target.url, silent, target={"ca": tls[1], "http2": True}, rate=300, lasts=0.5))

    assert run.outcome() == {"due": 150, "timeout": 150}
    # A connection carries a hundred at once; the others are not left to wait.
    assert len(target.asked) == 150
    assert len(target.connections) == 2


async def test_http2_connections_that_close_are_errors(tls: tuple[ssl.SSLContext, str]) -> None:
    async with _speaking(tls[0]) as target:
        run = await made(load_of(target.url, get(path="/gone"), target={"ca": tls[1], "http2": True}))

    outcome = run.outcome()
    assert outcome["due"] == 20
    assert outcome.get("closed", 0) + outcome.get("protocol", 0) + outcome.get("connect", 0) == 20


async def test_a_stop_counts_what_is_under_way_as_not_sent_and_leaves_no_fault(
    tls: tuple[ssl.SSLContext, str],
) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    reports: list[Report] = []
    async with _speaking(tls[0]) as target:
        silent = load_of(
            target.url, get(path="/silent", timeout="3s"), target={"ca": tls[1], "http2": True}, lasts=3
        )
        generator = Generator(Share(spec=silent, start_at=time.time(), name="run-1"), reports.append)
        running = asyncio.create_task(generator.run())
        await eventually(lambda: len(target.asked) >= 5)
        generator.stop("enough")
        await running
        await asyncio.sleep(0)  # what ends with the last requests is told the loop by then

    outcome = Made(reports).outcome()
    assert outcome["due"] >= 5
    assert outcome == {"due": outcome["due"], "unsent": outcome["due"]}
    assert faults == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), "timeout"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (httpx.ConnectError("refused"), "connect"),
        (ConnectionRefusedError(111, "refused"), "connect"),
        (ssl.SSLCertVerificationError("self-signed"), "connect"),
        (socket.gaierror(-2, "not known"), "connect"),
        (ConnectionResetError(104, "reset"), "closed"),
        (httpx.ReadError("gone"), "closed"),
        (httpx.CloseError("gone"), "closed"),
        (OSError(9, "bad file descriptor"), "closed"),
        (httpx.RemoteProtocolError("bad frame"), "protocol"),
        (h2.exceptions.ProtocolError("bad frame"), "protocol"),
        (KeyError(7), "protocol"),
        (ValueError("no header"), "protocol"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
async def test_whatever_error_a_general_client_raises_is_counted_as_what_it_is(
    tls: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str
) -> None:
    async def failing(self: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        raise error

    monkeypatch.setattr(httpx.AsyncClient, "send", failing)
    async with _speaking(tls[0]) as target:
        run = await made(load_of(target.url, get(), target={"ca": tls[1], "http2": True}))

    assert run.outcome() == {"due": 20, kind: 20}


async def test_a_speaker_of_no_http2_is_an_error_of_the_protocol(tls: tuple[ssl.SSLContext, str]) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\0" * 200)
        writer.close()

    tls[0].set_alpn_protocols(["h2"])
    server = await asyncio.start_server(nonsense, "127.0.0.1", 0, ssl=tls[0])
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        run = await made(load_of(url, get(), target={"ca": tls[1], "http2": True}))

    outcome = run.outcome()
    assert outcome.pop("due") == 20
    assert sum(outcome.values()) == 20, "none has an unknown end"
    assert outcome.keys() <= {"protocol", "closed"}


async def test_http2_follows_no_redirect_so_the_allow_list_cannot_be_left(
    tls: tuple[ssl.SSLContext, str],
) -> None:
    async with _speaking(tls[0]) as target:
        run = await made(load_of(target.url, get(path="/moved"), target={"ca": tls[1], "http2": True}))

    assert run.outcome() == {"due": 20, "status_302": 20}
    assert {asked[":path"] for asked in target.asked} == {"/moved"}
