"""What campaigns need of the store and of the rotas: load tests, candidates for roles, the report."""

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import BaseModel, Field
from temporalio import activity

from activities.clock import server_now
from activities.failures import as_failures
from activities.pulse import beating
from holdfast.domain.campaign import TestLine
from holdfast.domain.duty import Roster
from holdfast.domain.escalation import rota_named
from holdfast.domain.people import People
from holdfast.domain.view import MessageRef, RunView
from holdfast.ports.campaigns import CampaignLog, KeptCampaign
from holdfast.ports.duty import DutyBook
from holdfast.ports.load import LoadLog
from holdfast.runbook.campaigns import CampaignPlan
from holdfast.runbook.library import RunbookLibrary


class TestsRequest(BaseModel):
    """Of which campaign."""

    campaign: str


class KnownTests(BaseModel):
    """Load tests, oldest first."""

    tests: list[TestLine] = Field(default_factory=list[TestLine])


class CandidatesRequest(BaseModel):
    """Entries of a role's `candidates`, and who is who."""

    candidates: tuple[str, ...]
    people: People


class Candidates(BaseModel):
    """Short names, the first choice first, each once."""

    names: list[str] = Field(default_factory=list[str])


class AnalysisRequest(BaseModel):
    """A campaign at its end; `message` is where the run's message is."""

    view: RunView
    plan: CampaignPlan
    message: MessageRef | None = None


class Analysed(BaseModel):
    """Where the report is, for people."""

    where: str


Analyse = Callable[[AnalysisRequest], Awaitable[str]]
"""Makes the report, shows it to the team, and returns where it is."""


class CampaignActivities:
    """Reads and keeps what outlives a campaign's run.

    Args:
        library: has the rotas.
        duty: who covers for whom.
        tests: the log of load tests.
        campaigns: the log of campaigns.
        analyse: makes the report from the store.
    """

    def __init__(
        self,
        library: RunbookLibrary,
        duty: DutyBook,
        tests: LoadLog,
        campaigns: CampaignLog,
        *,
        analyse: Analyse,
    ) -> None:
        self._library, self._duty = library, duty
        self._tests, self._campaigns, self._analyse = tests, campaigns, analyse

    @activity.defn
    async def known_tests(self, request: TestsRequest) -> KnownTests:
        """Return the load tests that were kept of a campaign."""
        with as_failures():
            kept = await self._tests.tests(request.campaign)
        return KnownTests(tests=[test.line for test in reversed(kept)])

    @activity.defn
    async def candidates(self, request: CandidatesRequest) -> Candidates:
        """Return who could take a role at this moment; who is away is replaced as in a rota."""
        now = server_now()
        with as_failures():
            rotas = await asyncio.to_thread(self._library.duty)
            covers = await self._duty.covers(since=now, until=now)
        roster = Roster(rotas, covers=covers, people=request.people)
        names: list[str] = []
        for entry in request.candidates:
            rota = rota_named(entry)
            if rota is None:
                names += [person.name for person in request.people.holding([entry])]
            elif (shift := roster.on_duty(rota, now)) is not None:
                names.append(shift.person)
        return Candidates(names=list(dict.fromkeys(names)))

    @activity.defn
    async def analyse(self, request: AnalysisRequest) -> Analysed:
        """Keep the campaign as it ended, then make its report and show it."""
        plan, view = request.plan, request.view
        kept = KeptCampaign(
            run=view.run_id,
            campaign=plan.spec.name,
            client=plan.spec.client.title,
            opens=plan.opens,
            closes=plan.closes,
            view=view.model_dump(mode="json"),
            spec=plan.spec.model_dump(mode="json", by_alias=True),
        )
        async with beating():
            with as_failures():
                await self._campaigns.keep(kept)
                return Analysed(where=await self._analyse(request))
