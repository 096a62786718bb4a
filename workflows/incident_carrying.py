"""What an incident is opened with, takes along when it continues as new, and ends with."""

from datetime import datetime

from pydantic import BaseModel, Field

from activities.paging import SentPage
from holdfast.domain.decisions import DecisionReply
from holdfast.domain.view import MessageRef, RunState, RunView
from holdfast.ports.runs import IncidentRequest
from holdfast.runbook.incidents import IncidentPlan


class Ladder(BaseModel):
    """Where the calling stands.

    Attributes:
        step, round: whom to call next, from 1.
        due: when; None for at once.
        to: to whom it is handed over, who has not acknowledged yet.
        by: who hands it over.
        why: why, in that person's words.
        handing: whether that person is still to be called alone.
        reached: whether anybody was reached in this round.
        all_called: whether every round is over, so that only the last are called, again and again.
        said_so: whether people know that nobody answers.
        numbers: how often each person was called.
        pages: the calls that have buttons.
    """

    step: int = 1
    round: int = 1
    due: datetime | None = None
    to: str = ""
    by: str = ""
    why: str = ""
    handing: bool = False
    reached: bool = False
    all_called: bool = False
    said_so: bool = False
    numbers: dict[str, int] = Field(default_factory=dict[str, int])
    pages: list[SentPage] = Field(default_factory=list[SentPage])

    def restart(self) -> None:
        """Begin with the first step."""
        self.step, self.round, self.due = 1, 1, None
        self.to, self.by, self.why, self.handing = "", "", "", False
        self.reached = self.all_called = self.said_so = False


class IncidentCarried(BaseModel):
    """What an incident takes along when it continues as new."""

    plan: IncidentPlan
    view: RunView
    ladder: Ladder
    message: MessageRef | None = None
    replies: dict[str, DecisionReply] = {}


class IncidentInput(IncidentRequest):
    """What opens an incident; `carried` is filled in only by the run itself when it continues as new."""

    carried: IncidentCarried | None = None


class IncidentReport(BaseModel):
    """How an incident ended; the facts are in the view."""

    outcome: RunState
    view: RunView
