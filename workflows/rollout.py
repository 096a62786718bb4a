"""The staged fix rollout: stage after stage, until one is not promoted. What a stage is stands in `stage.py`.

What it takes from people stands in `heard.py`, `gated.py`, `stoppable.py` and `pausable.py`, what it takes from
other runs in `yielding.py`. Ask the Query `view` for the whole state.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import calls
from workflows.board import Board
from workflows.carrying import Carried, RolloutInput, RolloutReport
from workflows.effects import even_if_cancelled
from workflows.gate import GateKeeper
from workflows.hearing import Hearing
from workflows.holding import Holding
from workflows.precedence import GivingWay, Precedence
from workflows.stage import StageRun
from workflows.undoing import Undoing
from workflows.yielding import YieldingRun

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.decisions import RollBack
    from holdfast.domain.undoing import reason_of
    from holdfast.domain.view import RunState, RunView, StageState
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan, may_roll_back


@workflow.defn(name="rollout")
class Rollout(YieldingRun):
    """One run of a rollout runbook."""

    @workflow.init
    def __init__(self, start: RolloutInput) -> None:
        """Begin with an empty view, or with what an earlier part of the run carried over."""
        carried = _carried(start)
        view = carried.view if carried else _first_view(start)
        self._board = Board(view, carried.message if carried else None)
        self._gates = GateKeeper(self._board)
        self._hearing = Hearing(self._gates, carried.replies if carried else None)
        self._giving_way = GivingWay(carried.ways if carried else None)
        self._pinned: Plan | None = None
        self._undone: RollBack | None = None  # the newest request that is dealt with

    @workflow.run
    async def run(self, start: RolloutInput) -> RolloutReport:
        """Run the stages in order; the first one that is not promoted ends the run."""
        self._gates.begin(protocol=workflow.patched("gate-protocol"), requester=start.requested_by)
        self._board.show(say=None if _carried(start) else f"started by {start.requested_by}")
        work = self._prepare_and_roll_out(start)
        ending = await self._shown(work, if_cancelled="what was under way is undone", failure="RolloutFailed")
        return RolloutReport(outcome=ending, view=self._board.view)

    # --- the runbook ------------------------------------------------------------------------------------

    async def _prepare_and_roll_out(self, start: RolloutInput) -> RunState:
        try:
            plan = self._pinned = await self._plan(start)
        except ActivityError as error:
            return self._board.end(RunState.FAILED, f"the runbook cannot be used: {calls.reason(error)}")
        self._gates.know(plan.people, mfa=plan.spec.target.is_production)
        self._board.view.may_roll_back = self._board.view.may_pause = may_roll_back(plan)
        precedence = Precedence(self._board, self._gates, plan)
        holding = Holding(self._board, plan, precedence=precedence, giving_way=self._giving_way)
        self._holding = holding
        undoing = Undoing(self._board, self._gates, holding, plan)
        try:
            ending = await self._unless_called_off(self._roll_out(start, plan, holding, undoing), undoing)
            if ending is None or self._wanted is not None:
                ending = await even_if_cancelled(self._roll_back(undoing))
        except asyncio.CancelledError:
            await even_if_cancelled(self._tidied_up(holding, undoing))
            raise
        await holding.release(at_the_end=True)
        return ending

    async def _tidied_up(self, holding: Holding, undoing: Undoing) -> None:
        """End a cancelled run, and keep what somebody was promised while its stage was undone."""
        if self._wanted is not self._undone:
            await self._roll_back(undoing)
        self._cancelled(undoing.proof if undoing.drifts else "what was under way is undone")
        await holding.release(at_the_end=True)

    async def _roll_out(self, start: RolloutInput, plan: Plan, holding: Holding, undoing: Undoing) -> RunState:
        for number, stage in enumerate(plan.spec.stages, start=1):
            if self._stands(stage) is not StageState.AHEAD:
                continue  # done before the run continued as new
            await self._board.unpaused()
            ending = await self._stage(holding, undoing, number, stage).run()
            if ending is not None:
                return ending
            if self._stands(stage) is StageState.PROMOTED and number < len(plan.spec.stages):
                # The next stage's checks and baseline want the system as this one left it.
                await workflow.sleep(plan.pace.settle, summary=f"let {stage.name} settle")
            await self._continue_as_new_if_long(start, plan)
        return self._board.end(RunState.PROMOTED, "every stage is in place")

    def _stage(self, holding: Holding, undoing: Undoing, number: int, stage: Stage) -> StageRun:
        return StageRun(self._board, self._gates, holding, undoing, number=number, stage=stage)

    async def _roll_back(self, undoing: Undoing) -> RunState:
        """Undo what somebody asked for; the stage that was under way is undone already."""
        self._gates.supersede(undoing.because)
        while self._wanted is not self._undone and self._wanted is not None:  # somebody may want more meanwhile
            self._undone = self._wanted
            await undoing.undo_after(self._undone.to, reason_of(self._undone))
        return self._board.end(RunState.ROLLED_BACK, f"{undoing.because} {undoing.proof}")

    def _stands(self, stage: Stage) -> StageState:
        return self._board.line(stage.name).state

    @workflow.query(description="The reviewed file as this run has pinned it, and who is who.")
    def plan(self) -> Plan | None:
        """Return the plan, as soon as it is read."""
        return self._pinned

    async def _plan(self, start: RolloutInput) -> Plan:
        carried = _carried(start)
        if carried:
            return carried.plan
        plan = await calls.load_plan(start)
        self._board.show_plan(plan)
        return plan

    async def _continue_as_new_if_long(self, start: RolloutInput, plan: Plan) -> None:
        if not workflow.info().is_continue_as_new_suggested():
            return
        await self._gates.settled()  # what is not on record yet would be lost
        if self._wanted is None and workflow.all_handlers_finished():
            board = self._board
            carried = Carried(
                plan=plan,
                view=board.view,
                message=board.message,
                replies=self._hearing.replies,
                ways=self._giving_way.ways,
            )
            workflow.continue_as_new(start.model_copy(update={"carried": carried}))


def _carried(start: RolloutInput) -> Carried | None:
    """Return what an earlier part of this run carried over; whoever starts a run brings no plan along."""
    return start.carried if workflow.info().continued_run_id else None


def _first_view(start: RolloutInput) -> RunView:
    return RunView(
        run_id=workflow.info().workflow_id,
        runbook=start.runbook,
        title=start.runbook,
        pace=start.pace,
        requested_by=start.requested_by,
        started_at=workflow.now(),
        headline="reading the runbook",
    )
