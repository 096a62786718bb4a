"""A campaign that is watched over counters of our own: its files, its processes, and what its people do."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import httpx
import yaml
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from holdfast.domain.campaign import Phase
from holdfast.domain.errors import HoldfastError
from holdfast.outbox.message import Row, RowState
from holdfast.outbox.store import OutboxStore
from holdfast.slo.spec import BurnAlert, Slo
from workers import storing
from workers.demo.stack import BOT_TOKEN, ROOT, Ports, Stack
from workers.demo.story import BORIS, NAMES
from workers.demo.world import World
from workers.engine import Engine, find_prometheus
from workers.secrets import keyring
from workers.settings import Settings

SCRAPE: Final = timedelta(seconds=1)
INTERVAL: Final = timedelta(seconds=1.7)
EVENTS_PER_SECOND: Final = 100.0
FAIL_AT_ONCE: Final = 100
CAMPAIGN: Final = "breach"
CLIENT_CHAT: Final = -2002
PATIENCE_SECONDS: Final = 90.0
# Without the shop, its customers and the CRM: the counters are ours.
PARTS: Final = ("temporal", "prometheus", "telegram", "worker", "bot")
BOT: Final = BOT_TOKEN.partition(":")[0]
ALERT: Final = BurnAlert(long=timedelta(seconds=10), short=timedelta(seconds=4), budget_percent=5)
SLO: Final = Slo(
    promise="99 % of events are good",
    objective_percent=99,
    period=timedelta(minutes=10),
    bad="sum(rate(breach_events_bad_total[$window]))",
    total="sum(rate(breach_events_total[$window]))",
    journey="order",
    alerts=(ALERT,),
)
T = TypeVar("T")


class NotMeasured(Exception):
    """Something did not happen that had to; the text says what."""


# --- the counters -------------------------------------------------------------------------------------------


class Exporter(Collector):
    """A context's counters, exact at every moment, served for Prometheus.

    Attributes:
        scrapes: when they were fetched.
    """

    def __init__(self, port: int) -> None:
        """Count from here on, all of it good."""
        self.port = port
        self.scrapes: list[datetime] = []
        self._since = datetime.now(UTC)
        self._bad: list[tuple[datetime, datetime | None]] = []
        self._one_at_a_time = threading.Lock()
        registry = CollectorRegistry()
        registry.register(self)
        self._server, self._thread = start_http_server(port, "127.0.0.1", registry)

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Return the counters as they are now; whoever fetches them is a scrape."""
        with self._one_at_a_time:
            now = datetime.now(UTC)
            self.scrapes.append(now)
            seconds_bad = sum(((until or now) - since).total_seconds() for since, until in self._bad)
            at_once = FAIL_AT_ONCE * len(self._bad)
        total = EVENTS_PER_SECOND * (now - self._since).total_seconds() + at_once
        bad = EVENTS_PER_SECOND * seconds_bad + at_once
        return [
            CounterMetricFamily("breach_events", "Events.", value=total),
            CounterMetricFamily("breach_events_bad", "Of them bad.", value=bad),
        ]

    def breaks(self) -> datetime:
        """Let events fail at once, and every one from now on; return when that was."""
        with self._one_at_a_time:
            now = datetime.now(UTC)
            self._bad.append((now, None))
        return now

    def recovers(self) -> None:
        """Let every event be good from now on."""
        with self._one_at_a_time:
            self._bad[-1] = (self._bad[-1][0], datetime.now(UTC))

    @property
    def clean_at(self) -> datetime:
        """When the long window has no bad event any more, after it has recovered."""
        ends = [until or datetime.now(UTC) for _, until in self._bad] or [self._since]
        return ends[-1] + ALERT.long

    def scraped_from(self, moment: datetime) -> datetime:
        """Return the first scrape at that moment or later."""
        return next(at for at in self.scrapes if at >= moment)


# --- the files ----------------------------------------------------------------------------------------------


def write_runbooks(directory: Path, exporter_port: int, *, recover_after: timedelta) -> None:
    """Write a campaign and its load test; people, rotas and the incident are the repository's own."""
    load = {
        "kind": "load",
        "name": CAMPAIGN,
        "title": "Events",
        "summary": "Fetches the counters.",
        "starters": ["sre-lead"],
        "targets": {"context": {"url": f"http://127.0.0.1:{exporter_port}"}},
        "scenarios": [
            {"name": "fetch", "steps": [{"name": "get", "http": {"target": "context", "path": "/metrics"}}]}
        ],
        "phases": [{"rate": 5, "for": "3s"}],
    }
    asked = {"approvers": ["sre-lead"], "quorum": 1, "mfa": "off", "requester_may_approve": True}
    campaign = {
        "kind": "campaign",
        "name": CAMPAIGN,
        "title": "Sale",
        "summary": "One context, watched closely.",
        "starters": ["sre-lead"],
        "owner": "sre-lead",
        "client": {"title": "Client", "telegram_chat": CLIENT_CHAT, "time_zone": "UTC"},
        "window": {"opens": "2026-01-01T00:00Z", "closes": "2036-01-01T00:00Z"},
        "load_test": {
            "runbook": CAMPAIGN,
            "peak": {"expected_peak": 5, "safety_factor": 1, "percent": [100], "each": "3s"},
            "failed": asked,
            "limits": "none",
        },
        "sign_off": asked,
        "contexts": {
            "checkout": {
                "title": "Checkout",
                "slos": {"orders": SLO.model_dump(mode="json", exclude_none=True)},
            }
        },
        "watch": {"interval": _text(INTERVAL), "breach_after": 1, "recover_after": _text(recover_after)},
        "response": {
            "incident": "customer-impact",
            "roles": {"commander": {"title": "leads the response", "candidates": ["sre-lead"]}},
            "updates": [
                {"audience": "client", "every": "12h", "during_breach": "30m"},
                {"audience": "team", "during_breach": "15m"},
            ],
        },
    }
    for kind, spec in (("load", load), ("campaign", campaign)):
        (directory / kind).mkdir(parents=True)
        (directory / kind / f"{CAMPAIGN}.yaml").write_text(json.dumps(spec))  # which is YAML too


