"""The high-load campaign: tests and roles before it, a sign-off, the watched window, the analysis afterwards.

What load tests came to stands in `campaign_tests.py`, how roles and tasks are asked for in
`campaign_errands.py`, who is told how often in `campaign_updates.py`, what a look at the metrics leads to in
`campaign_watch.py`. Ask the Query `view` for the whole state.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import campaign_calls, campaign_questions, options
from workflows.board import Board
from workflows.calls import reason
from workflows.campaign_carrying import CampaignCarried, CampaignInput, CampaignReport, Memory
from workflows.campaign_errands import Errands
from workflows.campaign_tests import LoadTests
from workflows.campaign_updates import Updates
from workflows.campaign_watch import Watching
from workflows.freezing import Freezing
from workflows.gate import GateKeeper
from workflows.hearing import Hearing
from workflows.moments import until
from workflows.questions import call_for
from workflows.tasked import TaskedRun

with workflow.unsafe.imports_passed_through():
    from holdfast.domain import campaign_phrases as phrases
    from holdfast.domain.campaign import CampaignView, Phase, TestLine
    from holdfast.domain.client_words import Occasion
    from holdfast.domain.gates import Gate, GateState
    from holdfast.domain.view import RunState, RunView
    from holdfast.domain.words import Act, Word
    from holdfast.ports.audit import AuditKind
    from holdfast.runbook.campaigns import CampaignPlan

_TESTABLE = frozenset({Phase.PREPARING, Phase.SIGN_OFF, Phase.READY})
_AT_ONCE = timedelta(0)
# Before a campaign continues as new, what is being sent may take so long.
_QUIET_WITHIN = timedelta(seconds=15)


@workflow.defn(name="campaign")
class Campaign(TaskedRun):
    """One run of a campaign runbook."""

    @workflow.init
    def __init__(self, start: CampaignInput) -> None:
        """Begin with an empty view, or with what an earlier part of the run carried over."""
        carried = start.carried if workflow.info().continued_run_id else None
        view = carried.view if carried else _first_view(start)
        self._board = Board(view, carried.message if carried else None, calls_first=True)
        self._gates = GateKeeper(self._board)
        self._hearing = Hearing(self._gates, carried.replies if carried else None)
        self._campaign = view.campaign = view.campaign or _nothing_known(start)
        self._memory = carried.memory if carried else Memory()
        self._plan: CampaignPlan | None = carried.plan if carried else None
        self._errands: Errands | None = None
        self._updates: Updates | None = None
        self._freezing = Freezing(self._memory.frozen)
        self._signed_on: TestLine | None = None
        self._handed_over: set[int] = set()
        self._tests = LoadTests(self._board, self._campaign, self._memory, self._plan)

    @workflow.run
    async def run(self, start: CampaignInput) -> CampaignReport:
        """Prepare, open, watch and analyse the campaign."""
        self._gates.begin(protocol=True, requester=start.requested_by)
        self._board.show(quietly=True)
        publishing = asyncio.create_task(self._board.keep_publishing())
        cancelled = False
        try:
            ending = await self._planned_and_held(start)
        except asyncio.CancelledError:
            cancelled = True
            ending = await self._called_off()
        if self._errands is not None:
            await self._errands.retire(f"{ending.capitalize()}: {self._board.view.headline}")
        await self._told(publishing)
        if cancelled:
            raise asyncio.CancelledError
        if ending is RunState.FAILED:
            raise ApplicationError(self._board.view.headline, type="CampaignFailed", non_retryable=True)
        return CampaignReport(outcome=ending, view=self._board.view)

    # --- the runbook ------------------------------------------------------------------------------------

    async def _planned_and_held(self, start: CampaignInput) -> RunState:
        if self._plan is None:
            try:
                self._plan = await campaign_calls.plan(start)
                other = await campaign_calls.claim(self._plan, self._board)
            except ActivityError as error:
                return self._board.end(RunState.FAILED, phrases.UNUSABLE.format(why=reason(error)))
            if other:
                return self._board.end(RunState.STOPPED, phrases.RUNS_ALREADY.format(run=other))
            self._open(start, self._plan)
        plan = self._plan
        self._gates.know(plan.people, mfa=False)
        errands = self._errands = Errands(self._board, self._campaign, plan, self._memory)
        updates = self._updates = Updates(self._board, self._campaign, plan, self._memory)
        strands = [asyncio.create_task(errands.keep_asking()), asyncio.create_task(updates.keep_telling())]
        try:
            return await self._prepared_and_watched(start, plan)
        finally:
            for strand in strands:
                strand.cancel()

    async def _prepared_and_watched(self, start: CampaignInput, plan: CampaignPlan) -> RunState:
        if self._campaign.phase is Phase.PREPARING:
            await self._tests_until(plan.opens - plan.spec.sign_off_before)
        again = ""
        while self._campaign.phase in {Phase.PREPARING, Phase.SIGN_OFF}:
            refused = await self._signed_off(plan, again)
            if refused:
                return self._board.end(RunState.STOPPED, refused)
            again = await self._still_allowed_until(plan.opens - (plan.spec.freeze.before or _AT_ONCE))
        await self._frozen(plan)
        await self._watched(start, plan)
        return await self._analysed(plan)

    async def _tests_until(self, moment: datetime) -> None:
        """Wait for the moment; load tests run by schedule and on demand meanwhile."""
        while workflow.now() < moment:
            await until(lambda: bool(self._tests.wanted_by), moment)
            if self._tests.wanted_by:
                await self._tests.make()

    async def _signed_off(self, plan: CampaignPlan, again: str) -> str:
        """Return why the window may not open; empty when it may."""
        self._campaign.phase = Phase.SIGN_OFF
        while workflow.now() < plan.closes:
            test = await (self._tests.make() if self._tests.wanted_by else self._tests.newest_fresh())
            self._memory.gates += 1
            if not test.allows:
                if not await self._tested_again(plan, test):
                    return phrases.NOT_RETESTED
                continue
            gate = campaign_questions.ask_for_sign_off(
                self._gates, f"sign-off-{self._memory.gates}", plan, test, again=again
            )
            await self._decided(gate, test, plan.closes)
            if gate.goes_on:
                await self._gates.on_record()
                again = self._tests.taken_back(test)
                if not again:
                    self._signed_on, self._campaign.phase = test, Phase.READY
                    signed = phrases.SIGNED.format(at=_clock(plan.opens))
                    self._board.show(RunState.PREPARING, signed, say=signed, ping=signed)
                    return ""
            elif gate.state not in {GateState.VOIDED, GateState.SUPERSEDED}:
                return phrases.NOT_SIGNED
        return phrases.CLOSED_BEFORE

    async def _tested_again(self, plan: CampaignPlan, test: TestLine) -> bool:
        """Ask what to do about a test on which no window may open; return whether the run goes on."""
        gate = campaign_questions.ask_for_another_test(self._gates, f"test-{self._memory.gates}", plan, test)
        # Somebody may decide about the failed test itself meanwhile.
        await self._decided(gate, test, plan.closes)
        if gate.goes_on:
            await self._gates.on_record()
            await self._tests.make()
        return gate.goes_on or gate.state in {GateState.VOIDED, GateState.SUPERSEDED}

    async def _decided(self, gate: Gate, test: TestLine, closes: datetime) -> None:
        """Wait for an answer, or until there is nothing to answer any more.

        That is so when load tests make it another question than it was with this test, when another test is
        wanted, and when the window has closed.
        """
        self._board.show(RunState.WAITING, gate.title, say=gate.title, ping=call_for(gate))
        deciding = asyncio.create_task(self._gates.decided(gate))
        await until(
            lambda: deciding.done() or bool(self._tests.wanted_by) or self._tests.is_overtaken(test),
            closes,
        )
        if not deciding.done():
            wanted = phrases.TEST_WANTED.format(by=self._tests.wanted_by) if self._tests.wanted_by else ""
            overtaken = phrases.NEWER_TEST if self._tests.is_overtaken(test) else phrases.CLOSED_BEFORE
            self._gates.supersede(wanted or overtaken)
        await deciding

    async def _still_allowed_until(self, moment: datetime) -> str:
        """Wait; return why the sign-off does not count any more where a later load test failed."""
        signed_on = self._signed_on
        while workflow.now() < moment and signed_on is not None:
            await until(lambda: bool(self._tests.wanted_by) or self._tests.is_overtaken(signed_on), moment)
            if self._tests.wanted_by:
                await self._tests.make()
            voided = self._tests.taken_back(signed_on)
            if voided:
                self._campaign.phase = Phase.SIGN_OFF
                return voided
        return ""

    async def _frozen(self, plan: CampaignPlan) -> None:
        """Refuse planned rollouts from here to the end of the run."""
        if self._campaign.frozen:
            return
        try:
            await self._freezing.freeze(plan.spec.freeze.systems, plan.spec.title, until=plan.closes)
        except ActivityError as error:  # the window opens all the same, and is watched
            failed = phrases.NOT_FROZEN.format(why=reason(error))
            self._board.show(say=failed, ping=failed)
            return
        self._memory.frozen, self._campaign.frozen = self._freezing.frozen, True
        self._board.show(say=phrases.FROZEN, ping=phrases.FROZEN)

    async def _thawed(self) -> None:
        """Let planned rollouts go on."""
        await self._freezing.thaw()
        self._memory.frozen, self._campaign.frozen = (), False

    async def _watched(self, start: CampaignInput, plan: CampaignPlan) -> None:
        """Watch the window against its promises until it closes."""
        await until(lambda: False, plan.opens)
        updates, errands = self._updates_known(), self._errands_known()
        if self._campaign.phase is not Phase.OPEN:
            self._campaign.phase = Phase.OPEN
            opened = phrases.OPENED.format(at=_clock(plan.closes))
            self._board.show(RunState.WATCHING, opened, say=opened, ping=opened)
            updates.begin()
        watching = Watching(
            self._board, self._campaign, plan, memory=self._memory, errands=errands, updates=updates
        )
        while workflow.now() < plan.closes:
            await watching.look()
            await self._continue_as_new_if_long(start, plan)

    async def _analysed(self, plan: CampaignPlan) -> RunState:
        """Make the report from what was kept; the campaign ends with or without it."""
        await self._thawed()
        self._campaign.phase = Phase.ANALYSIS
        self._board.show(RunState.CHECKING, phrases.CLOSED, say=phrases.CLOSED)
        await self._hand_over_breaches()
        self._updates_known().tell_client(Occasion.CLOSED)
        await self._updates_known().all_told()
        self._campaign.phase = Phase.CLOSED
        await self._reported(plan)
        finished = phrases.FINISHED if self._campaign.report else phrases.FINISHED_UNREPORTED
        return self._board.end(RunState.FINISHED, finished.format(n=len(self._campaign.breaches)))

    async def _hand_over_breaches(self) -> None:
        """Say once what is still broken: to the team, and to who has its incident and counts on the watch."""
        for breach in self._campaign.open_breaches:
            if breach.number in self._handed_over:
                continue
            self._handed_over.add(breach.number)
            template = phrases.STILL_BROKEN if breach.incident else phrases.STILL_BROKEN_ALONE
            still = template.format(title=breach.title, run=breach.incident)
            self._board.show(say=still, ping=still)
            if breach.incident and workflow.patched("incidents-hear-of-closing"):
                await campaign_calls.leave_incident(breach.incident, self._board.view.run_id)

    async def _reported(self, plan: CampaignPlan) -> None:
        """Make the report; a run ends without it too, `holdfast report` makes it at any time."""
        try:
            made = await campaign_calls.analyse(self._board, plan)
            self._campaign.report = made.where
        except ActivityError as error:
            self._board.show(say=phrases.NO_REPORT.format(why=reason(error)))

    async def _called_off(self) -> RunState:
        """End at a cancellation; what was seen of a window that had opened is reported all the same."""
        self._gates.supersede()
        seen = self._campaign.looked_at is not None and workflow.patched("report-when-cancelled")
        said = phrases.CANCELLED_OPEN if self._campaign.phase is Phase.OPEN else phrases.CANCELLED
        await self._thawed()  # a chat that is down may hold up the run's end for a day
        if seen and self._plan is not None:
            await self._hand_over_breaches()
            self._campaign.phase = Phase.CLOSED
            await self._reported(self._plan)
        self._campaign.phase = Phase.CLOSED
        self._gates.ledger.note_event(AuditKind.CLOSING, said)
        return self._board.end(RunState.STOPPED, said)

    # --- load tests -------------------------------------------------------------------------------------

    @workflow.signal(name="tested", description="For runs: a load test of this campaign has come to something.")
    def tested(self, message: Any = None) -> None:
        """Learn what a load test came to."""
        self._tests.hear(message)

    # --- what people say --------------------------------------------------------------------------------

    def _heed(self, word: Word) -> str:
        if word.act is Act.ACCEPT:
            return self._errands_known().accepted(word)
        if word.act is Act.DONE:
            return self._errands_known().done(word)
        if word.act is Act.TEST:
            if self._campaign.frozen or self._campaign.phase not in _TESTABLE:
                return phrases.SAID_NO_TEST
            self._tests.wanted_by = word.by
            self._board.show(say=phrases.TEST_WANTED.format(by=word.by))
            return phrases.SAID_TEST
        self._board.show(say=f"{word.by}: {word.reason.strip()}")
        return phrases.SAID_NOTED.format(text=word.reason.strip())

    # --- bookkeeping ------------------------------------------------------------------------------------

    def _open(self, start: CampaignInput, plan: CampaignPlan) -> None:
        """Show the runbook that was read."""
        view, campaign = self._board.view, self._campaign
        view.digest, view.title = plan.digest, plan.spec.title
        campaign.client, campaign.opens, campaign.closes = plan.spec.client.title, plan.opens, plan.closes
        campaign.may_answer = list(plan.may_answer)
        started = phrases.STARTED.format(by=start.requested_by)
        self._gates.ledger.note_event(AuditKind.REQUEST, f"{started}: {plan.spec.title}")
        prepares = phrases.PREPARES.format(at=_clock(plan.opens - plan.spec.sign_off_before))
        self._board.show(RunState.PREPARING, prepares, say=started)
        self._tests.know(plan)

    def _errands_known(self) -> Errands:
        if self._errands is None:  # nobody may say anything before
            raise ApplicationError("the campaign is not read yet", non_retryable=True)
        return self._errands

    def _updates_known(self) -> Updates:
        if self._updates is None:
            raise ApplicationError("the campaign is not read yet", non_retryable=True)
        return self._updates

    async def _continue_as_new_if_long(self, start: CampaignInput, plan: CampaignPlan) -> None:
        if not workflow.info().is_continue_as_new_suggested():
            return
        errands, updates = self._errands_known(), self._updates_known()
        errands.rest()
        # The watch must not wait for a chat that is down: it is tried again after the next look.
        await until(lambda: errands.is_quiet and updates.is_quiet, workflow.now() + _QUIET_WITHIN)
        if errands.is_quiet and updates.is_quiet:
            await self._board.published(give_up_after=options.CARD_BEFORE_NEW)
        quiet = errands.is_quiet and updates.is_quiet and self._gates.ledger.is_written
        if quiet and workflow.all_handlers_finished():
            carried = CampaignCarried(
                plan=plan,
                view=self._board.view,
                memory=self._memory,
                message=self._board.message,
                replies=self._hearing.replies,
            )
            workflow.continue_as_new(start.model_copy(update={"carried": carried}))
        errands.wake()


def _first_view(start: CampaignInput) -> RunView:
    return RunView(
        run_id=workflow.info().workflow_id,
        runbook=start.runbook,
        title=start.runbook,
        requested_by=start.requested_by,
        started_at=workflow.now(),
        headline=phrases.READING,
        kind="campaign",
    )


def _nothing_known(start: CampaignInput) -> CampaignView:
    now = workflow.now()
    return CampaignView(opens=start.opens or now, closes=start.closes or now)


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
