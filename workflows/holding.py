"""Holds the systems that a stage changes, so that two runs never change one at once.

What is frozen is refused to whoever is no fix. A rollback is never held up by that, nor by what goes first.
"""

import asyncio
from dataclasses import dataclass

from temporalio import workflow
from temporalio.workflow import ActivityCancellationType

from workflows import options
from workflows.board import Board
from workflows.calls import call
from workflows.effects import even_if_cancelled, stopped_if_cancelled
from workflows.precedence import GivingWay, Precedence

with workflow.unsafe.imports_passed_through():
    from activities.holding import ClaimReport, ClaimRequest, HoldActivities, ReleaseRequest
    from holdfast.domain import run_phrases
    from holdfast.domain.view import RunState
    from holdfast.ports.holds import Held, Holder
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan, systems_of


@dataclass(frozen=True)
class Taken:
    """How a claim ended: why it is refused, empty when it is not, and whether others held something first."""

    refused: str = ""
    waited: bool = False


class Holding:
    """What one run holds.

    Attributes:
        at_rest: nothing of a stage is out, so that what is held may be let go of at any moment.
    """

    def __init__(
        self,
        board: Board,
        plan: Plan,
        *,
        precedence: Precedence | None = None,
        giving_way: GivingWay | None = None,
    ) -> None:
        """Hold for the run on this board.

        Args:
            board: of the run.
            plan: of the run.
            precedence: asks whether a fix may go first; without it none asks.
            giving_way: what goes before this run; without it nothing does.
        """
        self._board, self._plan = board, plan
        self._precedence, self._giving_way = precedence, giving_way or GivingWay()
        self._held: set[str] = set()
        self._perhaps: set[str] = set()  # what was held, and what a claim that was cancelled may have got
        self._releasing = asyncio.Lock()  # what is let go of late would take away what is claimed anew
        self._told: set[str] = set()  # of freezes
        self.at_rest = False

    async def take(self, stage: Stage, *, whatever_it_takes: bool = False) -> Taken:
        """Hold what the stage changes, or say why that is refused.

        Where the file says so, for a rollback and after a sign-off (`whatever_it_takes`), this waits for as
        long as another run holds one of the systems.
        """
        if not workflow.patched("holds"):
            return Taken()
        systems = systems_of(self._plan.spec, stage)
        if self._held.issuperset(systems) and self._may_keep():
            return Taken()
        request = self._request(stage, systems)
        report = await even_if_cancelled(self._claim(request))
        refused = self._refused(report, request)
        if report.held is None or refused:
            return Taken(refused)
        if self._plan.spec.target.if_busy == "refuse" and not whatever_it_takes:
            return Taken(f"{report.held.describe()}, and this runbook refuses to wait (if_busy: refuse)")
        self._show_wait(stage, report.held)
        await self.release()  # two runs that wait for each other would do so for ever
        return Taken(await self._waited(stage, request, report.held), waited=True)

    async def release(self, *, at_the_end: bool = False) -> None:
        """Let go of everything, unless the file wants what was changed held to the end of the run.

        A run that gives way lets go of that, too.
        """
        async with self._releasing:
            everything = at_the_end or self._giving_way.asked
            to_the_end = self._plan.spec.target.hold == "run" and self._something_stands()
            perhaps = self._perhaps | (self._of_earlier_parts() if everything else set[str]())
            if not perhaps or (to_the_end and not everything):
                return
            request = ReleaseRequest(systems=sorted(perhaps), run=self._board.view.run_id)
            self._held, self._perhaps = set(), set()
            letting_go = call(
                HoldActivities.release_systems,
                request,
                returns=type(None),
                summary=f"let go of {', '.join(request.systems)}",
            )
            await even_if_cancelled(letting_go)

    def _request(self, stage: Stage, systems: list[str]) -> ClaimRequest:
        spec, back = self._plan.spec, self._goes_back()
        holder = Holder(
            run=self._board.view.run_id,
            stage=stage.name,
            since=workflow.now(),
            title=spec.title,
            team=spec.team,
            fix=spec.fix or back,
        )
        after = [] if back else self._giving_way.holders
        return ClaimRequest(systems=systems, holder=holder, looks_for_freezes=not back, after=after)

    def _goes_back(self) -> bool:
        return self._board.view.state is RunState.ROLLING_BACK

    def _may_keep(self) -> bool:
        """Whether what is held need not be claimed again: no freeze counts, and nothing goes first."""
        return self._goes_back() or not (workflow.patched("freeze") or self._giving_way.asked)

    def _refused(self, report: ClaimReport, request: ClaimRequest) -> str:
        """Return why frozen systems are refused; a fix gets them, and its timeline says so."""
        for freeze in report.frozen:
            if not request.holder.fix:
                return freeze.describe_freeze()
            said = run_phrases.UNDER_THE_FREEZE.format(
                system=freeze.system, run=freeze.by.run, title=freeze.by.title or freeze.by.run
            )
            if said not in self._told:
                self._told.add(said)
                self._board.show(say=said)
        return ""

    def _show_wait(self, stage: Stage, held: Held) -> None:
        waits = f"{stage.title} waits: {held.describe()}"
        self._board.show(None if self._goes_back() else RunState.CHECKING, waits, say=waits, ping=waits)

    async def _waited(self, stage: Stage, request: ClaimRequest, held: Held) -> str:
        """Wait until nobody else holds the systems; return why they are refused all the same.

        Where this is a fix that unblocks customers, the owners of what is in the way are asked meanwhile.
        """
        asking = None if self._goes_back() else self._precedence
        while True:
            until_not = held.by.run if asking and asking.asks else ""
            waiting = request.model_copy(update={"wait": True, "until_not": until_not})
            claim = stopped_if_cancelled(self._claim(waiting))
            report = await (asking.during(claim, held, stage) if asking and until_not else claim)
            refused = self._refused(report, request)
            if report.held is None or refused:
                return refused
            held = report.held
            self._show_wait(stage, held)

    async def _claim(self, request: ClaimRequest) -> ClaimReport:
        names, systems = ", ".join(request.systems), set(request.systems)
        async with self._releasing:
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
        if report.held is not None:
            self._perhaps -= systems - self._held
        elif request.holder.fix or not report.frozen:
            self._held |= systems
        return report

    def _of_earlier_parts(self) -> set[str]:
        """Return what the run may hold since before it continued as new."""
        spec = self._plan.spec
        if spec.target.hold != "run" or not workflow.info().continued_run_id:
            return set()
        return {system for stage in spec.stages for system in systems_of(spec, stage)}

    def _something_stands(self) -> bool:
        return any(entry.stands for entry in self._board.view.journal)
