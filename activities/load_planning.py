"""Around a load test: its files, who can make it, and the campaign that waits for what it comes to."""

import asyncio
from datetime import datetime

from pydantic import BaseModel, Field
from temporalio import activity

from activities.failures import as_failures
from holdfast.domain.campaign import TestLine
from holdfast.domain.errors import Unavailable
from holdfast.ports.generators import CampaignRuns, LoadWorkers, OpenTests
from holdfast.ports.load import NewerTest
from holdfast.ports.runs import LoadRequest
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.load_plan import LoadPlan, plan_load


class PlanLoadRequest(BaseModel):
    """Who wants which test, when that is, and whether a campaign's run has started it."""

    request: LoadRequest
    now: datetime
    by_run: bool = False


class FindWorkersRequest(BaseModel):
    """For which run load workers are looked for."""

    run: str


class FoundWorkers(BaseModel):
    """The names of load workers; some may be dead."""

    names: list[str] = Field(default_factory=list[str])


class TellCampaignRequest(BaseModel):
    """What a campaign's runs are told."""

    campaign: str
    line: TestLine


class OvertakeRequest(BaseModel):
    """Which campaign has a newer test, and what that came to."""

    campaign: str
    line: TestLine


class LoadPlanActivities:
    """The activities around a test.

    Args:
        library: the reviewed files on this worker.
        workers: knows which load workers there are.
        campaigns: reaches the running campaigns.
        tests: reaches the open runs of load tests.
    """

    def __init__(
        self, library: RunbookLibrary, workers: LoadWorkers, campaigns: CampaignRuns, tests: OpenTests
    ) -> None:
        self._library, self._workers, self._campaigns = library, workers, campaigns
        self._tests = tests

    @activity.defn(name="plan_load")
    async def plan_load(self, request: PlanLoadRequest) -> LoadPlan:
        """Return the test pinned with its digest, its campaign's demands and people, after a review."""
        with as_failures():
            return await asyncio.to_thread(
                plan_load, self._library, request.request, now=request.now, by_run=request.by_run
            )

    @activity.defn(name="find_load_workers")
    async def find_load_workers(self, request: FindWorkersRequest) -> FoundWorkers:
        """Return which load workers there are; there is at least one, or this is tried again."""
        with as_failures():
            names = await self._workers.names()
            if not names:
                raise Unavailable(
                    f"{request.run}: no load worker is up; start one with 'holdfast worker --load-only'",
                    retry_after_seconds=2,
                )
        return FoundWorkers(names=names)

    @activity.defn(name="tell_campaign")
    async def tell_campaign(self, request: TellCampaignRequest) -> None:
        """Tell the campaign's open runs what the test came to."""
        with as_failures():
            await self._campaigns.tested(request.campaign, request.line)

    @activity.defn(name="overtake_tests")
    async def overtake_tests(self, request: OvertakeRequest) -> None:
        """Tell the open runs of this campaign's older tests that a newer one has come to a result."""
        with as_failures():
            await self._tests.overtake(NewerTest(campaign=request.campaign, line=request.line))
