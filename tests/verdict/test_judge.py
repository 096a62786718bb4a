"""The judge: two sides are compared over a window, metric by metric, and what passes is weighed."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from holdfast.verdict.judge import outcomes, verdict
from holdfast.verdict.minutes import minutes_of
from holdfast.verdict.observation import Baseline, Level, NoData, Observation, Outcome, Verdict
from tests.verdict.shares import METRICS, USUAL, Value, baseline, metric, minute, scoring, with_metric

CONTINUE, PAUSE, ROLLBACK, INCONCLUSIVE = (
    Outcome.CONTINUE,
    Outcome.PAUSE,
    Outcome.ROLLBACK,
    Outcome.INCONCLUSIVE,
)
NOTHING, DOWN = NoData.BOTH_SILENT, NoData.PROVIDER_DOWN
MISSING = dict.fromkeys(METRICS, NOTHING)
Factors = Mapping[str, float | NoData]


def wobbling(number: int, factors: Factors | None = None) -> dict[str, list[Value]]:
    """Usual values that differ a little from minute to minute, times a factor where one is given."""
    found: dict[str, list[Value]] = {}
    for name, usual in USUAL.items():
        factor = (factors or {}).get(name, 1.0)
        wobble = 1 + (7 * number % 5 - 2) / 50
        found[name] = [
            factor if isinstance(factor, NoData) else (value + 0.01) * wobble * factor for value in usual
        ]
    return found


def window(count: int, canary: Factors | None = None, control: Factors | None = None) -> list[Observation]:
    return [minute(n, wobbling(n, canary), wobbling(n + 1, control)) for n in range(count)]


def judged(seen: Sequence[Observation], usual: Baseline | None = None, **settings: Any) -> Verdict:
    chosen = scoring(model="judge", **settings)
    return verdict(chosen, usual or baseline(chosen), seen)


def milder() -> dict[str, Any]:
    """The usual metrics without any veto."""
    return {name: metric(name, veto=None) for name in METRICS}


# --- when it judges ---------------------------------------------------------------------------------------


def test_too_early_is_inconclusive_and_warming() -> None:
    found = judged(window(9, {"errors": 30.0}))

    assert (found.outcome, found.warming, found.risk_percent) == (INCONCLUSIVE, True, 0)
    assert found.reason == "too early at 5 %: 9 of at least 10 points a side"
    assert all(reading.level is None for reading in found.readings)


def test_with_enough_points_it_is_no_longer_warming() -> None:
    found = judged(window(10))

    assert (found.outcome, found.warming) == (CONTINUE, False)


def test_while_the_provider_is_down_it_is_inconclusive_but_not_warming() -> None:
    down = dict.fromkeys(METRICS, DOWN)

    found = judged([*window(3), minute(3, down, down, trouble="no answer")])

    assert (found.outcome, found.warming) == (INCONCLUSIVE, False)
    assert found.reason == "no verdict at 5 %: no answer"


def test_a_canary_like_the_control_continues_with_a_full_score() -> None:
    found = judged(window(12))

    assert (found.outcome, found.risk_percent) == (CONTINUE, 0)
    assert found.reason == ("score 100 of 100 at 5 %: no metric differs beyond chance and by enough")


# --- what counts as worse ---------------------------------------------------------------------------------


def test_a_shift_by_half_counts_and_a_smaller_one_does_not() -> None:
    assert judged(window(12, {"latency": 1.6})).risk_percent == 60
    assert judged(window(12, {"latency": 1.4})).risk_percent == 0


@pytest.mark.parametrize(
    ("factor", "rules", "risk"),
    [
        (1.6, {}, 0),
        (1.6, {"confidence": 0.6}, 60),
        (2.0, {}, 0),
        (2.0, {"tolerance": 0.0}, 60),
        (2.5, {}, 60),
    ],
)
def test_a_shift_within_what_chance_does_counts_only_where_the_file_is_less_strict(
    factor: float, rules: dict[str, float], risk: int
) -> None:
    """Twenty points from 0.1 to 2.0 s lie so far apart that twice as much might be chance."""
    seen = [minute(n, {"latency": (n + 1) / 10 * factor}, {"latency": (n + 1) / 10}) for n in range(20)]

    assert judged(seen, judge=rules).risk_percent == risk


def test_a_fall_counts_only_where_falling_is_bad() -> None:
    assert judged(window(12, {"latency": 0.3})).outcome is CONTINUE
    assert judged(window(12, {"volume": 0.3})).risk_percent == 40
    assert judged(window(12, {"volume": 3.0})).outcome is CONTINUE


def test_what_hits_both_sides_alike_does_not_count() -> None:
    storm: Factors = dict.fromkeys(("latency", "errors", "database"), 9.0)

    assert judged(window(12, storm, storm)).outcome is CONTINUE


def test_only_the_newest_points_of_the_window_count() -> None:
    settings: dict[str, Any] = {"judge": {"minimum_points": 5, "window_points": 10}}
    bad_start = [minute(n, wobbling(n, {"latency": 9.0}), wobbling(n)) for n in range(10)]
    calm = [minute(10 + n, wobbling(n), wobbling(n + 1)) for n in range(10)]

    assert judged(bad_start, **settings).risk_percent == 60
    assert judged([*bad_start, *calm], **settings).risk_percent == 0


@pytest.mark.parametrize("query", [0, 1])
def test_a_metric_fails_by_any_of_its_queries(query: int) -> None:
    seen = window(12)
    for each in seen:
        value = each.values["errors"][query]
        assert isinstance(value, float)
        each.values["errors"][query] = value * 30

    assert judged(seen, metrics=milder()).risk_percent == 60


# --- the bands --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("worse", "score", "outcome"),
    [
        ((), 100, CONTINUE),
        (("cpu",), 90, PAUSE),
        (("volume",), 80, PAUSE),
        (("latency",), 70, ROLLBACK),
        (("latency", "errors", "database"), 30, ROLLBACK),
    ],
)
def test_the_score_is_the_weight_of_what_passes(worse: tuple[str, ...], score: int, outcome: Outcome) -> None:
    factors: Factors = {name: 0.1 if name == "volume" else 9.0 for name in worse}

    found = judged(window(12, factors), metrics=milder())

    assert found.outcome is outcome
    assert found.reason.startswith(f"score {score} of 100 at 5 %: ")
    assert found.risk_percent == 2 * (100 - score)


@pytest.mark.parametrize(
    ("bands", "outcome"),
    [
        ({"pass_percent": 70, "marginal_percent": 50}, CONTINUE),
        ({"pass_percent": 71, "marginal_percent": 70}, PAUSE),
        ({"pass_percent": 72, "marginal_percent": 71}, ROLLBACK),
    ],
)
def test_a_score_exactly_on_an_edge_belongs_to_the_better_band(
    bands: dict[str, float], outcome: Outcome
) -> None:
    assert judged(window(12, {"latency": 9.0}), metrics=milder(), judge=bands).outcome is outcome


def test_a_metric_with_a_veto_to_roll_back_makes_the_score_zero() -> None:
    found = judged(window(12, {"errors": 9.0}))

    assert (found.outcome, found.risk_percent) == (ROLLBACK, 200)


def test_a_veto_of_a_metric_without_weight_counts_as_well() -> None:
    metrics = with_metric("errors", weight_percent=0) | {"latency": metric("latency", weight_percent=60)}

    assert judged(window(12, {"errors": 9.0}), metrics=metrics).outcome is ROLLBACK


def test_a_veto_of_a_metric_that_passes_does_nothing() -> None:
    assert judged(window(12, {"latency": 9.0}), metrics=with_metric("errors")).risk_percent == 60


# --- missing data -----------------------------------------------------------------------------------------


def test_half_of_the_weight_without_data_is_inconclusive() -> None:
    lost = {"latency": NOTHING, "volume": NOTHING}

    found = judged(window(12, {**lost, "errors": 9.0}, lost))

    assert (found.outcome, found.warming) == (INCONCLUSIVE, False)
    assert found.reason == (
        "no verdict at 5 %: at least half of the weight has too few points: latency, volume"
    )


def test_less_than_half_without_data_is_weighed_out() -> None:
    lost = {"latency": NOTHING, "cpu": NOTHING}

    found = judged(window(12, {**lost, "volume": 0.1}, lost), metrics=milder())

    assert found.outcome is ROLLBACK
    assert found.reason.startswith("score 66.7 of 100 at 5 %: volume ")
    assert found.reason.endswith("; too few points of latency, cpu")


def test_a_query_without_data_leaves_its_metric_without_a_class() -> None:
    seen = window(12)
    for each in seen:
        each.values["errors"][1] = each.control["errors"][1] = NOTHING

    found = judged(seen)

    assert found.outcome is CONTINUE
    assert found.reason == "score 100 of 100 at 5 %: too few points of errors"
    assert found.readings[1].level is None


@pytest.mark.parametrize("side", ["canary", "control"])
def test_a_metric_with_too_few_points_of_a_side_counts_as_missing(side: str) -> None:
    lost: dict[str, Any] = {"latency": NOTHING}
    without = (lost, None) if side == "canary" else ({"latency": 9.0}, lost)
    rest = window(3, {"latency": 9.0})

    for known, level in ((2, None), (3, Level.RED)):
        seen = [*window(12, *without)[: 12 - known], *rest[:known]]
        found = judged(seen, metrics=milder(), judge={"minimum_points": 3, "tolerance": 0, "confidence": 0.6})
        assert found.readings[0].level is level


def test_a_veto_does_not_count_on_too_few_points() -> None:
    seen = [*window(10, {"errors": NOTHING}, {"errors": NOTHING}), *window(9, {"errors": 30.0})]

    found = judged(seen)

    assert (found.outcome, found.risk_percent) == (CONTINUE, 0)
    assert found.readings[1].level is None


def test_gaps_are_left_out() -> None:
    seen = window(24, {"latency": 9.0})
    for each in seen[::2]:
        each.values["latency"] = [NOTHING]

    assert judged(seen).risk_percent == 60


# --- without a control ------------------------------------------------------------------------------------


def remembering(count: int, factors: Factors | None = None) -> Baseline:
    """A baseline that kept its newest points."""
    usual = baseline()
    for name, signals in usual.signals.items():
        for query, signal in enumerate(signals):
            points = [wobbling(n + 1, factors)[name][query] for n in range(count)]
            signal.recent = [value for value in points if not isinstance(value, NoData)]
    return usual


def test_without_a_control_it_compares_with_the_newest_points_of_the_baseline() -> None:
    alone = window(12, {"latency": 9.0}, MISSING)

    assert judged(alone, remembering(60)).risk_percent == 60
    assert judged(alone, remembering(60, {"latency": 9.0})).risk_percent == 0


def test_it_takes_no_more_of_them_than_a_window_holds() -> None:
    usual = remembering(60)
    usual.signals["latency"][0].recent[:40] = [9.0] * 40
    settings: dict[str, Any] = {"judge": {"window_points": 20}}

    assert judged(window(12, {"latency": 9.0}, MISSING), usual, **settings).risk_percent == 60


def test_a_control_that_fell_silent_before_the_window_is_no_control() -> None:
    settings: dict[str, Any] = {"judge": {"minimum_points": 5, "window_points": 10}}
    storm: Factors = {"latency": 9.0}
    spoke = window(10, None, None)

    alone = judged([*spoke, *window(10, storm, MISSING)], remembering(60, storm), **settings)

    assert (alone.outcome, alone.risk_percent) == (CONTINUE, 0)
    assert alone.readings[0].compared_with == "baseline, mean of 10 verdicts"


@pytest.mark.parametrize("spoken", [1, 4])
def test_the_baseline_stands_in_for_a_control_with_too_few_points_to_be_compared(spoken: int) -> None:
    settings: dict[str, Any] = {"judge": {"minimum_points": 5, "window_points": 10}}
    storm: Factors = {"latency": 9.0}

    found = judged([*window(spoken), *window(10 - spoken, None, MISSING)], remembering(60, storm), **settings)

    assert found.outcome is CONTINUE


def test_a_control_that_begins_to_speak_is_the_control_from_then_on() -> None:
    settings: dict[str, Any] = {"judge": {"minimum_points": 5, "window_points": 10}}
    seen = [*window(10, None, MISSING), *window(10)]
    chosen, usual = scoring(model="judge", **settings), remembering(60, {"latency": 0.1})

    found = outcomes(chosen, usual, minutes_of(seen))

    assert found[9] is ROLLBACK
    assert found[14:] == [CONTINUE] * 6


def test_without_a_control_and_without_such_points_it_is_inconclusive() -> None:
    assert judged(window(12, {"latency": 9.0}, MISSING)).outcome is INCONCLUSIVE


def test_a_replay_without_a_control_gives_the_verdicts_that_were_given_live() -> None:
    seen = [*window(12, None, MISSING), *window(12, {"latency": 9.0}, MISSING)]
    chosen, usual = scoring(judge={"minimum_points": 3, "window_points": 8}), remembering(60)
    usual.signals["latency"][0].recent[:40] = [9.0] * 40

    live = [verdict(chosen, usual, seen[: n + 1]).outcome for n in range(len(seen))]

    assert outcomes(chosen, usual, minutes_of(seen)) == live
    assert {INCONCLUSIVE, CONTINUE, ROLLBACK} <= set(live)


# --- what a person reads ----------------------------------------------------------------------------------


def test_the_reason_names_what_fails() -> None:
    found = judged(window(12, {"latency": 9.0}), metrics=milder())

    assert found.reason == (
        "score 70 of 100 at 5 %: latency is 3.68 s, against 0.411 s (control, mean of 12 verdicts): "
        "higher beyond chance (98 % sure)"
    )


def test_the_reason_says_which_way_a_metric_differs() -> None:
    found = judged(window(12, {"volume": 0.1}))

    assert found.reason.startswith(
        "score 80 of 100 at 5 %: volume is 1.2, against 12.1 (control, mean of 12 verdicts): lower"
    )


def test_the_reason_gives_the_numbers_where_there_is_no_multiple_of_the_control() -> None:
    seen = [minute(n, {"errors": 60.0 + n % 3}, {"errors": 0.0}) for n in range(12)]

    assert "61 %" in judged(seen).reason


def test_without_a_control_the_reason_names_what_stood_in_for_it() -> None:
    found = judged(window(12, {"latency": 9.0}, MISSING), remembering(60), metrics=milder())

    assert "the control's" not in found.reason
    assert "baseline" in found.reason


def test_a_reading_carries_the_means_of_both_sides() -> None:
    seen = [minute(n, {"latency": 0.6 + n % 2 / 5}, canary_requests=40.0) for n in range(10)]

    found = judged(seen)
    latency = found.readings[0]

    assert latency.value == pytest.approx(0.7)
    assert (latency.baseline_mean, latency.control, latency.past) == pytest.approx((0.4, 0.4, 0.4))
    assert latency.level is Level.RED
    assert latency.unit == "s"
    assert found.canary_requests == 40.0


def test_a_reading_is_of_the_window_though_a_shadow_remembers_more() -> None:
    settings: dict[str, Any] = {"judge": {"minimum_points": 5, "window_points": 10}}
    storm: Factors = {"latency": 9.0}

    latency = judged([*window(30, storm, storm), *window(10)], **settings).readings[0]

    assert latency.value == pytest.approx(0.41, rel=0.02)
    assert latency.baseline_mean == pytest.approx(0.41, rel=0.02)
    assert latency.control == latency.baseline_mean
