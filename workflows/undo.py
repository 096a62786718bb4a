"""Undoes what an ended run did: its journal, walked backwards days or weeks later by a run of its own."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import calls, questions
from workflows.board import Board
from workflows.effects import even_if_cancelled
from workflows.gate import GateKeeper
from workflows.gated import GatedRun
from workflows.hearing import Hearing
from workflows.holding import Holding
from workflows.undoing import Undoing

with workflow.unsafe.imports_passed_through():
    from activities.recalling import Recalled, RecallRequest
    from holdfast.domain.journal import EntryStatus, JournalEntry
    from holdfast.domain.undoing import would_be_undone
    from holdfast.domain.view import RunState, RunView
    from holdfast.ports.runs import UndoRequest
    from holdfast.runbook.plan import may_roll_back


@workflow.defn(name="undo")
class Undo(GatedRun):
    """One run that undoes another one."""

    @workflow.init
    def __init__(self, start: UndoRequest) -> None:
        """Begin with an empty view."""
        self._board = Board(_first_view(start))
        self._gates = GateKeeper(self._board)
        self._hearing = Hearing(self._gates)

    @workflow.run
    async def run(self, start: UndoRequest) -> RunView:
        """Recall the ended run, ask one of those who may roll it back, and undo it."""
        self._gates.begin(protocol=True, requester=start.requested_by)
        self._board.show(say=f"started by {start.requested_by}")
        # True whenever it is said: what has begun to be undone comes to its own end, whoever cancels.
        await self._shown(
            self._asked_and_undone(start), if_cancelled="nothing was undone", failure="UndoFailed"
        )
        return self._board.view

    async def _asked_and_undone(self, start: UndoRequest) -> RunState:
        wanted = RecallRequest(run=start.run, requested_by=start.requested_by, to=start.to)
        try:
            recalled = await calls.recall(wanted)
        except ActivityError as error:
            return self._board.end(RunState.FAILED, f"{start.run} cannot be undone: {calls.reason(error)}")
        self._take_over(recalled)
        undone = would_be_undone(self._board.view, start.to)
        if not undone:
            return self._board.end(RunState.STOPPED, f"nothing of {start.run} stands that could be undone")
        gate = questions.ask_about_undoing(self._gates, start, recalled.plan, undone)
        self._board.show(RunState.WAITING, gate.title, ping=questions.call_for(gate))
        await self._gates.decided(gate)
        if gate.turned_down:
            return self._board.end(RunState.STOPPED, "not approved; nothing was undone")
        await self._gates.on_record()
        return await even_if_cancelled(self._undone(start, recalled))

    async def _undone(self, start: UndoRequest, recalled: Recalled) -> RunState:
        holding = Holding(self._board, recalled.plan)
        undoing = Undoing(self._board, self._gates, holding, recalled.plan)
        why = f"{start.requested_by} asked to undo {start.run}{f': {start.reason}' if start.reason else ''}."
        proof = await undoing.undo_after(start.to, why)
        await holding.release(at_the_end=True)
        return self._board.end(RunState.ROLLED_BACK, f"{why} {proof}")

    def _take_over(self, recalled: Recalled) -> None:
        """Show the stages and the journal of the other run as they are, from here on this run's."""
        view, other, plan = self._board.view, recalled.view, recalled.plan
        view.title, view.runbook, view.digest = f"Undo: {other.title}", other.runbook, other.digest
        view.stages, view.journal = other.stages, [_tried_again(entry) for entry in other.journal]
        view.may_roll_back = may_roll_back(plan)
        self._gates.know(plan.people, mfa=False)  # back to what was is the safe direction


def _tried_again(entry: JournalEntry) -> JournalEntry:
    """Let what was left by decision be undone after all, as one more try; what is lasting stays."""
    if entry.status is not EntryStatus.LEFT or entry.effect.lasting:
        return entry
    return entry.model_copy(update={"status": EntryStatus.APPLIED, "attempts": entry.attempts + 1, "note": ""})


def _first_view(start: UndoRequest) -> RunView:
    return RunView(
        run_id=workflow.info().workflow_id,
        runbook=start.run,
        title=f"Undo {start.run}",
        requested_by=start.requested_by,
        started_at=workflow.now(),
        headline=f"recalling {start.run}",
    )
