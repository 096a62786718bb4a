"""What a run shows of itself: one snapshot, from which Telegram, the Temporal UI and the CLI all render."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from holdfast.domain.campaign import CampaignView, LoadView
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
    PAUSED = "paused"
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    TESTING = "testing"
    PASSED = "passed"
    NOT_PASSED = "not passed"
    FINISHED = "finished"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in _ENDED


_ENDED = {
    RunState.PROMOTED,
    RunState.ROLLED_BACK,
    RunState.STOPPED,
    RunState.FAILED,
    RunState.RESOLVED,
    RunState.PASSED,
    RunState.NOT_PASSED,
    RunState.FINISHED,
}


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
    """One metric of the newest verdict, in words and level; what has no value was kept before it was known.

    Attributes:
        baseline: what the value is compared with, whatever that is.
        canary, base, used_percent: the numbers behind `value`, `baseline` and `used`, for pictures; None where
            there is none.
        unit: of all the numbers; `value`, `baseline` and `allowed` carry it already.
        compared_with: what `baseline` is, e.g. `control now`, `past weeks, same hour`, `baseline`.
        control, past: what the control showed at the same moment, and what was usual; None where not known.
        query: the query behind `value`, as it was asked.
        weight_percent: what a level of this metric weighs in the risk.
        allowed: how far it may go, e.g. `up to 0.615 s`; empty where that is not known.
    """

    metric: str
    value: str
    baseline: str
    used: str
    level: str
    canary: float | None = None
    base: float | None = None
    used_percent: float | None = None
    unit: str = ""
    compared_with: str = ""
    control: float | None = None
    past: float | None = None
    query: str = ""
    weight_percent: int | None = None
    allowed: str = ""

    @property
    def comparison(self) -> str:
        """What the value is compared with, by number and name: `0.41 s (control now)`."""
        return f"{self.baseline} ({self.compared_with})" if self.compared_with else self.baseline


class VerdictView(BaseModel):
    """The newest verdict, ready to show.

    Attributes:
        model: which scoring model judged.
        edges: what is held against the canary on its call edges, one sentence each.
        canary_requests, control_requests: requests that the numbers rest on; None where they are not counted.
        rests_on: the same in words; empty where they are not counted.
        warming: inconclusive only because it is too early to judge.
        risk_percent: 100 times the risk.
        continue_up_to_percent, pause_up_to_percent: the edges between the verdicts, 100 is a risk of 1.0; None
            where the model has none, or they are not known.
        settings: the model and its settings, one sentence each.
    """

    at: datetime
    outcome: str
    risk: str
    reason: str
    share_percent: int
    lines: list[MetricLine]
    model: str = ""
    edges: list[str] = Field(default_factory=list[str])
    canary_requests: float | None = None
    control_requests: float | None = None
    rests_on: str = ""
    warming: bool = False
    risk_percent: int | None = None
    continue_up_to_percent: int | None = None
    pause_up_to_percent: int | None = None
    settings: list[str] = Field(default_factory=list[str])

    @property
    def said(self) -> str:
        """The outcome, and that it is too early for one where it is."""
        return f"{self.outcome} (too early to judge)" if self.warming else self.outcome

    @property
    def compared_with(self) -> str:
        """What all metrics are compared with; empty where they differ, or where no line says it."""
        # A metric without a value is compared with nothing, and must not make the others look different.
        names = {line.compared_with for line in self.lines if line.compared_with or line.base is not None}
        return names.pop() if len(names) == 1 else ""

    @property
    def thresholds(self) -> str:
        """The edges between the verdicts in words; empty where there are none."""
        if self.continue_up_to_percent is None or self.pause_up_to_percent is None:
            return ""
        go_on, pause = self.continue_up_to_percent / 100, self.pause_up_to_percent / 100
        return f"goes on up to {go_on:.2f}, rolls back above {pause:.2f}"

    @property
    def basis(self) -> str:
        """One sentence on what the numbers are compared with and rest on; empty where neither is known."""
        compared = f"canary vs {self.compared_with}" if self.compared_with else ""
        said = "; ".join(part for part in (compared, self.rests_on) if part)
        return f"{said[:1].upper()}{said[1:]}"


class ExposedShare(BaseModel):
    """Whom one share of the traffic met; both numbers in user-minutes, one request counted as one user."""

    share_percent: int
    on_canary: float = 0.0
    bad: float = 0.0


class LogLine(BaseModel):
    """Something that happened, for the run's timeline."""

    at: datetime
    text: str


class IncidentView(BaseModel):
    """What an incident's run shows beside what all runs show.

    Attributes:
        tier: of the customer; empty where none was named.
        value: of the order it is about.
        owner: short name of who has acknowledged; empty while nobody has.
        acknowledged_until: when the acknowledgement runs out and people are called again.
        step: of the escalation policy, from 1.
        steps: how many the policy has.
        round: how often the policy has been gone through, from 1.
        called: short names of those who were called, oldest first.
        next_call: when the next ones are called; None while nobody will be.
        next_called: short names of them, as far as known.
        resolution: why it is over.
        may_answer: short names of those who may acknowledge, hand over and resolve.
    """

    tier: str = ""
    value: float = 0.0
    owner: str = ""
    acknowledged_until: datetime | None = None
    step: int = 0
    steps: int = 0
    round: int = 1
    called: list[str] = Field(default_factory=list[str])
    next_call: datetime | None = None
    next_called: list[str] = Field(default_factory=list[str])
    resolution: str = ""
    may_answer: list[str] = Field(default_factory=list[str])


class RunView(BaseModel):
    """Everything a person may want to see of a run.

    Attributes:
        headline: what is happening now, one sentence.
        revision: grows with every change of the view, so that the newest is known.
        journal: what was changed, oldest first, with its state.
        log: the newest lines of the timeline.
        people: who is who in this run, to tell who may answer its gates.
        exposed: what the canary's shares have met so far; empty where nobody counts requests.
        exposure: the same in words.
        may_roll_back: short names of those who may ask for a rollback, at any time before the end.
        stable_since: when this run last changed what everybody gets; metrics from before are another system's.
        kind: of the runbook.
        may_pause: short names of those who may pause and resume it.
        paused_by: short name of who has paused it; empty while it goes on.
        incident: what only an incident has.
        campaign, load: what only a campaign and only a load test has.
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
    exposed: list[ExposedShare] = Field(default_factory=list[ExposedShare])
    exposure: str = ""
    stable_since: datetime | None = None
    may_roll_back: list[str] = Field(default_factory=list[str])
    people: People = People()
    kind: str = "rollout"
    may_pause: list[str] = Field(default_factory=list[str])
    paused_by: str = ""
    incident: IncidentView | None = None
    campaign: CampaignView | None = None
    load: LoadView | None = None


class MessageRef(BaseModel):
    """Where the run's one chat message is.

    Attributes:
        uncertain: an earlier copy may have arrived without our knowing its id.
        thread: id of the topic it is in; empty for none.
    """

    chat: str
    message_id: str
    uncertain: bool = False
    thread: str = ""
