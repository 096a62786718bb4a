"""The weighted model: the seed's risk in integers, with what the seed lacks.

Levels are of the canary against the control at the same moment, must hold for several verdicts, may veto, and a
canary that stays silent while the control speaks is judged by each metric's own policy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from holdfast.verdict.detector_settings import Hysteresis
from holdfast.verdict.grading import UNKNOWN, Grade, allowed_around, grade, held, past_of, thin
from holdfast.verdict.minutes import Flags, Floats, Minutes, minutes_of
from holdfast.verdict.observation import Baseline, EdgeFinding, Level, Observation, Outcome, Verdict
from holdfast.verdict.reasons import reading_of, reason_of
from holdfast.verdict.settings import Metric, Scoring

Severities = npt.NDArray[np.int8]

# From mild to severe; a verdict is the most severe of what speaks for one.
OUTCOMES = (Outcome.CONTINUE, Outcome.INCONCLUSIVE, Outcome.PAUSE, Outcome.ROLLBACK)
GO_ON, UNCLEAR, PAUSE, ROLLBACK = range(4)
_OF_POLICY = {"ignore": GO_ON, "pause": PAUSE, "rollback": ROLLBACK}


@dataclass(frozen=True)
class Weighed:
    """All metrics of a share, graded and summed up, minute by minute.

    Attributes:
        risk: percent, 0 to 200; a lower bound where a metric is missing.
        unhealed: metrics that a fix has not brought on their way back, for a sick baseline.
        severity: an index into `OUTCOMES`.
        by_edges: where call edges speak in place of the metrics that are marked so.
    """

    grades: dict[str, Grade]
    risk: npt.NDArray[np.int64]
    unhealed: dict[str, Flags]
    severity: Severities
    by_edges: Flags


def verdict(scoring: Scoring, baseline: Baseline, observations: Sequence[Observation]) -> Verdict:
    """Judge the newest observation, see the module."""
    # The last row of what a backtest computes over a month: one computation, so that both say the same
    # (docs/decisions/0008).
    minutes = minutes_of(observations)
    return told(scoring, baseline, observations, weigh(scoring, baseline, minutes))


def outcomes(scoring: Scoring, baseline: Baseline, minutes: Minutes) -> list[Outcome]:
    """Judge every minute, each by those up to it."""
    return named(weigh(scoring, baseline, minutes).severity)


def weigh(
    scoring: Scoring,
    baseline: Baseline,
    minutes: Minutes,
    *,
    discount_shared: bool = False,
    by_edges: Flags | None = None,
) -> Weighed:
    """Grade all metrics and sum them up.

    Args:
        scoring: settings.
        baseline: what was usual.
        minutes: what was seen.
        discount_shared: whether a deviation from the past counts only where the control did not make it too.
        by_edges: in which minutes call edges speak for silence and for the metrics that are marked so.
    """
    edges = np.zeros(len(minutes), dtype=bool) if by_edges is None else by_edges
    grades = {
        name: grade(name, scoring, baseline, minutes, discount_shared=discount_shared)
        for name in scoring.metrics
    }
    # Whole percent: a risk of exactly 0.5 or 1.5 can be reached, and has to fall on the milder side
    # (docs/decisions/0001).
    risk = np.zeros(len(minutes), dtype=np.int64)
    for name, each in grades.items():
        counts = ~edges if scoring.metrics[name].by_edges else True
        risk += scoring.metrics[name].weight_percent * each.held.astype(np.int64) * counts
    unhealed = _unhealed(scoring, baseline, minutes)
    severity = np.select(
        [risk > scoring.pause_up_to_percent, risk > scoring.continue_up_to_percent], [ROLLBACK, PAUSE], GO_ON
    )
    for name, each in grades.items():
        severity = np.maximum(severity, _alone(scoring.metrics[name], scoring, each, edges))
    for flags in unhealed.values():
        severity = np.maximum(severity, np.where(flags, PAUSE, GO_ON))
    blind = np.logical_and.reduce([each.level == UNKNOWN for each in grades.values()]) & ~edges
    severity = np.maximum(severity, np.where(blind | thin(scoring, minutes), UNCLEAR, GO_ON))
    # Last, because it overrules all others: an outage of the metrics never stops or rolls back anything
    # (docs/decisions/0008).
    severity = np.where(minutes.provider_down, UNCLEAR, severity).astype(np.int8)
    return Weighed(grades, risk, unhealed, severity, edges)


def told(
    scoring: Scoring,
    baseline: Baseline,
    observations: Sequence[Observation],
    weighed: Weighed,
    *,
    model: str = "weighted",
    findings: Sequence[EdgeFinding] = (),
) -> Verdict:
    """Put the newest minute of what was weighed into a verdict with its reasons."""
    newest = observations[-1]
    readings = [
        reading_of(name, scoring.metrics[name], baseline.signals[name], grade, newest)
        for name, grade in weighed.grades.items()
    ]
    found = Verdict(
        model=model,
        at=newest.at,
        share_percent=newest.share_percent,
        outcome=OUTCOMES[int(weighed.severity[-1])],
        risk_percent=int(weighed.risk[-1]),
        readings=readings,
        edges=list(findings),
        canary_requests=newest.canary_requests,
        control_requests=newest.control_requests,
    )
    unhealed = [name for name, flags in weighed.unhealed.items() if flags[-1]]
    silent = {name: int(grade.silent[-1]) for name, grade in weighed.grades.items()}
    muted = [name for name, metric in scoring.metrics.items() if metric.by_edges and weighed.by_edges[-1]]
    reason = reason_of(found, scoring, newest, unhealed=unhealed, silent=silent, muted=muted)
    return found.model_copy(update={"reason": reason})


def named(severity: Severities) -> list[Outcome]:
    """Turn severities into outcomes."""
    return [OUTCOMES[each] for each in severity.tolist()]


def _alone(metric: Metric, scoring: Scoring, graded: Grade, edges: Flags) -> Severities:
    """What one metric makes of the verdict by itself: its veto, its silence, its being unknown."""
    # By weight alone one metric hardly reaches a rollback: 30 % of the weight add 0.6 at most, though every
    # request may fail by then (docs/verdicts.md).
    own = np.zeros(len(graded.level), dtype=np.int8)
    if metric.veto:
        own = np.where(graded.held == Level.RED, _OF_POLICY[metric.veto], own)
    if (metric.weight_percent or metric.veto) and metric.no_data != "ignore":
        own = np.where(graded.missing, np.maximum(own, UNCLEAR), own)
    # A pause by default: rollbacks need positive evidence, and 47 of the 166 good canaries of ChangeRCA had no
    # data in their first minute.
    long = (graded.silent >= scoring.attribution.silent_minutes) & ~edges
    own = np.where(long, np.maximum(own, _OF_POLICY[metric.no_data]), own)
    if metric.by_edges:
        own = np.where(edges, GO_ON, own)
    return own.astype(np.int8)


# --- a sick baseline --------------------------------------------------------------------------------------


def _unhealed(scoring: Scoring, baseline: Baseline, minutes: Minutes) -> dict[str, Flags]:
    """Say of each metric that the fix must heal where it has not, for as long as hysteresis asks."""
    if scoring.sick is None or baseline.past is None:
        return {}
    wanted = scoring.sick.improve_percent
    return {
        name: _lags(_ways_back(name, scoring, baseline, baseline.past, minutes), wanted, scoring.hysteresis)
        for name in scoring.sick.metrics
    }


def _lags(way: Floats, wanted: float, hysteresis: Hysteresis) -> Flags:
    level = np.where(np.isnan(way), UNKNOWN, 2 * (way < wanted)).astype(np.int8)
    lags: Flags = held(hysteresis, level) == Level.RED
    return lags


def _ways_back(name: str, scoring: Scoring, baseline: Baseline, past: Baseline, minutes: Minutes) -> Floats:
    """Return how much of the way from sick-now to the past week the canary has come, percent, worst query."""
    metric = scoring.metrics[name]
    sign = 1.0 if metric.bad_when == "rising" else -1.0
    ways: list[Floats] = []
    for query, pair in enumerate(minutes.metrics[name]):
        usual = past.signals[name][query]
        healthy, deviation, _ = past_of(usual)
        before = baseline.signals[name][query].mean
        sick = np.where(np.isnan(pair.control), np.nan if before is None else before, pair.control)
        gap = sign * (sick - (np.nan if healthy is None else healthy))
        with np.errstate(divide="ignore", invalid="ignore"):
            # Sick-now as good as the past week, give or take what is allowed: there is nothing to heal.
            well = np.full(len(sick), np.nan if healthy is None else healthy)
            sick_indeed = gap > allowed_around(metric, well, deviation)
            ways.append(np.where(sick_indeed, 100 * sign * (sick - pair.canary) / gap, np.nan))
    worst: Floats = np.fmin.reduce(ways)
    return worst
