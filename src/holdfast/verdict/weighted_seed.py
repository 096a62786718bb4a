"""The seed scoring model: weights times levels, summed, in integers, between two edges."""

from collections.abc import Sequence

from holdfast.verdict.observation import Baseline, MetricReading, Observation, Outcome, Verdict
from holdfast.verdict.reading import read_metric
from holdfast.verdict.settings import Scoring
from holdfast.verdict.words import reason_of


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
        outcome=_outcome(scoring, readings, risk_percent, provider_down=observation.provider_down),
        risk_percent=risk_percent,
        readings=readings,
    )
    return verdict.model_copy(update={"reason": reason_of(verdict, scoring, baseline, observation)})


def _outcome(
    scoring: Scoring, readings: Sequence[MetricReading], risk_percent: int, *, provider_down: bool
) -> Outcome:
    if provider_down:
        return Outcome.INCONCLUSIVE
    if risk_percent > scoring.pause_up_to_percent:
        return Outcome.ROLLBACK
    if risk_percent > scoring.continue_up_to_percent:
        return Outcome.PAUSE
    if any(reading.level is None for reading in readings):
        return Outcome.INCONCLUSIVE
    return Outcome.CONTINUE
