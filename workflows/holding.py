"""Holds the systems that a stage changes, so that two runs never change one at once."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.workflow import ActivityCancellationType

from workflows import options
from workflows.board import Board
from workflows.calls import call
from workflows.effects import even_if_cancelled, stopped_if_cancelled

with workflow.unsafe.imports_passed_through():
    from activities.holding import ClaimReport, ClaimRequest, HoldActivities, ReleaseRequest
    from holdfast.domain.view import RunState
    from holdfast.ports.holds import Holder
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan, systems_of


@dataclass(frozen=True)
class Taken:
    """How a claim ended: why it is refused, empty when it is not, and whether others held something first."""

    refused: str = ""
    waited: bool = False


class Holding:
    """What one run holds."""

    def __init__(self, board: Board, plan: Plan) -> None:
        """Hold for the run on this board."""
        self._board, self._plan = board, plan
        self._held: set[str] = set()
        self._perhaps: set[str] = set()  # what was held, and what a claim that was cancelled may have got

    async def take(self, stage: Stage, *, whatever_it_takes: bool = False) -> Taken:
        """Hold what the stage changes, or say why that is refused.

        Where the file says so, for a rollback and after a sign-off (`whatever_it_takes`), this waits for as
        long as another run holds one of the systems.
        """
        if not workflow.patched("holds"):
            return Taken()
        systems = systems_of(self._plan.spec, stage)
        if self._held.issuperset(systems):
            return Taken()
        holder = Holder(run=self._board.view.run_id, stage=stage.name, since=workflow.now())
        request = ClaimRequest(systems=systems, holder=holder)
        report = await even_if_cancelled(self._claim(request))
        if report.held is not None:
            if self._plan.spec.target.if_busy == "refuse" and not whatever_it_takes:
                return Taken(f"{report.held.describe()}, and this runbook refuses to wait (if_busy: refuse)")
            waits = f"{stage.title} waits: {report.held.describe()}"
            rolling_back = self._board.view.state is RunState.ROLLING_BACK
            self._board.show(None if rolling_back else RunState.CHECKING, waits, say=waits, ping=waits)
            await self.release()  # two runs that wait for each other would do so for ever
            await stopped_if_cancelled(self._claim(request.model_copy(update={"wait": True})))
        return Taken(waited=report.held is not None)

    async def release(self, *, at_the_end: bool = False) -> None:
        """Let go of everything, unless the file wants what was changed held to the end of the run."""
        to_the_end = self._plan.spec.target.hold == "run" and self._something_stands()
        perhaps = self._perhaps | (self._of_earlier_parts() if at_the_end else set[str]())
        if not perhaps or (to_the_end and not at_the_end):
            return
        request = ReleaseRequest(systems=sorted(perhaps), run=self._board.view.run_id)
        self._held, self._perhaps = set(), set()
        letting_go = call(
            HoldActivities.release_systems,
            request,
            returns=type(None),
            summary=f"let go of {', '.join(request.systems)}",
        )
        await even_if_cancelled(letting_go)  # one that is late would take away what is claimed anew

    async def _claim(self, request: ClaimRequest) -> ClaimReport:
        names, systems = ", ".join(request.systems), set(request.systems)
        self._perhaps |= systems
        report = await call(
            HoldActivities.claim_systems,
            request,
            returns=ClaimReport,
            start_to_close_timeout=options.WATCH_ATTEMPT if request.wait else options.ATTEMPT,
            heartbeat_timeout=options.HEARTBEAT,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"{'wait for' if request.wait else 'hold'} {names}",
        )
        if report.held is None:
            self._held |= systems
        else:
            self._perhaps -= systems - self._held
        return report

    def _of_earlier_parts(self) -> set[str]:
        """Return what the run may hold since before it continued as new."""
        spec = self._plan.spec
        if spec.target.hold != "run" or not workflow.info().continued_run_id:
            return set()
        return {system for stage in spec.stages for system in systems_of(spec, stage)}

    def _something_stands(self) -> bool:
        return any(entry.stands for entry in self._board.view.journal)
