"""The incident: call people until somebody has it, while somebody has it, until somebody says that it is over.

How people are called stands in `escalation.py`, what it takes from them in `heard.py` and `answerable.py`.
Ask the Query `view` for the whole state.
"""

import asyncio
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import calls, options
from workflows.answerable import AnswerableRun
from workflows.board import Board
from workflows.escalation import Escalation
from workflows.gate import GateKeeper
from workflows.hearing import Hearing
from workflows.incident_carrying import IncidentCarried, IncidentInput, IncidentReport, Ladder
from workflows.moments import until

with workflow.unsafe.imports_passed_through():
    from holdfast.domain import run_phrases
    from holdfast.domain.view import IncidentView, RunState, RunView, StageView
    from holdfast.domain.words import Act, Word
    from holdfast.ports.audit import AuditKind
    from holdfast.runbook.incidents import IncidentPlan

_RECOVERY = 500


@workflow.defn(name="incident")
class Incident(AnswerableRun):
    """One run of an incident runbook."""

    @workflow.init
    def __init__(self, start: IncidentInput) -> None:
        """Begin with an empty view, or with what an earlier part of the run carried over."""
        carried = _carried(start)
        view = carried.view if carried else _first_view(start)
        self._board = Board(view, carried.message if carried else None)
        self._gates = GateKeeper(self._board)
        self._hearing = Hearing(self._gates, carried.replies if carried else None)
        self._incident = view.incident = view.incident or IncidentView(tier=start.tier, value=start.value)
        self._ladder = carried.ladder if carried else Ladder()
        self._plan: IncidentPlan | None = carried.plan if carried else None
        self._opened_by_run = start.by_run
        self._resolved_by = ""

    @workflow.run
    async def run(self, start: IncidentInput) -> IncidentReport:
        """Call people until it is resolved; then no call has a button any more."""
        self._gates.begin(protocol=True, requester=start.requested_by)
        self._board.show(quietly=True)
        publishing = asyncio.create_task(self._publish())
        cancelled = False
        try:
            ending = await self._opened_and_resolved(start)
        except asyncio.CancelledError:
            cancelled = True
            ending = self._board.end(RunState.STOPPED, run_phrases.CANCELLED)
            self._gates.ledger.note_event(AuditKind.CLOSING, run_phrases.CANCELLED)
        self._incident.next_call, self._incident.next_called = None, []
        if self._plan is not None:
            await self._escalation(self._plan).retire(f"{ending.capitalize()}: {self._board.view.headline}")
        await self._told(publishing)
        if cancelled:
            raise asyncio.CancelledError
        if ending is RunState.FAILED:
            raise ApplicationError(self._board.view.headline, type="IncidentFailed", non_retryable=True)
        return IncidentReport(outcome=ending, view=self._board.view)

    # --- the runbook ------------------------------------------------------------------------------------

    async def _opened_and_resolved(self, start: IncidentInput) -> RunState:
        if self._plan is None:
            try:
                self._plan = await calls.plan_incident(start)
            except ActivityError as error:
                return self._board.end(RunState.FAILED, run_phrases.UNUSABLE.format(why=calls.reason(error)))
            self._open(start, self._plan)
        self._gates.know(self._plan.people, mfa=False)
        escalation = self._escalation(self._plan)
        while not self._resolved_by:
            await escalation.call_until(lambda: bool(self._incident.owner) or self._over_or_long())
            await self._while_somebody_has_it()
            await self._continue_as_new_if_long(start, self._plan)
        why = run_phrases.RESOLVED.format(by=self._resolved_by, why=self._incident.resolution)
        return self._board.end(RunState.RESOLVED, why)

    async def _while_somebody_has_it(self) -> None:
        """Wait until the owner lets go of it, or until the acknowledgement runs out."""
        incident = self._incident
        while incident.owner and not self._over_or_long():
            owner, end = incident.owner, incident.acknowledged_until
            await until(
                lambda: (incident.owner, incident.acknowledged_until) != (owner, end) or self._over_or_long(),  # noqa: B023  awaited here
                end,
            )
            if incident.owner and incident.acknowledged_until and workflow.now() >= incident.acknowledged_until:
                self._run_out(owner)

    def _run_out(self, owner: str) -> None:
        said = run_phrases.RAN_OUT.format(owner=owner)
        self._let_go()
        self._ladder.restart()
        self._gates.ledger.note_event(AuditKind.EXPIRY, said)
        self._board.show(RunState.OPEN, said, say=said, ping=said)

    def _open(self, start: IncidentInput, plan: IncidentPlan) -> None:
        """Show the runbook that was read, and who may answer."""
        view, incident = self._board.view, self._incident
        view.digest, incident.tier, incident.value = plan.digest, plan.tier, plan.value
        incident.steps = len(plan.policy.steps)
        view.stages = [
            StageView(name=f"look-{number}", title=line, change="")
            for number, line in enumerate(plan.spec.checklist, start=1)
        ]
        openers = (person.name for person in plan.people.holding(plan.spec.openers))
        incident.may_answer = list(dict.fromkeys([*plan.responders, *openers]))
        for warning in plan.warnings:
            self._board.show(say=warning, quietly=True)
        opened = run_phrases.OPENED.format(by=start.by_run or start.requested_by)
        self._gates.ledger.note_event(AuditKind.REQUEST, f"{opened}: {start.title}")
        self._board.show(RunState.OPEN, opened, say=opened)

    def _escalation(self, plan: IncidentPlan) -> Escalation:
        return Escalation(self._board, self._incident, plan, self._ladder)

    # --- what people and the watch say ------------------------------------------------------------------

    @workflow.signal(name="recovered", description="For runs: the watch that opened this sees it well again.")
    def recovered(self, message: Any = None) -> None:
        """Tell whoever has it; where nobody has taken it, it is over."""
        text = str(message or "").strip()[:_RECOVERY]
        if not self._opened_by_run or not text or self._resolved_by or self._board.view.state.ended:
            return  # what a person opened ends by a person's word, which has a code
        if not self._incident.owner:
            self._resolved_by, self._incident.resolution = self._opened_by_run, text
            self._gates.ledger.note_event(AuditKind.CLOSING, text)
            return
        self._board.show(say=text, ping=run_phrases.RECOVERED.format(owner=self._incident.owner, what=text))

    @workflow.signal(name="unwatched", description="For runs: the watch that opened this has ended.")
    def unwatched(self, message: Any = None) -> None:
        """Tell whoever has it, or is called, to look for themselves whether it is well again."""
        text = str(message or "").strip()[:_RECOVERY]
        if self._opened_by_run and text and not self._board.view.state.ended:
            self._board.show(say=text, ping=text)

    def _heed(self, word: Word) -> str:
        if word.act is Act.NOTE:
            self._board.show(say=run_phrases.NOTED.format(by=word.by, why=word.reason.strip()))
            return run_phrases.SAID_NOTED.format(text=word.reason.strip())
        if word.act is Act.RESOLVE:
            self._resolved_by, self._incident.resolution = word.by, word.reason.strip()
            return run_phrases.SAID_RESOLVED.format(why=self._incident.resolution)
        if word.act is Act.HAND_OVER and word.to != word.by:
            return self._handed_over(word)
        return self._acknowledged(word.by)

    def _acknowledged(self, by: str) -> str:
        incident, before = self._incident, self._incident.owner
        incident.owner = by
        incident.acknowledged_until = workflow.now() + self._plan_known().policy.acknowledged_for
        incident.next_call, incident.next_called = None, []
        self._ladder.restart()  # where it begins when the acknowledgement has run out
        owned = run_phrases.OWNED.format(owner=by)
        said = run_phrases.TAKEN_OVER.format(to=by, by=before) if before else owned
        if before == by:
            said = run_phrases.KEPT.format(owner=by)
        self._board.show(RunState.ACKNOWLEDGED, owned, say=said, ping=None if before == by else said)
        return run_phrases.SAID_YOURS.format(until=self._on_the_clock_of(by, incident.acknowledged_until))

    def _on_the_clock_of(self, name: str, at: datetime) -> str:
        """Return a moment as this person's clock shows it, with the date where it is another day's."""
        person = self._gates.people.named(name)
        zone = person.zone if person else ZoneInfo("UTC")
        there, today = at.astimezone(zone), workflow.now().astimezone(zone).date()
        return f"{there:%H:%M} {zone.key}" if there.date() == today else f"{there:%Y-%m-%d %H:%M} {zone.key}"

    def _handed_over(self, word: Word) -> str:
        self._let_go()
        self._ladder.restart()
        self._ladder.to, self._ladder.by, self._ladder.handing = word.to, word.by, True
        self._ladder.why = why = word.reason.strip()
        may_answer = self._incident.may_answer
        self._incident.may_answer = list(dict.fromkeys([*may_answer, word.to]))
        said = run_phrases.HANDED_OVER_BECAUSE if why else run_phrases.HANDED_OVER
        headline = run_phrases.HANDED_OVER.format(by=word.by, to=word.to)
        self._board.show(RunState.OPEN, headline, say=said.format(by=word.by, to=word.to, why=why))
        return run_phrases.SAID_HANDED.format(to=word.to)

    def _let_go(self) -> None:
        self._incident.owner, self._incident.acknowledged_until = "", None

    def _plan_known(self) -> IncidentPlan:
        if self._plan is None:  # nobody may say anything before
            raise ApplicationError("the runbook is not read yet", non_retryable=True)
        return self._plan

    # --- bookkeeping ------------------------------------------------------------------------------------

    def _over_or_long(self) -> bool:
        return bool(self._resolved_by) or self._is_long()

    def _is_long(self) -> bool:
        """Whether to continue as new; what is not on record yet would be lost, and calling people goes on."""
        suggested = workflow.info().is_continue_as_new_suggested()
        return suggested and self._gates.ledger.is_written and workflow.all_handlers_finished()

    async def _publish(self) -> None:
        """Open a topic, then keep its card up to date; calling people waits for neither."""
        await workflow.wait_condition(lambda: self._board.view.revision > 0)
        if self._board.message is None and not self._board.view.state.ended:
            try:
                self._board.message = await calls.open_thread(self._board.view)
            except ActivityError as error:
                self._board.show(say=run_phrases.NO_TOPIC.format(why=calls.reason(error)))
        await self._board.keep_publishing()

    async def _continue_as_new_if_long(self, start: IncidentInput, plan: IncidentPlan) -> None:
        if not self._is_long():
            return
        await self._board.published(give_up_after=options.CARD_BEFORE_NEW)
        if self._is_long() and not self._resolved_by:
            board = self._board
            carried = IncidentCarried(
                plan=plan,
                view=board.view,
                ladder=self._ladder,
                message=board.message,
                replies=self._hearing.replies,
            )
            workflow.continue_as_new(start.model_copy(update={"carried": carried}))


def _carried(start: IncidentInput) -> IncidentCarried | None:
    """Return what an earlier part of this run carried over; whoever opens an incident brings no plan along."""
    return start.carried if workflow.info().continued_run_id else None


def _first_view(start: IncidentInput) -> RunView:
    return RunView(
        run_id=workflow.info().workflow_id,
        runbook=start.runbook,
        title=start.title,
        requested_by=start.by_run or start.requested_by,
        started_at=workflow.now(),
        headline=run_phrases.OPENING,
        kind="incident",
    )
