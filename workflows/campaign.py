"""The high-load campaign: tests and roles before it, a sign-off, the watched window, the analysis afterwards.

How roles and tasks are asked for stands in `campaign_errands.py`, who is told how often in
`campaign_updates.py`, what a look at the metrics leads to in `campaign_watch.py`. Ask the Query `view` for the
whole state.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

from workflows import campaign_calls, campaign_questions, options
from workflows.board import Board
from workflows.calls import reason
from workflows.campaign_carrying import CampaignCarried, CampaignInput, CampaignReport, Memory
from workflows.campaign_errands import Errands
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
    from holdfast.domain.campaign import CampaignView, Go, Phase, TestLine, TestVerdict
    from holdfast.domain.client_words import Occasion
    from holdfast.domain.gates import Gate, GateState
    from holdfast.domain.view import RunState, RunView
    from holdfast.domain.words import Act, Word
    from holdfast.ports.audit import AuditKind
    from holdfast.runbook.campaigns import CampaignPlan

# What a sign-off can rest on; anything else says nothing about the client's system.
_TELLING = frozenset({TestVerdict.PASSED, TestVerdict.FAILED})
_TESTABLE = frozenset({Phase.PREPARING, Phase.SIGN_OFF, Phase.READY})
_TESTS_KEPT = 20
_AT_ONCE = timedelta(0)


@workflow.defn(name="campaign")
class Campaign(TaskedRun):
    """One run of a campaign runbook."""

    @workflow.init
    def __init__(self, start: CampaignInput) -> None:
        """Begin with an empty view, or with what an earlier part of the run carried over."""
        carried = start.carried if workflow.info().continued_run_id else None
        view = carried.view if carried else _first_view(start)
        self._board = Board(view, carried.message if carried else None)
        self._gates = GateKeeper(self._board)
        self._hearing = Hearing(self._gates, carried.replies if carried else None)
        self._campaign = view.campaign = view.campaign or _nothing_known(start)
        self._memory = carried.memory if carried else Memory()
        self._plan: CampaignPlan | None = carried.plan if carried else None
        self._errands: Errands | None = None
        self._updates: Updates | None = None
        self._test_wanted = ""

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
            self._gates.supersede()
            ending = self._board.end(RunState.STOPPED, phrases.CANCELLED)
            self._gates.ledger.note_event(AuditKind.CLOSING, phrases.CANCELLED)
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
            except ActivityError as error:
                return self._board.end(RunState.FAILED, phrases.UNUSABLE.format(why=reason(error)))
            other = await campaign_calls.claim(self._plan, self._board)
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
            await until(lambda: bool(self._test_wanted), moment)
            if self._test_wanted:
                await self._test()

    async def _signed_off(self, plan: CampaignPlan, again: str) -> str:
        """Return why the window may not open; empty when it may."""
        self._campaign.phase = Phase.SIGN_OFF
        while workflow.now() < plan.closes:
            test = await self._newest_test(plan)
            self._memory.gates += 1
            number = self._memory.gates
            if not test.allows:
                gate = campaign_questions.ask_for_another_test(self._gates, f"test-{number}", plan, test)
                self._board.show(RunState.WAITING, gate.title, say=gate.title, ping=call_for(gate))
                # Somebody may decide about the failed test itself meanwhile.
                await self._decided(gate, test)
                if gate.goes_on:
                    await self._gates.on_record()
                    await self._test()
                elif gate.state is not GateState.SUPERSEDED:
                    return phrases.NOT_RETESTED
                continue
            gate = campaign_questions.ask_for_sign_off(
                self._gates, f"sign-off-{number}", plan, test, again=again
            )
            self._board.show(RunState.WAITING, gate.title, say=gate.title, ping=call_for(gate))
            await self._decided(gate, test)
            if gate.goes_on:
                await self._gates.on_record()
                self._campaign.phase = Phase.READY
                signed = phrases.SIGNED.format(at=_clock(plan.opens))
                self._board.show(RunState.PREPARING, signed, say=signed, ping=signed)
                return ""
            if gate.state not in {GateState.VOIDED, GateState.SUPERSEDED}:
                return phrases.NOT_SIGNED
        return phrases.CLOSED_BEFORE

    async def _decided(self, gate: Gate, test: TestLine) -> None:
        """Wait for an answer, or until load tests make the question another one than it was with this test."""
        deciding = asyncio.create_task(self._gates.decided(gate))
        await workflow.wait_condition(lambda: deciding.done() or self._is_overtaken(test))
        if not deciding.done():
            self._gates.supersede(phrases.NEWER_TEST)
        await deciding

    def _is_overtaken(self, test: TestLine) -> bool:
        """Whether a newer load test failed, or it was decided otherwise about this one."""
        newest = self._newest()
        if newest is None:
            return False
        return newest.allows is not test.allows or (
            newest.run != test.run and newest.verdict is TestVerdict.FAILED
        )

    async def _newest_test(self, plan: CampaignPlan) -> TestLine:
        """Return the newest load test, from the store; make one where there is none that is fresh."""
        await self._know_tests()
        newest = self._newest()
        oldest = workflow.now() - plan.spec.load_test.fresh_for
        if newest is None or (newest.at < oldest and newest.allows) or newest.verdict not in _TELLING:
            return await self._test()
        return newest

    async def _still_allowed_until(self, moment: datetime) -> str:
        """Wait; return why the sign-off does not count any more where a later load test failed."""
        signed_on = self._newest()
        while workflow.now() < moment and signed_on is not None:
            await until(lambda: bool(self._test_wanted) or self._is_overtaken(signed_on), moment)
            if self._test_wanted:
                await self._test()
            if self._is_overtaken(signed_on):
                newest = self._newest() or signed_on
                self._campaign.phase = Phase.SIGN_OFF
                voided = phrases.VOIDED.format(what=newest.said)
                self._board.show(say=voided, ping=voided)
                return voided
        return ""

    async def _frozen(self, plan: CampaignPlan) -> None:
        """Refuse planned rollouts from here to the end of the run."""
        if self._campaign.frozen:
            return
        freezing = Freezing(self._memory.frozen)
        await freezing.freeze(plan.spec.freeze.systems, plan.spec.title, until=plan.closes)
        self._memory.frozen, self._campaign.frozen = freezing.frozen, True
        self._board.show(say=phrases.FROZEN, ping=phrases.FROZEN)

    async def _watched(self, start: CampaignInput, plan: CampaignPlan) -> None:
        """Watch the window against its promises until it closes."""
        await until(lambda: False, plan.opens)
        updates, errands = self._updates_known(), self._errands_known()
        if self._campaign.phase is not Phase.OPEN:
            self._campaign.phase = Phase.OPEN
            opened = phrases.OPENED.format(at=_clock(plan.closes))
            self._board.show(RunState.WATCHING, opened, say=opened, ping=opened)
            updates.tell_client(Occasion.OPENED)
        watching = Watching(
            self._board, self._campaign, plan, memory=self._memory, errands=errands, updates=updates
        )
        while workflow.now() < plan.closes:
            await watching.look()
            await self._continue_as_new_if_long(start, plan)

    async def _analysed(self, plan: CampaignPlan) -> RunState:
        """Make the report from what was kept; the campaign ends with or without it."""
        await Freezing(self._memory.frozen).thaw()
        self._memory.frozen = ()
        self._campaign.frozen, self._campaign.phase = False, Phase.ANALYSIS
        self._board.show(RunState.CHECKING, phrases.CLOSED, say=phrases.CLOSED)
        self._updates_known().tell_client(Occasion.CLOSED)
        await self._updates_known().all_told()
        self._campaign.phase = Phase.CLOSED
        try:
            made = await campaign_calls.analyse(self._board, plan)
            self._campaign.report = made.where
        except ActivityError as error:
            self._board.show(say=phrases.NO_REPORT.format(why=reason(error)))
        return self._board.end(RunState.FINISHED, phrases.FINISHED.format(n=len(self._campaign.breaches)))

    # --- load tests -------------------------------------------------------------------------------------

    @workflow.signal(name="tested", description="For runs: a load test of this campaign has come to something.")
    def tested(self, message: Any = None) -> None:
        """Learn what a load test came to."""
        line = TestLine.model_validate(message)
        self._learn(line)

    def _learn(self, line: TestLine) -> None:
        tests = self._campaign.tests
        known = next((number for number, test in enumerate(tests) if test.run == line.run), None)
        if known is not None and tests[known] == line:
            return
        if known is None:
            tests.append(line)
        else:
            tests[known] = line
        tests.sort(key=lambda test: test.at)
        newest = self._newest()
        limited = newest is not None and newest.go is Go.LIMITS
        self._campaign.limits = self._plan.spec.load_test.limits if limited and self._plan else ""
        del tests[:-_TESTS_KEPT]
        said = phrases.TESTED.format(run=line.run, what=line.said)
        if line.go is not None:
            said = phrases.DECIDED.format(run=line.run, by=line.decided_by, go=line.go)
        self._board.show(say=said)

    async def _know_tests(self) -> None:
        """Learn what the store knows: tests from before this run began, and what was decided about them."""
        try:
            kept = await campaign_calls.tests(self._plan_known())
        except ActivityError as error:
            self._board.show(say=phrases.TEST_BROKE.format(why=reason(error)))
            return
        for line in kept:
            self._learn(line)

    def _newest(self) -> TestLine | None:
        told = [test for test in self._campaign.tests if test.verdict is not TestVerdict.SKIPPED]
        return told[-1] if told else None

    async def _test(self) -> TestLine:
        """Run a load test now, and wait for what it comes to and for what people decide about it."""
        by, self._test_wanted = self._test_wanted or self._gates.requester, ""
        self._memory.tests += 1
        run = f"{self._board.view.run_id}-test-{self._memory.tests}"
        self._campaign.test_running = run
        said = phrases.TESTS.format(run=run)
        self._board.show(RunState.TESTING, said, say=said)
        try:
            line = await campaign_calls.load_test(run, self._plan_known(), by)
        except ChildWorkflowError as error:
            why = str(error.cause or error)
            line = TestLine(
                run=run,
                at=workflow.now(),
                verdict=TestVerdict.VOID,
                said=phrases.TEST_BROKE.format(why=why),
            )
        self._campaign.test_running = ""
        self._learn(line)
        self._board.show(RunState.PREPARING, phrases.TESTED.format(run=run, what=line.said))
        return self._newest() or line

    # --- what people say --------------------------------------------------------------------------------

    def _heed(self, word: Word) -> str:
        if word.act is Act.ACCEPT:
            return self._errands_known().accepted(word)
        if word.act is Act.DONE:
            return self._errands_known().done(word)
        if word.act is Act.TEST:
            if self._campaign.frozen or self._campaign.phase not in _TESTABLE:
                return phrases.SAID_NO_TEST
            self._test_wanted = word.by
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

    def _plan_known(self) -> CampaignPlan:
        if self._plan is None:
            raise ApplicationError("the campaign is not read yet", non_retryable=True)
        return self._plan

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
        await self._errands_known().rest()
        await self._updates_known().all_told()
        await self._board.published(give_up_after=options.CARD_BEFORE_NEW)
        if self._gates.ledger.is_written and workflow.all_handlers_finished():
            carried = CampaignCarried(
                plan=plan,
                view=self._board.view,
                memory=self._memory,
                message=self._board.message,
                replies=self._hearing.replies,
            )
            workflow.continue_as_new(start.model_copy(update={"carried": carried}))
        self._errands_known().wake()  # something came in between; it is tried again after the next look


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
