"""What a run shows of itself: one snapshot, from which Telegram, the Temporal UI and the CLI all render."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from holdfast.domain.gates import Gate
from holdfast.domain.journal import JournalEntry
from holdfast.domain.people import People


class RunState(StrEnum):
    """Where a run stands."""

    PREPARING = "preparing"
    CHECKING = "checking"
    WAITING = "waiting for a decision"
    CHANGING = "changing"
    WATCHING = "watching"
    ROLLING_BACK = "rolling back"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in {RunState.PROMOTED, RunState.ROLLED_BACK, RunState.STOPPED, RunState.FAILED}


class StageState(StrEnum):
    """Where a stage stands."""

    AHEAD = "ahead"
    CURRENT = "current"
    PROMOTED = "promoted"
    IN_PLACE = "already in place"
    ROLLED_BACK = "rolled back"
    REJECTED = "rejected"
    FAILED = "failed"

    @property
    def mark(self) -> str:
        """The sign that stands for it wherever there is little room."""
        return _STAGE_MARKS[self]


_STAGE_MARKS = {
    StageState.AHEAD: "▫️",
    StageState.CURRENT: "▶️",
    StageState.PROMOTED: "✅",
    StageState.IN_PLACE: "☑️",
    StageState.ROLLED_BACK: "↩️",
    StageState.REJECTED: "⛔",
    StageState.FAILED: "❌",
}


class StageView(BaseModel):
    """One line of the plan."""

    name: str
    title: str
    change: str
    state: StageState = StageState.AHEAD
    share_percent: int = 0


class MetricLine(BaseModel):
    """One metric of the newest verdict, in words and level.

    Attributes:
        canary, base, used_percent: the numbers behind `value`, `baseline` and `used`, for pictures; None where
            there is none, and in verdicts that were kept before these were.
    """

    metric: str
    value: str
    baseline: str
    used: str
    level: str
    canary: float | None = None
    base: float | None = None
    used_percent: float | None = None


class VerdictView(BaseModel):
    """The newest verdict, ready to show."""

    at: datetime
    outcome: str
    risk: str
    reason: str
    share_percent: int
    lines: list[MetricLine]


class LogLine(BaseModel):
    """Something that happened, for the run's timeline."""

    at: datetime
    text: str


class RunView(BaseModel):
    """Everything a person may want to see of a run.

    Attributes:
        headline: what is happening now, one sentence.
        revision: grows with every change of the view, so that the newest is known.
        journal: what was changed, oldest first, with its state.
        log: the newest lines of the timeline.
        people: who is who in this run, to tell who may answer its gates.
        stable_since: when this run last changed what everybody gets; metrics from before are another system's.
    """

    run_id: str
    runbook: str
    title: str
    digest: str = ""
    pace: str = "default"
    requested_by: str
    started_at: datetime
    state: RunState = RunState.PREPARING
    headline: str = ""
    revision: int = 0
    stages: list[StageView] = Field(default_factory=list[StageView])
    gate: Gate | None = None
    closed_gates: list[Gate] = Field(default_factory=list[Gate])
    verdict: VerdictView | None = None
    baseline: str = ""
    journal: list[JournalEntry] = Field(default_factory=list[JournalEntry])
    log: list[LogLine] = Field(default_factory=list[LogLine])
    ui_url: str = ""
    stable_since: datetime | None = None
    people: People = People()


class MessageRef(BaseModel):
    """Where the run's one chat message is.

    Attributes:
        uncertain: an earlier copy may have arrived without our knowing its id.
    """

    chat: str
    message_id: str
    uncertain: bool = False
