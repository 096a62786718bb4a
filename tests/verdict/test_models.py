"""What holds for every scoring model, whatever it sees."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from holdfast.verdict.minutes import minutes_of
from holdfast.verdict.models import MODELS, judge, memory_of, model_named
from holdfast.verdict.observation import EdgeSample, NoData, Observation, Outcome
from holdfast.verdict.settings import JudgeSettings, Scoring
from holdfast.verdict.weighted import OUTCOMES
from tests.verdict.shares import METRICS, USUAL, baseline, edge, minute, scoring

SEVERITY = {outcome: rank for rank, outcome in enumerate(OUTCOMES)}
ALL = sorted(MODELS)
MONOTONE = [name for name in ALL if name != "judge"]
QUICK = JudgeSettings(minimum_points=3, window_points=8)

factors = st.sampled_from([0.0, 0.4, 0.9, 1.0, 1.0, 1.02, 1.4, 1.6, 3.0, 20.0])
numbers = st.one_of(st.just(NoData.BOTH_SILENT), factors)
ratios = st.sampled_from([None, 0.0, 0.0, 1.0, 6.0, 30.0, 100.0])


@st.composite
def observations(draw: st.DrawFn, *, number: int, edges: bool = True) -> Observation:
    """Draw one minute; the control's silences and the canary's are independent."""
    control = {name: [_times(value, draw(numbers)) for value in usual] for name, usual in USUAL.items()}
    canary = {name: [_times(value, draw(numbers)) for value in usual] for name, usual in USUAL.items()}
    for name, values in canary.items():
        for query, value in enumerate(values):
            if isinstance(value, NoData) and not isinstance(control[name][query], NoData):
                values[query] = NoData.CANARY_SILENT
    samples = draw(_edges()) if edges else []
    other = draw(st.sampled_from([[], [], ["crm"]]))
    return minute(number, canary, control, edges=samples, concurrent=other)


@st.composite
def _edges(draw: st.DrawFn) -> list[EdgeSample]:
    calls = st.sampled_from([0.0, 3.0, 40.0, 400.0])
    return [
        edge(
            caller,
            callee,
            draw(st.lists(ratios, max_size=2)),
            draw(st.lists(ratios, max_size=3)),
            canary_calls=draw(calls),
            control_calls=draw(calls),
        )
        for caller, callee in (("bot", "shop"), ("shop", "crm"))
    ]


def shares(*, edges: bool = True) -> st.SearchStrategy[list[Observation]]:
    """Draw a share of up to eight minutes."""
    return st.integers(1, 8).flatmap(
        lambda length: st.tuples(*(observations(number=n, edges=edges) for n in range(length))).map(list)
    )


def settings_with(model: str, **more: Any) -> Scoring:
    return scoring(model=model, judge=QUICK, **more)


@pytest.mark.parametrize("model", ALL)
@settings(max_examples=60, deadline=None)
@given(seen=shares())
def test_a_replay_gives_the_verdicts_that_were_given_live(model: str, seen: list[Observation]) -> None:
    chosen, usual = settings_with(model), baseline()

    replayed = model_named(model).outcomes(chosen, usual, minutes_of(seen))

    live = [judge(chosen, usual, seen[: n + 1]).outcome for n in range(len(seen))]
    assert replayed == live


@pytest.mark.parametrize("model", ALL)
@settings(max_examples=60, deadline=None)
@given(seen=shares())
def test_a_provider_that_is_down_only_ever_makes_the_verdict_inconclusive(
    model: str, seen: list[Observation]
) -> None:
    down = dict.fromkeys(METRICS, NoData.PROVIDER_DOWN)
    outage = minute(len(seen), down, down, edges=seen[-1].edges, trouble="no answer")

    verdict = judge(settings_with(model), baseline(), [*seen, outage])

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "no answer" in verdict.reason


@pytest.mark.parametrize("model", ALL)
@settings(max_examples=40, deadline=None)
@given(minutes=st.integers(1, 12), policy=st.sampled_from(["ignore", "pause", "rollback"]), data=st.data())
def test_what_is_missing_on_both_sides_never_stops_anything(
    model: str, minutes: int, policy: str, data: st.DataObject
) -> None:
    metrics = {name: metric.model_copy(update={"no_data": policy}) for name, metric in METRICS.items()}
    chosen = scoring(model=model, judge=QUICK, metrics=metrics)
    silent = dict.fromkeys(METRICS, NoData.BOTH_SILENT)
    gaps = [data.draw(st.booleans()) for _ in range(minutes)]
    seen = [
        minute(n, silent, silent, edges=[] if gap else [edge("bot", "shop", [], [])])
        for n, gap in enumerate(gaps)
    ]

    replayed = model_named(model).outcomes(chosen, baseline(), minutes_of(seen))

    assert not any(outcome.stops for outcome in replayed)


# Not of the judge: it weighs only what is left, so that the failing part of it may grow.
@pytest.mark.parametrize("model", MONOTONE)
@settings(max_examples=100, deadline=None)
@given(seen=shares(edges=False), lost=st.sets(st.sampled_from(sorted(METRICS)), min_size=1))
def test_losing_a_metric_on_both_sides_never_makes_a_rollback_of_anything_milder(
    model: str, seen: list[Observation], lost: set[str]
) -> None:
    chosen, usual = settings_with(model), baseline()

    with_all = _outcomes(chosen, usual, seen)
    without = _outcomes(chosen, usual, [_without(each, lost) for each in seen])

    rolled_back = {number for number, outcome in enumerate(without) if outcome is Outcome.ROLLBACK}
    assert rolled_back <= {number for number, outcome in enumerate(with_all) if outcome is Outcome.ROLLBACK}


@pytest.mark.parametrize("model", MONOTONE)
@settings(max_examples=300, deadline=None)
@given(seen=shares(), data=st.data())
def test_a_worse_metric_never_makes_the_verdict_milder(
    model: str, seen: list[Observation], data: st.DataObject
) -> None:
    chosen, usual = settings_with(model), baseline()
    name = data.draw(st.sampled_from(sorted(METRICS)))
    number = data.draw(st.integers(0, len(seen) - 1))
    query = data.draw(st.integers(0, len(USUAL[name]) - 1))
    value = seen[number].values[name][query]
    assume(not isinstance(value, NoData))
    assert isinstance(value, float)
    step = data.draw(st.sampled_from([0.01, 0.3, 2.0, 50.0])) * USUAL[name][0]
    worse = value + step if METRICS[name].bad_when == "rising" else value - step

    worsened = [each.model_copy(deep=True) for each in seen]
    worsened[number].values[name][query] = worse

    _never_milder(_outcomes(chosen, usual, seen), _outcomes(chosen, usual, worsened))


@settings(max_examples=300, deadline=None)
@given(seen=shares(), data=st.data())
def test_more_errors_of_the_canary_on_an_edge_never_make_the_verdict_milder(
    seen: list[Observation], data: st.DataObject
) -> None:
    chosen, usual = settings_with("attributed"), baseline()
    number, which = data.draw(st.integers(0, len(seen) - 1)), data.draw(st.integers(0, 1))
    sample = seen[number].edges[which]
    known = {member: error for member, error in enumerate(sample.canary) if error is not None}
    assume(known)
    member = data.draw(st.sampled_from(sorted(known)))
    more = data.draw(st.sampled_from([50.0, 100.0]))
    assume(more > known[member])

    worsened = [each.model_copy(deep=True) for each in seen]
    worsened[number].edges[which].canary[member] = more

    _never_milder(_outcomes(chosen, usual, seen), _outcomes(chosen, usual, worsened))


@pytest.mark.parametrize("model", ALL)
def test_a_healthy_canary_goes_on(model: str) -> None:
    seen = [minute(n, edges=[edge("bot", "shop", [0.0], [0.0, 0.0])]) for n in range(12)]

    assert judge(settings_with(model), baseline(), seen).outcome is Outcome.CONTINUE


@pytest.mark.parametrize("model", ALL)
def test_a_canary_that_is_bad_everywhere_is_rolled_back(model: str) -> None:
    bad = {"latency": 4.0, "errors": 60.0, "volume": 1.0, "cpu": 90.0, "database": 2.0}
    jitter = [0.9, 1.0, 1.1]
    seen = [
        minute(n, {name: value * jitter[n % 3] for name, value in bad.items()}, _wobbling(n)) for n in range(12)
    ]

    verdict = judge(settings_with(model), baseline(), seen)

    assert verdict.outcome is Outcome.ROLLBACK, verdict.reason


def test_the_memory_of_a_watch_holds_what_its_models_look_back_to() -> None:
    chosen = scoring(model="weighted-seed", shadow=["judge"], judge=JudgeSettings(window_points=45))

    assert memory_of(chosen) == 45
    assert memory_of(scoring(model="weighted-seed")) == 1


def _times(value: float, factor: float | NoData) -> float | NoData:
    return factor if isinstance(factor, NoData) else round(value * factor, 6)


def _wobbling(number: int) -> dict[str, list[float | NoData]]:
    return {name: [value * (1 + number % 4 / 50) for value in usual] for name, usual in USUAL.items()}


def _without(seen: Observation, lost: set[str]) -> Observation:
    silent = {name: [NoData.BOTH_SILENT] * len(USUAL[name]) for name in lost}
    return seen.model_copy(update={"values": {**seen.values, **silent}, "control": {**seen.control, **silent}})


def _outcomes(chosen: Scoring, usual: Any, seen: Sequence[Observation]) -> list[Outcome]:
    return model_named(chosen.model).outcomes(chosen, usual, minutes_of(seen))


def _never_milder(before: Sequence[Outcome], after: Sequence[Outcome]) -> None:
    for number, (was, now) in enumerate(zip(before, after, strict=True)):
        assert SEVERITY[now] >= SEVERITY[was], f"minute {number}: {was} became {now}"
