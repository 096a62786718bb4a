"""A verdict as every channel shows it."""

from holdfast.domain.view import MetricLine, VerdictView
from holdfast.verdict.observation import MetricReading, Verdict
from holdfast.verdict.words import number, risk, used


def to_view(verdict: Verdict) -> VerdictView:
    """Turn the numbers of a verdict into short texts: three digits, `–` where there is nothing to say."""
    return VerdictView(
        at=verdict.at,
        outcome=verdict.outcome,
        risk=risk(verdict),
        reason=verdict.reason,
        share_percent=verdict.share_percent,
        lines=[_line(reading) for reading in verdict.readings],
    )


def _line(reading: MetricReading) -> MetricLine:
    return MetricLine(
        metric=reading.metric,
        value=_or_dash(reading.value),
        baseline=_or_dash(reading.baseline_mean),
        used=used(reading),
        level=_level(reading),
        canary=reading.value,
        base=reading.baseline_mean,
        used_percent=reading.used_percent if reading.level is not None else None,
    )


def _or_dash(value: float | None) -> str:
    return "–" if value is None else number(value)


def _level(reading: MetricReading) -> str:
    if reading.level is not None:
        return reading.level.name.lower()
    return reading.no_data.replace("_", " ") if reading.no_data else "no baseline"
