"""A campaign under test: a server of its own, a real store, a real load generator, and metrics by the clock."""

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import TimeSkipper
from temporalio.worker import Worker

from activities.announcing import AnnouncingActivities
from activities.calling import CallingActivities
from activities.campaigns import AnalysisRequest, CampaignActivities
from activities.clock import server_now
from activities.errands import ErrandActivities
from activities.loading import LoadActivities
from activities.paging import PagingActivities
from activities.signing import RecordActivities, SigningActivities
from activities.window import WindowActivities
from holdfast.adapters.generators import ProcessGenerators
from holdfast.adapters.reports import CampaignReports
from holdfast.adapters.sql_store import SqlStore
from holdfast.adapters.temporal.history import TemporalHistory
from holdfast.domain.campaign import CampaignView
from holdfast.domain.errors import MetricsUnavailable
from holdfast.domain.view import RunView
from holdfast.ports.metrics import Labelled, LabelledSeries
from holdfast.ports.reports import CampaignReport
from holdfast.ports.runs import CampaignRequest
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.loader import load_runbook
from tests import signing
from tests.fakes import eventually
from tests.workflows.conftest import PEOPLE, House, Run, guarded, run_url
from workers.load import load_workers
from workers.queues import chat_worker, record_worker, run_workers
from workers.systems import reveal
from workflows.options import RUNBOOK_QUEUE

CLIENT_CHAT = -100500
_numbers = itertools.count(1)


