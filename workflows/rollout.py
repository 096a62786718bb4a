"""The staged fix rollout: stage after stage, until one is not promoted. What a stage is stands in `stage.py`.

Send decisions with the Update `decide` (answered at once), or with the Signal `decide` (kept while no worker
is up). Ask the Query `view` for the whole state.
"""

import asyncio
from typing import Any

from pydantic import BaseModel
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import calls, questions
from workflows.board import Board
from workflows.gate import GateKeeper
from workflows.stage import StageRun

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.gates import DecisionReply
    from holdfast.domain.view import MessageRef, RunState, RunView, StageState
    from holdfast.ports.runs import RolloutRequest
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan


class Carried(BaseModel):
    """What a run takes along when it continues as new, at a stage boundary."""

    plan: Plan
    view: RunView
    message: MessageRef | None = None
    replies: dict[str, DecisionReply] = {}


class RolloutInput(RolloutRequest):
    """What starts a rollout; `carried` is filled in only by the run itself when it continues as new."""

    carried: Carried | None = None


class RolloutReport(BaseModel):
    """How a rollout ended; the facts are in the view."""

    outcome: RunState
    view: RunView


@workflow.defn(name="rollout")
class Rollout:
    """One run of a rollout runbook."""

    @workflow.init
    def __init__(self, start: RolloutInput) -> None:
        """Begin with an empty view, or with what an earlier part of the run carried over."""
        carried = start.carried
        view = carried.view if carried else _first_view(start)
        self._board = Board(view, carried.message if carried else None)
        self._gates = GateKeeper(view, carried.replies if carried else None)

    @workflow.run
    async def run(self, start: RolloutInput) -> RolloutReport:
        """Run the stages in order; the first one that is not promoted ends the run."""
        self._board.show(say=None if start.carried else f"started by {start.requested_by}")
        publishing = asyncio.create_task(self._board.keep_publishing())
        cancelled = False
        try:
            ending = await self._prepare_and_roll_out(start)
        except asyncio.CancelledError:
            cancelled = True
            self._gates.supersede()
            ending = self._board.end(RunState.STOPPED, "cancelled by request; what was under way is undone")
        await self._board.published()
        publishing.cancel()
        await workflow.wait_condition(workflow.all_handlers_finished)
        if cancelled:
            raise asyncio.CancelledError
        if ending is RunState.FAILED:
            raise ApplicationError(self._board.view.headline, type="RolloutFailed", non_retryable=True)
        return RolloutReport(outcome=ending, view=self._board.view)

    # --- messages ---------------------------------------------------------------------------------------

    @workflow.update(
        name="decide",
        description='Answer the open gate. Paste the JSON shown in the details and put your name after "by".',
    )
    def decide(self, message: Any) -> DecisionReply:
        """Record a decision; refused ones never get here."""
        reply = self._gates.decide(message)
        self._board.show(say=f"{questions.sender(message)} on {reply.gate}: {reply.text}")
        return reply

    @decide.validator
    def check_decision(self, message: Any) -> None:
        """Refuse a decision that does not count, with the reason."""
        self._gates.validate(message)

    @workflow.signal(
        name="decide",
        description="The same as the update 'decide', kept while no worker is up. You get no answer here: "
        "look at the details afterwards.",
    )
    def decide_later(self, message: Any = None) -> None:
        """Record a decision, or say in the timeline why it did not count."""
        said = self._gates.decide_or_explain(message)
        self._board.show(say=f"{questions.sender(message)}: {said}")

    @workflow.query(description="Everything the run shows of itself.")
    def view(self) -> RunView:
        """Return the current view."""
        return self._board.view

    # --- the runbook ------------------------------------------------------------------------------------

    async def _prepare_and_roll_out(self, start: RolloutInput) -> RunState:
        try:
            plan = await self._plan(start)
        except ActivityError as error:
            return self._board.end(RunState.FAILED, f"the runbook cannot be used: {calls.reason(error)}")
        self._gates.people = plan.people
        for number, stage in enumerate(plan.spec.stages, start=1):
            if self._stands(stage) is not StageState.AHEAD:
                continue  # done before the run continued as new
            ending = await StageRun(self._board, self._gates, plan, number, stage).run()
            if ending is not None:
                return ending
            if self._stands(stage) is StageState.PROMOTED and number < len(plan.spec.stages):
                # The next stage's checks and baseline want the system as this one left it.
                await workflow.sleep(plan.pace.settle, summary=f"let {stage.name} settle")
            self._continue_as_new_if_long(start, plan)
        return self._board.end(RunState.PROMOTED, "every stage is in place")

    def _stands(self, stage: Stage) -> StageState:
        return self._board.line(stage.name).state

    async def _plan(self, start: RolloutInput) -> Plan:
        if start.carried:
            return start.carried.plan
        plan = await calls.load_plan(start)
        self._board.show_plan(plan)
        return plan

    def _continue_as_new_if_long(self, start: RolloutInput, plan: Plan) -> None:
        if workflow.info().is_continue_as_new_suggested() and workflow.all_handlers_finished():
            board, gates = self._board, self._gates
            carried = Carried(plan=plan, view=board.view, message=board.message, replies=gates.replies)
            workflow.continue_as_new(start.model_copy(update={"carried": carried}))


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
