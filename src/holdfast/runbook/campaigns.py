"""A campaign's runbook pinned into a run, after a check against the other files."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, Protocol

from pydantic import BaseModel

from holdfast.domain.errors import InvalidInput
from holdfast.domain.escalation import rota_named
from holdfast.domain.people import People
from holdfast.domain.signoff import SignOff, can_be_met, slots_of
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.load_review import review_test_of
from holdfast.runbook.permissions import check_listed
from holdfast.runbook.plain_yaml import FieldPath, Problem
from holdfast.runbook.review import nobody_holds, refuse
from holdfast.runbook.source import Source

MAY_NOT_START: Final = "may_not_start"


class CampaignPlan(BaseModel):
    """The reviewed file as it was when the campaign was started; editing it later changes nothing here.

    Attributes:
        digest: of the runbook's text.
        people: everybody's roles when it was started.
        opens, closes: the window, aware.
        may_answer: short names of those who may tick off any task and start load tests.
        owners: short names of those who are called when a load test fails.
    """

    spec: CampaignSpec
    digest: str
    people: People
    opens: datetime
    closes: datetime
    may_answer: tuple[str, ...]
    owners: tuple[str, ...]


class _Request(Protocol):
    """What is read of `holdfast.ports.runs.CampaignRequest`."""

    runbook: str
    requested_by: str
    opens: datetime | None
    closes: datetime | None


def plan_campaign(library: RunbookLibrary, request: _Request) -> CampaignPlan:
    """Load the runbook of a campaign for somebody who wants to start it.

    Raises:
        UnknownName: no such runbook or person.
        DecisionRefused: the person may not start it; the text says who may.
        InvalidInput: the window is none.
        RunbookInvalid: the file, or one that it names, is wrong, line by line.
    """
    loaded, people = library.campaign(request.runbook), library.people()
    spec = loaded.spec
    check_starter(spec, people, request.requested_by)
    review_campaign(spec, people, library, source=loaded.source)
    opens, closes = request.opens or spec.opens, request.closes or spec.closes
    if closes <= datetime.now(UTC):
        raise InvalidInput(
            f"closes: the window closed on {closes:%Y-%m-%d %H:%M %Z}; change the file's window or name one"
        )
    if opens >= closes:
        raise InvalidInput(f"closes: the window would close at {closes}, before it opens at {opens}")
    named = (spec.owner, *spec.starters)
    return CampaignPlan(
        spec=spec,
        digest=loaded.digest,
        people=people,
        opens=opens,
        closes=closes,
        may_answer=tuple(person.name for person in people.holding(named)),
        owners=tuple(person.name for person in people.holding([spec.owner])),
    )


def check_starter(spec: CampaignSpec, people: People, name: str) -> None:
    """Check that a person may start a campaign.

    Raises:
        UnknownName: nobody has that name.
        DecisionRefused: the person may not; the text says who may.
    """
    check_listed(name, spec.starters, people, deed=f"start '{spec.name}'", answer=MAY_NOT_START)


def review_campaign(
    spec: CampaignSpec, people: People, library: RunbookLibrary, *, source: Source | None = None
) -> None:
    """Check a campaign against the people, and the load test, incident and rotas that it names.

    Raises:
        RunbookInvalid: one line for each problem.
    """
    problems = [*_people_problems(spec, people, library), *_file_problems(spec, library)]
    refuse(problems, source, f"runbook '{spec.name}'")
    review_test_of(spec, library, source=source)


def _people_problems(spec: CampaignSpec, people: People, library: RunbookLibrary) -> Iterator[Problem]:
    yield from nobody_holds(("starters",), spec.starters, people)
    if not people.holding([spec.owner]):
        yield Problem(("owner",), f"nobody in people.yaml has the role, group or name '{spec.owner}'")
    yield from _gate_problems(("sign_off",), spec.sign_off, people)
    yield from _gate_problems(("load_test", "failed"), spec.load_test.failed, people)
    rotas = library.duty()
    for name, role in spec.response.roles.items():
        at: FieldPath = ("response", "roles", name, "candidates")
        named = [entry for entry in role.candidates if rota_named(entry) is None]
        yield from nobody_holds(at, named, people)
        for index, entry in enumerate(role.candidates):
            rota = rota_named(entry)
            if rota is not None and rota not in rotas:
                known = ", ".join(sorted(rotas)) or "none"
                yield Problem((*at, index), f"there is no rota '{rota}' in duty.yaml; known: {known}")


def _gate_problems(at: FieldPath, policy: SignOff, people: People) -> Iterator[Problem]:
    yield from nobody_holds(at, policy.listed, people)
    if people.holding(policy.listed) and not can_be_met(slots_of(policy, people)):
        yield Problem(at, "more approvals are asked for than there are people who may give them")


def _file_problems(spec: CampaignSpec, library: RunbookLibrary) -> Iterator[Problem]:
    for at, name, kind in (
        (("load_test", "runbook"), spec.load_test.runbook, "load"),
        (("response", "incident"), spec.response.incident, "incident"),
    ):
        known = library.names(kind)
        if name not in known:
            listed = ", ".join(known) or "none"
            yield Problem(at, f"there is no runbook '{name}' of kind {kind}; known: {listed}")
