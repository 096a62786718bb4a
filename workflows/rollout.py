"""The staged fix rollout: check, ask, check again, canary by shares, promote; or undo by the journal.

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
from workflows.effects import apply, even_if_cancelled, undo
from workflows.gate import GateKeeper

with workflow.unsafe.imports_passed_through():
    from activities.checks import CheckReport
    from holdfast.domain.gates import DecisionReply, Gate
    from holdfast.domain.journal import Effect
    from holdfast.domain.view import MessageRef, RunState, RunView, StageState, StageView
    from holdfast.ports.runs import RolloutRequest
    from holdfast.runbook import plan as planned
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan
    from holdfast.verdict.observation import Baseline, Outcome, Verdict
    from holdfast.verdict.view import to_view


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
        self._plan: Plan | None = carried.plan if carried else None

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
            ending = self._end(RunState.STOPPED, "cancelled by request; what was under way is undone")
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
            plan = await self._load(start)
        except ActivityError as error:
            return self._end(RunState.FAILED, f"the runbook cannot be used: {calls.reason(error)}")
        for number, stage in enumerate(plan.spec.stages, start=1):
            if self._line(stage).state is not StageState.AHEAD:
                continue  # done before the run continued as new
            ending = await self._stage(number, stage)
            if ending is not None:
                return ending
            if self._line(stage).state is StageState.PROMOTED and stage is not plan.spec.stages[-1]:
                # The next stage's checks and baseline want the system as this one left it.
                await workflow.sleep(plan.pace.settle, summary=f"let {stage.name} settle")
            self._continue_as_new_if_long(start, plan)
        return self._end(RunState.PROMOTED, "every stage is in place")

    async def _load(self, start: RolloutInput) -> Plan:
        if self._plan is None:
            self._plan = await calls.load_plan(start)
            self._board.show_plan(self._plan)
        self._gates.people = self._plan.people
        return self._plan

    async def _stage(self, number: int, stage: Stage) -> RunState | None:
        """Take one stage from its checks to its promotion; return how the run ends if it is not promoted."""
        self._mark(stage, StageState.CURRENT)
        checked = await self._checked(f"{number}-{stage.name}-check", stage)
        if checked is None:
            return self._not_wanted(stage, "stopped because the checks did not pass")
        if checked.in_place:
            self._mark(stage, StageState.IN_PLACE)
            self._board.show(say=f"{stage.title}: already in place")
            return None
        gate = questions.ask_for_sign_off(self._gates, number, self._pinned, stage, checked)
        if not await self._answered(gate):
            return self._not_wanted(stage, "rejected")
        # The sign-off may have taken weeks: look again before acting.
        if await self._checked(f"{number}-{stage.name}-recheck", stage) is None:
            return self._not_wanted(stage, "stopped because the checks did not pass")
        return await self._canary_or_undo(number, stage)

    async def _canary_or_undo(self, number: int, stage: Stage) -> RunState | None:
        try:
            if await self._canary(number, stage):
                self._mark(stage, StageState.PROMOTED)
                self._board.show(say=f"{stage.title}: promoted")
                return None
            ending, why = RunState.ROLLED_BACK, self._board.view.headline
        except ActivityError as error:
            ending, why = RunState.FAILED, f"{stage.title} could not be done: {calls.reason(error)}"
        except asyncio.CancelledError:
            await self._roll_back(stage, f"{stage.title}: the run is cancelled")
            raise
        proof = await even_if_cancelled(self._roll_back(stage, why))
        return self._end(ending, f"{why} {proof}")

    async def _canary(self, number: int, stage: Stage) -> bool:
        """Raise the canary's share step by step and promote it; False when it has to be undone."""
        run_id, spec = self._board.view.run_id, self._pinned.spec
        view = self._board.view
        baseline = await calls.take_baseline(self._pinned, not_before=view.stable_since)
        view.baseline = baseline.describe()
        await self._apply(planned.canary_effect(run_id, spec, stage))
        for share in stage.shares_percent:
            await self._apply(planned.share_effect(run_id, spec, stage, share))
            self._line(stage).share_percent = share
            self._board.show(RunState.WATCHING, f"{stage.title}: watching {share} % of the traffic")
            if not await self._healthy(number, stage, share, baseline):
                return False
        self._board.show(RunState.CHANGING, f"{stage.title}: promoting to everybody", quietly=True)
        for effect in planned.promotion_effects(run_id, spec, stage):
            await self._apply(effect)
        view.stable_since = workflow.now()
        return True

    async def _healthy(self, number: int, stage: Stage, share: int, baseline: Baseline) -> bool:
        """Watch one share; a person decides where the verdict cannot."""
        run_id, asked = self._board.view.run_id, 0
        while True:
            asked += 1
            gate_id = f"{number}-{stage.name}-at-{share}-{asked}"
            try:
                result = await calls.watch_share(run_id, self._pinned, stage, share, baseline)
            except ActivityError as error:  # blind is not bad: nothing was seen of the canary
                gate = questions.ask_about_blindness(self._gates, gate_id, stage, share, calls.reason(error))
                again = True
            else:
                self._show_verdict(result.verdict)
                if result.outcome is Outcome.CONTINUE:
                    return True
                if result.outcome is Outcome.ROLLBACK:
                    self._board.show(headline=f"{stage.title} at {share} %: {result.reason}")
                    return False
                gate = questions.ask_about_verdict(self._gates, gate_id, stage, share, result)
                again = result.outcome is Outcome.INCONCLUSIVE
            if not await self._answered_under_guard(gate, stage, share, baseline):
                return False
            if not again:
                return True  # a person took the risk; asking the same again would only tire them
            self._board.show(RunState.WATCHING, f"{stage.title}: watching {share} % of the traffic again")

    async def _roll_back(self, stage: Stage, why: str) -> str:
        """Undo the stage and say whether the target is proven to be as it was."""
        self._gates.supersede()
        self._board.show(
            RunState.ROLLING_BACK, why, say=f"rolling back {stage.title}", ping=f"Rolling back. {why}"
        )
        drifts = await undo(self._board, stage.name)
        self._mark(stage, StageState.ROLLED_BACK)
        if drifts:
            return f"Undone, except for what others changed: {'; '.join(drifts)}."
        return "Undone and verified: the target is as it was before the stage."

    # --- asking -----------------------------------------------------------------------------------------

    async def _checked(self, gate_id: str, stage: Stage) -> CheckReport | None:
        """Check the system before acting; ask what to do about problems; None when told to stop."""
        attempt = 0
        while True:
            self._board.show(RunState.CHECKING, f"{stage.title}: pre-deployment checks", quietly=True)
            report = await calls.check_stage(self._pinned, stage)
            if not report.problems:
                return report
            attempt += 1
            gate = questions.ask_about_problems(self._gates, f"{gate_id}-{attempt}", stage, report)
            if not await self._answered(gate):
                return None

    async def _answered(self, gate: Gate) -> bool:
        self._board.show(
            RunState.WAITING, gate.title, say=f"asked: {gate.title}", ping=questions.call_for(gate)
        )
        return await self._gates.decided(gate)

    async def _answered_under_guard(self, gate: Gate, stage: Stage, share: int, baseline: Baseline) -> bool:
        """Wait for a person, but roll back without one if the canary gets bad meanwhile."""
        answer = asyncio.create_task(self._answered(gate))
        guard = asyncio.create_task(self._turned_bad(stage, share, baseline))
        try:
            await workflow.wait([answer, guard], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self._gates.supersede()
                self._board.show(headline=f"{stage.title} at {share} %: {guard.result()}")
                return False
            if not answer.result():
                self._board.show(headline=f"{stage.title} at {share} %: rolled back by decision.")
            return answer.result()
        finally:
            answer.cancel()
            guard.cancel()

    async def _turned_bad(self, stage: Stage, share: int, baseline: Baseline) -> str:
        """Return why the canary must go, as soon as it must; never returns while it need not."""
        run_id = self._board.view.run_id
        try:
            result = await calls.watch_share(run_id, self._pinned, stage, share, baseline, until_rollback=True)
        except ActivityError as error:
            self._board.show(say=f"nobody guards the canary while you think: {calls.reason(error)}")
            await workflow.wait_condition(lambda: False)
            raise
        self._show_verdict(result.verdict)
        return result.reason

    # --- bookkeeping ------------------------------------------------------------------------------------

    @property
    def _pinned(self) -> Plan:
        if self._plan is None:  # only before the plan is loaded, where nothing asks for it
            raise ApplicationError("the plan is not loaded", non_retryable=True)
        return self._plan

    async def _apply(self, effect: Effect) -> None:
        await apply(self._board, effect, give_up_after=self._pinned.spec.apply_for)

    def _line(self, stage: Stage) -> StageView:
        return next(s for s in self._board.view.stages if s.name == stage.name)

    def _mark(self, stage: Stage, state: StageState) -> None:
        line = self._line(stage)
        line.state, line.share_percent = state, 0

    def _show_verdict(self, verdict: Verdict) -> None:
        self._board.view.verdict = to_view(verdict)
        said = f"verdict at {verdict.share_percent} %: {verdict.outcome}. {verdict.reason}"
        self._board.show(say=said, quietly=True)

    def _not_wanted(self, stage: Stage, why: str) -> RunState:
        self._mark(stage, StageState.REJECTED)
        return self._end(RunState.STOPPED, f"{stage.title}: {why}")

    def _end(self, state: RunState, headline: str) -> RunState:
        ending = f"{state.capitalize()}: {headline}"
        self._board.show(state, headline, say=ending, ping=ending)
        return state

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
