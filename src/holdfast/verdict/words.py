"""A verdict in the words and numbers that a person reads at night."""

from collections.abc import Iterator

from holdfast.verdict.observation import Baseline, Level, MetricReading, NoData, Observation, Verdict
from holdfast.verdict.settings import Scoring

_WHY_NO_DATA = {
    NoData.CANARY_SILENT: "the canary is silent while the control speaks",
    NoData.BOTH_SILENT: "there is no data from any side",
}


def number(value: float) -> str:
    """Write a number with three significant digits and a prefix where it is large: 0.0123, 2.31, 1.29 G."""
    for size, prefix in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= max(size, 1e4):  # four digits are read as easily without a prefix
            return _three_digits(value / size) + prefix
    return _three_digits(value)


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"  # noqa: PLR2004  would round to 1e+02


def risk(verdict: Verdict) -> str:
    """Write the weighted risk, e.g. `1.60`, or `at least 0.60` where metrics are without a level."""
    bound = "at least " if any(r.level is None for r in verdict.readings) else ""
    return f"{bound}{verdict.risk_percent / 100:.2f}"


def used(reading: MetricReading) -> str:
    """Write how much of the allowed deviation is used up, e.g. `67 %`."""
    if reading.level is None:
        return "–"
    if reading.used_percent is None:
        return "none allowed"
    return f"{reading.used_percent} %" if reading.used_percent < 1000 else "over 999 %"  # noqa: PLR2004  width


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
        rising = scoring.metrics[r.metric].bad_when == "rising"
        limit = r.baseline_mean + (r.allowed if rising else -r.allowed)
        yield (
            f"{r.metric} is {number(r.value)}, allowed {'up' if rising else 'down'} to {number(limit)} "
            f"(baseline {number(r.baseline_mean)}, {_share_used(r)})"
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
