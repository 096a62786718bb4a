"""Walks a run's journal backwards, verifies, and asks a person where a step back cannot be made."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import options, questions
from workflows.board import Board
from workflows.calls import call, reason
from workflows.gate import GateKeeper
from workflows.holding import Holding

with workflow.unsafe.imports_passed_through():
    from activities.changes import ChangeActivities, RevertReport, VerifyReport, VerifyRequest
    from holdfast.domain.journal import EntryStatus, JournalEntry, origins, to_undo
    from holdfast.domain.undoing import would_be_undone
    from holdfast.domain.view import RunState, StageState
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan


class Undoing:
    """Undoes stages of one run.

    Attributes:
        plan: of the run.
        because: why a stage that is under way is undone when it is cancelled.
        drifts: what is not as it was, of all that this run has undone.
    """

    def __init__(self, board: Board, gates: GateKeeper, holding: Holding, plan: Plan) -> None:
        """Show progress on the board, page people through the gates, hold what is undone."""
        self._board, self._gates, self._holding, self.plan = board, gates, holding, plan
        self.because = "the run is cancelled"
        self.drifts: list[str] = []
        self._parts: set[str] = set()  # systems that were undone
        self._asked = 0
        self._stopped = False

    @property
    def proof(self) -> str:
        """What is proven of all that this run has undone, in words."""
        return _proof(self.drifts, self._parts)

    async def undo(self, stage: Stage) -> str:
        """Undo a stage, newest effect first, then read its systems; return what is proven of all, in words."""
        for entry in to_undo(self._board.view.journal, stage.name):
            if self._stopped:
                break
            await self._revert(stage, entry)
        touched = origins(self._board.view.journal, stage.name)
        self._parts |= {origin.effect.endpoint for origin in touched}
        self.drifts += await self._verified(stage, touched) if touched else []
        line, left = self._board.line(stage.name), self._left_of(stage)
        line.state, line.share_percent = StageState.FAILED if left else StageState.ROLLED_BACK, 0
        return self.proof

    async def undo_after(self, stays: str, why: str) -> str:
        """Undo every stage after the one that stays, the newest first; all where `stays` is empty.

        Returns:
            What is proven of all that this run has undone, in words.
        """
        ping = f"Rolling back. {why}" if would_be_undone(self._board.view, stays) else None
        self._board.show(RunState.ROLLING_BACK, why, say="rolling back" if ping else None, ping=ping)
        for stage in reversed(self.plan.spec.stages):
            line = self._board.line(stage.name)
            if stage.name == stays or self._stopped:
                break
            # A run that has ended may have left a stage half undone, or half made.
            if line.state is StageState.PROMOTED or to_undo(self._board.view.journal, stage.name):
                await self._holding.take(stage, whatever_it_takes=True)
                self._board.show(RunState.ROLLING_BACK, why, quietly=True)
                await self.undo(stage)
            elif line.state is StageState.CURRENT:  # nobody has approved it
                line.state = StageState.AHEAD
        return self.proof

    async def _revert(self, stage: Stage, entry: JournalEntry) -> None:
        """Take one effect back; where that is impossible, stop there until a person has decided."""
        while True:
            trouble = "it is a point of no return" if entry.effect.lasting else await self._tried(entry)
            if not trouble:
                return
            again = await self._decided(stage, entry, trouble)
            if self._stopped or not again:
                entry.status, entry.note = EntryStatus.LEFT, f"left as it is: {trouble}"
                self._board.show(say=f"undo {entry.effect.title}: {entry.note}", quietly=True)
                return
            entry.attempts += 1

    async def _tried(self, entry: JournalEntry) -> str:
        """Take one effect back; return why it could not be done, empty when it was."""
        effect, patience = entry.effect, self.plan.spec.rollback.keep_trying_for
        try:
            report = await call(
                ChangeActivities.revert_effect,
                entry,
                returns=RevertReport,
                start_to_close_timeout=patience + (effect.give_up_after or timedelta(0)),
                schedule_to_close_timeout=patience + (effect.give_up_after or timedelta(0)),
                heartbeat_timeout=options.HEARTBEAT,
                summary=f"undo: {effect.title}",
            )
        except ActivityError as error:
            return reason(error)
        entry.status, entry.note = report.status, report.note
        undone = report.status is EntryStatus.REVERTED
        said = f"undone: {entry.back}" if undone else f"not undone: {effect.title}, {report.note}"
        self._board.show(say=said, quietly=True)
        return ""

    async def _decided(self, stage: Stage, entry: JournalEntry, trouble: str) -> bool:
        """Page people with what stands and what was undone; return whether to try again."""
        self._asked += 1
        gate = questions.ask_about_stuck_rollback(
            self._gates,
            f"{stage.name}-undo-{self._asked}",
            stage,
            entry,
            trouble,
            plan=self.plan,
            journal=self._board.view.journal,
        )
        self._board.show(
            headline=f"rollback of {stage.title} is stuck: {entry.effect.title} cannot be undone: {trouble}",
            say=f"asked: {gate.title}",
            ping=questions.call_for(gate),
        )
        await self._gates.decided(gate)
        await self._gates.on_record()
        self._board.show(headline=f"rolling back {stage.title}")
        if entry.effect.lasting:
            self._stopped = gate.turned_down
            return False
        return not gate.turned_down

    def _left_of(self, stage: Stage) -> bool:
        """Whether something of the stage stands because it could not be undone."""
        undone = (EntryStatus.REVERTED, EntryStatus.DRIFTED)
        journal = self._board.view.journal
        return any(e.effect.stage == stage.name and e.status not in undone for e in journal)

    async def _verified(self, stage: Stage, touched: list[JournalEntry]) -> list[str]:
        # A system that does not answer is asked until it does, for as long as a step back is tried.
        patience = self.plan.spec.rollback.keep_trying_for
        try:
            proof = await call(
                ChangeActivities.verify_rollback,
                VerifyRequest(origins=touched),
                returns=VerifyReport,
                schedule_to_close_timeout=patience,
                summary=f"verify that {stage.name} is undone",
            )
        except ActivityError as error:
            return [f"{stage.title} could not be verified: {reason(error)}"]
        return [drift.describe() for drift in proof.drifts]


def _proof(drifts: list[str], parts: set[str]) -> str:
    """Say whether everything is as it was, and what everything is."""
    if drifts:
        return f"Undone, except for what others changed or was left: {'; '.join(drifts)}."
    if not parts:
        return "Nothing had been changed."
    are = "is" if len(parts) == 1 else "are"
    return f"Undone and verified: {', '.join(sorted(parts))} {are} as before."
