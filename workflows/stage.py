"""One stage of a rollout: check, ask, check again, canary by shares, promote; or undo by the journal."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import calls, questions
from workflows.board import Board
from workflows.effects import apply, even_if_cancelled, undo
from workflows.gate import GateKeeper

with workflow.unsafe.imports_passed_through():
    from activities.checks import CheckReport
    from activities.watching import WatchResult
    from holdfast.domain.gates import Gate
    from holdfast.domain.journal import Effect
    from holdfast.domain.view import RunState, StageState
    from holdfast.runbook import plan as planned
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan
    from holdfast.verdict.observation import Baseline, Outcome, Verdict
    from holdfast.verdict.view import to_view


class StageRun:
    """Takes one stage from its checks to its promotion."""

    def __init__(self, board: Board, gates: GateKeeper, plan: Plan, number: int, stage: Stage) -> None:
        """Show progress on the board, ask through the gates; `number` counts from 1 and names the gates."""
        self._board, self._gates, self._plan, self._stage = board, gates, plan, stage
        self._number = number
        self._id = f"{number}-{stage.name}"

    async def run(self) -> RunState | None:
        """Return how the whole run ends because of this stage; None when it is in place."""
        self._mark(StageState.CURRENT)
        checked = await self._checked(f"{self._id}-check")
        if checked is None:
            return self._not_wanted("stopped because the checks did not pass")
        if checked.in_place:
            self._mark(StageState.IN_PLACE)
            self._board.show(say=f"{self._stage.title}: already in place")
            return None
        gate = questions.ask_for_sign_off(self._gates, self._number, self._plan, self._stage, checked)
        if not await self._answered(gate):
            return self._not_wanted("rejected")
        # The sign-off may have taken weeks: look again before acting.
        if await self._checked(f"{self._id}-recheck") is None:
            return self._not_wanted("stopped because the checks did not pass")
        return await self._canary_or_undo()

    async def _canary_or_undo(self) -> RunState | None:
        title = self._stage.title
        try:
            if await self._canary():
                self._mark(StageState.PROMOTED)
                self._board.show(say=f"{title}: promoted")
                return None
            ending, why = RunState.ROLLED_BACK, self._board.view.headline
        except ActivityError as error:
            ending, why = RunState.FAILED, f"{title} could not be done: {calls.reason(error)}"
        except asyncio.CancelledError:
            await self._roll_back(f"{title}: the run is cancelled")
            raise
        proof = await even_if_cancelled(self._roll_back(why))
        return self._board.end(ending, f"{why} {proof}")

    async def _canary(self) -> bool:
        """Raise the canary's share step by step and promote it; False when it has to be undone."""
        view, spec, stage = self._board.view, self._plan.spec, self._stage
        baseline = await calls.take_baseline(self._plan, not_before=view.stable_since)
        view.baseline = baseline.describe()
        await self._apply(planned.canary_effect(view.run_id, spec, stage))
        for share in stage.shares_percent:
            await self._apply(planned.share_effect(view.run_id, spec, stage, share))
            self._board.line(stage.name).share_percent = share
            self._board.show(RunState.WATCHING, f"{stage.title}: watching {share} % of the traffic")
            if not await self._healthy(share, baseline):
                return False
        self._board.show(RunState.CHANGING, f"{stage.title}: promoting to everybody", quietly=True)
        for effect in planned.promotion_effects(view.run_id, spec, stage):
            await self._apply(effect)
        view.stable_since = workflow.now()
        return True

    async def _healthy(self, share: int, baseline: Baseline) -> bool:
        """Watch one share; a person decides where the verdict cannot."""
        asked = 0
        while True:
            asked += 1
            seen = await self._watched(share, baseline)
            if isinstance(seen, WatchResult) and seen.outcome is Outcome.CONTINUE:
                return True
            if isinstance(seen, WatchResult) and seen.outcome is Outcome.ROLLBACK:
                self._board.show(headline=f"{self._stage.title}: {seen.reason}.")
                return False
            gate = self._ask_about(seen, share, f"{self._id}-at-{share}-{asked}")
            if not await self._answered_under_guard(gate, share, baseline):
                return False
            if isinstance(seen, WatchResult) and seen.outcome is Outcome.PAUSE:
                return True  # a person took the risk; asking the same again would only tire them
            self._board.show(RunState.WATCHING, self._at(share, "watched again"))

    async def _watched(self, share: int, baseline: Baseline) -> WatchResult | str:
        """Return what was seen of the canary, or why nothing could be seen: blind is not bad."""
        run_id = self._board.view.run_id
        try:
            result = await calls.watch_share(run_id, self._plan, self._stage, share, baseline)
        except ActivityError as error:
            return calls.reason(error)
        self._show_verdict(result.verdict)
        return result

    async def _roll_back(self, why: str) -> str:
        """Undo the stage and say whether the target is proven to be as it was."""
        self._gates.supersede()
        said = f"rolling back {self._stage.title}"
        self._board.show(RunState.ROLLING_BACK, why, say=said, ping=f"Rolling back. {why}")
        drifts = await undo(self._board, self._stage.name)
        self._mark(StageState.ROLLED_BACK)
        if drifts:
            return f"Undone, except for what others changed: {'; '.join(drifts)}."
        return "Undone and verified: the target is as it was before the stage."

    # --- asking -----------------------------------------------------------------------------------------

    async def _checked(self, gate_id: str) -> CheckReport | None:
        """Check the system before acting; ask what to do about problems; None when told to stop."""
        attempt = 0
        while True:
            checking = f"{self._stage.title}: pre-deployment checks"
            self._board.show(RunState.CHECKING, checking, quietly=True)
            report = await calls.check_stage(self._plan, self._stage)
            if not report.problems:
                return report
            attempt += 1
            gate = questions.ask_about_problems(self._gates, f"{gate_id}-{attempt}", self._stage, report)
            if not await self._answered(gate):
                return None

    def _ask_about(self, seen: WatchResult | str, share: int, gate_id: str) -> Gate:
        if isinstance(seen, str):
            return questions.ask_about_blindness(self._gates, gate_id, self._stage, share, seen)
        return questions.ask_about_verdict(self._gates, gate_id, self._stage, share, seen)

    async def _answered(self, gate: Gate) -> bool:
        self._board.show(
            RunState.WAITING, gate.title, say=f"asked: {gate.title}", ping=questions.call_for(gate)
        )
        return await self._gates.decided(gate)

    async def _answered_under_guard(self, gate: Gate, share: int, baseline: Baseline) -> bool:
        """Wait for a person, but roll back without one if the canary gets bad meanwhile."""
        answer = asyncio.create_task(self._answered(gate))
        guard = asyncio.create_task(self._turned_bad(share, baseline))
        try:
            await workflow.wait([answer, guard], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self._gates.supersede()
                self._board.show(headline=f"{self._stage.title}: {guard.result()}.")
                return False
            if not answer.result():
                self._board.show(headline=self._at(share, "rolled back by decision."))
            return answer.result()
        finally:
            answer.cancel()
            guard.cancel()

    async def _turned_bad(self, share: int, baseline: Baseline) -> str:
        """Return why the canary must go, as soon as it must; never returns while it need not."""
        run_id = self._board.view.run_id
        try:
            result = await calls.watch_share(
                run_id, self._plan, self._stage, share, baseline, until_rollback=True
            )
        except ActivityError as error:
            self._board.show(say=f"nobody guards the canary while you think: {calls.reason(error)}")
            await workflow.wait_condition(lambda: False)
            raise
        self._show_verdict(result.verdict)
        return result.reason

    # --- bookkeeping ------------------------------------------------------------------------------------

    async def _apply(self, effect: Effect) -> None:
        await apply(self._board, effect, give_up_after=self._plan.spec.apply_for)

    def _at(self, share: int, what: str) -> str:
        return f"{self._stage.title} at {share} %: {what}"

    def _mark(self, state: StageState) -> None:
        line = self._board.line(self._stage.name)
        line.state, line.share_percent = state, 0

    def _show_verdict(self, verdict: Verdict) -> None:
        self._board.view.verdict = to_view(verdict)
        said = f"verdict at {verdict.share_percent} %: {verdict.outcome}. {verdict.reason}"
        self._board.show(say=said, quietly=True)

    def _not_wanted(self, why: str) -> RunState:
        self._mark(StageState.REJECTED)
        return self._board.end(RunState.STOPPED, f"{self._stage.title}: {why}")
