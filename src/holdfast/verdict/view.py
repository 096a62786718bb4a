"""A verdict as every channel shows it."""

from collections.abc import Iterator

from holdfast.domain.view import MetricLine, VerdictView
from holdfast.verdict.detector_settings import Hysteresis
from holdfast.verdict.observation import MetricReading, Verdict
from holdfast.verdict.settings import JudgeSettings, Scoring
from holdfast.verdict.words import allowed, measured_or_dash, rests_on, risk, unit_of, used

_BASELINE = "baseline"


def to_view(verdict: Verdict, scoring: Scoring | None = None) -> VerdictView:
    """Turn the numbers of a verdict into short texts: three digits, `–` where there is nothing to say.

    Args:
        verdict: what a model said.
        scoring: what it judged by; adds the edges between verdicts, the directions of the metrics, units that
            the readings lack, and the settings in words.
    """
    go_on, pause = _bands(scoring, verdict.model)
    return VerdictView(
        at=verdict.at,
        outcome=verdict.outcome,
        risk=risk(verdict),
        reason=verdict.reason,
        share_percent=verdict.share_percent,
        lines=[_line(reading, scoring) for reading in verdict.readings],
        model=verdict.model,
        edges=[finding.words for finding in verdict.edges],
        canary_requests=verdict.canary_requests,
        control_requests=verdict.control_requests,
        rests_on=rests_on(verdict, scoring),
        warming=verdict.warming,
        risk_percent=verdict.risk_percent,
        continue_up_to_percent=go_on,
        pause_up_to_percent=pause,
        settings=list(settings_in_words(scoring, verdict.model)) if scoring else [],
    )


def _bands(scoring: Scoring | None, model: str) -> tuple[int | None, int | None]:
    """Return the edges between the verdicts on the scale of the risk; the judge's score s is 2 × (100 - s)."""
    if scoring is None:
        return None, None
    if model == "judge":
        return round(2 * (100 - scoring.judge.pass_percent)), round(2 * (100 - scoring.judge.marginal_percent))
    return scoring.continue_up_to_percent, scoring.pause_up_to_percent


def _line(reading: MetricReading, scoring: Scoring | None) -> MetricLine:
    unit, mean = unit_of(reading, scoring), reading.baseline_mean
    compared_with = "" if mean is None else reading.compared_with or _BASELINE
    return MetricLine(
        metric=reading.metric,
        value=measured_or_dash(reading.value, unit),
        baseline=measured_or_dash(mean, unit),
        used=used(reading),
        level=_level(reading),
        canary=reading.value,
        base=mean,
        used_percent=reading.used_percent if reading.level is not None else None,
        unit=unit,
        compared_with=compared_with,
        control=reading.control,
        past=mean if reading.past is None and compared_with == _BASELINE else reading.past,
        query=reading.query or _queries(reading.metric, scoring),
        weight_percent=reading.weight_percent,
        allowed=allowed(reading, scoring),
    )


def _queries(name: str, scoring: Scoring | None) -> str:
    """Return a metric's queries as the file has them."""
    metric = scoring.metrics.get(name) if scoring else None
    return "\n".join(metric.queries) if metric else ""


def _level(reading: MetricReading) -> str:
    if reading.level is not None:
        return reading.level.name.lower()
    return reading.no_data.replace("_", " ") if reading.no_data else "no baseline"


def settings_in_words(scoring: Scoring, model: str) -> Iterator[str]:
    """Say by what a model judges, one sentence each, the most important first."""
    if model == "judge":
        yield from _judge(scoring.judge)
    else:
        yield from _weighing(scoring)
    if model == "attributed":
        yield from _attribution(scoring)
    if model in {"weighted", "attributed"}:
        yield from _guards(scoring)
    if scoring.sick:
        yield (
            f"This is a fix for a sick system: {_listed(scoring.sick.metrics)} must get better by "
            f"{scoring.sick.improve_percent:g} % of the way back to the healthy past."
        )
    yield f"After {scoring.no_data_patience} inconclusive verdicts in a row a person is asked."
    if scoring.shadow and model == scoring.model:
        verb = "judge" if len(scoring.shadow) > 1 else "judges"
        yield f"Beside it {_listed(scoring.shadow)} {verb} too, and decide{'s' * (verb == 'judges')} nothing."


