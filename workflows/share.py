"""Watches one share of a stage: by verdict, by a person where the verdict cannot tell, also during a pause."""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import calls, questions
from workflows.board import Board
from workflows.effects import ended
from workflows.gate import GateKeeper

with workflow.unsafe.imports_passed_through():
    from activities.watching import WatchResult
    from holdfast.domain.gates import Gate, GateState
    from holdfast.domain.view import ExposedShare, RunState, RunView
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan
    from holdfast.verdict.exposure import summed
    from holdfast.verdict.observation import Baseline, Observation, Outcome, Verdict
    from holdfast.verdict.view import to_view


class ShareWatch:
    """Watches the shares of one stage."""

    def __init__(
        self,
        board: Board,
        gates: GateKeeper,
        plan: Plan,
        *,
        number: int,
        stage: Stage,
        answered: Callable[[Gate], Awaitable[None]],
    ) -> None:
        """Show verdicts on the board; `answered` asks a question and waits until its gate is closed."""
        self._board, self._gates, self._plan, self._stage = board, gates, plan, stage
        self._id = f"{number}-{stage.name}"
        self._answered = answered

    async def may_go_on(self, share: int, baseline: Baseline) -> bool:
        """Watch one share, and go on watching while the run is paused; False when it has to be undone."""
        if not await self._healthy(share, baseline):
            return False
        while self._board.view.paused_by:
            guard = asyncio.create_task(self._turned_bad(share, baseline, []))
            resumed = asyncio.create_task(self._board.unpaused())
            try:
                await workflow.wait([resumed, guard], return_when=asyncio.FIRST_COMPLETED)
                guard.cancel()
                await ended(guard)  # what it saw at the very moment when somebody resumes the run counts
                if not guard.cancelled():
                    self._board.show(headline=f"{self._stage.title}: {guard.result()}.")
                    return False
            finally:
                resumed.cancel()
                guard.cancel()
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
            last = seen.seen if isinstance(seen, WatchResult) else []
            if not await self._answered_under_guard(gate, share, baseline, last):
                return False
            watched = isinstance(seen, WatchResult) and seen.outcome is Outcome.PAUSE
            if watched and gate.state is not GateState.VOIDED:
                return True  # a person took the risk; asking the same again would only tire them
            self._board.show(RunState.WATCHING, self._at(share, "watched again"))

    async def _watched(self, share: int, baseline: Baseline) -> WatchResult | str:
        """Return what was seen of the canary, or why nothing could be seen: blind is not bad."""
        run_id = self._board.view.run_id
        try:
            result = await calls.watch_share(run_id, self._plan, self._stage, share, baseline)
        except ActivityError as error:
            return calls.reason(error)
        self._count_exposure(result)
        self._show_verdict(result.verdict)
        return result

    # --- asking -----------------------------------------------------------------------------------------

    def _ask_about(self, seen: WatchResult | str, share: int, gate_id: str) -> Gate:
        if isinstance(seen, str):
            return questions.ask_about_blindness(self._gates, gate_id, self._stage, share, seen)
        return questions.ask_about_verdict(self._gates, gate_id, self._stage, share, seen, plan=self._plan)

    async def _answered_on_record(self, gate: Gate) -> None:
        """Ask, and wait until an approval is on record as well."""
        await self._answered(gate)
        if gate.goes_on:
            await self._gates.on_record()

    async def _answered_under_guard(
        self, gate: Gate, share: int, baseline: Baseline, seen: list[Observation]
    ) -> bool:
        """Wait for a person, but roll back without one if the canary gets bad meanwhile; True to go on."""
        answer = asyncio.create_task(self._answered_on_record(gate))
        guard = asyncio.create_task(self._turned_bad(share, baseline, seen))
        try:
            await workflow.wait([answer, guard], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self._gates.supersede(f"the canary had to go meanwhile: {guard.result()}")
                self._board.show(headline=f"{self._stage.title}: {guard.result()}.")
                return False
            await answer
            if not gate.turned_down:
                return True
            decided = "by decision" if gate.state is GateState.REJECTED else "because nobody decided in time"
            self._board.show(headline=self._at(share, f"rolled back {decided}."))
            return False
        finally:
            answer.cancel()
            guard.cancel()

    async def _turned_bad(self, share: int, baseline: Baseline, seen: list[Observation]) -> str:
        """Return why the canary must go, as soon as it must; never returns while it need not."""
        run_id = self._board.view.run_id
        try:
            result = await calls.watch_share(
                run_id, self._plan, self._stage, share, baseline, until_rollback=True, seen=seen
            )
        except ActivityError as error:
            self._board.show(say=f"nobody guards the canary while you think: {calls.reason(error)}")
            await workflow.wait_condition(lambda: False)
            raise
        self._count_exposure(result)
        self._show_verdict(result.verdict)
        return result.reason

    # --- bookkeeping ------------------------------------------------------------------------------------

    def _count_exposure(self, seen: WatchResult) -> None:
        """Add up whom the canary has met, where requests are counted."""
        if seen.requests_seen is None:
            return
        view, share = self._board.view, seen.verdict.share_percent
        met = ExposedShare(share_percent=share, on_canary=seen.requests_seen, bad=seen.bad_requests or 0)
        view.exposed = [*(each for each in view.exposed if each.share_percent != share), _added(view, met)]
        view.exposure = summed((each.share_percent, each.on_canary, each.bad) for each in view.exposed).words

    def _at(self, share: int, what: str) -> str:
        return f"{self._stage.title} at {share} %: {what}"

    def _show_verdict(self, verdict: Verdict) -> None:
        self._board.view.verdict = to_view(verdict, self._plan.scoring)
        said = f"verdict at {verdict.share_percent} %: {verdict.outcome}. {verdict.reason}"
        self._board.show(say=said, quietly=True)


def _added(view: RunView, met: ExposedShare) -> ExposedShare:
    """Add to what this share has met before, in this stage or an earlier one."""
    before = [each for each in view.exposed if each.share_percent == met.share_percent]
    return ExposedShare(
        share_percent=met.share_percent,
        on_canary=met.on_canary + sum(each.on_canary for each in before),
        bad=met.bad + sum(each.bad for each in before),
    )
