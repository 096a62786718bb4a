"""The command line over real files and an in-memory port to the runs."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from holdfast.apps.cli import CliDeps, main
from holdfast.domain import gates
from holdfast.domain.errors import EngineUnavailable, UnknownName
from holdfast.domain.gates import Decision, DecisionReply, Gate
from holdfast.domain.people import People
from holdfast.domain.view import LogLine, RunState, RunView, StageView
from holdfast.ports.runs import RolloutRequest, RunLine
from holdfast.runbook.library import RunbookLibrary

ROOT = Path(__file__).resolve().parents[2]
RUN = "rollout-aaaaaaaa"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def open_gate() -> Gate:
    return Gate(
        id="1-bot-rate-limit",
        title="stage 1, Let the bot send faster",
        question="Set bot_rate_limit_per_s = 25 (now 5)?",
        if_approved="The canary gets 5 % of the traffic.",
        if_rejected="The run stops here.",
        if_nothing="The run waits.",
        approvers=("boris",),
        evidence="3f9a2c51d0be",
        token="do-not-show-me",
        opened_at=NOW,
    )


def waiting_run() -> RunView:
    return RunView(
        run_id=RUN,
        runbook="support-surge",
        title="Relieve a support surge",
        digest="0123456789ab",
        requested_by="anna",
        started_at=NOW,
        state=RunState.WAITING,
        headline="stage 1, Let the bot send faster",
        stages=[
            StageView(
                name="bot-rate-limit", title="Let the bot send faster", change="bot_rate_limit_per_s = 25"
            )
        ],
        gate=open_gate(),
        log=[LogLine(at=NOW, text="started by anna")],
    )


@dataclass
class MemoryRuns:
    """Implements `RunControl` for runs that live in this process; `script` changes the view at each look."""

    people: People
    views: dict[str, RunView] = field(default_factory=dict)
    started: dict[str, RolloutRequest] = field(default_factory=dict)
    script: list[Callable[[RunView], None]] = field(default_factory=list)
    down: bool = False
    looks_while_down: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, request: RolloutRequest, *, run_id: str) -> bool:
        self._answer()
        self.started[run_id] = request
        self.views[run_id] = waiting_run().model_copy(update={"run_id": run_id})
        return True

    async def decide(self, run_id: str, decision: Decision) -> DecisionReply:
        view = self._view(run_id)
        gates.check(decision, view.gate, closed=view.closed_gates, people=self.people)
        reply = gates.record(decision, view.gate, now=NOW)
        view.closed_gates.append(view.gate)
        view.gate = None
        return reply

    async def view(self, run_id: str) -> RunView:
        if self.looks_while_down:
            self.looks_while_down -= 1
            raise EngineUnavailable("the Temporal server does not answer")
        view = self._view(run_id)
        if self.script:
            self.script.pop(0)(view)
        if view.state.ended:
            self.ended.set()
        return view

    async def recent(self, *, limit: int = 20) -> list[RunLine]:
        self._answer()
        lines = [
            RunLine(run_id=i, runbook=v.runbook, status=v.state, started_at="now")
            for i, v in self.views.items()
        ]
        return lines[:limit]

    async def result(self, run_id: str) -> dict[str, Any]:
        await self.ended.wait()
        return {"outcome": str(self._view(run_id).state)}

    def _view(self, run_id: str) -> RunView:
        self._answer()
        if run_id not in self.views:
            raise UnknownName("run", run_id, self.views)
        return self.views[run_id]

    def _answer(self) -> None:
        if self.down:
            raise EngineUnavailable("the Temporal server does not answer: nobody listens on 127.0.0.1:7233")


@dataclass
class Told:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def library() -> RunbookLibrary:
    return RunbookLibrary([ROOT / "runbooks"])


@pytest.fixture
def runs(library) -> MemoryRuns:
    return MemoryRuns(library.people(), {RUN: waiting_run()})


@pytest.fixture
def served() -> list[str]:
    """The processes that commands started, by name."""
    return []


@pytest.fixture
def holdfast(library, runs, served, capsys) -> Callable[..., Told]:
    """Run one command as a person would."""

    @asynccontextmanager
    async def run_control() -> AsyncIterator[MemoryRuns]:
        yield runs

    def command(*tokens: str, directories: list[Path] | None = None) -> Told:
        deps = CliDeps(
            library=lambda: RunbookLibrary(directories) if directories else library,
            run_control=run_control,
            ui_url=lambda run_id: f"http://ui/{run_id}",
            start_worker=lambda: served.append("worker"),
            start_bot=lambda: served.append("bot"),
        )
        with pytest.raises(SystemExit) as ended:
            main(deps, tokens)
        written = capsys.readouterr()
        return Told(int(ended.value.code or 0), written.out, written.err)

    return command