@dataclass
class Weather:
    """A `MetricsSource` whose queries are `context:what:window`: who is broken from when to when.

    Attributes:
        broken: by context, stretches in which half of all events are bad.
        silent: stretches in which nothing answers.
    """

    broken: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    silent: list[tuple[datetime, datetime]] = field(default_factory=list)

    async def instant(self, query: str, *, at: datetime) -> float | None:
        if any(since <= at < until for since, until in self.silent):
            raise MetricsUnavailable("the metrics backend does not answer")
        context, what, _window = query.split(":")
        is_broken = any(since <= at < until for since, until in self.broken.get(context, []))
        return {"total": 100.0, "bad": 50.0 if is_broken else 0.0, "latency": 3.0 if is_broken else 0.2}[what]

    async def points(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[tuple[datetime, float]]:
        return [(end - timedelta(hours=2) - ago * step, 0.2 + ago % 3 / 100) for ago in range(60, 0, -1)]

    async def series(self, query: str, *, start: datetime, end: datetime, step: timedelta) -> list[float]:
        return [value for _, value in await self.points(query, start=start, end=end, step=step)]

    async def vector(self, query: str, *, at: datetime) -> list[Labelled]:
        return []

    async def matrix(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[LabelledSeries]:
        return []


class Leaping:
    """A clock of each run that leaps over what its watch would sleep, and is never behind the server's."""

    def __init__(self) -> None:
        self._ahead: dict[str, datetime] = {}

    def now(self) -> datetime:
        run, server = activity.info().workflow_id or "", server_now()
        self._ahead[run] = max(self._ahead.get(run, server), server)
        return self._ahead[run]

    async def sleep(self, seconds: float) -> None:
        run = activity.info().workflow_id or ""
        self._ahead[run] = self.now() + timedelta(seconds=seconds)


@dataclass
class CampaignHouse(House):
    """Everything that campaigns need, over a real store."""

    store: Any = None
    weather: Weather = field(default_factory=Weather)
    announced: list[tuple[int, str]] = field(default_factory=list)
    reports: list[CampaignReport] = field(default_factory=list)

    def campaign_workers(self, leaping: Leaping) -> list[Worker]:
        """Everything that `holdfast worker` serves, load tests too."""
        library = RunbookLibrary([self.directory])
        store: SqlStore = self.store
        calling = CallingActivities(
            [self.private], self.book, self.audit, keyring=signing.KEYS, run_url=run_url
        )
        paging = PagingActivities(
            library, self.duty, [self.private], self.audit, keyring=signing.KEYS, run_url=run_url
        )
        window = WindowActivities(
            self.weather, log=lambda: store.campaigns, clock=leaping.now, sleep=leaping.sleep
        )
        generators = ProcessGenerators(reveal)
        return [
            *run_workers(
                self.client,
                library=library,
                providers={"http_config": self.targets, "canary_share": self.targets},
                metrics=self.metrics,
                signing=SigningActivities(
                    keyring=signing.KEYS,
                    history=TemporalHistory(self.client),
                    file_digest=lambda name: load_runbook(library.path(name)).digest,
                ),
                verdicts=lambda: self.verdicts,
                campaigns=lambda: store.campaigns,
                tests=lambda: store.load_log,
                window=window,
            ),
            chat_worker(
                self.client,
                self.chat,
                calling,
                run_url=run_url,
                paging=paging,
                errands=ErrandActivities([self.private], self.audit, keyring=signing.KEYS, run_url=run_url),
                announcing=AnnouncingActivities(self),
            ),
            record_worker(
                self.client,
                RecordActivities(audit=self.audit, delegations=self.delegations),
                CampaignActivities(library, self.duty, store.load_log, store.campaigns, analyse=self.analyse),
            ),
            *load_workers(
                self.client, LoadActivities(generators, lambda: store.load_log), name=f"maker-{next(_numbers)}"
            ),
        ]

    async def announce(self, chat: int, text: str, *, key: str, picture: bytes = b"") -> None:
        self.announced.append((chat, text))

    async def analyse(self, request: AnalysisRequest) -> str:
        """Make the report, as the worker does."""

        async def incident(run: str) -> RunView:
            return await self.runs().view(run)

        made = CampaignReports(self.store.campaigns, self.store.load_log, incident=incident)
        self.reports.append(await made.build(request.view.run_id))
        return f"holdfast report {request.view.run_id}"

    def write_load(self, url: str, **more: Any) -> str:
        """Write a load test that is quick, and return its name."""
        name = f"journeys-{next(_numbers)}"
        ask = {"name": "ask", "context": "support", "http": {"target": "shop"}}
        file = {
            "kind": "load",
            "name": name,
            "title": "Customers",
            "summary": "They ask.",
            "starters": ["oncall"],
            "targets": {"shop": {"url": url}},
            "scenarios": [{"name": "one", "steps": [ask]}],
            "arrivals": "even",
            "phases": [{"rate": 20, "for": "1s"}],
            "thresholds": [{"step": "ask", "errors_percent": 5}],
            "on_time": "5s",
        }
        return self._written("load", name, file | more)

    def write_campaign(self, opens: datetime, closes: datetime, *, runbook: str, **more: Any) -> str:
        """Write a campaign of two contexts, and return its name."""
        name, incident = f"sale-{next(_numbers)}", self.write_incident(acknowledged_for="3d")
        file = {
            "kind": "campaign",
            "name": name,
            "title": "Autumn sale",
            "summary": "A sale.",
            "starters": ["oncall"],
            "owner": "vera",
            "client": {"title": "Retail", "telegram_chat": CLIENT_CHAT, "time_zone": "UTC"},
            "window": {"opens": opens.isoformat(), "closes": closes.isoformat()},
            "load_test": {
                "runbook": runbook,
                "peak": {"expected_peak": 20, "safety_factor": 2, "percent": [50, 100], "each": "1s"},
                "fresh_for": "30d",
                "schedule": {"cron": "30 2 * * *", "begins": "20d"},
                "failed": {"approvers": ["lead"], "quorum": 1, "mfa": "off"},
                "limits": "Half of the announcements wait.",
            },
            "sign_off": {"approvers": ["lead"]},
            "contexts": {name: _context(name) for name in ("support", "checkout")},
            "watch": {"interval": "5m", "recover_after": "15m", "show_every": "6h"},
            "freeze": {"before": "1h"},
            "response": {
                "incident": incident,
                "roles": {
                    "commander": {"title": "leads", "candidates": ["boris", "vera"], "accept_within": "4h"},
                    "operations": {"title": "mends", "candidates": [f"rota:{incident}"]},
                },
                "tasks": [
                    {"name": "quota", "title": "Ask for quota", "owner": "operations", "before": "5d"},
                    {"name": "backup", "title": "Check the backup", "owner": "operations", "before": "12h"},
                    {"name": "look", "title": "Look first", "owner": "operations", "after_breach": "10m"},
                ],
                "updates": [
                    {"audience": "client", "every": "12h", "during_breach": "30m"},
                    {"audience": "team", "during_breach": "15m"},
                    {"audience": "commander", "every": "24h", "during_breach": "30m"},
                ],
            },
        }
        return self._written("campaign", name, file | more)

    def _written(self, kind: str, name: str, file: dict[str, Any]) -> str:
        (self.directory / kind).mkdir(exist_ok=True)
        (self.directory / kind / f"{name}.yaml").write_text(yaml.safe_dump(file, sort_keys=False))
        return name

    async def begin(self, name: str) -> "CampaignRun":
        """Start a campaign whose time can be moved on."""
        skipper = TimeSkipper(self.client)
        handle = await skipper.client.start_workflow(
            "campaign",
            CampaignRequest(runbook=name, requested_by="anna"),
            id=f"run-{name}",
            task_queue=RUNBOOK_QUEUE,
        )
        return CampaignRun(self, name, handle, skipper)


@dataclass
class CampaignRun(Run):
    """A campaign under test."""

    skipper: TimeSkipper

    async def pass_(self, **time: float) -> None:
        """Let this much of the run's time pass."""
        await self.skipper.fast_forward(self.handle, timedelta(**time))

    async def until(self, wanted: Any, *, seconds: float = 30) -> CampaignView:
        async def there() -> CampaignView | None:
            campaign = (await self.view()).campaign
            return campaign if campaign is not None and wanted(campaign) else None

        found: CampaignView = await eventually(there, seconds=seconds)
        return found

    async def said(self) -> list[str]:
        """Return the lines of the timeline."""
        return [line.text for line in (await self.view()).log]


def _context(name: str) -> dict[str, Any]:
    journeys = {"support": "submit a ticket", "checkout": "order"}
    return {
        "title": name.capitalize(),
        "kpis": {"latency": {"query": f"{name}:latency:$window", "unit": "s"}},
        "slos": {
            f"{name}-done": {
                "promise": f"99.9 % of all {name} is done",
                "objective_percent": 99.9,
                "bad": f"{name}:bad:$window",
                "total": f"{name}:total:$window",
                "journey": journeys[name],
            }
        },
    }


@asynccontextmanager
async def open_campaign_house(client: Client, directory: Path) -> AsyncIterator[CampaignHouse]:
    """Serve campaigns."""
    (directory / "rollout").mkdir(exist_ok=True)
    (directory / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    store = SqlStore(f"sqlite:///{directory / 'store.db'}", signing.KEYS)
    await store.migrate()
    house = CampaignHouse(client, directory, store=store)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        stack.enter_context(guarded(house.guard))
        for worker in house.campaign_workers(Leaping()):
            await stack.enter_async_context(worker)
        yield house
