"""What a campaign knows of its load tests, and how it makes one itself."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from workflows import campaign_calls
from workflows.board import Board
from workflows.calls import reason
from workflows.campaign_carrying import Memory
from workflows.moments import until

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from holdfast.domain import campaign_phrases as phrases
    from holdfast.domain.campaign import CampaignView, Go, TestLine, TestVerdict
    from holdfast.domain.view import RunState
    from holdfast.runbook.campaigns import CampaignPlan

# What a sign-off can rest on; anything else says nothing about the client's system.
_TELLING = frozenset({TestVerdict.PASSED, TestVerdict.FAILED})
_TESTS_KEPT = 20


class LoadTests:
    """The load tests of one campaign.

    Attributes:
        wanted_by: who wants one at once; empty for nobody.
    """

    def __init__(self, board: Board, campaign: CampaignView, memory: Memory, plan: CampaignPlan | None) -> None:
        """Show on this board what they come to; the plan may be told later, by `know`."""
        self._board, self._campaign, self._memory, self._plan = board, campaign, memory, plan
        self.wanted_by = ""

    def know(self, plan: CampaignPlan) -> None:
        """Learn what the file says."""
        self._plan = plan
        self._show_limits()  # of a test that was told before

    def hear(self, message: Any) -> None:
        """Learn what a load test came to from what its run says."""
        try:
            line = TestLine.model_validate(message)
        except ValidationError:  # whatever anybody sends: it must not stop the run
            self._board.show(say=phrases.TEST_UNREADABLE)
            return
        self._learn(line)

    def is_overtaken(self, test: TestLine) -> bool:
        """Whether a newer load test failed, or it was decided otherwise about this one."""
        newest = self._newest()
        if newest is None or newest.at < test.at:
            return False
        return newest.allows is not test.allows or (
            newest.run != test.run and newest.verdict is TestVerdict.FAILED
        )

    def taken_back(self, test: TestLine) -> str:
        """Return why a sign-off on this test does not count; empty where it does."""
        if not self.is_overtaken(test):
            return ""
        voided = phrases.VOIDED.format(what=(self._newest() or test).said)
        self._board.show(say=voided, ping=voided)
        return voided

    async def newest_fresh(self) -> TestLine:
        """Return the newest load test, from the store; make one where there is none that is fresh."""
        plan = self._plan_known()
        await self._know_tests(plan)
        newest = self._newest()
        if newest is None or newest.at < workflow.now() - plan.spec.load_test.fresh_for:
            return await self.make()
        return newest

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
        del tests[:-_TESTS_KEPT]
        self._show_limits()
        if line.at < self._board.view.started_at:
            return  # known from the store; no news of this run
        said = phrases.TESTED.format(run=line.run, what=line.said)
        if line.go is not None:
            said = phrases.DECIDED.format(run=line.run, by=line.decided_by, go=line.go)
        self._board.show(say=said)

    def _show_limits(self) -> None:
        newest = self._newest()
        limited = newest is not None and newest.go is Go.LIMITS
        self._campaign.limits = self._plan.spec.load_test.limits if limited and self._plan else ""

    async def _know_tests(self, plan: CampaignPlan) -> None:
        """Learn what the store knows: tests from before this run began, and what was decided about them.

        Those of a campaign of the same name long ago are left out.
        """
        oldest = self._board.view.started_at - plan.spec.load_test.fresh_for
        try:
            kept = await campaign_calls.tests(plan)
        except ActivityError as error:
            self._board.show(say=phrases.TESTS_UNKNOWN.format(why=reason(error)))
            return
        for line in kept:
            if line.at >= oldest:
                self._learn(line)

    def _newest(self) -> TestLine | None:
        """Return the newest test that says anything about the client's system."""
        told = [test for test in self._campaign.tests if test.verdict in _TELLING]
        return told[-1] if told else None

    async def make(self) -> TestLine:
        """Run a load test now, and wait for what it comes to and for what people decide about it."""
        plan, began = self._plan_known(), workflow.now()
        by, self.wanted_by = self.wanted_by or self._board.view.requested_by, ""
        self._memory.tests += 1
        run = f"{self._board.view.run_id}-test-{self._memory.tests}"
        self._campaign.test_running = run
        said = phrases.TESTS.format(run=run)
        self._board.show(RunState.TESTING, said, say=said)
        testing = asyncio.create_task(campaign_calls.load_test(run, plan, by))
        try:
            await until(testing.done, plan.closes)  # people may think about a failed one for longer than that
        finally:
            testing.cancel()
            self._campaign.test_running = ""
        line = _result_of(testing, run)
        self._learn(line)
        self._board.show(RunState.PREPARING, phrases.TESTED.format(run=run, what=line.said))
        newest = self._newest()
        return newest if newest is not None and newest.at >= began else line

    def _plan_known(self) -> CampaignPlan:
        if self._plan is None:  # tests are made by the plan
            raise ApplicationError("the campaign is not read yet", non_retryable=True)
        return self._plan


def _result_of(testing: asyncio.Task[TestLine], run: str) -> TestLine:
    """Return what a load test came to, or why it came to nothing."""
    if testing.done() and not testing.cancelled():
        error = testing.exception()
        if error is None:
            return testing.result()
        if not isinstance(error, FailureError):
            raise error
        why = str(error.cause or error)
    else:
        why = phrases.CLOSED_BEFORE
    said = phrases.TEST_BROKE.format(why=why)
    return TestLine(run=run, at=workflow.now(), verdict=TestVerdict.VOID, said=said)
