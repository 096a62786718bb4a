"""What was seen of each metric, and the verdict that rests on it: plain data, no statistics here."""

from datetime import datetime
from enum import IntEnum, StrEnum

from pydantic import BaseModel, Field


class Level(IntEnum):
    """How much of its allowed deviation a metric has used up."""

    GREEN = 0
    YELLOW = 1
    RED = 2


# How no data is treated decides more than the statistic does: of the canaries of ChangeRCA that never gave a
# number 18 of 23 were bad, and 47 of 166 good ones gave none in their first minute.
class NoData(StrEnum):
    """Three different reasons to have no number; none of them is a zero."""

    PROVIDER_DOWN = "provider_down"
    CANARY_SILENT = "canary_silent"  # the control speaks, the canary does not
    BOTH_SILENT = "both_silent"


class Summary(BaseModel):
    """Points of the past in a few numbers.

    Attributes:
        mad: the median of the distances from the median.
        points: how many finite points they rest on.
        days: on how many days (UTC) those lie.
    """

    mean: float
    standard_deviation: float
    median: float
    mad: float
    points: int
    days: int


class SignalBaseline(BaseModel):
    """What one query of one metric looked like before the change.

    Attributes:
        query: the resolved query.
        mean, standard_deviation: of the points; None when there were too few to judge by.
        points: how many points they rest on.
        median, mad: likewise, for those who distrust outliers.
        days: on how many days (UTC) the points lie.
        same_hour: the points of the hour of the week that is judged, where the history allows.
        hours: by hour of the week (0 is Monday 00:00 UTC), for a detector that follows the seasons.
        recent: the newest points, oldest first, for detectors that learn from the minutes just before.
    """

    query: str
    mean: float | None
    standard_deviation: float | None
    points: int
    median: float | None = None
    mad: float | None = None
    days: int = 0
    same_hour: Summary | None = None
    hours: dict[int, Summary] = Field(default_factory=dict[int, Summary])
    recent: list[float] = Field(default_factory=list[float])


class EdgeBaseline(BaseModel):
    """How one call edge of the control failed before the change.

    Attributes:
        mean_error_percent, worst_error_percent: over the points of all its members.
    """

    caller: str
    callee: str
    mean_error_percent: float
    worst_error_percent: float
    points: int


class Baseline(BaseModel):
    """The baseline of every metric: one `SignalBaseline` for each of its queries, in file order.

    Attributes:
        covered_seconds: how much history there really was, of the `wanted_seconds`.
        edges: the call edges of the control, where the file asks for them.
        past: a second baseline, of the healthy past week, where the fix is for a system that is sick now.
    """

    taken_at: datetime
    wanted_seconds: float
    covered_seconds: float
    signals: dict[str, list[SignalBaseline]]
    edges: list[EdgeBaseline] = Field(default_factory=list[EdgeBaseline])
    past: "Baseline | None" = None

    def describe(self) -> str:
        """Say how much history the baseline rests on, e.g. `42 s of the wanted 7 d`."""
        return f"{_span(self.covered_seconds)} of the wanted {_span(self.wanted_seconds)}"


class EdgeSample(BaseModel):
    """One call edge in one interval: who calls whom, and how it went.

    Attributes:
        inbound: whether the judged system is the callee.
        canary, control: for each member of that side (a pod, an instance) that reported the edge, the percent
            of its calls that failed; None where it reported the edge but no ratio, as happens when nothing
            succeeded. Empty: the side is silent on this edge.
        canary_calls, control_calls: calls in the interval, of all members; None where that is not measured.
    """

    caller: str
    callee: str
    inbound: bool
    canary: list[float | None] = Field(default_factory=list[float | None])
    control: list[float | None] = Field(default_factory=list[float | None])
    canary_calls: float | None = None
    control_calls: float | None = None


class Observation(BaseModel):
    """What the queries gave at one moment, before anything is judged.

    Attributes:
        values: for each metric one entry a query, in file order: the canary's finite number, or why there
            is none.
        control: likewise, of the control side at the same moment; without a metric where it was not asked.
        canary_requests, control_requests: requests in the interval: how much the numbers rest on.
        edges: the call edges, where the file asks for them.
        concurrent: what else is being rolled out at the same time, by the names that edges use.
        trouble: what went wrong, in words, where the provider is down.
    """

    at: datetime
    share_percent: int
    values: dict[str, list[float | NoData]]
    control: dict[str, list[float | NoData]] = Field(default_factory=dict[str, list[float | NoData]])
    canary_requests: float | None = None
    control_requests: float | None = None
    edges: list[EdgeSample] = Field(default_factory=list[EdgeSample])
    concurrent: list[str] = Field(default_factory=list[str])
    trouble: str = ""

    @property
    def provider_down(self) -> bool:
        """Whether any value is missing because the metrics provider did not answer."""
        return any(NoData.PROVIDER_DOWN in values for values in self.values.values())


class MetricReading(BaseModel):
    """One metric in one observation.

    Attributes:
        value: what the canary showed (the worst of the metric's queries); None without data.
        baseline_mean: what it is compared with; None where the baseline has too few points.
        allowed: the deviation from the mean that the file allows, in the metric's own unit.
        used_percent: how much of `allowed` is used up, rounded up; 0 where the metric got better, None where
            nothing is allowed and it got worse.
        level: None where there is no value or no baseline to judge it by.
        no_data: why there is no value.
        unit: of all the numbers, as the file gives it.
        compared_with: what `baseline_mean` is, e.g. `control now`; empty where it is the baseline.
        control, past: what the control shows at the same moment, and what was usual; None where not known.
        query: the query behind `value`; as the file has it from a model, as it was asked from a watch.
    """

    metric: str
    weight_percent: int
    value: float | None = None
    baseline_mean: float | None = None
    allowed: float | None = None
    used_percent: int | None = None
    level: Level | None = None
    no_data: NoData | None = None
    unit: str = ""
    compared_with: str = ""
    control: float | None = None
    past: float | None = None
    query: str = ""


class EdgeFinding(BaseModel):
    """What a verdict holds against the canary on one call edge, in words with numbers and units."""

    caller: str
    callee: str
    outcome: "Outcome"
    words: str


class Outcome(StrEnum):
    """What a verdict says should be done."""

    CONTINUE = "continue"
    PAUSE = "pause"
    ROLLBACK = "rollback"
    INCONCLUSIVE = "inconclusive"

    @property
    def stops(self) -> bool:
        """Whether the rollout does not go on by itself because of it."""
        return self in {Outcome.PAUSE, Outcome.ROLLBACK}


class Verdict(BaseModel):
    """The outcome, with the numbers that led to it.

    Attributes:
        risk_percent: 100 times the weighted sum of levels, 0–200 (0.5 is 50); a lower bound where metrics are
            without data.
        reason: one sentence for a person.
        edges: what is held against the canary on its call edges.
        canary_requests, control_requests: requests that the numbers rest on.
        warming: inconclusive only because it is too early to judge, not because anything is missing.
    """

    model: str
    at: datetime
    share_percent: int
    outcome: Outcome
    risk_percent: int
    readings: list[MetricReading] = Field(default_factory=list[MetricReading])
    reason: str = ""
    edges: list[EdgeFinding] = Field(default_factory=list[EdgeFinding])
    canary_requests: float | None = None
    control_requests: float | None = None
    warming: bool = False


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"
