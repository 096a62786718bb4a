"""A CI system in a few lines: what it does at each call is set by the test, or chosen by Hypothesis."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from holdfast.domain.errors import Unavailable
from holdfast.ports.pipelines import Deployed, PipelineOrder, PipelineRun, RunStatus


@dataclass
class ScriptedRun:
    id: str
    order: PipelineOrder
    started: float
    status: RunStatus = RunStatus.RUNNING
    looks: int = 0

    def shown(self) -> PipelineRun:
        return PipelineRun(id=self.id, status=self.status, url=f"https://ci.example/{self.id}", said="in words")


@dataclass
class Scripted:
    """Implements `Pipelines`.

    Attributes:
        calls: names of the methods that were called.
        before, after: called with the number of each call, around what it does; they may raise.
        lag_seconds: a run is found only so long after its start.
        says_which: whether a start returns its run.
        ends: how a run ends, after `looks` looks.
        left: versions that `deployed` answers one by one before the true one.
    """

    version: str = "1.4.2"
    unsettled: str = ""
    lag_seconds: float = 0.0
    says_which: bool = True
    ends: RunStatus = RunStatus.SUCCEEDED
    looks: int = 1
    left: list[str] = field(default_factory=list[str])
    runs: list[ScriptedRun] = field(default_factory=list[ScriptedRun])
    calls: list[str] = field(default_factory=list[str])
    before: Callable[[int, str], None] = lambda _number, _name: None
    after: Callable[[int, str], None] = lambda _number, _name: None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    holds_starts: bool = False

    async def find(self, order: PipelineOrder) -> PipelineRun | None:
        self._call("find")
        seen = [
            r for r in self.runs if r.order.key == order.key and monotonic() - r.started >= self.lag_seconds
        ]
        self._done("find")
        return seen[0].shown() if seen else None

    async def start(self, order: PipelineOrder) -> PipelineRun | None:
        self._call("start")
        if self.holds_starts:
            await self.gate.wait()
        run = ScriptedRun(str(len(self.runs) + 1), order, monotonic())
        self.runs.append(run)
        self._done("start")
        return run.shown() if self.says_which else None

    async def look(self, order: PipelineOrder, run_id: str) -> PipelineRun:
        self._call("look")
        run = self.runs[int(run_id) - 1]
        assert run.order == order
        run.looks += 1
        if run.looks >= self.looks and not run.status.ended:
            run.status = self.ends
            self.version = order.version if self.ends is RunStatus.SUCCEEDED else self.version
        self._done("look")
        return run.shown()

    async def cancel(self, order: PipelineOrder, run_id: str) -> None:
        self._call("cancel")
        assert self.runs[int(run_id) - 1].order == order
        self.runs[int(run_id) - 1].status = RunStatus.CANCELLED
        self._done("cancel")

    async def deployed(self, system: str, part: str) -> Deployed:
        assert (system, part) == ("shop-ci", "canary")
        self._call("deployed")
        version = self.left.pop(0) if self.left else self.version
        self._done("deployed")
        return Deployed(version=version, unsettled=self.unsettled)

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.before(len(self.calls), name)

    def _done(self, name: str) -> None:
        self.after(len(self.calls), name)


@dataclass
class Failing:
    """Fails the first calls of one method, once each; give it as `before` or `after`."""

    name: str
    times: int = 1
    retry_after_seconds: float | None = None
    moments: list[float] = field(default_factory=list[float])

    def __call__(self, _number: int, name: str) -> None:
        if name != self.name:
            return
        self.moments.append(monotonic())
        if len(self.moments) <= self.times:
            raise Unavailable("the CI system does not answer", retry_after_seconds=self.retry_after_seconds)
