"""An incident's runbook pinned into a run: who is called, who may answer, how much it matters."""

import math
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from pydantic import BaseModel

from holdfast.domain.errors import InvalidInput, RunbookInvalid, UnknownName
from holdfast.domain.escalation import EscalationPolicy, Step, rota_named
from holdfast.domain.people import People
from holdfast.runbook.kinds.incident import IncidentSpec
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.on_call_review import duty_problems, incident_problems, policy_problems
from holdfast.runbook.permissions import check_listed
from holdfast.runbook.plain_yaml import Problem
from holdfast.runbook.priorities import DEFAULT_PRIORITIES, Priorities
from holdfast.runbook.source import describe

MAY_NOT_OPEN: Final = "may_not_open"


class IncidentPlan(BaseModel):
    """The reviewed files as they were when the incident was opened; editing them later changes nothing here.

    Who is on duty is not pinned: it is looked up at each call.

    Attributes:
        digest: of the runbook's text.
        policy: whom to call.
        people: everybody's roles when it was opened.
        tier: of the customer, one of `priorities.yaml`.
        value: of the order it is about.
        warnings: what is wrong in the files and no reason to keep anybody from opening an incident, one
            sentence each; the incident should show them.
    """

    spec: IncidentSpec
    digest: str
    policy: EscalationPolicy
    people: People
    tier: str
    value: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def responders(self) -> tuple[str, ...]:
        """Short names of those who may answer without having been called."""
        return tuple(person.name for person in self.people.holding(self.spec.responders))


class _Request(Protocol):
    """What is read of `holdfast.ports.runs.IncidentRequest`."""

    runbook: str
    requested_by: str
    tier: str
    value: float
    by_run: str


def plan_incident(library: RunbookLibrary, request: _Request) -> IncidentPlan:
    """Load the runbook of an incident for somebody who wants to open it.

    Raises:
        UnknownName: no such runbook, person or customer tier.
        DecisionRefused: the person may not open it; the text says who may.
        InvalidInput: the value is no amount.
        RunbookInvalid: the runbook or its people are wrong, line by line. Policies, rotas and priorities that
            are wrong make warnings: without its policy everybody who may answer or open it is called.
    """
    loaded, people = library.incident(request.runbook), library.people()
    if not request.by_run:
        check_opener(loaded.spec, people, request.requested_by)
    spec = loaded.spec
    policy, problems = _policy(spec, people, library)
    problems += _on_call_problems({spec.escalation: policy}, people, library)
    try:
        priorities = library.priorities()
    except RunbookInvalid as error:
        problems.append(Problem((), f"which message goes first cannot be read, so the defaults count: {error}"))
        priorities = DEFAULT_PRIORITIES
    return IncidentPlan(
        spec=spec,
        digest=loaded.digest,
        policy=policy,
        people=people,
        tier=_tier(request.tier, priorities),
        value=_value(request.value),
        warnings=tuple(describe(problem) for problem in problems),
    )


def _policy(
    spec: IncidentSpec, people: People, library: RunbookLibrary
) -> tuple[EscalationPolicy, list[Problem]]:
    """Return whom to call, and what is wrong; no mistake in a file may leave an incident without anybody."""
    policies: Mapping[str, EscalationPolicy] = {}
    problems: list[Problem] = []
    try:
        policies = library.policies()
    except RunbookInvalid as error:
        problems.append(Problem((), f"the escalation policies cannot be read: {error}"))
    else:
        problems += incident_problems(spec, people, policies)
    if spec.escalation in policies:
        return policies[spec.escalation], problems
    everybody = (*spec.responders, *spec.openers)
    problems.append(
        Problem((), f"without the policy '{spec.escalation}' these are called: {', '.join(everybody)}")
    )
    return EscalationPolicy(title="everybody who may answer", steps=(Step(page=everybody),)), problems


def check_opener(spec: IncidentSpec, people: People, name: str) -> None:
    """Check that a person may open an incident of this kind.

    Raises:
        UnknownName: nobody has that name.
        DecisionRefused: the person may not; the text says who may.
    """
    check_listed(name, spec.openers, people, deed=f"open '{spec.name}'", answer=MAY_NOT_OPEN)


def _on_call_problems(
    policies: Mapping[str, EscalationPolicy], people: People, library: RunbookLibrary
) -> Iterator[Problem]:
    try:
        rotas = library.duty()
    except RunbookInvalid as error:  # those who are called by role or name can be called all the same
        yield Problem((), f"the rotas cannot be read, so nobody is called by them: {error}")
        return
    yield from policy_problems(policies, people, rotas)
    named = {
        rota_named(wanted) for policy in policies.values() for step in policy.steps for wanted in step.page
    }
    yield from duty_problems({name: rota for name, rota in rotas.items() if name in named}, people)


def _tier(wanted: str, priorities: Priorities) -> str:
    """Return the tier as the file writes it; the default where none is wanted."""
    if not wanted.strip():
        return priorities.default_tier
    for tier in priorities.tiers:
        if tier.lower() == wanted.strip().lower():
            return tier
    raise UnknownName("customer tier", wanted, priorities.tiers)


def _value(value: float) -> float:
    if not math.isfinite(value) or value < 0:
        raise InvalidInput(f"value: {value} is no amount; write the order's value, e.g. 250000, or 0 for none")
    return value
