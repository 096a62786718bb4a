"""The judge: Mann-Whitney with effect size on the newest minutes of both sides, as Kayenta judges.

Unlike Kayenta, missing data never fails a canary: where half of the weight has no data the verdict is
inconclusive. Risk is the seed's measure of the same score: 2 × (1 − score).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.verdict.kayenta import (
    Classification,
    ClassifierSettings,
    EffectSize,
    MetricClass,
    classify,
    classify_windows,
)
from holdfast.verdict.minutes import Floats, Minutes, Pair, minutes_of
from holdfast.verdict.observation import (
    Baseline,
    Level,
    MetricReading,
    NoData,
    Observation,
    Outcome,
    SignalBaseline,
    Verdict,
)
from holdfast.verdict.settings import Metric, Scoring
from holdfast.verdict.words import number

_FAILS = {Classification.HIGH, Classification.LOW}
_JUDGED = _FAILS | {Classification.PASS}
_ROWS_AT_ONCE = 4096  # a month of windows at once would take a gigabyte
_HALF = 0.5


@dataclass(frozen=True)
class _Scored:
    """The classes of all metrics at one minute, and what they add up to.

    Attributes:
        classes: of each metric its worst query; empty while it is too early to judge.
        score: 0 to 100; None where too little could be judged.
    """

    classes: dict[str, MetricClass]
    score: float | None
    outcome: Outcome


def verdict(scoring: Scoring, baseline: Baseline, observations: Sequence[Observation]) -> Verdict:
    """Judge the newest observation by the window that ends with it, see the module."""
    minutes = minutes_of(observations)
    scored = _scored_minute(scoring, baseline, minutes)
    newest, warming = observations[-1], len(minutes) < scoring.judge.minimum_points
    return Verdict(
        model="judge",
        at=newest.at,
        share_percent=newest.share_percent,
        outcome=scored.outcome,
        risk_percent=round(2 * (100 - scored.score)) if scored.score is not None else 0,
        readings=[_reading(name, scoring, baseline, observations, scored) for name in scoring.metrics],
        reason=_reason(scoring, scored, newest, minutes),
        canary_requests=newest.canary_requests,
        control_requests=newest.control_requests,
        warming=warming and not newest.provider_down,
    )


def outcomes(scoring: Scoring, baseline: Baseline, minutes: Minutes) -> list[Outcome]:
    """Judge every minute, each by the window that ends with it."""
    columns = {name: _of_metric(name, scoring, baseline, minutes) for name in scoring.metrics}
    found: list[Outcome] = []
    for minute in range(len(minutes)):
        classes = {name: column[minute] for name, column in columns.items()}
        early = minute + 1 < scoring.judge.minimum_points
        found.append(_scored(scoring, classes, early or bool(minutes.provider_down[minute])).outcome)
    return found


def _scored_minute(scoring: Scoring, baseline: Baseline, minutes: Minutes) -> _Scored:
    settings = scoring.judge
    classes: dict[str, MetricClass] = {}
    for name, metric in scoring.metrics.items():
        classes[name] = _worst(
            [
                classify(
                    pair.canary[-settings.window_points :],
                    _control(pair, signal, scoring)[-settings.window_points :],
                    _classifier(scoring, metric),
                )
                for pair, signal in zip(minutes.metrics[name], baseline.signals[name], strict=True)
            ]
        )
    early = len(minutes) < settings.minimum_points
    return _scored(scoring, classes, early or bool(minutes.provider_down[-1]))


def _scored(scoring: Scoring, classes: dict[str, MetricClass], unclear: bool) -> _Scored:  # noqa: FBT001
    weights = {name: scoring.metrics[name].weight_percent for name in classes}
    judged = {name: c for name, c in classes.items() if c.classification in _JUDGED}
    weight = sum(weights[name] for name in judged)
    if unclear or weight <= _HALF * sum(weights.values()):
        return _Scored({} if unclear else classes, None, Outcome.INCONCLUSIVE)
    good = sum(weights[name] for name, c in judged.items() if c.classification is Classification.PASS)
    failed_alone = any(c.critical and c.classification in _FAILS for c in judged.values())
    score = 0.0 if failed_alone else 100 * good / weight
    return _Scored(classes, score, _decided(scoring, score))


def _decided(scoring: Scoring, score: float) -> Outcome:
    if score >= scoring.judge.pass_percent:
        return Outcome.CONTINUE
    return Outcome.PAUSE if score >= scoring.judge.marginal_percent else Outcome.ROLLBACK


def _classifier(scoring: Scoring, metric: Metric) -> ClassifierSettings:
    rules = scoring.judge
    return ClassifierSettings(
        tolerance=rules.tolerance,
        confidence=rules.confidence,
        direction="increase" if metric.bad_when == "rising" else "decrease",
        critical=metric.veto == "rollback",
        effect_size=EffectSize(
            allowed_increase=rules.allowed_increase,
            allowed_decrease=rules.allowed_decrease,
            critical_increase=rules.allowed_increase,
            critical_decrease=rules.allowed_decrease,
        ),
    )


def _worst(classes: Sequence[MetricClass]) -> MetricClass:
    """Return the class of a metric with several queries: one that fails, else one that is missing."""
    failing = next((c for c in classes if c.classification in _FAILS), None)
    return failing or next((c for c in classes if c.classification not in _JUDGED), classes[0])


def _control(pair: Pair, signal: SignalBaseline, scoring: Scoring) -> Floats:
    """Return the control's minutes; without any, the newest ones of the baseline."""
    if np.isfinite(pair.control).any() or not signal.recent:
        return pair.control
    return np.array(signal.recent[-scoring.judge.window_points :])


