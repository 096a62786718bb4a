"""Load tests under test: a server of their own, workers over in-memory ports, and a target that counts."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, Worker

from activities.calling import CallingActivities
from activities.guard import Guard
from activities.holding import HoldActivities
from activities.loading import LoadActivities
from activities.signing import RecordActivities, SigningActivities
from holdfast.adapters.generators import ProcessGenerators
from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from holdfast.adapters.temporal.history import TemporalHistory
from holdfast.adapters.temporal.holds import TemporalHolds
from holdfast.adapters.temporal.load_workers import TemporalLeases
from holdfast.adapters.temporal.runs import TemporalRuns
from holdfast.domain.campaign import Go, LoadView, TestLine
from holdfast.domain.errors import Unavailable
from holdfast.domain.view import RunView
from holdfast.ports.load import KeptReport, KeptTest
from holdfast.ports.runs import LoadRequest
from holdfast.runbook.library import RunbookLibrary
from tests import signing
from tests.activities.gate_fakes import MemoryAudit, MemoryBook, RecordingChannel
from tests.fakes import ChatRoom, Metrics, eventually
from tests.workflows.conftest import PEOPLE, Run, StandingDelegations, guarded, run_url
from workers.load import load_planning, load_watching, load_workers
from workers.queues import RUNNER, chat_worker, record_worker
from workers.systems import reveal
from workflows.hold import Hold
from workflows.load import LoadTest
from workflows.options import RUNBOOK_QUEUE, WATCH_QUEUE

_numbers = itertools.count(1)


class MemoryLoadLog:
    """`ports.load.LoadLog` in memory; `down` makes it unavailable."""

    def __init__(self) -> None:
        self.kept: dict[str, list[KeptReport]] = {}
        self.finished: dict[str, KeptTest] = {}
        self.down = False

    async def add(self, reports: Sequence[KeptReport]) -> None:
        self._look()
        for report in reports:
            rows = self.kept.setdefault(report.run, [])
            name = (report.shard, report.attempt, report.number)
            if name not in {(r.shard, r.attempt, r.number) for r in rows}:
                rows.append(report)

    async def reports(self, run: str, *, after: int = 0) -> tuple[list[KeptReport], int]:
        self._look()
        rows = self.kept.get(run, [])
        return rows[after:], len(rows)

    async def newest_attempt(self, run: str, shard: int) -> int:
        self._look()
        return max((r.attempt for r in self.kept.get(run, []) if r.shard == shard), default=0)

    async def finish(self, test: KeptTest) -> None:
        self._look()
        self.finished[test.run] = test

    async def decided(self, run: str, go: Go, by: str) -> None:
        self._look()
        line = self.finished[run].line.model_copy(update={"go": go, "decided_by": by})
        self.finished[run] = self.finished[run].model_copy(update={"line": line})

    async def tests(self, campaign: str, *, limit: int = 50) -> list[KeptTest]:
        self._look()
        return [test for test in self.finished.values() if test.campaign == campaign][:limit]

    async def test(self, run: str) -> KeptTest | None:
        self._look()
        return self.finished.get(run)

    def _look(self) -> None:
        if self.down:
            raise Unavailable("the database does not answer")


class Counting(asyncio.Protocol):
    """A connection of a target that answers everything at once and notes when it was asked."""

    def __init__(self, target: "CountingTarget") -> None:
        self._target = target

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._target.transports.append(transport)

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            self._target.arrivals.append(time.time())
            self._transport.write(self._target.answer)


@dataclass
class CountingTarget:
    """When each request arrived, seconds of the epoch."""

    url: str = ""
    arrivals: list[float] = field(default_factory=list[float])
    transports: list[asyncio.Transport] = field(default_factory=list[asyncio.Transport])
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def counting_target() -> AsyncIterator[CountingTarget]:
    """Serve on a free port of this machine."""
    target = CountingTarget()
    server = await asyncio.get_running_loop().create_server(lambda: Counting(target), "127.0.0.1", 0)
    target.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield target
    finally:
        server.close()
        for transport in target.transports:
            transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)


@workflow.defn(name="campaign")
class Listening:
    """Stands for a campaign: it keeps what it is told."""

    def __init__(self) -> None:
        self._told: list[TestLine] = []

    @workflow.run
    async def run(self) -> list[TestLine]:
        """Wait to be told."""
        await workflow.wait_condition(lambda: bool(self._told) and self._told[-1].go is not None)
        return self._told

    @workflow.signal
    def tested(self, line: TestLine) -> None:
        """Keep a line."""
        self._told.append(line)


class LoadRun(Run):
    """A load test under test."""

    async def load(self) -> LoadView:
        view = await self.view()
        assert view.load is not None
        return view.load

    async def until(self, wanted: Any) -> RunView:
        async def there() -> RunView | None:
            view = await self.view()
            return view if wanted(view) else None

        view: RunView = await eventually(there, seconds=40)
        return view


@dataclass
class LoadHouse:
    """Workers over in-memory ports on a real server, and the files they read."""

    client: Client
    directory: Path
    metrics: Metrics = field(default_factory=Metrics)
    chat: ChatRoom = field(default_factory=ChatRoom)
    private: RecordingChannel = field(default_factory=RecordingChannel)
    book: MemoryBook = field(default_factory=MemoryBook)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    log: Any = field(default_factory=MemoryLoadLog)
    guard: Guard = field(default_factory=lambda: Guard(signing.KEYS))

    def workers(self) -> list[Worker]:
        """Everything but load workers."""
        library = RunbookLibrary([self.directory])
        calling = CallingActivities(
            [self.private], self.book, self.audit, keyring=signing.KEYS, run_url=run_url
        )
        holding = HoldActivities(TemporalHolds(self.client, task_queue=RUNBOOK_QUEUE))
        deciding = SigningActivities(
            keyring=signing.KEYS,
            history=TemporalHistory(self.client),
            file_digest=lambda name: library.load_test(name).digest,
        )
        return [
            Worker(
                self.client,
                task_queue=RUNBOOK_QUEUE,
                workflows=[LoadTest, Hold],
                activities=[
                    *load_planning(self.client, library),
                    holding.claim_systems,
                    holding.release_systems,
                    deciding.check_signalled,
                    deciding.before_acting,
                ],
                workflow_runner=RUNNER,
            ),
            Worker(
                self.client,
                task_queue=WATCH_QUEUE,
                activities=load_watching(self.metrics, lambda: self.log),
            ),
            chat_worker(self.client, self.chat, calling, run_url=run_url),
            record_worker(self.client, RecordActivities(audit=self.audit, delegations=StandingDelegations())),
        ]

    def write(self, url: str, *, rate: float = 50, lasts: float = 3, **more: Any) -> str:
        """Write a load test of its own and return its name."""
        name = f"load-{next(_numbers)}"
        file = {
            "kind": "load",
            "name": name,
            "title": "Customers",
            "summary": "Asks.",
            "starters": ["oncall"],
            "targets": {"shop": {"url": url}},
            "scenarios": [
                {"name": "one", "steps": [{"name": "ask", "context": "support", "http": {"target": "shop"}}]}
            ],
            "arrivals": "even",
            "phases": [{"rate": rate, "for": f"{lasts}s"}],
            "on_time": "5s",  # what is measured is never the speed of the machine that runs the tests
        }
        self._write("load", name, file | more)
        return name

    def write_campaign(self, runbook: str, **load_test: Any) -> str:
        """Write a campaign that this load test has to pass, and return its name."""
        name = f"sale-{next(_numbers)}"
        file = {
            "kind": "campaign",
            "name": name,
            "title": "Autumn sale",
            "summary": "A sale.",
            "starters": ["oncall"],
            "owner": "stand-in",
            "client": {"title": "Retail", "time_zone": "Europe/Moscow"},
            "window": {"opens": "2026-12-11T10:00", "closes": "2026-12-14T10:00"},
            "load_test": {
                "runbook": runbook,
                "peak": {"expected_peak": 20, "safety_factor": 2, "percent": [50, 100], "each": "1s"},
                "failed": {"approvers": ["lead"], "quorum": 1, "mfa": "off"},
                "limits": "Half of the announcements wait.",
                **load_test,
            },
            "sign_off": {"approvers": ["lead"]},
            "contexts": {
                "support": {
                    "title": "Support",
                    "slos": {
                        "tickets": {
                            "promise": "Tickets are answered",
                            "objective_percent": 99,
                            "bad": "bad[$window]",
                            "total": "all[$window]",
                        }
                    },
                }
            },
            "response": {
                "incident": "any",
                "roles": {"commander": {"title": "leads", "candidates": ["lead"]}},
            },
        }
        self._write("campaign", name, file)
        return name

    def _write(self, kind: str, name: str, file: dict[str, Any]) -> None:
        (self.directory / kind).mkdir(exist_ok=True)
        (self.directory / kind / f"{name}.yaml").write_text(yaml.safe_dump(file, sort_keys=False))

    async def start(
        self, runbook: str, *, by: str = "anna", client: Client | None = None, **more: Any
    ) -> LoadRun:
        run_id = f"run-{runbook}-{next(_numbers)}"
        request = LoadRequest(runbook=runbook, requested_by=by, **more)
        handle: WorkflowHandle[Any, Any] = await (client or self.client).start_workflow(
            "load", request, id=run_id, task_queue=RUNBOOK_QUEUE
        )
        house: Any = self  # what a run uses of a house is here, too
        return LoadRun(house, runbook, handle)

    def runs(self) -> TemporalRuns:
        async def connect() -> Client:
            return self.client

        return TemporalRuns(connect, task_queue=RUNBOOK_QUEUE, address="the test server")


@asynccontextmanager
async def open_load_house(client: Client, directory: Path, *, making: int = 2) -> AsyncIterator[LoadHouse]:
    """Serve load tests, with so many load workers in this process."""
    (directory / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    house = LoadHouse(client, directory)
    async with AsyncExitStack() as stack:
        stack.enter_context(guarded(house.guard))
        for _ in range(making):
            # Two workers on one queue need a connection each, as two processes have.
            address = client.service_client.config.target_host
            own = await Client.connect(address, namespace=client.namespace, data_converter=DATA_CONVERTER)
            generators = ProcessGenerators(reveal)
            stack.push_async_callback(generators.aclose)
            for worker in load_workers(
                own,
                LoadActivities(generators, lambda: house.log, leases=TemporalLeases(own)),
                name=f"maker-{next(_numbers)}",
            ):
                await stack.enter_async_context(worker)
        for worker in house.workers():
            await stack.enter_async_context(worker)
        yield house


async def load_replays(run: LoadRun) -> None:
    """Check that another worker could take the run over at its end."""
    history = await run.handle.fetch_history()
    replayer = Replayer(workflows=[LoadTest], data_converter=DATA_CONVERTER, workflow_runner=RUNNER)
    await replayer.replay_workflow(history)
