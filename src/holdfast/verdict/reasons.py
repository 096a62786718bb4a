"""The newest minute of a graded metric as a reading, and a verdict's reasons in one sentence."""

import math
from collections.abc import Iterator, Mapping, Sequence

from holdfast.verdict.grading import REFERENCES, UNKNOWN, Grade
from holdfast.verdict.observation import (
    Level,
    MetricReading,
    NoData,
    Observation,
    SignalBaseline,
    Verdict,
)
from holdfast.verdict.settings import Metric, Scoring
from holdfast.verdict.words import measured, number, risk


def reading_of(
    name: str, metric: Metric, signals: Sequence[SignalBaseline], grade: Grade, newest: Observation
) -> MetricReading:
    """Put the newest minute of a graded metric into numbers for a person."""
    query = int(grade.query[-1])
    value = newest.values[name][query]
    signal = signals[query]
    used = _finite(grade.used[-1])
    return MetricReading(
        metric=name,
        weight_percent=metric.weight_percent,
        value=None if isinstance(value, NoData) else value,
        baseline_mean=_finite(grade.reference.centre[-1]),
        allowed=_finite(grade.reference.allowed[-1]),
        used_percent=None if used is None else math.ceil(used),
        level=None if grade.level[-1] == UNKNOWN else Level(int(grade.held[-1])),
        no_data=value if isinstance(value, NoData) else None,
        unit=metric.unit_of(query),
        compared_with=REFERENCES[int(grade.reference.names[-1])],
        control=_finite(grade.control[-1]),
        past=signal.same_hour.mean if signal.same_hour else signal.mean,
    )


def reason_of(
    verdict: Verdict,
    scoring: Scoring,
    newest: Observation,
    *,
    unhealed: Sequence[str],
    silent: Mapping[str, int],
) -> str:
    """Say in one sentence what moved the verdict: edges first, then by weight, then what is missing."""
    if newest.provider_down:
        return f"no verdict at {verdict.share_percent} %: {newest.trouble or 'the metrics database is silent'}"
    heaviest_first = sorted(verdict.readings, key=lambda r: -r.weight_percent * (r.level or 0))
    found = [
        *(finding.words for finding in verdict.edges),
        *_moved(heaviest_first, scoring),
        *_not_healed(verdict.readings, unhealed, scoring),
        *_missing(verdict, scoring, silent),
    ]
    calm = "no metric is worse than the control by more than it may be"
    return f"risk {risk(verdict)} at {verdict.share_percent} %: {'; '.join(found) or calm}"


def _moved(readings: Sequence[MetricReading], scoring: Scoring) -> Iterator[str]:
    for r in readings:
        if not r.level or r.value is None or r.baseline_mean is None:
            continue
        metric = scoring.metrics[r.metric]
        way, sign = ("up", 1) if metric.bad_when == "rising" else ("down", -1)
        limit = r.baseline_mean + sign * (r.allowed or 0)
        word = "red" if r.level is Level.RED else "yellow"
        veto = f", which alone means {metric.veto}" if metric.veto and r.level is Level.RED else ""
        yield (
            f"{r.metric} is {measured(r.value, r.unit)}, allowed {way} to {measured(limit, r.unit)} "
            f"({r.compared_with} {measured(r.baseline_mean, r.unit)}): {word}{veto}"
        )


def _not_healed(readings: Sequence[MetricReading], unhealed: Sequence[str], scoring: Scoring) -> Iterator[str]:
    wanted = scoring.sick.improve_percent if scoring.sick else 0
    for r in readings:
        if r.metric in unhealed and r.value is not None and r.baseline_mean is not None:
            yield (
                f"{r.metric} is not healed: {measured(r.value, r.unit)}, sick now "
                f"{measured(r.baseline_mean, r.unit)}, at least {number(wanted)} % of the way back is wanted"
            )


def _missing(verdict: Verdict, scoring: Scoring, silent: Mapping[str, int]) -> Iterator[str]:
    for r in verdict.readings:
        if r.no_data is NoData.CANARY_SILENT:
            often = silent.get(r.metric, 0)
            yield f"nothing known of {r.metric}: silent for {often} verdicts while the control speaks"
        elif r.no_data is not None:
            yield f"nothing known of {r.metric}: there is no data from any side"
        elif r.level is None and (verdict.canary_requests or 0) < scoring.minimum_requests:
            seen = number(verdict.canary_requests or 0)
            yield f"{r.metric} rests on {seen} requests, {scoring.minimum_requests} are wanted"
        elif r.level is None:
            yield f"nothing known of {r.metric}: there is nothing to compare it with"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
