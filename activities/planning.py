import asyncio

from pydantic import BaseModel
from temporalio import activity

from activities.failures import as_failures
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.ports.runs import CampaignRequest, IncidentRequest
from holdfast.runbook.campaigns import CampaignPlan, plan_campaign
from holdfast.runbook.incidents import IncidentPlan, plan_incident
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.plan import Plan
from holdfast.runbook.review import check_requester, review


class PlanRequest(BaseModel):
    """Which runbook somebody wants to start, and at which pace."""

    runbook: str
    requested_by: str
    pace: str = "default"


class PlanActivities:
    """Reads runbooks from the reviewed files on this worker."""

    def __init__(self, library: RunbookLibrary) -> None:
        """Use the runbooks and people of this library."""
        self._library = library

    @activity.defn
    async def load_plan(self, request: PlanRequest) -> Plan:
        """Return the runbook pinned with its digest and people, after a review of the whole."""
        with as_failures():
            return await asyncio.to_thread(make_plan, self._library, request)

    @activity.defn(name="plan_incident")
    async def plan_incident(self, request: IncidentRequest) -> IncidentPlan:
        """Return the incident's runbook pinned with its digest, policy and people."""
        with as_failures():
            return await asyncio.to_thread(plan_incident, self._library, request)

    @activity.defn(name="plan_campaign")
    async def plan_campaign(self, request: CampaignRequest) -> CampaignPlan:
        """Return the campaign's runbook pinned with its digest and people."""
        with as_failures():
            return await asyncio.to_thread(plan_campaign, self._library, request)


def make_plan(library: RunbookLibrary, request: PlanRequest) -> Plan:
    """Load and review a runbook for somebody who wants to start it.

    Raises:
        UnknownName: no such runbook, person or pace.
        RunbookInvalid: the file is wrong, line by line.
        InvalidInput: the person may not start it.
    """
    loaded = library.rollout(request.runbook)
    people = library.people()
    review(loaded.spec, people, systems=library.systems(), source=loaded.source)
    if people.named(request.requested_by) is None:
        raise UnknownName("person", request.requested_by, (p.name for p in people.people))
    starters = people.holding(loaded.spec.starters)
    if request.requested_by not in {p.name for p in starters}:
        raise InvalidInput(
            f"requested_by: '{request.requested_by}' may not start '{request.runbook}'; "
            f"those who may: {', '.join(p.name for p in starters)}"
        )
    check_requester(loaded.spec, people, request.requested_by)
    if request.pace not in loaded.spec.paces:
        raise UnknownName(f"pace of runbook '{request.runbook}'", request.pace, loaded.spec.paces)
    return Plan(spec=loaded.spec, digest=loaded.digest, people=people, pace_name=request.pace)
