"""Stand-ins as processes, each on a free port, and a client for each."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

WEBHOOK = "/rest/1/SECRET"
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


@dataclass
class Sim:
    """A running stand-in and a client of it."""

    process: Process
    url: str
    http: aiohttp.ClientSession

    async def request(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Send a request; return the status and the JSON of the answer."""
        async with self.http.request(method, path, **more) as response:
            return response.status, await response.json()

    async def total(self, name: str, **labels: str) -> float:
        """Add up the samples of a metric that have these labels."""
        async with self.http.get("/metrics") as response:
            text = await response.text()
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        found = [(own, value) for sample, own, value in _SAMPLE.findall(text) if sample == name]
        return sum(float(value) for own, value in found if wanted <= set(own.split(",")))


@asynccontextmanager
async def running(name: str, *arguments: object) -> AsyncGenerator[Sim]:
    """Run `python -m holdfast.sim.<name>` until the block ends."""
    command = ["-m", f"holdfast.sim.{name}", "--port", "0", *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=PIPE)
    try:
        assert process.stderr
        said = (await process.stderr.readline()).decode()
        assert " listens on " in said, said + (await process.stderr.read()).decode()
        url = said.split()[-1]
        async with aiohttp.ClientSession(url) as http:
            yield Sim(process, url, http)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(30):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
