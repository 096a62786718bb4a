import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import Client, WorkflowHandle

from holdfast.adapters.temporal.runs import TemporalRuns
from holdfast.domain.gates import Decision, Gate
from holdfast.domain.view import RunView
from holdfast.ports.runs import RolloutRequest
from holdfast.runbook.library import RunbookLibrary
from tests.fakes import ChatRoom, Metrics, Target, Targets, eventually
from workers.queues import chat_worker, run_workers
from workflows.options import RUNBOOK_QUEUE

PEOPLE = {
    "people": [
        {"name": "anna", "title": "Anna (on-call)", "telegram_id": 1, "roles": ["oncall"]},
        {"name": "boris", "title": "Boris (SRE lead)", "telegram_id": 2, "roles": ["lead"]},
        {"name": "vera", "title": "Vera (SRE lead)", "telegram_id": 3, "roles": ["lead"]},
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
        "target": {"endpoint": name},
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


@dataclass
class House:
    """Workers over in-memory ports on a real server, and the files they read."""

    client: Client
    directory: Path
    targets: Targets = field(default_factory=Targets)
    metrics: Metrics = field(default_factory=Metrics)
    chat: ChatRoom = field(default_factory=ChatRoom)

    def write(self, **changes: Any) -> str:
        """Write a runbook of its own for a test and return its name."""
        name = f"test-{next(_numbers)}"
        text = yaml.safe_dump(runbook(name, **changes), sort_keys=False)
        (self.directory / "rollout" / f"{name}.yaml").write_text(text)
        return name

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

    async def answer(self, choice: str = "approve", by: str = "boris", gate: Gate | None = None) -> Gate:
        gate = gate or await self.gate()
        decision = Decision(gate=gate.id, decision=choice, by=by, evidence=gate.evidence)
        await self.house.runs().decide(self.handle.id, decision)
        return gate

    async def result(self) -> dict[str, Any]:
        return await self.handle.result()


@asynccontextmanager
async def open_house(client: Client, directory: Path) -> AsyncIterator[House]:
    """Serve runs of the runbooks in this directory, over in-memory ports."""
    house = House(client, directory)
    async with AsyncExitStack() as stack:
        for worker in [
            *run_workers(
                client,
                library=RunbookLibrary([directory]),
                providers={"http_config": house.targets, "canary_share": house.targets},
                metrics=house.metrics,
            ),
            chat_worker(client, house.chat, run_url=lambda run_id: f"http://ui/{run_id}"),
        ]:
            await stack.enter_async_context(worker)
        yield house


@pytest.fixture(scope="session")
async def house(client: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    directory = tmp_path_factory.mktemp("runbooks")
    (directory / "rollout").mkdir()
    (directory / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    async with open_house(client, directory) as house:
        yield house
