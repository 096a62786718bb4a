"""`escalation/policies.yaml`: whom incidents call, by name."""

from typing import Annotated

from pydantic import Field

from holdfast.domain.escalation import EscalationPolicy
from holdfast.domain.strict import Strict

PolicyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class Policies(Strict):
    """All escalation policies.

    Attributes:
        policies: by the name that an incident's `escalation` uses.
    """

    policies: dict[PolicyName, EscalationPolicy] = Field(default_factory=dict)
