"""Work that goes first: a fix that unblocks customers, before planned work, if the owner of that agrees.

The fix's run asks at a gate of its own and tells the other run. That one begins no further stage before the fix
has ended; nothing of it is cut off in the middle.
"""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, Final, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

from workflows.board import Board
from workflows.effects import ended
from workflows.gate import GateKeeper

with workflow.unsafe.imports_passed_through():
    from holdfast.domain import run_phrases
    from holdfast.domain.decisions import parse
    from holdfast.domain.errors import DecisionRefused
    from holdfast.domain.evidence import Evidence
    from holdfast.domain.gates import Gate, GateState, Question
    from holdfast.domain.precedence import GiveWay, check_way, gate_before
    from holdfast.domain.signoff import Reminders, SignOff
    from holdfast.domain.view import RunState
    from holdfast.ports.holds import Held, Holder
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan

T = TypeVar("T")
_AGAIN: Final = timedelta(minutes=10)


class GivingWay:
    """What goes before a run.

    Attributes:
        ways: what it was told, oldest first.
    """

    def __init__(self, ways: list[GiveWay] | None = None) -> None:
        """Give way to what an earlier part of the run was told of."""
        self.ways = ways or []

    @property
    def asked(self) -> bool:
        """Whether anything goes before the run, or did."""
        return bool(self.ways)

    @property
    def holders(self) -> list[Holder]:
        """The runs that go first, as far as this run was told; they may have ended."""
        return [Holder(run=way.run, title=way.title, since=way.agreed_at, fix=True) for way in self.ways]

    def hear(self, message: Any, board: Board) -> bool:
        """Take what a run says, or say in the timeline why it does not count; return whether it counts."""
        try:
            way = parse(GiveWay, message)
            check_way(way, board.view.run_id)
        except DecisionRefused as refusal:
            board.show(say=_refusal(message, str(refusal)))
            return False
        if board.view.state.ended or not board.view.stages:
            board.show(say=_refusal(message, run_phrases.WAY_OVER))
            return False
        if all(known.run != way.run for known in self.ways):
            self.ways.append(way)
            said = run_phrases.GIVES_WAY.format(
                run=way.run, title=way.title, words=way.unblocks, by=way.agreed_by
            )
            board.show(say=said, ping=said)
        return True


def _refusal(message: Any, why: str) -> str:
    try:
        run = parse(GiveWay, message).run
    except DecisionRefused:
        return run_phrases.WAY_UNREADABLE
    return run_phrases.WAY_REFUSED.format(run=run, why=why)


class Precedence:
    """Asks whether the fix of a run may go before what other runs do."""

    def __init__(self, board: Board, gates: GateKeeper, plan: Plan) -> None:
        """Ask through these gates."""
        self._board, self._gates, self._plan = board, gates, plan
        self._told: set[str] = set()

    @property
    def asks(self) -> bool:
        """Whether this run may want to go first at all."""
        return self._plan.spec.fix and bool(self._plan.spec.unblocks)

    async def during(self, claim: Awaitable[T], held: Held, stage: Stage) -> T:
        """Ask the owner of what is in the way while a claim waits for it; return what the claim returns."""
        asking = asyncio.create_task(self._ask(held, stage))
        try:
            report = await claim
        finally:
            asking.cancel()
        gate = self._gates.gate
        if gate is not None and gate.id == gate_before(held.by.run):
            self._gates.supersede(run_phrases.FIRST_OVERTAKEN.format(system=held.system))
        await ended(asking)
        return report

    async def _ask(self, held: Held, stage: Stage) -> None:
        """Ask once a run, and tell it what was decided; where nobody can be asked, say why."""
        gate_id = gate_before(held.by.run)
        if held.by.fix or any(gate.id == gate_id for gate in self._board.view.closed_gates):
            return
        nobody = self._why_nobody(held.by)
        if nobody:
            if nobody not in self._told:
                self._told.add(nobody)
                self._board.show(say=nobody, ping=nobody)
            return
        gate = self._open(gate_id, held, stage)
        await self._gates.decided(gate)
        if gate.state is GateState.APPROVED:
            await self._gates.on_record()  # nothing is done on an approval before
            await self._tell(held.by.run, gate, stage)
        elif gate.state is not GateState.SUPERSEDED:
            said = run_phrases.FIRST_REFUSED.format(run=held.by.run)
            self._board.show(RunState.CHECKING, f"{stage.title} waits: {held.describe()}", say=said)

    def _why_nobody(self, other: Holder) -> str:
        if not other.team:
            return run_phrases.NO_TEAM.format(run=other.run)
        team = self._plan.people.teams.get(other.team)
        if team is None:
            return run_phrases.NO_SUCH_TEAM.format(run=other.run, name=other.team)
        if not self._plan.people.holding(team.owner):
            return run_phrases.NO_OWNER.format(run=other.run, name=other.team)
        return ""

    def _open(self, gate_id: str, held: Held, stage: Stage) -> Gate:
        spec, other = self._plan.spec, held.by
        policy = SignOff(
            approvers=self._plan.people.teams[other.team].owner,
            requester_may_approve=True,  # it is the owner's own work that waits
            remind=Reminders(after=(_AGAIN,), then_every=_AGAIN, in_working_hours=False),
        )
        theirs = other.title or other.run
        question = Question(
            title=run_phrases.FIRST_TITLE.format(title=spec.title),
            question=run_phrases.FIRST_QUESTION.format(title=spec.title, entry=theirs, words=spec.unblocks),
            if_approved=run_phrases.FIRST_APPROVED.format(run=other.run),
            if_rejected=run_phrases.FIRST_REJECTED.format(run=other.run),
            if_nothing=run_phrases.FIRST_NOTHING.format(n=_AGAIN // timedelta(minutes=1)),
            approve_label=run_phrases.FIRST_YES,
            reject_label=run_phrases.FIRST_NO,
        )
        rests_on = {"stage": stage.name, "before": other.run, "their stage": other.stage, "team": other.team}
        gate = self._gates.open(
            gate_id, policy, question, Evidence(plan=rests_on, taken_at=workflow.now()), again=""
        )
        called = f"{', '.join(gate.approvers)}: your decision is asked. {gate.title}"
        self._board.show(RunState.WAITING, gate.title, say=f"asked: {gate.title}", ping=called)
        return gate

    async def _tell(self, run: str, gate: Gate, stage: Stage) -> None:
        """Tell the other run; one that has ended meanwhile holds nothing any more."""
        spec, decision = self._plan.spec, gate.approvals[-1]
        way = GiveWay(
            run=self._board.view.run_id,
            title=spec.title,
            unblocks=spec.unblocks,
            gate=gate.id,
            decision=decision,
        )
        self._board.show(
            RunState.CHECKING,
            run_phrases.FIRST_WAITS.format(title=stage.title, run=run),
            say=run_phrases.FIRST_AGREED.format(run=run, by=decision.by),
        )
        try:
            await workflow.get_external_workflow_handle(run).signal("give_way", way)
        except FailureError as error:
            workflow.logger.warning("%s could not be told to give way: %s", run, error)
