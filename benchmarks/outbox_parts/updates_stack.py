"""The real parts that the updates go through: Temporal, the stand-in, the bot, and the road between the two."""

import asyncio
import contextlib
import json
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from benchmarks.outbox_parts.updates_load import PEOPLE
from benchmarks.outbox_parts.world import FIRST_USER, TOKEN
from workers.engine import find_engine, server_command, server_environment
from workers.processes import Child, accepts_connections, free_port
from workers.settings import SEARCH_ATTRIBUTES

_ROOT = Path(__file__).resolve().parents[2]
_SECRET = "benchmark"
_SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
_CONNECTIONS = 40  # as many as the bot lets Telegram open
_LONGEST_PAUSE_SECONDS = 2.0
_DROP_EACH = 3
LIMITS = (
    *("--paid-broadcast", "--overall-per-second", "1000"),
    *("--private-burst", "50", "--private-interval-seconds", "0.05"),
)


@dataclass
class Road:
    """Brings updates to the bot, and repeats what is not answered 2xx, as Telegram does.

    What the stand-in posts passes here too. Of each third such update the bot's answer is lost on its way the
    first time, so that the stand-in delivers it again.
    """

    bot_url: str
    client: aiohttp.ClientSession
    taps: aiohttp.ClientSession
    dropped: set[int] = field(default_factory=set[int])
    passed: set[int] = field(default_factory=set[int])
    repeated: int = 0

    async def bring(self, body: bytes) -> int:
        """Post until it is taken, or cannot be; return the last HTTP status."""
        pause = 0.05
        while (status := await self._post(body, self.client)) in {0, 503}:
            self.repeated += 1
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        return status

    async def pass_on(self, request: web.Request) -> web.Response:
        """Pass on what the stand-in posts."""
        body = await request.read()
        status = await self._post(body, self.taps)
        update_id = int(json.loads(body)["update_id"])
        if status == 200:  # noqa: PLR2004  HTTP
            self.passed.add(update_id)
            if update_id % _DROP_EACH == 0 and update_id not in self.dropped:
                self.dropped.add(update_id)
                status = 0
        return web.Response(status=status or 502)

    async def _post(self, body: bytes, client: aiohttp.ClientSession) -> int:
        try:
            async with client.post(self.bot_url, data=body, headers={_SECRET_HEADER: _SECRET}) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0


@dataclass(frozen=True)
class Stack:
    """Everything that runs.

    Attributes:
        database: of the bot.
        state: of the stand-in.
    """

    temporal: Child
    bot: Child
    temporal_port: int
    metrics_url: str
    telegram_url: str
    database: Path
    state: Path
    road: Road


@asynccontextmanager
async def stack(directory: Path, telegram_url: str, state: Path) -> AsyncGenerator[Stack]:
    """Run Temporal and the bot beside a stand-in."""
    ports: list[int] = []
    for _ in range(4):
        ports.append(free_port(besides=ports))
    temporal_port, bot_port, road_port, metrics_port = ports
    environment = {
        "HOLDFAST_TEMPORAL_ADDRESS": f"127.0.0.1:{temporal_port}",
        "HOLDFAST_RUNBOOK_DIRS": json.dumps([str(_runbooks(directory))]),
        "HOLDFAST_TELEGRAM_TOKEN": TOKEN,
        "HOLDFAST_TELEGRAM_API": telegram_url,
        "HOLDFAST_STATE_DIR": str(directory / "state"),
        "HOLDFAST_METRICS_PORT": str(metrics_port),
        "HOLDFAST_WEBHOOK_URL": f"http://127.0.0.1:{road_port}/telegram",
        "HOLDFAST_WEBHOOK_SECRET": _SECRET,
        "HOLDFAST_WEBHOOK_PORT": str(bot_port),
        "HOLDFAST_WEBHOOK_NETWORKS": json.dumps(["127.0.0.0/8"]),
    }
    temporal, bot = _temporal(directory, temporal_port), _bot(directory, environment, bot_port)
    async with _client() as client, _client() as taps:
        road = Road(f"http://127.0.0.1:{bot_port}/telegram", client, taps)
        async with _serving(road, road_port):
            try:
                await started(temporal)
                await started(bot)
                database = directory / "state" / "holdfast.db"
                metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
                yield Stack(temporal, bot, temporal_port, metrics_url, telegram_url, database, state, road)
            finally:
                await asyncio.to_thread(bot.stop)
                await asyncio.to_thread(temporal.stop)


def _client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_CONNECTIONS))


async def started(child: Child) -> None:
    """Start a process and wait until it serves, while everything else goes on."""
    await asyncio.to_thread(child.start)
    await asyncio.to_thread(child.wait_ready, 60)


def _temporal(directory: Path, port: int) -> Child:
    command = server_command(
        find_engine().path,
        port=port,
        ui_port=None,
        db_path=directory / "temporal.db",
        search_attributes=SEARCH_ATTRIBUTES,
    )
    log, environment = directory / "temporal.log", server_environment()
    return Child("temporal", command, log, environment=environment, ready=accepts_connections(port))


def _bot(directory: Path, environment: dict[str, str], port: int) -> Child:
    command = [sys.executable, "-m", "workers.cli", "bot"]
    ready = accepts_connections(port)
    return Child("bot", command, directory / "bot.log", environment=environment, ready=ready)


@asynccontextmanager
async def _serving(road: Road, port: int) -> AsyncGenerator[None]:
    app = web.Application()
    app.router.add_post("/telegram", road.pass_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        with contextlib.suppress(TimeoutError):
            await runner.cleanup()


def _runbooks(directory: Path) -> Path:
    """Copy the shipped runbooks; more people, and limits with which the answers do not take ten minutes."""
    copy = directory / "runbooks"
    shutil.copytree(_ROOT / "runbooks", copy)
    _edit(copy / "people.yaml", _with_more_people)
    _edit(copy / "escalation" / "priorities.yaml", _with_paid_limits)
    return copy


def _edit(path: Path, change: Any) -> None:
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def _with_more_people(content: dict[str, Any]) -> None:
    content["people"] += [
        {"name": f"person-{n}", "title": f"Person {n}", "telegram_id": FIRST_USER + n, "roles": ["oncall"]}
        for n in range(PEOPLE)
    ]


def _with_paid_limits(content: dict[str, Any]) -> None:
    content["limits"] = {
        "bot": {"count": 900, "per": "1s", "burst": 50},
        "private": {"count": 15, "per": "1s", "burst": 30},
        "paid_broadcast": True,
    }
