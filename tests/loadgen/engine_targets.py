"""Real servers on loopback for the engine's tests, and runs of the engine against them."""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from holdfast.loadgen.generator import Generator
from holdfast.loadgen.histogram import Histogram
from holdfast.loadgen.report import Report, Share
from holdfast.runbook.kinds.load import LoadSpec


@dataclass
class Asked:
    """One request as the target got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


Handler = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Target:
    """A server that notes what it is asked."""

    handler: Handler
    url: str = ""
    asked: list[Asked] = field(default_factory=list[Asked])
    readers: list[asyncio.StreamReader] = field(default_factory=list[asyncio.StreamReader])
    writers: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.writers)
        self.readers.append(reader)
        self.writers.append(writer)
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                first, *lines = head.strip().split("\r\n")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, path, _ = first.split(" ")
                self.asked.append(Asked(method, path, headers, body, number))
                await self.handler(self.asked[-1], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(status: int = 200, body: bytes = b"ok", *more: str) -> bytes:
    """Return an answer with its length in the head."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def always(data: bytes) -> Handler:
    """Answer everything with these bytes."""

    async def handler(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return handler


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[Target]:
    """Serve on a free port of loopback."""
    target = Target(handler)
    server = await asyncio.start_server(target.serve, "127.0.0.1", 0, ssl=context, backlog=1000)
    port = server.sockets[0].getsockname()[1]
    target.url = f"{'https' if context else 'http'}://127.0.0.1:{port}"
    try:
        yield target
    finally:
        server.close()
        for writer in target.writers:
            writer.transport.abort()
        await server.wait_closed()
        # The handlers notice that their connections are gone.
        await asyncio.sleep(0)


def load_of(url: str, *steps: dict[str, Any], rate: float = 50, lasts: float = 0.4, **more: Any) -> LoadSpec:
    """Return a load test of one scenario."""
    scenario = {"name": "one", "steps": list(steps) or [get()]} | more.pop("scenario", {})
    plain = {
        "kind": "load",
        "name": "test",
        "title": "Test",
        "summary": "A test",
        "starters": ["boss"],
        "targets": {"shop": {"url": url} | more.pop("target", {})},
        "scenarios": [scenario],
        "arrivals": "even",
        "phases": [{"rate": rate, "for": f"{lasts}s"}],
        # What is measured here is never the speed of the machine that runs the tests.
        "on_time": "20s",
    }
    return LoadSpec.model_validate(plain | more)


def get(name: str = "ask", path: str = "/", **more: Any) -> dict[str, Any]:
    return {"name": name, "http": {"target": "shop", "path": path}} | more


@dataclass
class Made:
    """What a run came to, over all its reports."""

    reports: list[Report]

    def steps(self, name: str = "ask") -> Counter[str]:
        counted: Counter[str] = Counter()
        for second in self._seconds(name):
            for key in ("due", "late", "unsent", "good", "sent_bytes", "received_bytes"):
                counted[key] += getattr(second, key)
            counted.update(second.errors)
        return +counted

    def latencies(self, name: str = "ask") -> Histogram:
        return Histogram.sum_of(Histogram.decoded(second.latency) for second in self._seconds(name))

    def outcome(self, name: str = "ask") -> dict[str, int]:
        sizes = {"sent_bytes", "received_bytes"}
        return {key: value for key, value in self.steps(name).items() if key not in sizes}

    def _seconds(self, name: str) -> Any:
        for report in self.reports:
            for second in report.seconds:
                if name in second.steps:
                    yield second.steps[name]


async def made(spec: LoadSpec, **share: Any) -> Made:
    """Run a whole share, from this moment on."""
    reports: list[Report] = []
    whole: dict[str, Any] = {"start_at": time.time(), "name": "run-1"} | share
    await Generator(Share(spec=spec, **whole), reports.append).run()
    return Made(reports)


def certificate(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's TLS context for 127.0.0.1, and the file with its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    start = datetime.now(UTC) - timedelta(days=1)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority, private = directory / "ca.pem", directory / "key.pem"
    authority.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, private)
    return context, authority
