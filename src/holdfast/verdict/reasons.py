"""The newest minute of a graded metric as a reading, and a verdict's reasons in one sentence."""

import math
from collections.abc import Iterator, Mapping, Sequence

from holdfast.verdict.detector_settings import Fixed
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
        query=metric.queries[query],
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
    muted: Sequence[str],
) -> str:
    """Say in one sentence what moved the verdict: edges first, then by weight, then what is missing.

    Args:
        verdict: with everything but its reason.
        scoring: what it was judged by.
        newest: the observation that was judged.
        unhealed: metrics that a fix has not healed.
        silent: for each metric, for how many verdicts the canary has been silent.
        muted: metrics that call edges speak for.
    """
    at = f"at {verdict.share_percent} %"
    if newest.provider_down:
        return f"no verdict {at}: {newest.trouble or 'the metrics database is silent'}"
    counted = [r for r in verdict.readings if r.metric not in muted]
    heaviest_first = sorted(counted, key=lambda r: -r.weight_percent * (r.level or 0))
    found = [
        *(finding.words for finding in verdict.edges),
        *(_moved(r, scoring) for r in heaviest_first if r.level and r.value is not None),
        *_not_healed(counted, unhealed, scoring),
        *(_once(r, scoring) for r in counted if _is_bad_once(r, scoring)),
        *_missing(counted, verdict, scoring, silent),
    ]
    calm = "no metric is worse by more than it may be"
    return f"risk {risk(verdict)} {at}: {'; '.join(found) or calm}"


def _moved(reading: MetricReading, scoring: Scoring) -> str:
    """Tell a level that enough verdicts reached; this one may be fine again."""
    word = "red" if reading.level is Level.RED else "yellow"
    metric = scoring.metrics[reading.metric]
    veto = f", which alone means {metric.veto}" if metric.veto and reading.level is Level.RED else ""
    fixed = isinstance(metric.detector, Fixed)
    red = reading.level is Level.RED or fixed
    limit = scoring.red_from_percent if red else scoring.yellow_from_percent
    if reading.used_percent is not None and reading.used_percent <= limit:
        value = measured(reading.value or 0, reading.unit)
        return f"{reading.metric} is {value} again, but was {word} in enough of the last verdicts{veto}"
    return f"{_beyond(reading, scoring)}: {word}{veto}"


def _once(reading: MetricReading, scoring: Scoring) -> str:
    return f"{_beyond(reading, scoring)}: bad in this verdict, which alone is not enough"


def _is_bad_once(reading: MetricReading, scoring: Scoring) -> bool:
    used = reading.used_percent
    beyond = used > scoring.red_from_percent if used is not None else reading.allowed == 0
    return reading.level is Level.GREEN and beyond


def _beyond(reading: MetricReading, scoring: Scoring) -> str:
    """Tell a number with its limit and what it is compared with; a detector's limit is both."""
    value = f"{reading.metric} is {measured(reading.value or 0, reading.unit)}"
    if reading.baseline_mean is None:
        return value
    way, sign = ("up", 1) if scoring.metrics[reading.metric].bad_when == "rising" else ("down", -1)
    limit = measured(reading.baseline_mean + sign * (reading.allowed or 0), reading.unit)
    if reading.allowed is None:
        return f"{value}, its detector allows {way} to {limit}"
    compared = f"{reading.compared_with} {measured(reading.baseline_mean, reading.unit)}"
    return f"{value}, allowed {way} to {limit} ({compared})"


def _not_healed(readings: Sequence[MetricReading], unhealed: Sequence[str], scoring: Scoring) -> Iterator[str]:
    wanted = scoring.sick.improve_percent if scoring.sick else 0
    for r in readings:
        if r.metric in unhealed and r.value is not None and r.baseline_mean is not None:
            yield (
                f"{r.metric} is not healed: {measured(r.value, r.unit)}, sick now "
                f"{measured(r.baseline_mean, r.unit)}, at least {number(wanted)} % of the way back is wanted"
            )


def _missing(
    readings: Sequence[MetricReading], verdict: Verdict, scoring: Scoring, silent: Mapping[str, int]
) -> Iterator[str]:
    for r in readings:
        known = f"nothing known of {r.metric}: "
        if r.no_data is NoData.CANARY_SILENT and silent.get(r.metric):
            lasting = _for_so_long(silent[r.metric], scoring)
            yield f"{known}the canary is silent {lasting} while the control speaks"
        elif r.no_data is NoData.CANARY_SILENT:
            yield f"{known}one of its queries gives nothing for the canary"
        elif r.no_data is not None:
            yield f"{known}there is no data from any side"
        elif r.level is None and _are_few(verdict.canary_requests, scoring):
            seen = number(verdict.canary_requests or 0)
            yield f"{r.metric} rests on {seen} requests, {scoring.minimum_requests} are wanted"
        elif r.level is None:
            yield f"{known}there is nothing to compare it with"


def _for_so_long(verdicts: int, scoring: Scoring) -> str:
    """Say for how long; from where silence counts on the watch need not remember how long it really is."""
    if verdicts >= scoring.attribution.silent_minutes:
        return f"for at least {scoring.attribution.silent_minutes} verdicts"
    return "in this verdict" if verdicts == 1 else f"for {verdicts} verdicts"


def _are_few(requests: float | None, scoring: Scoring) -> bool:
    return requests is not None and requests < scoring.minimum_requests


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
