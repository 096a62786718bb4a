"""What a rollout is started with, takes along when it continues as new, and ends with."""

from pydantic import BaseModel

from holdfast.domain.decisions import DecisionReply
from holdfast.domain.precedence import GiveWay
from holdfast.domain.view import MessageRef, RunState, RunView
from holdfast.ports.runs import RolloutRequest
from holdfast.runbook.plan import Plan


class Carried(BaseModel):
    """What a run takes along when it continues as new, at a stage boundary.

    Attributes:
        ways: what goes before the run.
    """

    plan: Plan
    view: RunView
    message: MessageRef | None = None
    replies: dict[str, DecisionReply] = {}
    ways: list[GiveWay] = []


class RolloutInput(RolloutRequest):
    """What starts a rollout; `carried` is filled in only by the run itself when it continues as new."""

    carried: Carried | None = None


class RolloutReport(BaseModel):
    """How a rollout ended; the facts are in the view."""

    outcome: RunState
    view: RunView
