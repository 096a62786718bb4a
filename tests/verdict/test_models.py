"""What holds for every scoring model, whatever it sees."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.verdict.detector_settings import Ewma, Fixed, Hysteresis, MovingAverage, Seasonal, ZScore
from holdfast.verdict.minutes import minutes_of
from holdfast.verdict.models import MODELS, judge, memory_of, model_named
from holdfast.verdict.observation import Baseline, EdgeSample, NoData, Observation, Outcome
from holdfast.verdict.settings import Attribution, JudgeSettings, Scoring
from holdfast.verdict.weighted import OUTCOMES
from tests.verdict.shares import METRICS, MINUTE, NOON, USUAL, baseline, edge, metric, minute, only, scoring

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


# --- a replay gives the verdicts that were given live -----------------------------------------------------


@st.composite
def long_shares(draw: st.DrawFn) -> list[Observation]:
    """Draw a share longer than any memory here, of a few kinds of minutes; the control falls silent in it."""
    kinds = [draw(observations(number=0)) for _ in range(draw(st.integers(1, 4)))]
    lengths = st.tuples(st.integers(0, len(kinds) - 1), st.integers(1, 9))
    order = [kind for kind, times in draw(st.lists(lengths, min_size=1, max_size=8)) for _ in range(times)]
    silent_from = draw(st.one_of(st.none(), st.integers(0, len(order))))
    silent_until = draw(st.integers(0, len(order)))
    seen: list[Observation] = []
    for number, kind in enumerate(order):
        each = kinds[kind].model_copy(update={"at": NOON + number * MINUTE})
        silent = silent_from is not None and silent_from <= number < max(silent_until, silent_from + 6)
        seen.append(_without_control(each) if silent else each)
    return seen


def _without_control(seen: Observation) -> Observation:
    control = {name: [NoData.BOTH_SILENT] * len(values) for name, values in seen.control.items()}
    edges = [each.model_copy(update={"control": [], "control_calls": 0.0}) for each in seen.edges]
    return seen.model_copy(update={"control": control, "edges": edges})


def remembering() -> Baseline:
    """Return a baseline that kept its newest points, as many as the longest window here."""
    usual = baseline()
    for name, signals in usual.signals.items():
        for query, signal in enumerate(signals):
            signal.recent = [(USUAL[name][query] + 0.01) * (1 + number % 5 / 50) for number in range(60)]
    return usual


WINDOWS = {
    "shorter than the share": JudgeSettings(minimum_points=3, window_points=8),
    "longer than the share": JudgeSettings(minimum_points=3, window_points=120),
}
judges = st.sampled_from(list(WINDOWS.values()))
quick_limits = {"latency": Fixed(limit=0.5), "cpu": Seasonal()}
detected = {
    name: each.model_copy(update={"detector": quick_limits.get(name), "by_edges": name == "errors"})
    for name, each in METRICS.items()
}
metrics_of_a_file = st.sampled_from([METRICS, detected])
held_back = st.sampled_from(
    [
        Hysteresis(),
        Hysteresis(bad=1, of=1),
        Hysteresis(bad=1, of=3),
        Hysteresis(clear_after=5),
        Hysteresis(bad=2, of=2, clear_after=20),
    ]
)
rules = st.sampled_from([Attribution(), Attribution(silent_minutes=2), Attribution(silent_minutes=9)])


@st.composite
def files(draw: st.DrawFn, *, model: str) -> Scoring:
    return scoring(
        model=model,
        judge=draw(judges),
        metrics=draw(metrics_of_a_file),
        hysteresis=draw(held_back),
        attribution=draw(rules),
    )


@pytest.mark.parametrize("model", ALL)
@settings(max_examples=25)
@given(seen=long_shares(), data=st.data())
def test_a_replay_gives_the_verdicts_that_were_given_live(
    model: str, seen: list[Observation], data: st.DataObject
) -> None:
    chosen, usual = data.draw(files(model=model)), remembering()

    assert _outcomes(chosen, usual, seen) == _live(chosen, usual, seen, memory=len(seen))


@pytest.mark.parametrize("model", ALL)
@settings(max_examples=25)
@given(seen=long_shares(), data=st.data())
def test_a_replay_gives_the_verdicts_that_were_given_live_from_memory(
    model: str, seen: list[Observation], data: st.DataObject
) -> None:
    """No difference by memory is accepted here: what a model looks back to is what the watch keeps for it."""
    chosen, usual = data.draw(files(model=model)), remembering()

    live = _live(chosen, usual, seen, memory=model_named(model).memory(chosen))

    assert _outcomes(chosen, usual, seen) == live


LEARNING = [
    ZScore(window=timedelta(minutes=40)),
    Ewma(reference=timedelta(minutes=40), weight=0.3),
    MovingAverage(reference=timedelta(minutes=40), window=timedelta(minutes=5)),
]


@pytest.mark.parametrize("detector", LEARNING, ids=lambda detector: detector.kind)
@settings(max_examples=25)
@given(length=st.integers(60, 110), order=st.integers(1, 4), rise=st.integers(2, 9))
def test_a_detector_that_learns_gives_the_same_from_memory_where_the_minutes_are_calm_before_they_are_bad(
    detector: Any, length: int, order: int, rise: int
) -> None:
    """What a detector learned before its window, and how it clipped that, is forgotten by live verdicts.

    That difference by memory is accepted: a breach of more than its window is the normal to a live detector.
    So is what a limit moves by that. Where the minutes were calm and a jump is clear, there is no difference.
    """
    chosen = scoring(model="weighted", metrics=only("latency", detector=detector))
    usual = baseline(chosen)
    usual.signals["latency"][0].recent = [0.38, 0.39, 0.4, 0.41, 0.42] * 8
    calm = [0.4 + (number * order % 5 - 2) / 100 for number in range(length)]
    seen = [minute(n, {"latency": value}) for n, value in enumerate([*calm, *[0.4 + rise] * 4])]
    memory = model_named("weighted").memory(chosen)

    live = _live(chosen, usual, seen, memory=memory)

    assert _outcomes(chosen, usual, seen)[-4:] == live[-4:]
    assert live[-1] is Outcome.ROLLBACK


def test_a_breach_that_single_bad_minutes_keep_alive_outlives_no_memory() -> None:
    """Two bad minutes begin it; then every third is bad, so that three good ones in a row never come."""
    chosen, usual = scoring(model="weighted"), baseline()
    bad = [n == 0 or n % 3 == 1 for n in range(24)]
    seen = [minute(n, {"latency": 2.0} if each else {}) for n, each in enumerate(bad)]

    live = _live(chosen, usual, seen, memory=model_named("weighted").memory(chosen))

    assert _outcomes(chosen, usual, seen) == live


def test_a_breach_that_gaps_stretch_outlives_no_memory() -> None:
    """Two bad minutes begin it, and five of six minutes after them are without data."""
    chosen, usual = scoring(model="weighted"), baseline()
    missing = {"latency": NoData.BOTH_SILENT}
    seen = [
        minute(n, {"latency": 2.0}) if n < 2 else minute(n) if n % 6 == 1 else minute(n, missing, missing)
        for n in range(30)
    ]

    live = _live(chosen, usual, seen, memory=model_named("weighted").memory(chosen))

    assert _outcomes(chosen, usual, seen) == live


@pytest.mark.parametrize("model", ALL)
@settings(max_examples=60)
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
@settings(max_examples=40)
@given(minutes=st.integers(1, 12), policy=st.sampled_from(["ignore", "pause", "rollback"]), data=st.data())
def test_what_is_missing_on_both_sides_never_stops_anything(
    model: str, minutes: int, policy: str, data: st.DataObject
) -> None:
    metrics = {name: each.model_copy(update={"no_data": policy}) for name, each in METRICS.items()}
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
@settings(max_examples=100)
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
@settings(max_examples=300)
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


@settings(max_examples=300)
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


@pytest.mark.parametrize(
    ("settings_of_a_file", "least"),
    [
        ({}, 10),
        ({"attribution": {"silent_minutes": 45}}, 46),
        ({"hysteresis": {"bad": 2, "of": 3, "clear_after": 60}}, 63),
        ({"metrics": only("latency", detector=Fixed(limit=1, hysteresis=Hysteresis(clear_after=60)))}, 63),
        ({"metrics": only("latency", detector=ZScore(window=timedelta(minutes=90)))}, 90 + 3),
        ({"metrics": only("latency", detector=Ewma(reference=timedelta(hours=3)))}, 180 + 3),
    ],
    ids=["usual", "silence", "clear_after", "of a detector", "a window", "a reference"],
)
@pytest.mark.parametrize("model", ["weighted", "attributed"])
def test_a_memory_reaches_back_as_far_as_silence_hysteresis_and_detectors(
    model: str, settings_of_a_file: dict[str, Any], least: int
) -> None:
    """A detector must have its whole window at each of the minutes that hysteresis looks at."""
    assert model_named(model).memory(scoring(model=model, **settings_of_a_file)) >= least


def test_the_memory_has_an_end() -> None:
    weeks = only("latency", detector=Ewma(reference=timedelta(days=20)))

    assert model_named("weighted").memory(scoring(metrics=weeks)) == 1_000


def test_requests_cannot_be_too_few_where_nobody_counts_them() -> None:
    with pytest.raises(ValidationError, match="minimum_requests needs traffic, the query that counts requests"):
        scoring(minimum_requests=20)

    assert scoring(minimum_requests=20, traffic="t").minimum_requests == 20


@pytest.mark.parametrize("veto", ["pause", "rollback"])
def test_a_veto_of_a_metric_that_is_never_red_is_refused(veto: str) -> None:
    with pytest.raises(ValidationError, match="a veto needs red, and worst_level: yellow never lets it get"):
        metric("cpu", veto=veto)

    assert metric("cpu", veto=veto, worst_level="red").veto == veto


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


def _live(chosen: Scoring, usual: Baseline, seen: Sequence[Observation], *, memory: int) -> list[Outcome]:
    return [judge(chosen, usual, seen[: n + 1][-memory:]).outcome for n in range(len(seen))]


def _outcomes(chosen: Scoring, usual: Any, seen: Sequence[Observation]) -> list[Outcome]:
    return model_named(chosen.model).outcomes(chosen, usual, minutes_of(seen))


def _never_milder(before: Sequence[Outcome], after: Sequence[Outcome]) -> None:
    for number, (was, now) in enumerate(zip(before, after, strict=True)):
        assert SEVERITY[now] >= SEVERITY[was], f"minute {number}: {was} became {now}"
