"""A load test pinned into a run: what is made, for whom, who may stop it, who decides after a failure."""

from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import BaseModel, Field, ValidationError

from holdfast.domain.errors import InvalidInput, RunbookInvalid, UnknownName
from holdfast.domain.people import People
from holdfast.domain.signoff import SignOff
from holdfast.runbook.blackouts import why_not
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.runbook.kinds.load import LoadSpec
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.loader import LoadedRunbook
from holdfast.runbook.review import nobody_holds, refuse
from holdfast.slo.spec import ServiceContext

SCHEDULE = "schedule"


class CampaignPart(BaseModel):
    """What a load test has to know of the campaign it is for.

    Attributes:
        digest: of the campaign's file.
        owner: short names of those who are called when the test fails.
        failed: who decides then.
        limits: what "go with limits" means.
        contexts: with the resources that may run out.
        opens: when its window opens.
        time_zone: on whose clock people are told of it.
    """

    name: str
    title: str
    digest: str
    owner: tuple[str, ...] = ()
    failed: SignOff
    limits: str
    contexts: dict[str, ServiceContext] = Field(default_factory=dict)
    opens: datetime
    time_zone: str = "UTC"


class LoadPlan(BaseModel):
    """The reviewed files as they were when the test began; editing them later changes nothing here.

    Attributes:
        spec: the test as it is made, a campaign's peak in place of the file's phases.
        digest: of the load test's file.
        may_stop: short names of those who may stop it.
        skip: why a scheduled test is not made now; empty where it is.
    """

    spec: LoadSpec
    digest: str
    people: People
    campaign: CampaignPart | None = None
    may_stop: tuple[str, ...] = ()
    skip: str = ""

    @property
    def highest(self) -> float:
        """The highest rate of the test."""
        return max(phase.rate for phase in self.spec.all_phases)

    @property
    def guards(self) -> list[str]:
        """What no two tests may hold at once: the same load, and the same campaign."""
        named = [f"campaign-test:{self.campaign.name}"] if self.campaign else []
        return [f"load:{self.spec.name}", *named]


class _Request(Protocol):
    """What is read of `holdfast.ports.runs.LoadRequest`."""

    runbook: str
    requested_by: str
    campaign: str
    schedule: str
    lasts: timedelta | None
    rate: float | None


def plan_load(library: RunbookLibrary, request: _Request, *, now: datetime, by_run: bool = False) -> LoadPlan:
    """Load and review the files of a test for somebody, or a schedule, who wants to start it.

    Args:
        library: the reviewed files.
        request: what is wanted.
        now: when.
        by_run: whether a campaign's run starts it, which has looked itself who may want that.

    Raises:
        UnknownName: no such runbook, campaign or person.
        RunbookInvalid: a file is wrong, line by line; or the campaign's peak does not fit the test's ceilings.
        InvalidInput: the person may not start it, or it is not to be changed like that.
    """
    people = library.people()
    campaign = library.campaign(request.campaign) if request.campaign else None
    runbook = request.runbook or (campaign.spec.load_test.runbook if campaign else "")
    loaded = library.load_test(runbook)
    refuse(
        list(nobody_holds(("starters",), loaded.spec.starters, people)), loaded.source, f"runbook '{runbook}'"
    )
    starters = (*loaded.spec.starters, *(campaign.spec.starters if campaign else ()))
    if not request.schedule and not by_run:
        _check_starter(request, people, starters)
    part = _campaign_part(campaign, people, runbook) if campaign else None
    return LoadPlan(
        spec=_for_campaign(loaded.spec, campaign.spec, request) if campaign else _changed(loaded.spec, request),
        digest=loaded.digest,
        people=people,
        campaign=part,
        may_stop=tuple(
            dict.fromkeys([*(p.name for p in people.holding(starters)), *(part.owner if part else ())])
        ),
        skip=why_not(campaign.spec, now) if campaign and request.schedule else "",
    )


def _check_starter(request: _Request, people: People, starters: tuple[str, ...]) -> None:
    if people.named(request.requested_by) is None:
        raise UnknownName("person", request.requested_by, (p.name for p in people.people))
    names = [person.name for person in people.holding(starters)]
    if request.requested_by not in names:
        raise InvalidInput(
            f"requested_by: '{request.requested_by}' may not start '{request.runbook}'; "
            f"those who may: {', '.join(names)}"
        )


def _campaign_part(campaign: LoadedRunbook[CampaignSpec], people: People, runbook: str) -> CampaignPart:
    spec, test = campaign.spec, campaign.spec.load_test
    if runbook != test.runbook:
        raise InvalidInput(
            f"runbook: campaign '{spec.name}' is tested by '{test.runbook}', not by '{runbook}'; "
            "name that one, or test without the campaign"
        )
    problems = [
        *nobody_holds(("owner",), (spec.owner,), people),
        *nobody_holds(("load_test", "failed"), test.failed.listed, people),
    ]
    refuse(problems, campaign.source, f"campaign '{spec.name}'")
    return CampaignPart(
        name=spec.name,
        title=spec.title,
        digest=campaign.digest,
        owner=tuple(person.name for person in people.holding((spec.owner,))),
        failed=test.failed,
        limits=test.limits,
        contexts=dict(spec.contexts),
        opens=spec.opens,
        time_zone=spec.client.time_zone,
    )


def _for_campaign(spec: LoadSpec, campaign: CampaignSpec, request: _Request) -> LoadSpec:
    """Return the test with the campaign's peak in place of its phases."""
    if request.lasts is not None or request.rate is not None:
        raise InvalidInput(
            "lasts, rate: a campaign's test is made as its file says, or it would prove nothing; "
            "leave them out, or test without the campaign"
        )
    peak = campaign.load_test.peak
    try:
        return _with(spec, phases=(), peak=peak.model_dump())
    except ValidationError as error:
        why = "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
        raise RunbookInvalid(f"campaign '{campaign.name}': load_test.peak: {why}") from None


def _changed(spec: LoadSpec, request: _Request) -> LoadSpec:
    """Return the test with one constant phase in place of all, where somebody wants it like that."""
    if request.lasts is None and request.rate is None:
        return spec
    highest = max(phase.rate for phase in spec.all_phases)
    rate = highest if request.rate is None else request.rate
    phase = {"rate": rate, "for": spec.lasts if request.lasts is None else request.lasts}
    try:
        return _with(spec, phases=(phase,), peak=None)
    except ValidationError as error:
        why = "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
        raise InvalidInput(f"lasts, rate: {why}") from None


def _with(spec: LoadSpec, **changes: Any) -> LoadSpec:
    """Return a test with other phases, validated as a whole."""
    return LoadSpec.model_validate(spec.model_dump(by_alias=True) | changes)
