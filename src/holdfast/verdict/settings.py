"""What a runbook file says about judging: metrics, weights, thresholds, edges, baseline."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from holdfast.domain.strict import Duration, Strict
from holdfast.verdict.detector_settings import Detector, Hysteresis

ModelName = Literal["weighted-seed", "weighted", "judge", "attributed"]


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


Unit = Annotated[str, Field(max_length=16)]


class Metric(Strict):
    """One input of the scoring model.

    Attributes:
        weight_percent: its share of the weighted risk; all weights together make 100.
        query: one PromQL query or several (the worst counts); `$side` becomes the canary's or the control's
            label, `$window` the time over which rates are taken.
        bad_when: whether rising or falling is bad.
        unit: of its numbers, e.g. `s`, `%`, `/s`; shown beside them. A list where the queries differ in it.
        detector: in place of the threshold, for `weighted` and `attributed`.
        veto: what a red level of this metric alone makes of the verdict (not for `weighted-seed`).
        worst_level: `yellow` for a metric that may make a person look, but no more.
        no_data: what it means when the canary stays silent while the control speaks (not for `weighted-seed`).
        by_edges: whether `attributed` leaves it to the call edges, where those are measured.
    """

    weight_percent: int = Field(ge=0, le=100)
    query: str | tuple[str, ...]
    bad_when: Literal["rising", "falling"] = "rising"
    threshold: Threshold = Threshold(sigmas=2)
    unit: Unit | tuple[Unit, ...] = ""
    detector: Detector | None = None
    veto: Literal["pause", "rollback"] | None = None
    # Yellow is meant for CPU and memory: their warm-up after a restart mostly adds false stops.
    worst_level: Literal["yellow", "red"] = "red"
    no_data: Literal["ignore", "pause", "rollback"] = "pause"
    by_edges: bool = False

    @property
    def queries(self) -> tuple[str, ...]:
        """The queries, always as a tuple."""
        return (self.query,) if isinstance(self.query, str) else self.query

    def unit_of(self, query: int) -> str:
        """Return the unit of what this query gives, counted from 0."""
        return self.unit if isinstance(self.unit, str) else self.unit[query]

    @model_validator(mode="after")
    def _can_veto(self) -> Self:
        if self.veto and self.worst_level == "yellow":
            raise ValueError(
                "a veto needs red, and worst_level: yellow never lets it get there: drop one of them"
            )
        return self

    @model_validator(mode="after")
    def _each_query_has_a_unit(self) -> Self:
        if not isinstance(self.unit, str) and len(self.unit) != len(self.queries):
            raise ValueError(f"unit lists {len(self.unit)} units for {len(self.queries)} queries")
        return self


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


class EdgeQueries(Strict):
    """Call edges: queries that give one series for each edge, and member of the side where one is named.

    Attributes:
        error_percent: percent of the calls that failed; no series, or no number, where nothing succeeded is
            understood too.
        calls: calls a second; lets a missing call show.
        service: what the judged system is called in the labels.
        caller_label, callee_label: the labels that name the two ends.
        member_label: the label that names the pod or instance; None where a side is one series.
    """

    error_percent: str
    calls: str | None = None
    service: str
    caller_label: str = "caller"
    callee_label: str = "callee"
    member_label: str | None = None


class Attribution(Strict):
    """What `attributed` holds against a canary, and what it does not.

    Attributes:
        rise_points: percentage points by which errors must rise to count.
        shared_percent: they are shared when the control's errors rose by this much of the canary's rise.
        healthy_up_to_percent: errors up to which a control counts as speaking healthily.
        silent_minutes: verdicts in a row without any call to the canary while the control speaks healthily.
        vanished_points: errors on an edge, somewhere in the pool, that make missing successes of the canary
            count.
        rollback_points: rise of errors from which they roll back; below they pause.
        missing_calls_percent: a canary that makes or gets less than this of the calls that the control's mix
            lets one expect pauses; judged only where chance is ruled out (see docs/verdicts.md).
    """

    rise_points: float = Field(default=5, gt=0)
    shared_percent: float = Field(default=50, gt=0, le=100)
    healthy_up_to_percent: float = Field(default=5, ge=0, lt=100)
    # With 2 in place of 5, 23 good releases of ChangeRCA are stopped that only start slowly (docs/verdicts.md).
    silent_minutes: int = Field(default=5, ge=1)
    vanished_points: float = Field(default=2, ge=0)
    rollback_points: float = Field(default=20, gt=0)
    missing_calls_percent: float = Field(default=50, ge=0, le=100)


class JudgeSettings(Strict):
    """Mann-Whitney with effect size, as Kayenta's judge.

    Attributes:
        pass_percent, marginal_percent: of the score: at least pass continues, at least marginal pauses, below
            rolls back.
        minimum_points: of each side, below which it is too early to judge.
        window_points: the newest points of each side that are compared.
        confidence: of the interval of the shift.
        tolerance: how far the interval must be from zero, as a part of the shift itself.
        allowed_increase, allowed_decrease: ratio of the means from which a significant shift counts.
    """

    pass_percent: float = Field(default=95, ge=0, le=100)
    marginal_percent: float = Field(default=75, ge=0, le=100)
    minimum_points: int = Field(default=10, ge=3)
    window_points: int = Field(default=60, ge=5)
    confidence: float = Field(default=0.98, gt=0.5, lt=1)
    tolerance: float = Field(default=0.25, ge=0, lt=1)
    # On ChangeRCA Kayenta's judge was best with this, on errors and latency alone: F1 0.76; with its defaults
    # 0.49 and 0.70.
    allowed_increase: float = Field(default=1.5, ge=1)
    allowed_decrease: float = Field(default=0.67, gt=0, le=1)

    @model_validator(mode="after")
    def _bands_are_in_order(self) -> Self:
        if self.marginal_percent > self.pass_percent:
            raise ValueError("marginal_percent must not be above pass_percent")
        if self.minimum_points > self.window_points:
            raise ValueError("minimum_points must not be above window_points")
        return self


class SickBaseline(Strict):
    """For a fix rolled out while the system is sick: better than sick-now, and on the way to the past week.

    Attributes:
        metrics: those that the fix must heal; all others must only not get worse than sick-now.
        improve_percent: how much better than sick-now they must be, of the way back to the past week.
        past: where the healthy past comes from.
    """

    metrics: tuple[str, ...] = Field(min_length=1)
    improve_percent: float = Field(default=25, gt=0, le=100)
    past: BaselineSpec = BaselineSpec()


class Scoring(Strict):
    """The scoring model with its inputs and the edges between the verdicts (100 is a risk of 1.0).

    Attributes:
        model: the one that decides.
        shadow: models that judge beside it and decide nothing; what they would have done is kept and compared.
        hysteresis: how many of the newest verdicts must agree that a metric is bad (not for `weighted-seed`).
        traffic: requests a second of `$side`: how much the numbers rest on, and how many users a mistake meets.
        minimum_requests: of the canary in one interval, below which a verdict is inconclusive (not for
            `weighted-seed`).
    """

    # Exact, and simple to recompute by hand: what files mean that name no model (docs/decisions/0008).
    model: ModelName = "weighted-seed"
    shadow: tuple[ModelName, ...] = ()
    # Without it seven metrics at 2 sigmas cross their limits 9.6 times an hour with nothing wrong
    # (docs/detectors.md).
    hysteresis: Hysteresis = Hysteresis()
    traffic: str | None = None
    minimum_requests: int = Field(default=0, ge=0)
    edges: EdgeQueries | None = None
    attribution: Attribution = Attribution()
    judge: JudgeSettings = JudgeSettings()
    sick: SickBaseline | None = None
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

    def facts(self) -> dict[str, Any]:
        """Return what an approval rests on, as JSON: settings that came later and are not used are left out.

        So an approval of a run that began before a setting existed stays good.
        """
        facts: dict[str, Any] = self.model_dump(mode="json")
        _drop_unused(facts, self, Scoring, _LATER)
        for name, metric in self.metrics.items():
            _drop_unused(facts["metrics"][name], metric, Metric, _LATER_OF_METRIC)
        return facts

    def of_everybody(self) -> Self:
        """Return the same for a change that everybody gets at once: there is no control beside them."""
        return self.model_copy(update={"canary_label": self.control_label})

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

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if self.minimum_requests and self.traffic is None:
            raise ValueError("minimum_requests needs traffic, the query that counts requests")
        if self.model in self.shadow or len(set(self.shadow)) != len(self.shadow):
            raise ValueError("shadow must name each model once, and not the one that decides")
        if self.sick and (unknown := [m for m in self.sick.metrics if m not in self.metrics]):
            raise ValueError(f"sick.metrics names '{unknown[0]}'; there are {', '.join(self.metrics)}")
        return self


# Fields that version 0.2.0 did not know.
_LATER_OF_METRIC = ("unit", "detector", "veto", "worst_level", "no_data", "by_edges")
_LATER = (
    "shadow",
    "hysteresis",
    "traffic",
    "minimum_requests",
    "edges",
    "attribution",
    "judge",
    "sick",
)


def _drop_unused(
    facts: dict[str, Any], settings: BaseModel, model: type[BaseModel], later: tuple[str, ...]
) -> None:
    for name in later:
        if getattr(settings, name) == model.model_fields[name].default:
            del facts[name]
