import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.calling import CallingActivities
from activities.guard import Guard, guard, install
from activities.paging import PagingActivities
from activities.signing import RecordActivities, SigningActivities
from holdfast.adapters.temporal.history import TemporalHistory
from holdfast.adapters.temporal.runs import TemporalRuns
from holdfast.domain.decisions import DecisionReply, RollBack
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.gates import Delegation, Gate
from holdfast.domain.view import RunView
from holdfast.ports.runs import RolloutRequest
from holdfast.runbook.library import RunbookLibrary
from tests import signing
from tests.activities.gate_fakes import MemoryAudit, MemoryBook, MemoryDuty, RecordingChannel
from tests.fakes import ChatRoom, MemoryLog, Metrics, Systems, Target, Targets, eventually
from workers.queues import chat_worker, record_worker, run_workers
from workers.refusals import keep_refusals
from workflows.options import RUNBOOK_QUEUE

PEOPLE = {
    "people": [
        {"name": "anna", "title": "Anna (on-call)", "telegram_id": 1, "roles": ["oncall"]},
        {"name": "boris", "title": "Boris (SRE lead)", "telegram_id": 2, "roles": ["lead"]},
        {"name": "vera", "title": "Vera (SRE lead)", "telegram_id": 3, "roles": ["lead"]},
        {"name": "gleb", "title": "Gleb (stand-in)", "telegram_id": 4, "roles": ["stand-in"]},
        {"name": "hermit", "title": "Hermit (nowhere to be reached)"},
    ]
}
METRICS = {"latency_p95": 30, "error_rate": 30, "message_volume": 20, "cpu_memory": 10, "database_time": 10}
_numbers = itertools.count(1)


def runbook(name: str, **changes: Any) -> dict[str, Any]:
    """A two-stage rollout against an endpoint of the same name, watched for a moment."""
    stages = [
        {
            "name": stage,
            "title": title,
            "why": "It hurts.",
            "change": {"kind": "http_config", "set": settings},
            "gate": {"approvers": ["lead"], "quorum": 1},
        }
        for stage, title, settings in [
            ("limit", "Raise the limit", {"limit": 25}),
            ("pool", "Widen the pool", {"pool": 8, "keep_alive": 1}),
        ]
    ]
    file = {
        "kind": "rollout",
        "name": name,
        "title": "A test of two stages",
        "summary": "Two small changes.",
        "target": {"endpoint": name, "environment": "rehearsal"},
        "starters": ["oncall"],
        "paces": {"default": {"settle": "0.1s", "window": "0.2s", "interval": "0.1s"}},
        "scoring": {
            "baseline": {"window": "10m", "step": "30s"},
            "metrics": {
                metric: {
                    "weight_percent": weight,
                    "query": f"{name}:{metric}:$side",
                    "bad_when": "falling" if metric == "message_volume" else "rising",
                    "threshold": {"at_least_percent": 50},
                }
                for metric, weight in METRICS.items()
            },
        },
        "stages": stages,
    }
    file.update(changes)
    return file


def run_url(run_id: str) -> str:
    """Where a run's page would be."""
    return f"http://ui/{run_id}"


class StandingDelegations:
    """`ports.delegations.StandingDelegations` in memory, without its checks."""

    def __init__(self) -> None:
        self.items: list[Delegation] = []

    async def add(self, delegation: Delegation, *, key: str) -> None:
        self.items.append(delegation)

    async def active_after(self, now: datetime) -> list[Delegation]:
        return [d for d in self.items if d.until is None or d.until > now]

    async def end(self, by: str, *, now: datetime) -> int:
        before = len(self.items)
        self.items = [d for d in self.items if d.by != by]
        return before - len(self.items)


