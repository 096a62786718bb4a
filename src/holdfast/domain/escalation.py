"""Escalation policies: who is called to an incident, in which order, and for how long an answer counts."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from pydantic import Field

from holdfast.domain.duty import Shift, stand_in
from holdfast.domain.people import People
from holdfast.domain.strict import Duration, Strict

ROTA: Final = "rota:"
"""Before the name of a rota among those who are called."""


class Step(Strict):
    """One tier of people who are called together.

    Attributes:
        page: `rota:NAME` for whoever is on duty there then, or roles, groups and names of `people.yaml`.
        wait: for an acknowledgement, before the next step is called.
    """

    page: tuple[str, ...] = Field(min_length=1)
    wait: Duration = timedelta(minutes=5)


class EscalationPolicy(Strict):
    """The steps, one after the other, until somebody acknowledges.

    Attributes:
        title: what people read.
        steps: who is called, tier by tier.
        rounds: how often all steps are gone through; then the incident waits, and its card says so.
        acknowledged_for: how long an acknowledgement counts; then people are called again, from the first step.
    """

    title: str = Field(min_length=1, max_length=120)
    steps: tuple[Step, ...] = Field(min_length=1)
    rounds: int = Field(default=3, ge=1, le=100)
    # It runs out: who fell asleep again is no reason for silence (docs/decisions/0016).
    acknowledged_for: Duration = timedelta(minutes=30)


class Call(NamedTuple):
    """A place in a policy: which step of which round; both count from 1."""

    step: int
    round: int


FIRST_CALL: Final = Call(1, 1)


def step_of(policy: EscalationPolicy, call: Call) -> Step:
    """Return the step that is called at this place."""
    return policy.steps[call.step - 1]


def next_call(policy: EscalationPolicy, call: Call) -> Call | None:
    """Return the place that comes after this one has waited; None after the last step of the last round."""
    if call.step < len(policy.steps):
        return Call(call.step + 1, call.round)
    return Call(1, call.round + 1) if call.round < policy.rounds else None


def rota_named(wanted: str) -> str | None:
    """Return the name of the rota that an entry of `page` means; None for people."""
    return wanted.removeprefix(ROTA) if wanted.startswith(ROTA) else None


def called(
    step: Step, people: People, on_duty: Callable[[str], Shift | None], *, at: datetime | None = None
) -> tuple[str, ...]:
    """Return the short names of those whom a step calls, each once, in the order of the file.

    Args:
        step: whom to call.
        people: who holds which role.
        on_duty: who is on duty in a rota; None for one that does not exist, which then calls nobody. The review
            of the files finds those.
        at: then people who are away are replaced by a deputy who is there; without it they are called.
    """
    names: dict[str, None] = {}
    for wanted in step.page:
        names |= dict.fromkeys(_called(wanted, people, on_duty, at))
    return tuple(names)


def _called(
    wanted: str, people: People, on_duty: Callable[[str], Shift | None], at: datetime | None
) -> list[str]:
    rota = rota_named(wanted)
    if rota is None:
        found = (person.name for person in people.holding([wanted]))
        return [name if at is None else stand_in(name, people, at) for name in found]
    shift = on_duty(rota)
    return [] if shift is None else [shift.person]
