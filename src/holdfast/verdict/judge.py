"""The judge: Mann-Whitney with effect size on the newest minutes of both sides, as Kayenta judges.

Unlike Kayenta, missing data never fails a canary: where half of the weight has no data the verdict is
inconclusive. Risk is the seed's measure of the same score: 2 × (1 − score).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
from holdfast.verdict.words import measured_or_dash, number

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
    newest, warming = observations[-1], len(minutes) < scoring.judge.minimum_points
    found = {name: _by_query(name, scoring, baseline, minutes) for name in scoring.metrics}
    classes = {name: _worst(by_query) for name, by_query in found.items()}
    scored = _scored(scoring, classes, warming or newest.provider_down)
    readings = [
        _reading((name, _worst_query(by_query)), scoring, baseline, minutes, newest).model_copy(
            update={"level": _level(scored.classes.get(name))}
        )
        for name, by_query in found.items()
    ]
    return Verdict(
        model="judge",
        at=newest.at,
        share_percent=newest.share_percent,
        outcome=scored.outcome,
        risk_percent=round(2 * (100 - scored.score)) if scored.score is not None else 0,
        readings=readings,
        reason=_reason(scoring, scored, readings, newest, len(minutes)),
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


def _by_query(name: str, scoring: Scoring, baseline: Baseline, minutes: Minutes) -> list[MetricClass]:
    settings = _classifier(scoring, scoring.metrics[name])
    sides = (
        _newest(pair, signal, scoring)
        for pair, signal in zip(minutes.metrics[name], baseline.signals[name], strict=True)
    )
    return [_enough(classify(canary, control, settings), scoring) for canary, control in sides]


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
        ),
    )


def _worst(classes: Sequence[MetricClass]) -> MetricClass:
    """Return the class of a metric with several queries: one that fails, else one that is missing."""
    return classes[_worst_query(classes)]


def _worst_query(classes: Sequence[MetricClass]) -> int:
    failing = [query for query, c in enumerate(classes) if c.classification in _FAILS]
    missing = [query for query, c in enumerate(classes) if c.classification not in _JUDGED]
    return [*failing, *missing, 0][0]


def _enough(found: MetricClass, scoring: Scoring) -> MetricClass:
    """Take a metric for missing where a side has too few points to be compared."""
    least = scoring.judge.minimum_points
    if min(found.experiment_size, found.control_size) >= least or found.classification not in _JUDGED:
        return found
    return replace(found, classification=Classification.NODATA, critical=False)


def _newest(pair: Pair, signal: SignalBaseline, scoring: Scoring) -> tuple[Floats, Floats]:
    """Return the newest window of both sides; the baseline's newest points stand in for a silent control."""
    window = scoring.judge.window_points
    canary, control = pair.canary[-window:], pair.control[-window:]
    return canary, control if _speaks(control, scoring) else _before(signal, window)


def _speaks(control: Floats, scoring: Scoring) -> bool:
    return bool(np.isfinite(control).sum() >= scoring.judge.minimum_points)


def _before(signal: SignalBaseline, window: int) -> Floats:
    """Return the baseline's newest points, one window of them; NaN where there are fewer."""
    points = np.full(window, np.nan)
    recent = signal.recent[-window:]
    points[window - len(recent) :] = recent
    return points


# --- many minutes at once ---------------------------------------------------------------------------------


def _of_metric(name: str, scoring: Scoring, baseline: Baseline, minutes: Minutes) -> list[MetricClass]:
    by_query = [
        list(_of_query(scoring, scoring.metrics[name], pair, signal))
        for pair, signal in zip(minutes.metrics[name], baseline.signals[name], strict=True)
    ]
    return [_worst(classes) for classes in zip(*by_query, strict=True)]


def _of_query(scoring: Scoring, metric: Metric, pair: Pair, signal: SignalBaseline) -> Iterator[MetricClass]:
    window, settings = scoring.judge.window_points, _classifier(scoring, metric)
    for end in range(1, min(window, len(pair.canary) + 1)):
        so_far = Pair(pair.canary[:end], pair.control[:end])
        yield _enough(classify(*_newest(so_far, signal, scoring), settings), scoring)
    if len(pair.canary) < window:
        return
    canaries = np.lib.stride_tricks.sliding_window_view(pair.canary, window)
    controls = np.lib.stride_tricks.sliding_window_view(pair.control, window)
    before = _before(signal, window)
    for row in range(0, len(canaries), _ROWS_AT_ONCE):
        cut = slice(row, row + _ROWS_AT_ONCE)
        speaks = np.isfinite(controls[cut]).sum(axis=1, keepdims=True) >= scoring.judge.minimum_points
        sides = canaries[cut], np.where(speaks, controls[cut], before)
        yield from (_enough(found, scoring) for found in classify_windows(*sides, settings))


# --- words ------------------------------------------------------------------------------------------------


def _reading(
    place: tuple[str, int], scoring: Scoring, baseline: Baseline, minutes: Minutes, newest: Observation
) -> MetricReading:
    """Put one query of a metric into numbers for a person; the level is the score's to give."""
    name, query = place
    metric, value = scoring.metrics[name], newest.values[name][query]
    pair, signal = minutes.metrics[name][query], baseline.signals[name][query]
    canary, control = _newest(pair, signal, scoring)
    beside = pair.control[-len(canary) :]
    own = _speaks(beside, scoring)
    return MetricReading(
        metric=name,
        weight_percent=metric.weight_percent,
        value=_mean(canary),
        baseline_mean=_mean(control),
        no_data=value if isinstance(value, NoData) else None,
        unit=metric.unit_of(query),
        query=metric.queries[query],
        compared_with=f"{'control' if own else 'baseline'}, mean of {len(canary)} verdicts",
        control=_mean(beside),
        past=signal.same_hour.mean if signal.same_hour else signal.mean,
    )


def _level(found: MetricClass | None) -> Level | None:
    if found is None or found.classification not in _JUDGED:
        return None
    return Level.RED if found.classification in _FAILS else Level.GREEN


def _mean(values: Floats) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None


def _reason(
    scoring: Scoring, scored: _Scored, readings: Sequence[MetricReading], newest: Observation, points: int
) -> str:
    at = f"at {newest.share_percent} %"
    if newest.provider_down:
        return f"no verdict {at}: {newest.trouble or 'the metrics database is silent'}"
    if points < scoring.judge.minimum_points:
        return f"too early {at}: {points} of at least {scoring.judge.minimum_points} points a side"
    missing = [name for name, c in scored.classes.items() if c.classification not in _JUDGED]
    if scored.score is None:
        return f"no verdict {at}: at least half of the weight has too few points: {', '.join(missing)}"
    said = [_differs(r, scored.classes[r.metric], scoring) for r in readings if r.level is Level.RED]
    said += [f"too few points of {', '.join(missing)}"] if missing else []
    calm = "no metric differs beyond chance and by enough"
    return f"score {number(scored.score)} of 100 {at}: {'; '.join(said) or calm}"


def _differs(reading: MetricReading, found: MetricClass, scoring: Scoring) -> str:
    """Tell both means: a ratio says nothing where one of them is zero."""
    higher = "higher" if found.classification is Classification.HIGH else "lower"
    canary, other = (measured_or_dash(v, reading.unit) for v in (reading.value, reading.baseline_mean))
    sure = f"{number(100 * scoring.judge.confidence)} % sure"
    compared = f"against {other} ({reading.compared_with})"
    return f"{reading.metric} is {canary}, {compared}: {higher} beyond chance ({sure})"
