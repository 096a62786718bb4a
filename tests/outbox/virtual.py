"""An event loop whose time passes only while everybody waits, and what a simulation of the sender needs."""

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import yaml
from prometheus_client import CollectorRegistry

from holdfast.outbox.bell import Bell
from holdfast.outbox.clock import Clock
from holdfast.outbox.lease import DeadHolders
from holdfast.outbox.message import Message, Request, Row
from holdfast.outbox.metrics import OutboxMetrics
from holdfast.outbox.outbox import Outbox
from holdfast.outbox.sender import Sender
from holdfast.outbox.store import Lease
from holdfast.outbox.timing import Timing
from holdfast.outbox.transport import Fate, Sent
from holdfast.runbook.priorities import Priorities
from tests.outbox.memory import MemoryStore

T = TypeVar("T")

START = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
POLICY_FILE = Path(__file__).parents[2] / "runbooks/escalation/priorities.yaml"
BOT = "77"


def shipped_policy(**changes: Any) -> Priorities:
    return Priorities.model_validate(yaml.safe_load(POLICY_FILE.read_text(encoding="utf-8")) | changes)


class _VirtualSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits for something that nobody does")
        self.passed += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.passed

    def stand_still(self, for_seconds: float) -> None:
        """Let time pass while nobody does anything, as between SIGSTOP and SIGCONT."""
        self._virtual.passed += for_seconds


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time."""
    random.seed(7)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def seconds() -> float:
    return asyncio.get_running_loop().time()


def now() -> datetime:
    return START + timedelta(seconds=seconds())


VIRTUAL = Clock(now=now, monotonic=lambda: round(seconds() * 1e9))

Answer = Callable[[Row], Awaitable[Fate]]


class ScriptedTransport:
    """Does what it is told, else delivers after `latency` seconds.

    Attributes:
        tries: rows with the second of each try.
        digests: those that went as one.
    """

    def __init__(self, latency: float = 0.05) -> None:
        self.latency = latency
        self.tries: list[tuple[float, Row]] = []
        self.digests: list[list[Row]] = []
        self.answer: Answer | None = None
        self.script: dict[str, list[Fate]] = {}

    async def send(self, row: Row) -> Fate:
        self.tries.append((seconds(), row))
        await asyncio.sleep(self.latency)
        if self.script.get(row.key):
            return self.script[row.key].pop(0)
        return await self.answer(row) if self.answer else Sent(f"m{row.id}")

    async def send_digest(self, rows: list[Row]) -> Fate:
        self.digests.append(rows)
        return await self.send(rows[0])

    def tried(self) -> list[str]:
        return [row.key for _, row in self.tries]


class House:
    """One bot with a store, a sender and a facade."""

    def __init__(self, *, policy: Priorities | None = None, transport: ScriptedTransport | None = None) -> None:
        self.store = MemoryStore()
        self.policy = policy or shipped_policy()
        self.transport = transport or ScriptedTransport()
        self.bell = Bell()
        self.registry = CollectorRegistry()
        self.metrics = OutboxMetrics(self.registry)
        self.outbox = Outbox(
            self.store, lambda: self.policy, bot=BOT, now=now, bell=self.bell, metrics=self.metrics
        )
        self._tasks: set[asyncio.Task[Any]] = set()

    def sender(
        self,
        holder: str = "one",
        *,
        bell: Bell | None = None,
        timing: Timing | None = None,
        gone: DeadHolders | None = None,
    ) -> Sender:
        return Sender(
            self.store,
            self.transport,
            lambda: self.policy,
            BOT,
            holder,
            bell=bell or self.bell,
            metrics=self.metrics,
            clock=VIRTUAL,
            timing=timing,
            gone=gone or _nobody,
        )

    async def put_elsewhere(self, put: Message) -> None:
        """Put as another process does, whose bell nobody here hears."""
        await Outbox(self.store, lambda: self.policy, bot=BOT, now=now).put(put)

    def start(self, sender: Sender | None = None) -> "asyncio.Task[Any]":
        task: asyncio.Task[Any] = asyncio.create_task((sender or self.sender()).run())
        self._tasks.add(task)
        return task

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"holdfast_outbox_{name}", labels)

    async def until(self, condition: Callable[[], bool], *, within: float = 600) -> None:
        end = seconds() + within
        while not condition():
            assert seconds() < end, f"not so within {within} s: {self.store.states()}"
            await asyncio.sleep(0.01)

    async def until_settled(self, *, within: float = 600) -> None:
        await self.until(lambda: not self.store.unsettled, within=within)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _nobody(_: Lease | None) -> frozenset[str]:
    return frozenset()


def message(key: str, chat: str = "1", kind: str = "escalation", **fields: Any) -> Message:
    request = Request(method="sendMessage", params={"text": key})
    return Message(key=key, chat=chat, kind=kind, request=request, **fields)


async def stop(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
