"""The client's shop as a process of its own, and a proxy before it that loses answers."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest


async def _serves(url: str) -> None:
    async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as client:
        while True:
            with suppress(httpx.TransportError):
                await client.get(f"{url}/healthz")
                return
            await asyncio.sleep(0.1)


@asynccontextmanager
async def shop_process(state: Path) -> AsyncIterator[str]:
    """Run the shop with its state in this file; yields its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "holdfast.sim.shop",
        "--port",
        str(port),
        "--state",
        str(state),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _serves(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """One shop for all tests of a module; its version only grows."""
    async with shop_process(tmp_path_factory.mktemp("shop") / "state.json") as url:
        yield url


class Proxy:
    """Passes bytes on to a server; while `loses_answers` it closes the connection instead of answering."""

    def __init__(self, target: str) -> None:
        self._host, self._port = target.removeprefix("http://").split(":")
        self.loses_answers = False
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, int(self._port))
        asking = asyncio.create_task(self._pass_on(reader, back))
        while (answer := await there.read(65536)) and not self.loses_answers:
            writer.write(answer)
        for stream in (writer, back):
            stream.close()
        await asking

    @staticmethod
    async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


@pytest.fixture
async def proxy(shop: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(shop)
    async with await asyncio.start_server(proxy.handle, "127.0.0.1", 0) as server:
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy
