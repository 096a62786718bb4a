"""The seed scoring model: weights times levels, summed, in integers, between two edges."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.verdict.observation import Baseline, Observation, Outcome, Verdict
from holdfast.verdict.reading import read_metric
from holdfast.verdict.settings import Scoring
from holdfast.verdict.words import reason_of

if TYPE_CHECKING:
    from holdfast.verdict.minutes import Minutes


def verdict(scoring: Scoring, baseline: Baseline, observations: Sequence[Observation]) -> Verdict:
    """Judge the newest observation; the seed has no memory."""
    return weighted_seed(scoring, baseline, observations[-1])


def outcomes(scoring: Scoring, baseline: Baseline, minutes: "Minutes") -> list[Outcome]:
    """Judge every minute by itself."""
    from holdfast.verdict.seed_replay import outcomes_of  # noqa: PLC0415  numpy, which one verdict needs not

    return outcomes_of(scoring, baseline, minutes)


def weighted_seed(scoring: Scoring, baseline: Baseline, observation: Observation) -> Verdict:
    """Judge one observation.

    A metric without data or baseline has no level, and the risk is then a lower bound: enough to pause or roll
    back on, never enough to continue on. While the provider is down every verdict is inconclusive.

    Args:
        scoring: metrics, weights, thresholds and edges.
        baseline: one `SignalBaseline` for each query of each metric.
        observation: one value, or reason for none, for each query of each metric.
    """
    readings = [
        read_metric(name, scoring, observation.values[name], baseline.signals[name]) for name in scoring.metrics
    ]
    risk_percent = sum(r.weight_percent * r.level for r in readings if r.level is not None)
    verdict = Verdict(
        model="weighted-seed",
        at=observation.at,
        share_percent=observation.share_percent,
        outcome=outcome_of(
            scoring,
            risk_percent,
            missing=any(reading.level is None for reading in readings),
            provider_down=observation.provider_down,
        ),
        risk_percent=risk_percent,
        readings=readings,
    )
    return verdict.model_copy(update={"reason": reason_of(verdict, scoring, baseline, observation)})


def outcome_of(scoring: Scoring, risk_percent: int, *, missing: bool, provider_down: bool) -> Outcome:
    """Return what a risk means; `missing` says that it is a lower bound."""
    if provider_down:
        return Outcome.INCONCLUSIVE
    if risk_percent > scoring.pause_up_to_percent:
        return Outcome.ROLLBACK
    if risk_percent > scoring.continue_up_to_percent:
        return Outcome.PAUSE
    return Outcome.INCONCLUSIVE if missing else Outcome.CONTINUE
