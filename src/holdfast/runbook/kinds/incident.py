"""The schema of `kind: incident`: whom an incident calls, and what those who come should look at."""

from typing import Literal

from pydantic import Field

from holdfast.domain.strict import Strict


class IncidentSpec(Strict):
    """A kind of incident, as reviewed.

    Attributes:
        openers: roles or names who may open one.
        escalation: name of the policy in `escalation/policies.yaml`.
        responders: roles, groups or names who may acknowledge, hand over and resolve, beside everybody who is
            called.
        checklist: what to look at first; shown with the incident.
    """

    kind: Literal["incident"]
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    title: str = Field(min_length=1, max_length=120)
    summary: str = Field(min_length=1, max_length=1000)
    openers: tuple[str, ...] = Field(min_length=1)
    escalation: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    responders: tuple[str, ...] = ()
    checklist: tuple[str, ...] = Field(default=(), max_length=20)
