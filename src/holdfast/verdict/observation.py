"""What was seen of each metric, and the verdict that rests on it: plain data, no statistics here."""

from datetime import datetime
from enum import IntEnum, StrEnum

from pydantic import BaseModel, Field


class Level(IntEnum):
    """How much of its allowed deviation a metric has used up."""

    GREEN = 0
    YELLOW = 1
    RED = 2


class NoData(StrEnum):
    """Three different reasons to have no number; none of them is a zero."""

    PROVIDER_DOWN = "provider_down"
    CANARY_SILENT = "canary_silent"  # the control speaks, the canary does not
    BOTH_SILENT = "both_silent"


class SignalBaseline(BaseModel):
    """What one query of one metric looked like before the change.

    Attributes:
        query: the resolved query.
        mean, standard_deviation: of the points; None when there were too few to judge by.
        points: how many points they rest on.
    """

    query: str
    mean: float | None
    standard_deviation: float | None
    points: int


class Baseline(BaseModel):
    """The baseline of every metric: one `SignalBaseline` for each of its queries, in file order.

    Attributes:
        covered_seconds: how much history there really was, of the `wanted_seconds`.
    """

    taken_at: datetime
    wanted_seconds: float
    covered_seconds: float
    signals: dict[str, list[SignalBaseline]]

    def describe(self) -> str:
        """Say how much history the baseline rests on, e.g. `42 s of the wanted 7 d`."""
        return f"{_span(self.covered_seconds)} of the wanted {_span(self.wanted_seconds)}"


class Observation(BaseModel):
    """What the queries gave at one moment, before anything is judged.

    Attributes:
        values: for each metric one entry a query, in file order: the canary's finite number, or why there
            is none.
        trouble: what went wrong, in words, where the provider is down.
    """

    at: datetime
    share_percent: int
    values: dict[str, list[float | NoData]]
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
    """

    metric: str
    weight_percent: int
    value: float | None = None
    baseline_mean: float | None = None
    allowed: float | None = None
    used_percent: int | None = None
    level: Level | None = None
    no_data: NoData | None = None


class Outcome(StrEnum):
    """What a verdict says should be done."""

    CONTINUE = "continue"
    PAUSE = "pause"
    ROLLBACK = "rollback"
    INCONCLUSIVE = "inconclusive"


class Verdict(BaseModel):
    """The outcome, with the numbers that led to it.

    Attributes:
        risk_percent: 100 times the weighted sum of levels, 0–200 (0.5 is 50); a lower bound where metrics are
            without data.
        reason: one sentence for a person.
    """

    model: str
    at: datetime
    share_percent: int
    outcome: Outcome
    risk_percent: int
    readings: list[MetricReading] = Field(default_factory=list[MetricReading])
    reason: str = ""


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"
