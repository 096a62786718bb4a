"""One stage of a rollout: check, ask, check again, canary by shares, promote; or undo by the journal."""

import asyncio
from functools import partial

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import calls, questions
from workflows.board import Board
from workflows.effects import apply, ended, even_if_cancelled
from workflows.gate import GateKeeper
from workflows.holding import Holding
from workflows.share import ShareWatch
from workflows.undoing import Undoing

with workflow.unsafe.imports_passed_through():
    from activities.checks import CheckReport, Foreseen
    from activities.signing import StillGood
    from holdfast.domain.evidence import Evidence
    from holdfast.domain.gates import Gate, GateState
    from holdfast.domain.journal import Effect
    from holdfast.domain.signoff import Lapse, SignOff
    from holdfast.domain.view import RunState, StageState
    from holdfast.runbook import plan as planned
    from holdfast.runbook.kinds.rollout import Stage

# The share of a stage that has no canary side.
_EVERYBODY = 100


class _Declined(Exception):
    """A point of no return was not approved."""


class StageRun:
    """Takes one stage from its checks to its promotion."""

    def __init__(
        self,
        board: Board,
        gates: GateKeeper,
        holding: Holding,
        undoing: Undoing,
        *,
        number: int,
        stage: Stage,
    ) -> None:
        """Show progress on the board, ask through the gates; `number` counts from 1 and names the gates."""
        self._board, self._gates, self._holding, self._undoing = board, gates, holding, undoing
        self._plan, self._stage, self._number = undoing.plan, stage, number
        self._id = f"{number}-{stage.name}"
        self._shares = ShareWatch(board, gates, self._plan, number=number, stage=stage, answered=self._answered)
        self._asked: Gate | None = None
        self._foreseen: list[Foreseen] = []
        self._signed_off_keys: set[str] = set()  # of points of no return
        self._everybodys = False  # whether everybody has the stage already

    async def run(self) -> RunState | None:
        """Return how the whole run ends because of this stage; None when it is in place."""
        self._mark(StageState.CURRENT)
        checked = await self._checked(f"{self._id}-check")
        if isinstance(checked, str):
            return await self._refused(checked)
        await self._holding.release()  # a sign-off may take weeks
        if checked.in_place:
            self._mark(StageState.IN_PLACE)
            self._board.show(say=f"{self._stage.title}: already in place")
            return None
        unsigned = await self._signed_off(checked)
        ending = await self._canary_or_undo() if unsigned is None else unsigned
        await self._holding.release()
        return ending

    async def _signed_off(self, checked: CheckReport) -> RunState | None:
        """Ask until the approvals are good for the system as it is; None when they are, else the run's end."""
        evidence, again, asked = questions.evidence_for(self._plan, self._stage, checked), "", 1
        exposure = checked.exposure
        while True:
            gate_id = self._id if asked == 1 else f"{self._id}-{asked}"
            gate = questions.ask_for_sign_off(
                self._gates,
                gate_id,
                self._number,
                self._stage,
                evidence,
                exposure=exposure,
                again=again,
            )
            await self._answered_at_rest(gate)
            if gate.turned_down:
                return await self._refused("rejected")
            # The sign-off may have taken weeks: look again before acting.
            looked = await self._looked_again(gate, f"{gate_id}-recheck")
            if isinstance(looked, str):
                return await self._refused(looked)
            rechecked, good = looked
            evidence = questions.evidence_for(self._plan, self._stage, rechecked, file=good.file)
            exposure = rechecked.exposure
            again = self._void_if_changed(gate, good.problem, evidence)
            if not again:
                self._foreseen = rechecked.foreseen
                return None
            await self._holding.release()
            asked += 1

    async def _looked_again(self, gate: Gate, gate_id: str) -> tuple[CheckReport, StillGood] | str:
        """Return what is found before acting on an approval, or why the stage stops; a pause makes it old."""
        while True:
            rechecked = await self._checked(gate_id, signed=True)
            if isinstance(rechecked, str):
                return rechecked
            good = await self._gates.still_good(gate)
            if not self._board.view.paused_by:
                return rechecked, good
            await self._holding.release()

    def _void_if_changed(self, gate: Gate, problem: str, evidence: Evidence) -> str:
        """Return why the approvals are void, having voided them; empty when they are good."""
        if gate.basis is None or not self._gates.protocol:
            return ""
        found = [gate.note] if gate.state is GateState.VOIDED else []
        changes = evidence.changes_since(gate.basis)
        found += [f for f in (problem, *changes) if f]
        if not found:
            return ""
        why = "; ".join(found) + ("" if changes else "; nothing else has changed")
        if gate.state is not GateState.VOIDED:
            self._gates.void(gate, why)
        self._board.show(say=f"asked again: {why}")
        return why

    async def _refused(self, why: str) -> RunState:
        """End the run without this stage; roll back the stages before where a deadline means that."""
        self._mark(StageState.REJECTED)
        if self._everything_goes():
            why = f"{self._stage.title}: nobody decided before the deadline, which means: roll everything back."
            proof = await even_if_cancelled(self._undoing.undo_after("", why))
            return self._board.end(RunState.ROLLED_BACK, f"{why} {proof}")
        if self._asked is not None and self._asked.state is GateState.EXPIRED and self._asked.turned_down:
            why = "nobody decided before the deadline, which means: reject"
        return self._board.end(RunState.STOPPED, f"{self._stage.title}: {why}")

    def _everything_goes(self) -> bool:
        """Whether a deadline has passed that rolls back what was promoted before, too."""
        gate = self._asked
        return gate is not None and gate.state is GateState.EXPIRED and gate.on_deadline is Lapse.ROLLBACK

    async def _canary_or_undo(self) -> RunState | None:
        title = self._stage.title
        try:
            if await self._canary():
                self._mark(StageState.PROMOTED)
                self._board.show(say=f"{title}: promoted")
                return None
            ending, why = RunState.ROLLED_BACK, self._board.doing.headline
        except ActivityError as error:
            ending, why = RunState.FAILED, f"{title} could not be done: {calls.reason(error)}"
        except _Declined as declined:
            if self._everybodys and not self._everything_goes():
                self._mark(StageState.PROMOTED)
                return self._board.end(RunState.STOPPED, f"{title}: promoted without its last step. {declined}")
            ending, why = RunState.ROLLED_BACK, f"{title}: {declined}"
        except asyncio.CancelledError:
            await even_if_cancelled(self._roll_back(f"{title}: {self._undoing.because}"))
            raise
        proof = await even_if_cancelled(self._roll_back(why))
        if self._everything_goes():
            proof = await even_if_cancelled(self._undoing.undo_after("", why))
        return self._board.end(ending, f"{why} {proof}")

    async def _canary(self) -> bool:
        """Raise the canary's share step by step and promote it; False when it has to be undone.

        What has no canary side is given to everybody at once, and everybody is watched.
        """
        view, spec, stage = self._board.view, self._plan.spec, self._stage
        first = planned.first_effects(view.run_id, spec, stage)
        for effect in first:  # an answer may take days, and the baseline is to be fresh
            if self._would_change(effect):
                await self._permitted(effect)
        await self._board.unpaused()
        baseline = await calls.take_baseline(self._plan, not_before=view.stable_since)
        view.baseline = baseline.describe()
        for number, effect in enumerate(first):
            if await self._board.unpaused() and not number:  # nothing is out yet
                baseline = await calls.take_baseline(self._plan, not_before=view.stable_since)
            await self._apply(effect)
        if not stage.has_canary:
            self._board.show(RunState.WATCHING, f"{stage.title}: watching everybody")
            if not await self._shares.may_go_on(_EVERYBODY, baseline):
                return False
        for share in stage.shares_percent:
            if await self._board.unpaused():  # the canary has no traffic yet
                baseline = await calls.take_baseline(self._plan, not_before=view.stable_since)
            await self._apply(planned.share_effect(view.run_id, spec, stage, share))
            self._board.line(stage.name).share_percent = share
            self._board.show(RunState.WATCHING, f"{stage.title}: watching {share} % of the traffic")
            if not await self._shares.may_go_on(share, baseline):
                return False
        await self._promote()
        return True

    async def _promote(self) -> None:
        """Give everybody what the canary has."""
        view, spec, stage = self._board.view, self._plan.spec, self._stage
        self._board.show(RunState.CHANGING, f"{stage.title}: promoting to everybody", quietly=True)
        for effect in planned.promotion_effects(view.run_id, spec, stage):
            # What has its turn `after` comes when everybody has the rest.
            self._everybodys = effect.part == planned.ALL
            if self._everybodys:
                await self._board.unpaused()
            await self._apply(effect)
        view.stable_since = workflow.now()

    async def _roll_back(self, why: str) -> str:
        """Undo the stage and say whether the target is proven to be as it was."""
        self._gates.supersede(why)
        said = f"rolling back {self._stage.title}"
        self._board.show(RunState.ROLLING_BACK, why, say=said, ping=f"Rolling back. {why}")
        return await self._undoing.undo(self._stage)

    # --- asking -----------------------------------------------------------------------------------------

    async def _checked(self, gate_id: str, *, signed: bool = False) -> CheckReport | str:
        """Hold the systems and check them; ask what to do about problems; return why it stops when it does.

        What people have signed off already is not given up for a busy system: then the stage waits for it.
        """
        attempt = 0
        while True:
            await self._board.unpaused()
            report = await self._held_and_checked(signed=signed)
            if self._board.view.paused_by:  # what was found is old when somebody resumes
                await self._holding.release()
                continue
            if isinstance(report, str) or not report.problems:
                return report
            attempt += 1
            await self._holding.release()
            gate = questions.ask_about_problems(self._gates, f"{gate_id}-{attempt}", self._stage, report)
            await self._answered_at_rest(gate)
            if gate.turned_down:
                return "stopped because the checks did not pass"

    async def _held_and_checked(self, *, signed: bool) -> CheckReport | str:
        """Hold the systems and look at them, both at once: hardly ever does another run hold them."""
        checking = f"{self._stage.title}: pre-deployment checks"
        self._board.show(RunState.CHECKING, checking, quietly=True)
        taking = asyncio.create_task(self._holding.take(self._stage, whatever_it_takes=signed))
        try:
            report = await calls.check_stage(self._plan, self._stage)
            taken = await taking
        except (
            Exception,
            asyncio.CancelledError,
        ):  # not when the worker drops the run: nothing is awaited then
            taking.cancel()
            await ended(taking)
            raise
        if taken.refused:
            return taken.refused
        if not taken.waited:
            return report
        self._board.show(RunState.CHECKING, checking)  # others have changed what was looked at
        return await calls.check_stage(self._plan, self._stage)

    async def _past_no_return(self, effect: Effect, policy: SignOff) -> None:
        """Ask before an effect that cannot be undone; raises _Declined when it is not wanted."""
        asked = 0
        while True:
            asked += 1
            gate = questions.ask_about_no_return(
                self._gates,
                f"{self._id}-no-return-{asked}",
                self._stage,
                effect,
                policy,
                foreseen=self._foreseen,
                everybodys=self._everybodys,
            )
            await self._answered(gate)
            if gate.turned_down:
                raise _Declined(f"{effect.title} was not approved, and it is a point of no return.")
            if not gate.goes_on:
                continue  # its evidence grew too old before anybody answered
            good = await self._gates.still_good(gate)
            while not good.problem and await self._board.unpaused():  # a pause makes it old
                good = await self._gates.still_good(gate)
            if not good.problem:
                return
            self._gates.void(gate, good.problem)

    async def _answered_at_rest(self, gate: Gate) -> None:
        """Ask while nothing of the stage is out: what is held may be let go of for somebody who goes first."""
        self._holding.at_rest = True
        try:
            await self._answered(gate)
        finally:
            self._holding.at_rest = False

    async def _answered(self, gate: Gate) -> None:
        """Ask, and wait until the gate is closed."""
        self._board.show(
            RunState.WAITING, gate.title, say=f"asked: {gate.title}", ping=questions.call_for(gate)
        )
        self._asked = gate
        await self._gates.decided(gate)

    # --- bookkeeping ------------------------------------------------------------------------------------

    async def _permitted(self, effect: Effect) -> None:
        """Ask once before an effect that cannot be undone."""
        policy = planned.sign_off_of(self._stage, effect)
        if policy is not None and effect.key not in self._signed_off_keys:
            await self._past_no_return(effect, policy)
            self._signed_off_keys.add(effect.key)

    async def _apply(self, effect: Effect) -> None:
        # What the checks found in place may have been taken away since: whatever is made is asked for.
        permitted = partial(self._permitted, effect) if effect.lasting else None
        await apply(self._board, effect, give_up_after=self._plan.spec.apply_for, permitted=permitted)

    def _would_change(self, effect: Effect) -> bool:
        return any(one.title == effect.title and one.differs for one in self._foreseen)

    def _mark(self, state: StageState) -> None:
        line = self._board.line(self._stage.name)
        line.state, line.share_percent = state, 0
