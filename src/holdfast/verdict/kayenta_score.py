"""Kayenta's scorer: from classified metrics to a weighted score of all, and a decision."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from holdfast.domain.strict import Strict
from holdfast.verdict.kayenta import Classification, MetricClass

_NODATA_LIMIT_PERCENT = 50


class ScoreSettings(Strict):
    """How classes become a score and a decision.

    Attributes:
        group_weights: percent; groups not named share what is left to 100 in equal parts. The weight of a group
            that no metric is in is lost to the score, as in Kayenta.
        pass_from: the score, of 100, from which the canary passes.
        marginal_from: the score from which it is not yet a failure.
    """

    group_weights: dict[str, float] = Field(default_factory=dict[str, float])
    pass_from: float = Field(default=75, ge=0, le=100)
    marginal_from: float = Field(default=50, ge=0, le=100)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        negative = sorted(name for name, weight in self.group_weights.items() if weight < 0)
        if negative:
            raise ValueError(f"group_weights must not be negative: {', '.join(negative)}")
        if (total := math.fsum(self.group_weights.values())) > 100:  # noqa: PLR2004  percent
            raise ValueError(f"group_weights must add up to at most 100, not {total:g}")
        if self.marginal_from > self.pass_from:
            raise ValueError("marginal_from must not be above pass_from")
        return self


class Decision(StrEnum):
    """What a score says of the canary, in Kayenta's words."""

    PASS = "Pass"  # noqa: S105  a verdict, not a password
    MARGINAL = "Marginal"
    FAIL = "Fail"


@dataclass(frozen=True)
class GroupedMetric:
    """A classified metric with the groups it counts in; a muted one is shown and does not count."""

    name: str
    groups: tuple[str, ...]
    result: MetricClass
    muted: bool = False


@dataclass(frozen=True)
class GroupScore:
    """The share of a group's metrics that pass, 0–100; 0 and `no_data` where none could be judged."""

    name: str
    score: float
    no_data: bool


@dataclass(frozen=True)
class Score:
    """The weighted score of all metrics, 0–100 with two decimals, and what it decides."""

    summary: float
    decision: Decision
    groups: tuple[GroupScore, ...]
    reason: str


def weighted_score(metrics: Sequence[GroupedMetric], settings: ScoreSettings) -> Score:
    """Score classified metrics as Kayenta's weighted-sum scorer does, and decide.

    A critical metric that does not pass makes the score 0, and so do half of the metrics without data. A group
    whose metrics all lack data counts as passed.

    Raises:
        ValueError: no metric counts, or one that counts is in no group.
    """
    counted = [metric for metric in metrics if not metric.muted]
    if not counted:
        raise ValueError("at least one metric that is not muted is needed for a score")
    if homeless := [metric.name for metric in counted if not metric.groups]:
        raise ValueError(f"a metric that counts needs a group: {', '.join(homeless)}")
    groups = _group_scores(counted)
    failure = _failure(counted)
    summary = 0.0 if failure else _summary(groups, settings)
    reason = failure or f"the score is {summary:g} of 100"
    return Score(summary, _decision(summary, settings), groups, reason)


def _group_scores(metrics: Sequence[GroupedMetric]) -> tuple[GroupScore, ...]:
    labels: dict[str, list[Classification]] = {}
    for metric in metrics:
        for group in metric.groups:
            labels.setdefault(group, []).append(metric.result.classification)
    return tuple(_group_score(name, labels[name]) for name in labels)


def _group_score(name: str, labels: Sequence[Classification]) -> GroupScore:
    judged = [label for label in labels if label not in {Classification.NODATA, Classification.ERROR}]
    passed = judged.count(Classification.PASS)
    return GroupScore(name, 100 * passed / len(judged) if judged else 0.0, no_data=not judged)


def _failure(metrics: Sequence[GroupedMetric]) -> str:
    for metric in metrics:
        if metric.result.critical and metric.result.classification is not Classification.PASS:
            return f"critical metric {metric.name} is {metric.result.classification}: {metric.result.reason}"
    silent = sum(metric.result.classification is Classification.NODATA for metric in metrics)
    if 100 * silent >= _NODATA_LIMIT_PERCENT * len(metrics):
        return f"{silent} of {len(metrics)} metrics have no data"
    return ""


def _summary(groups: Sequence[GroupScore], settings: ScoreSettings) -> float:
    weights = settings.group_weights
    unweighted = sum(group.name not in weights for group in groups)
    shared = (100 - math.fsum(weights.values())) / unweighted if unweighted else 0.0
    total = math.fsum(
        (100 if group.no_data else group.score) * weights.get(group.name, shared) / 100 for group in groups
    )
    # The decimals that people read decide about a half, as in Kayenta.
    return float(Decimal(str(total)).quantize(Decimal("0.01"), ROUND_HALF_UP))


def _decision(summary: float, settings: ScoreSettings) -> Decision:
    if summary >= settings.pass_from:
        return Decision.PASS
    return Decision.MARGINAL if summary >= settings.marginal_from else Decision.FAIL