def _weighing(scoring: Scoring) -> Iterator[str]:
    yield (
        f"The risk is the sum of weight × level: green is 0, yellow 1 (more than {scoring.yellow_from_percent} "
        f"% of what is allowed is used), red 2 (more than {scoring.red_from_percent} %)."
    )
    yield (
        f"Up to {scoring.continue_up_to_percent / 100:.2f} the rollout continues, up to "
        f"{scoring.pause_up_to_percent / 100:.2f} it pauses for a person, above that it rolls back."
    )


def _judge(judge: JudgeSettings) -> Iterator[str]:
    yield (
        f"A Mann-Whitney test compares canary and control over the newest {judge.window_points} points of "
        f"each; with fewer than {judge.minimum_points} it is too early to judge."
    )
    yield (
        f"A shift counts when it is sure at {100 * judge.confidence:g} % and the canary's mean is at least "
        f"{judge.allowed_increase:g} times the control's, or at most {judge.allowed_decrease:g} times where "
        "falling is bad."
    )
    yield (
        f"The score is the weight of what passes: {judge.pass_percent:g} % continue, "
        f"{judge.marginal_percent:g} % pause for a person, below that it rolls back; the risk is "
        "2 × (1 - score)."
    )


def _attribution(scoring: Scoring) -> Iterator[str]:
    attribution = scoring.attribution
    if by_edges := [name for name, m in scoring.metrics.items() if m.by_edges]:
        yield f"Where call edges are measured, they speak for {_listed(by_edges)} instead of the weight."
    yield (
        f"Errors count against the canary when they rise by {attribution.rise_points:g} percentage points and "
        f"the control's rose by less than {attribution.shared_percent:g} % of that; from a rise of "
        f"{attribution.rollback_points:g} points they roll back, below that they pause."
    )
    yield (
        f"No call to the canary for {attribution.silent_minutes} verdicts in a row counts against it while the "
        f"control has at most {attribution.healthy_up_to_percent:g} % errors."
    )
    yield (
        f"Less than {attribution.missing_calls_percent:g} % of the calls that the control's mix lets one "
        "expect pauses."
    )


def _guards(scoring: Scoring) -> Iterator[str]:
    metrics = scoring.metrics
    yield from _hysteresis(scoring.hysteresis)
    for outcome in ("rollback", "pause"):
        if vetoes := [name for name, m in metrics.items() if m.veto == outcome]:
            yield f"Red alone means {outcome}: {_listed(vetoes)}."
    if mild := [name for name, m in metrics.items() if m.worst_level == "yellow"]:
        yield f"Never worse than yellow: {_listed(mild)}."
    yield from _silence(scoring)
    if scoring.minimum_requests:
        yield f"With fewer than {scoring.minimum_requests} requests of the canary a verdict is inconclusive."


def _hysteresis(hysteresis: Hysteresis) -> Iterator[str]:
    if hysteresis.of > 1:
        yield (
            f"A level counts once {hysteresis.bad} of the newest {hysteresis.of} verdicts with data reached "
            f"it, until {hysteresis.clear_minutes} good ones in a row."
        )


def _silence(scoring: Scoring) -> Iterator[str]:
    meanings = {"rollback": "rollback", "pause": "pause", "ignore": "nothing"}
    said = [
        f"{meaning} for {_listed(names)}"
        for key, meaning in meanings.items()
        if (names := [name for name, m in scoring.metrics.items() if m.no_data == key])
    ]
    yield (
        f"A canary that is silent for {scoring.attribution.silent_minutes} verdicts in a row while the control "
        f"speaks means {'; '.join(said)}."
    )


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