# --- many minutes at once ---------------------------------------------------------------------------------


def _of_metric(name: str, scoring: Scoring, baseline: Baseline, minutes: Minutes) -> list[MetricClass]:
    by_query = [
        list(_of_query(scoring, scoring.metrics[name], pair, signal))
        for pair, signal in zip(minutes.metrics[name], baseline.signals[name], strict=True)
    ]
    return [_worst(classes) for classes in zip(*by_query, strict=True)]


def _of_query(scoring: Scoring, metric: Metric, pair: Pair, signal: SignalBaseline) -> Iterator[MetricClass]:
    window, settings = scoring.judge.window_points, _classifier(scoring, metric)
    past_only = not np.isfinite(pair.control).any() and bool(signal.recent)
    for end in range(1, min(window, len(pair.canary) + 1)):
        control = _control(pair, signal, scoring) if past_only else pair.control[:end]
        yield classify(pair.canary[:end], control, settings)
    if len(pair.canary) < window:
        return
    canaries = np.lib.stride_tricks.sliding_window_view(pair.canary, window)
    if past_only:
        past = _control(pair, signal, scoring)
        controls = np.broadcast_to(past, (len(canaries), len(past)))
    else:
        controls = np.lib.stride_tricks.sliding_window_view(pair.control, window)
    for row in range(0, len(canaries), _ROWS_AT_ONCE):
        cut = slice(row, row + _ROWS_AT_ONCE)
        yield from classify_windows(canaries[cut], controls[cut], settings)


# --- words ------------------------------------------------------------------------------------------------


def _reading(
    name: str, scoring: Scoring, baseline: Baseline, observations: Sequence[Observation], scored: _Scored
) -> MetricReading:
    metric, value = scoring.metrics[name], observations[-1].values[name][0]
    signal, pair = baseline.signals[name][0], minutes_of(observations).metrics[name][0]
    found = scored.classes.get(name)
    level = None
    if found is not None and found.classification in _JUDGED:
        level = Level.RED if found.classification in _FAILS else Level.GREEN
    return MetricReading(
        metric=name,
        weight_percent=metric.weight_percent,
        value=_mean(pair.canary),
        baseline_mean=_mean(_control(pair, signal, scoring)),
        level=level,
        no_data=value if isinstance(value, NoData) else None,
        unit=metric.unit_of(0),
        compared_with=f"control, mean of {len(observations)} verdicts",
        control=_mean(pair.control),
        past=signal.same_hour.mean if signal.same_hour else signal.mean,
    )


def _mean(values: Floats) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None


def _reason(scoring: Scoring, scored: _Scored, newest: Observation, minutes: Minutes) -> str:
    at = f"at {newest.share_percent} %"
    if newest.provider_down:
        return f"no verdict {at}: {newest.trouble or 'the metrics database is silent'}"
    if len(minutes) < scoring.judge.minimum_points:
        return f"too early {at}: {len(minutes)} of at least {scoring.judge.minimum_points} points a side"
    if scored.score is None:
        return f"no verdict {at}: half of the metrics' weight has no data"
    failing = [f"{n} {c.reason}" for n, c in scored.classes.items() if c.classification in _FAILS]
    missing = [f"nothing known of {n}" for n, c in scored.classes.items() if c.classification not in _JUDGED]
    calm = "no metric differs from the control beyond chance and by enough"
    return f"score {number(scored.score)} of 100 {at}: {'; '.join([*failing, *missing]) or calm}"
