"""What a campaign is started with, remembers, takes along when it continues as new, and ends with."""

from datetime import datetime

from pydantic import BaseModel, Field

from activities.paging import SentPage
from holdfast.domain.decisions import DecisionReply
from holdfast.domain.view import MessageRef, RunState, RunView
from holdfast.ports.runs import CampaignRequest
from holdfast.runbook.campaigns import CampaignPlan
from holdfast.slo.status import Moment
from holdfast.slo.tracker import Tracker


class Asking(BaseModel):
    """How often and when somebody was asked to take a role or to do a task.

    Attributes:
        number: how often; 0 is never.
        next_at: when to ask again, or the next one; None for never.
        pages: the messages that have buttons.
    """

    number: int = 0
    next_at: datetime | None = None
    pages: list[SentPage] = Field(default_factory=list[SentPage])


class Memory(BaseModel):
    """What a campaign remembers beside what it shows.

    Attributes:
        roles, tasks: the asking, by name and by id.
        told: when each audience of the communication protocol was told last, by its number in the file.
        news: counts what was told, so that each message has a key of its own.
        tests: counts the load tests that the run has started itself.
        gates: counts the gates.
        tracker: which contexts are broken, and since when.
        looked_at: when the watch looked last.
        moment: what it saw when the metrics answered last.
        frozen: systems that the run has frozen.
    """

    roles: dict[str, Asking] = Field(default_factory=dict[str, Asking])
    tasks: dict[str, Asking] = Field(default_factory=dict[str, Asking])
    told: dict[int, datetime] = Field(default_factory=dict[int, datetime])
    news: int = 0
    tests: int = 0
    gates: int = 0
    tracker: Tracker = Tracker()
    looked_at: datetime | None = None
    moment: Moment | None = None
    frozen: tuple[str, ...] = ()


class CampaignCarried(BaseModel):
    """What a campaign takes along when it continues as new."""

    plan: CampaignPlan
    view: RunView
    memory: Memory
    message: MessageRef | None = None
    replies: dict[str, DecisionReply] = {}


class CampaignInput(CampaignRequest):
    """What starts a campaign; `carried` is filled in only by the run itself when it continues as new."""

    carried: CampaignCarried | None = None


class CampaignReport(BaseModel):
    """How a campaign ended; the facts are in the view."""

    outcome: RunState
    view: RunView
