"""Real Temporal servers for the tests of this folder."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from workers.engine import Engine, server_command, server_environment

PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Server:
    process: asyncio.subprocess.Process
    client: Client
    port: int
    ui_port: int


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


async def connected(port: int, ui_port: int) -> Client:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                client = await Client.connect(f"127.0.0.1:{port}")
                _, writer = await asyncio.open_connection("127.0.0.1", ui_port)
            except (RuntimeError, OSError):
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return client


@asynccontextmanager
async def serving(
    engine: Engine,
    *,
    db_path: Path | None = None,
    search_attributes: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
) -> AsyncGenerator[Server]:
    port, ui_port = free_port(), free_port()
    command = server_command(
        engine.path, port=port, ui_port=ui_port, db_path=db_path, search_attributes=search_attributes or {}
    )
    process = await asyncio.create_subprocess_exec(*command, *arguments, env=server_environment(os.environ))
    try:
        yield Server(process, await connected(port, ui_port), port, ui_port)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def refusal(engine: Engine, *arguments: str) -> tuple[int | None, str]:
    """Runs a server that should not start; returns its exit code and what it complained about."""
    process = await asyncio.create_subprocess_exec(
        str(engine.path), *arguments, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    _, complaint = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    return process.returncode, complaint.decode()