@dataclass
class House:
    """Workers over in-memory ports on a real server, and the files they read."""

    client: Client
    directory: Path
    targets: Targets = field(default_factory=Targets)
    systems: Systems = field(default_factory=Systems)
    metrics: Metrics = field(default_factory=Metrics)
    chat: ChatRoom = field(default_factory=ChatRoom)
    private: RecordingChannel = field(default_factory=RecordingChannel)
    book: MemoryBook = field(default_factory=MemoryBook)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    duty: MemoryDuty = field(default_factory=MemoryDuty)
    delegations: StandingDelegations = field(default_factory=StandingDelegations)
    guard: Guard = field(default_factory=lambda: Guard(signing.KEYS))
    verdicts: MemoryLog = field(default_factory=MemoryLog)

    def workers(self) -> list[Worker]:
        """Everything that `holdfast worker` serves, over these ports."""
        library = RunbookLibrary([self.directory])
        calling = CallingActivities(
            [self.private],
            self.book,
            self.audit,
            keyring=signing.KEYS,
            run_url=run_url,
        )
        paging = PagingActivities(
            library, self.duty, [self.private], self.audit, keyring=signing.KEYS, run_url=run_url
        )
        return [
            *run_workers(
                self.client,
                library=library,
                providers={
                    "http_config": self.targets,
                    "canary_share": self.targets,
                    **dict.fromkeys(("gitlab", "alembic", "command"), self.systems),
                },
                metrics=self.metrics,
                signing=SigningActivities(
                    keyring=signing.KEYS,
                    history=TemporalHistory(self.client),
                    file_digest=lambda name: library.rollout(name).digest,
                ),
                verdicts=lambda: self.verdicts,
            ),
            chat_worker(self.client, self.chat, calling, run_url=run_url, paging=paging),
            record_worker(self.client, RecordActivities(audit=self.audit, delegations=self.delegations)),
        ]

    def write_attributed(self, **scoring: Any) -> str:
        """Write a runbook of one stage that is judged by whose fault it is, and counts requests."""
        usual = runbook("NAME")
        usual["scoring"]["metrics"]["error_rate"] |= {"veto": "rollback", "unit": "%"}
        more = {"model": "attributed", "traffic": "NAME:traffic:$side", **scoring}
        return self.write(scoring=usual["scoring"] | more, stages=usual["stages"][:1])

    def write(self, **changes: Any) -> str:
        """Write a runbook of its own for a test and return its name; NAME in it stands for that."""
        name = f"test-{next(_numbers)}"
        whole = json.loads(json.dumps(runbook(name, **changes)))  # what is used twice must not be an alias
        text = yaml.safe_dump(whole, sort_keys=False).replace("NAME", name)
        self._add_systems(name)
        (self.directory / "rollout" / f"{name}.yaml").write_text(text)
        return name

    def _add_systems(self, name: str) -> None:
        """Give each runbook systems of its own: NAME-ci, NAME-db and NAME-tool."""
        path = self.directory / "systems.yaml"
        file = yaml.safe_load(path.read_text()) if path.exists() else {"systems": {}}
        file["systems"] |= {
            f"{name}-ci": {"kind": "gitlab", "url": "http://ci", "project": "a/b", "token": {"env": "NONE"}},
            f"{name}-db": {"kind": "alembic", "url": {"env": "NONE"}, "scripts": "scripts"},
            f"{name}-tool": {"kind": "command", "run": ["a"], "revert": ["b"], "state": ["c"], "done": "on"},
        }
        path.write_text(yaml.safe_dump(file))

    def write_incident(
        self, *, steps: list[dict[str, Any]] | None = None, rounds: int = 1, acknowledged_for: str = "30m"
    ) -> str:
        """Write an incident runbook with a policy and a rota, `NAME` of its own, and return its name."""
        name = f"incident-{next(_numbers)}"
        usual = [{"page": [f"rota:{name}"], "wait": "5m"}, {"page": ["lead"], "wait": "10m"}]
        policy = {
            "title": "First on duty, then the leads",
            "steps": json.loads(json.dumps(steps or usual).replace("NAME", name)),
            "rounds": rounds,
            "acknowledged_for": acknowledged_for,
        }
        rota = {"title": "Support", "members": ["anna"], "turn": "7d", "begins": "2026-01-05T10:00"}
        spec = {
            "kind": "incident",
            "name": name,
            "title": "Something is wrong",
            "summary": "Calls those who can help.",
            "openers": ["oncall"],
            "escalation": name,
            "responders": ["gleb"],
        }
        self._add("escalation/policies.yaml", "policies", {name: policy})
        self._add("escalation/duty.yaml", "rotas", {name: rota})
        (self.directory / "incident").mkdir(exist_ok=True)
        (self.directory / "incident" / f"{name}.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
        return name

    def _add(self, file: str, key: str, items: dict[str, Any]) -> None:
        path = self.directory / file
        path.parent.mkdir(exist_ok=True)
        known = yaml.safe_load(path.read_text()) if path.exists() else {key: {}}
        known[key] |= items
        path.write_text(yaml.safe_dump(known))

    async def start(self, name: str, **more: Any) -> "Run":
        request = RolloutRequest(runbook=name, requested_by="anna", **more)
        handle = await self.client.start_workflow(
            "rollout", request, id=f"run-{name}", task_queue=RUNBOOK_QUEUE
        )
        return Run(self, name, handle)

    def runs(self, client: Client | None = None) -> TemporalRuns:
        async def connect() -> Client:
            return client or self.client

        return TemporalRuns(connect, task_queue=RUNBOOK_QUEUE, address="the test server")


@dataclass
class Run:
    """A run under test, and its own target."""

    house: House
    name: str
    handle: WorkflowHandle[Any, Any]

    @property
    def target(self) -> Target:
        return self.house.targets.targets[self.name]

    def show(self, metric: str, value: float | None, side: str = "canary") -> None:
        self.house.metrics.values[f"{self.name}:{metric}:{side}"] = value

    async def view(self) -> RunView:
        return await self.handle.query("view", result_type=RunView)

    async def gate(self, wanted: Callable[[Gate], bool] = lambda _gate: True) -> Gate:
        async def open_gate() -> Gate | None:
            gate = (await self.view()).gate
            return gate if gate and wanted(gate) else None

        return await eventually(open_gate)

    async def answer(
        self, choice: str = "approve", by: str = "boris", gate: Gate | None = None, **more: Any
    ) -> Gate:
        gate = gate or await self.gate()
        await self.house.runs().decide(
            self.handle.id, signing.decision(self.handle.id, gate, by, choice, **more)
        )
        return gate

    async def say(self, act: str, by: str = "anna", **more: Any) -> DecisionReply:
        """Say a word as the private chat of this person would."""
        said = signing.word(self.handle.id, act, by, **more)
        return await self.house.runs().say(self.handle.id, said)

    async def roll_back(self, by: str = "anna", to: str = "", **more: Any) -> DecisionReply:
        said = RollBack(by=by, to=to, **more)
        info = await self.handle.describe()
        sealed = signing.seal(said, run=self.handle.id, execution=info.run_id)
        return await self.house.runs().roll_back(self.handle.id, sealed)

    async def result(self) -> dict[str, Any]:
        return await self.handle.result()


@contextmanager
def guarded(by: Guard) -> Iterator[None]:
    """Let this process's runs be guarded by a guard, and by the one before again afterwards."""
    try:
        before = guard()
    except DecisionRefused:  # there is none before the first house
        before = by
    install(by)
    try:
        yield
    finally:
        install(before)


@asynccontextmanager
async def open_house(client: Client, directory: Path) -> AsyncIterator[House]:
    """Serve runs of the runbooks in this directory, over in-memory ports."""
    house = House(client, directory)
    async with AsyncExitStack() as stack:
        stack.enter_context(guarded(house.guard))
        for worker in house.workers():
            await stack.enter_async_context(worker)
        refusals = asyncio.create_task(keep_refusals(house.guard, house.audit))
        yield house
        refusals.cancel()


@pytest.fixture(scope="session")
async def house(client: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    directory = tmp_path_factory.mktemp("runbooks")
    (directory / "rollout").mkdir()
    (directory / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    async with open_house(client, directory) as house:
        yield house
