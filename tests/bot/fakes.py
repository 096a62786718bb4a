"""A `RunControl` in memory that answers decisions by the product's own rules, each delivery once."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from holdfast.domain.errors import DecisionRefused, EngineUnavailable, UnknownName
from holdfast.domain.gates import Decision, DecisionReply, Gate, GateState, check, record
from holdfast.domain.people import People, Person
from holdfast.domain.view import RunView
from holdfast.ports.runs import RolloutRequest, RunLine
from tests.telegram.standin import LENA, OLGA, PAVEL

PEOPLE = People(
    people=(
        Person(name="olga", title="Olga (SRE lead)", telegram_id=OLGA, roles=("lead",)),
        Person(name="pavel", title="Pavel (on call)", telegram_id=PAVEL, roles=("oncall",)),
        Person(name="lena", title="Lena (guest)", telegram_id=LENA),
    )
)


class MemoryRuns:
    """Runs without an engine.

    Attributes:
        down: the engine does not answer.
        slow: calls take this many seconds.
        silent_for: people whose decisions are never answered.
        broken: how many calls fail in a way that nobody foresaw.
        starts, decisions: every effect, in order.
        asked: how many calls came.
        most_at_once: how many calls were there at the same time.
    """

    def __init__(self) -> None:
        self.views: dict[str, RunView] = {}
        self.starts: list[tuple[str, RolloutRequest]] = []
        self.decisions: list[Decision] = []
        self.down = False
        self.slow = 0.0
        self.silent_for: set[str] = set()
        self.broken = 0
        self.asked = 0
        self.most_at_once = 0
        self._calls = 0
        self._answers: dict[str, DecisionReply | DecisionRefused] = {}

    def add(self, view: RunView) -> None:
        self.views[view.run_id] = view

    async def start(self, request: RolloutRequest, *, run_id: str) -> bool:
        await self._answer()
        if run_id in self.views:
            return False
        self.starts.append((run_id, request))
        self.add(
            RunView(
                run_id=run_id,
                runbook=request.runbook,
                title=request.runbook,
                requested_by=request.requested_by,
                started_at=datetime.now(UTC),
            )
        )
        return True

    async def decide(self, run_id: str, decision: Decision) -> DecisionReply:
        await self._answer()
        if decision.by in self.silent_for:
            await asyncio.sleep(3600)
        view = self._view(run_id)
        if decision.id not in self._answers:
            self._answers[decision.id] = self._decide(view, decision)
        answer = self._answers[decision.id]
        if isinstance(answer, DecisionRefused):
            raise answer
        return answer

    async def view(self, run_id: str) -> RunView:
        await self._answer()
        return self._view(run_id)

    async def recent(self, *, limit: int = 20) -> list[RunLine]:
        await self._answer()
        newest = sorted(self.views.values(), key=lambda view: view.started_at, reverse=True)
        return [
            RunLine(
                run_id=v.run_id,
                runbook=v.runbook,
                status=v.state,
                started_at=f"{v.started_at:%Y-%m-%d %H:%M} UTC",
            )
            for v in newest[:limit]
        ]

    async def result(self, run_id: str) -> dict[str, Any]:
        return {"state": self._view(run_id).state}

    def _decide(self, view: RunView, decision: Decision) -> DecisionReply | DecisionRefused:
        try:
            check(decision, view.gate, closed=view.closed_gates, people=PEOPLE)
        except DecisionRefused as refused:
            return refused
        gate: Gate = view.gate  # type: ignore[assignment]  # it was checked to be there
        self.decisions.append(decision)
        reply = record(decision, gate, now=datetime.now(UTC))
        if gate.state is not GateState.OPEN:
            view.closed_gates.append(gate)
            view.gate = None
        return reply

    def _view(self, run_id: str) -> RunView:
        if run_id not in self.views:
            raise UnknownName("run", run_id, self.views)
        return self.views[run_id]

    async def _answer(self) -> None:
        self.asked += 1
        if self.broken:
            self.broken -= 1
            raise RuntimeError("nobody foresaw this")
        if self.down:
            raise EngineUnavailable("connection refused")
        self._calls += 1
        self.most_at_once = max(self.most_at_once, self._calls)
        await asyncio.sleep(self.slow)
        self._calls -= 1