def make_stack(
    directory: Path, exporter: Exporter, engine: Engine, *, recover_after: timedelta = timedelta(seconds=2)
) -> Stack:
    """Prepare a stack whose Prometheus scrapes the exporter, with a chat of the client."""
    write_runbooks(directory / "runbooks", exporter.port, recover_after=recover_after)
    stack = Stack(
        directory / "stack",
        Ports.pick(familiar=False),
        engine=engine,
        prometheus=find_prometheus(),
        runbook_dirs=(directory / "runbooks", ROOT / "runbooks"),
    )
    job = {"job_name": "context", "static_configs": [{"targets": [f"127.0.0.1:{exporter.port}"]}]}
    every = {"scrape_interval": _text(SCRAPE), "scrape_timeout": _text(SCRAPE)}
    (stack.directory / "prometheus.yml").write_text(yaml.safe_dump({"global": every, "scrape_configs": [job]}))
    chats = stack.directory / "chats.yaml"
    world = yaml.safe_load(chats.read_text())
    group = {
        "id": CLIENT_CHAT,
        "type": "supergroup",
        "title": "Client",
        "members": [BORIS],
        "admins": [int(BOT)],
    }
    chats.write_text(yaml.safe_dump(world | {"chats": [*world["chats"], group]}))
    return stack


def _text(span: timedelta) -> str:
    return f"{span.total_seconds():g}s"


# --- the campaign and its chats -------------------------------------------------------------------------------


async def watched_campaign(world: World) -> str:
    """Start the campaign by command, sign it off in the chat, and return its run once the window is open."""
    name = NAMES[BORIS]
    printed = await _commanded(world, "run", "campaign", CAMPAIGN, "--as", name, "--json")
    run_id = str(json.loads(printed)["run_id"])

    async def signed_off() -> bool:
        view = await world.runs.view(run_id)
        if view.state.ended:
            raise NotMeasured(f"the campaign is {view.state}: {view.headline}")
        if view.gate is not None and view.gate.id.startswith("sign-off"):
            await _tapped(world, f"a:{run_id}:{view.gate.token}")
        return view.campaign is not None and view.campaign.phase is Phase.OPEN

    await until("the window is signed off and open", signed_off)
    return run_id


async def _tapped(world: World, button: str) -> None:
    """Tap a button of the team's chat where it is there already."""
    shown = [m for m in await world.messages() if button in str(m.get("reply_markup", ""))]
    with suppress(HoldfastError):  # the card may have been edited since it was looked at
        if shown:
            await world.press(BORIS, int(shown[-1]["message_id"]), button)


async def _commanded(world: World, *words: str) -> str:
    code, printed = await world.command(*words)
    if code:
        raise NotMeasured(f"'holdfast {' '.join(words)}' ended with {code}: {printed}")
    return printed


class Arrivals:
    """When messages came into people's private chats, as their open pages hear of it."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.at: dict[tuple[str, str], datetime] = {}

    @asynccontextmanager
    async def heard(self, stack: Stack) -> "AsyncGenerator[Arrivals]":
        """Listen while the block lasts."""
        url = f"http://127.0.0.1:{stack.ports.telegram}/human/events"
        async with (
            httpx.AsyncClient(trust_env=False, timeout=None) as http,
            http.stream("GET", url) as response,
        ):
            listening = asyncio.create_task(self._listen(response))
            try:
                yield self
            finally:
                listening.cancel()
                await asyncio.wait({listening})

    async def _listen(self, response: httpx.Response) -> None:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                now, event = datetime.now(UTC), json.loads(line.removeprefix("data: "))
                if event["kind"] == "message" and "user" in event:
                    self.at.setdefault((str(event["user"]), str(event["message_id"])), now)


@asynccontextmanager
async def outbox_of(stack: Stack) -> AsyncGenerator[OutboxStore]:
    """Lend the outbox of a stack."""
    settings = Settings(state_dir=stack.state, _env_file=None)  # type: ignore[call-arg]  # pydantic-settings' own
    async with storing.store(settings, keyring(settings)) as store:
        yield store.outbox


async def pages_of(outbox: OutboxStore, incident: str) -> list[Row]:
    """Return the calls to an incident that were sent."""
    rows = await outbox.rows(BOT, states=[RowState.SENT], limit=1000)
    return [row for row in rows if row.kind == "page" and f"/{incident}/" in row.key]


async def until(what: str, look: Callable[[], Awaitable[T | None]], *, every: float = 0.3) -> T:
    """Look until there is something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := await look()):
        if time.monotonic() > deadline:
            raise NotMeasured(f"it did not happen within {PATIENCE_SECONDS:.0f} s that {what}")
        await asyncio.sleep(every)
    return found
