"""How good a model's verdicts were, once it is known which releases were bad."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from holdfast.verdict.observation import Outcome

Label = Literal["good", "bad"]


class Stop(BaseModel):
    """When and how a model first stopped a release.

    Attributes:
        minutes: from the first traffic of the canary to the verdict.
        outcome: of that first verdict: pause or rollback.
        reason: its reason, for a person.
        rolled_back_at: minutes to its first verdict that rolls back; None where it never would.
    """

    minutes: float
    outcome: Outcome
    reason: str = ""
    rolled_back_at: float | None = None


class Judged(BaseModel):
    """One release (or stage of a rollout) as several models judged it.

    Attributes:
        stops: for each model that judged it, its first stop; None where it let the release through.
        label: what people found afterwards; None while nobody has said.
        fault: what kind of fault, for a bad one.
    """

    id: str
    service: str = ""
    day: str = ""
    observed_minutes: float = 0
    label: Label | None = None
    fault: str = ""
    stops: dict[str, Stop | None] = Field(default_factory=dict[str, Stop | None])


class FaultScore(BaseModel):
    """How one kind of fault was caught; `median_minutes` is None where none was."""

    fault: str
    caught: int
    total: int
    median_minutes: float | None


class ModelScore(BaseModel):
    """A model's record on labelled releases: a stop is a positive, a bad release is what it should find.

    Attributes:
        precision, recall, f1: None where they divide by nothing.
        median_minutes: of the bad releases that it stopped.
        auto_rollbacks_of_good: good releases that it would have rolled back without asking anybody, at any
            minute while they were observed.
        missed, false_stops: ids of the releases that it got wrong.
    """

    model: str
    deciding: bool = False
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    precision: float | None
    recall: float | None
    f1: float | None
    median_minutes: float | None
    auto_rollbacks_of_good: int
    auto_rollbacks_of_good_percent: float | None
    faults: list[FaultScore] = Field(default_factory=list[FaultScore])
    missed: list[str] = Field(default_factory=list[str])
    false_stops: list[str] = Field(default_factory=list[str])

    @property
    def bad(self) -> int:
        """How many of the releases were bad."""
        return self.true_positives + self.false_negatives

    @property
    def labelled(self) -> int:
        """How many releases the record rests on."""
        return self.bad + self.false_positives + self.true_negatives


def score(judged: Iterable[Judged], model: str, *, deciding: bool = False) -> ModelScore:
    """Score one model on the releases that are labelled and that it judged."""
    seen = [j for j in judged if j.label is not None and model in j.stops]
    bad, good = ([j for j in seen if j.label == label] for label in ("bad", "good"))
    caught = [stop for j in bad if (stop := j.stops[model])]
    false_stops = [j for j in good if j.stops[model]]
    rolled_back = sum(stop.rolled_back_at is not None for j in good if (stop := j.stops[model]))
    return ModelScore(
        model=model,
        deciding=deciding,
        true_positives=len(caught),
        false_positives=len(false_stops),
        false_negatives=len(bad) - len(caught),
        true_negatives=len(good) - len(false_stops),
        precision=_ratio(len(caught), len(caught) + len(false_stops)),
        recall=_ratio(len(caught), len(bad)),
        f1=_ratio(2 * len(caught), len(bad) + len(caught) + len(false_stops)),
        median_minutes=_median([stop.minutes for stop in caught]),
        auto_rollbacks_of_good=rolled_back,
        auto_rollbacks_of_good_percent=_percent(rolled_back, len(good)),
        faults=_by_fault(bad, model),
        missed=[j.id for j in bad if not j.stops[model]],
        false_stops=[j.id for j in false_stops],
    )


def _by_fault(bad: Sequence[Judged], model: str) -> list[FaultScore]:
    scores: list[FaultScore] = []
    for fault in sorted({j.fault for j in bad}):
        stops = [j.stops[model] for j in bad if j.fault == fault]
        caught = [stop.minutes for stop in stops if stop]
        scores.append(
            FaultScore(fault=fault, caught=len(caught), total=len(stops), median_minutes=_median(caught))
        )
    return scores


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
