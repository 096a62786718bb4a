"""What a runbook file says about judging: metrics, weights, thresholds, edges, baseline."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from holdfast.domain.strict import Duration, Strict


class Threshold(Strict):
    """How far a metric may move from its baseline mean: the largest of what is given.

    Attributes:
        sigmas: times the baseline's standard deviation.
        at_least_percent: percent of the baseline's mean (keeps a very steady baseline from crying wolf).
        points: in the metric's own unit (for a ratio such as an error rate, 0.05 is five percentage points).
    """

    sigmas: float | None = Field(default=None, ge=0)
    at_least_percent: float | None = Field(default=None, ge=0)
    points: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.sigmas is None and self.at_least_percent is None and self.points is None:
            raise ValueError("give at least one of sigmas, at_least_percent, points")
        return self


class Metric(Strict):
    """One input of the scoring model.

    Attributes:
        weight_percent: its share of the weighted risk; all weights together make 100.
        query: one PromQL query or several (the worst counts); `$side` becomes the canary's or the control's
            label, `$window` the time over which rates are taken.
        bad_when: whether rising or falling is bad.
    """

    weight_percent: int = Field(ge=0, le=100)
    query: str | tuple[str, ...]
    bad_when: Literal["rising", "falling"] = "rising"
    threshold: Threshold = Threshold(sigmas=2)

    @property
    def queries(self) -> tuple[str, ...]:
        """The queries, always as a tuple."""
        return (self.query,) if isinstance(self.query, str) else self.query


class BaselineSpec(Strict):
    """Where the baseline comes from: the control side over the time before the stage begins.

    Attributes:
        window: how far back to look; less is used, and said, where there is less.
        step: distance between the points.
        minimum_points: below this a metric counts as without data.
    """

    window: Duration = timedelta(days=7)
    step: Duration = timedelta(minutes=1)
    minimum_points: int = Field(default=5, ge=2)


class Scoring(Strict):
    """The scoring model with its inputs and the edges between the verdicts (100 is a risk of 1.0)."""

    model: Literal["weighted-seed"] = "weighted-seed"
    continue_up_to_percent: int = Field(default=50, ge=0, le=200)
    pause_up_to_percent: int = Field(default=150, ge=0, le=200)
    yellow_from_percent: int = Field(default=50, ge=0)
    red_from_percent: int = Field(default=100, ge=1)
    canary_label: str = "canary"
    control_label: str = "stable"
    no_data_patience: int = Field(
        default=3, ge=1, description="inconclusive intervals before a person is asked"
    )
    baseline: BaselineSpec = BaselineSpec()
    metrics: dict[str, Metric] = Field(min_length=1)

    @model_validator(mode="after")
    def _edges_are_in_order(self) -> Self:
        total = sum(m.weight_percent for m in self.metrics.values())
        if total != 100:  # noqa: PLR2004  percent
            raise ValueError(f"the weight_percent of all metrics must add up to 100, not {total}")
        if self.continue_up_to_percent > self.pause_up_to_percent:
            raise ValueError("continue_up_to_percent must not be above pause_up_to_percent")
        if self.yellow_from_percent >= self.red_from_percent:
            raise ValueError("yellow_from_percent must be below red_from_percent")
        return self
