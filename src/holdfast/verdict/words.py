"""A verdict in the words and numbers that a person reads at night."""

from collections.abc import Iterator
from datetime import timedelta

from holdfast.verdict.observation import Baseline, Level, MetricReading, NoData, Observation, Verdict
from holdfast.verdict.settings import Scoring

_WHY_NO_DATA = {
    NoData.CANARY_SILENT: "the canary is silent while the control speaks",
    NoData.BOTH_SILENT: "there is no data from any side",
}
_BYTES = {"B": "B", "bytes": "B", "byte": "B", "B/s": "B/s", "bytes/s": "B/s"}
_WITHOUT_PREFIX = ("%", "s", "ms", "min", "h", "d")


def number(value: float) -> str:
    """Write a number with three significant digits and a prefix where it is large: 0.0123, 2.31, 1.29 G."""
    for size, prefix in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= max(size, 1e4):  # four digits are read as easily without a prefix
            return _three_digits(value / size) + prefix
    return _three_digits(value)


def measured(value: float, unit: str = "") -> str:
    """Write a number with its unit: `2.31 s`, `6.0 %`, `400 MB`, `12/s`; a `ratio` as percent.

    Args:
        value: in `unit`.
        unit: as a runbook file gives it; without one the number stands alone.
    """
    if unit == "ratio":
        return measured(100 * value, "%")
    if unit == "s" and 0 < abs(value) < 0.001:  # noqa: PLR2004  a millisecond
        return f"{_three_digits(value * 1e6)} µs"
    if unit in _WITHOUT_PREFIX:
        return f"{_percent(value) if unit == '%' else _three_digits(value)} {unit}"
    figure, _, prefix = number(value).partition(" ")
    if unit.startswith("/"):  # behind a space chats make a command of it
        return f"{figure}{' ' if prefix else ''}{prefix}{unit}"
    if unit in _BYTES:
        return f"{figure} {prefix}{_BYTES[unit]}"
    return " ".join(part for part in (figure, prefix, unit) if part)


def measured_or_dash(value: float | None, unit: str = "") -> str:
    """Write a number with its unit, or a dash where there is none."""
    return "–" if value is None else measured(value, unit)


def decimals_or_dash(value: float | None, decimals: int = 2) -> str:
    """Write a number with so many decimals, or a dash where there is none."""
    return "–" if value is None else f"{value:.{decimals}f}"


def span_words(duration: timedelta) -> str:
    """Write a duration in hours, minutes and seconds, e.g. `1 h 5 min`."""
    seconds = duration.total_seconds()
    parts = [(int(seconds // 3600), "h"), (int(seconds % 3600 // 60), "min"), (seconds % 60, "s")]
    return " ".join(f"{size:g} {unit}" for size, unit in parts if size) or "0 s"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"  # noqa: PLR2004  would round to 1e+02


def _percent(value: float) -> str:
    text = _three_digits(value)
    return f"{value:.1f}" if value and len(text.lstrip("-")) == 1 else text


def risk(verdict: Verdict) -> str:
    """Write the weighted risk, e.g. `1.60`, or `at least 0.60` where metrics are without a level."""
    bound = "at least " if any(r.level is None for r in verdict.readings) else ""
    return f"{bound}{verdict.risk_percent / 100:.2f}"


def used(reading: MetricReading) -> str:
    """Write how much of the allowed deviation is used up, e.g. `67 %`."""
    if reading.level is None or (reading.used_percent is None and reading.allowed is None):
        return "–"
    if reading.used_percent is None:
        return "none allowed"
    return f"{reading.used_percent} %" if reading.used_percent < 1000 else "over 999 %"  # noqa: PLR2004  width


def unit_of(reading: MetricReading, scoring: Scoring | None) -> str:
    """Return the unit of a metric's numbers, from the file where the reading does not say it."""
    metric = scoring.metrics.get(reading.metric) if scoring else None
    return reading.unit or (metric.unit_of(0) if metric and isinstance(metric.unit, str) else "")


def allowed(reading: MetricReading, scoring: Scoring | None) -> str:
    """Write how far a metric may go, e.g. `up to 0.615 s`; empty where that is not known.

    Without the file the direction is not known, and it is only said how far from what it is compared with.
    """
    if reading.allowed is None or reading.baseline_mean is None:
        return ""
    unit = unit_of(reading, scoring)
    if scoring is None or reading.metric not in scoring.metrics:
        return f"{measured(reading.allowed, unit)} off"
    rising = scoring.metrics[reading.metric].bad_when == "rising"
    limit = reading.baseline_mean + (reading.allowed if rising else -reading.allowed)
    return f"{'up' if rising else 'down'} to {measured(limit, unit)}"


def rests_on(verdict: Verdict, scoring: Scoring | None) -> str:
    """Say how many requests a verdict rests on; empty where they are not counted."""
    if verdict.canary_requests is None:
        return ""
    plural = "" if round(verdict.canary_requests) == 1 else "s"
    canary = f"rests on {_count(verdict.canary_requests)} request{plural} of the canary"
    control = "" if verdict.control_requests is None else f", {_count(verdict.control_requests)} of the control"
    least = scoring.minimum_requests if scoring else 0
    wanted = f" (at least {least} of the canary are wanted)" if verdict.canary_requests < least else ""
    return f"{canary}{control}{wanted}"


def _count(requests: float) -> str:
    return number(round(requests))


def reason_of(verdict: Verdict, scoring: Scoring, baseline: Baseline, observation: Observation) -> str:
    """Say in one sentence which metrics moved the verdict, the heaviest first, and which are missing."""
    if observation.provider_down:
        trouble = observation.trouble or "the metrics database does not answer"
        return f"no verdict at {verdict.share_percent} %: {trouble}"
    heaviest_first = sorted(verdict.readings, key=lambda r: -r.weight_percent * (r.level or 0))
    found = [*_moved(heaviest_first, scoring), *_missing(verdict.readings, scoring, baseline)]
    calm = f"no metric used more than {scoring.yellow_from_percent} % of its allowed deviation"
    return f"risk {risk(verdict)} at {verdict.share_percent} %: {'; '.join(found) or calm}"


def _moved(readings: list[MetricReading], scoring: Scoring) -> Iterator[str]:
    for r in readings:
        if not r.level or r.value is None or r.baseline_mean is None or r.allowed is None:
            continue
        unit = unit_of(r, scoring)
        yield (
            f"{r.metric} is {measured(r.value, unit)}, allowed {allowed(r, scoring)} "
            f"({r.compared_with or 'baseline'} {measured(r.baseline_mean, unit)}, {_share_used(r)})"
        )


def _share_used(reading: MetricReading) -> str:
    word = "red" if reading.level is Level.RED else "yellow"
    return word if reading.used_percent is None else f"{used(reading)} used: {word}"


def _missing(readings: list[MetricReading], scoring: Scoring, baseline: Baseline) -> Iterator[str]:
    for r in readings:
        if r.no_data is not None:
            yield f"nothing known of {r.metric}: {_WHY_NO_DATA[r.no_data]}"
        elif r.level is None:
            points = min(signal.points for signal in baseline.signals[r.metric])
            yield (
                f"nothing known of {r.metric}: its baseline has {points} points, "
                f"at least {scoring.baseline.minimum_points} are needed"
            )
