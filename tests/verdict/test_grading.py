"""From minutes to levels: what a metric is compared with, how far it may go, and how long it must be bad."""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from holdfast.verdict.detector_settings import (
    Detector,
    Ewma,
    Fixed,
    Hysteresis,
    MovingAverage,
    Seasonal,
    Sigmas,
    ZScore,
)
from holdfast.verdict.grading import REFERENCES, UNKNOWN, Grade, grade, held, runs
from holdfast.verdict.minutes import minutes_of
from holdfast.verdict.observation import Baseline, NoData, SignalBaseline, Summary
from holdfast.verdict.settings import Metric, Threshold
from tests.verdict.shares import NOON, Value, baseline, minute, only, scoring

GREEN, YELLOW, RED = 0, 1, 2
NOTHING = NoData.BOTH_SILENT
MONDAY_NOON = 12  # hour of the week of NOON
QUIET = [0.39, 0.41] * 30  # an hour of latency


def signal(mean: float | None = 0.4, deviation: float | None = 0.02, **more: Any) -> SignalBaseline:
    return SignalBaseline(query="q", mean=mean, standard_deviation=deviation, points=60, **more)


def summary(median: float, *, spread: float = 0.01, points: int = 60) -> Summary:
    return Summary(mean=median, standard_deviation=spread, median=median, mad=spread, points=points, days=4)


def past(*signals: SignalBaseline, name: str = "latency") -> Baseline:
    return baseline().model_copy(update={"signals": {name: list(signals)}})


def graded(
    canary: Sequence[Value | Sequence[Value]],
    control: Sequence[Value | Sequence[Value]] | Value = NOTHING,
    *,
    metrics: Mapping[str, Metric] | None = None,
    usual: Baseline | None = None,
    discount_shared: bool = False,
    minutes: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Grade:
    """Grade one metric, latency unless another one is given, over as many minutes as the canary has values."""
    chosen = scoring(metrics=metrics or only("latency"), **settings)
    (name,) = chosen.metrics
    controls = [control] * len(canary) if isinstance(control, float | int | NoData) else list(control)
    seen = [
        minute(number, {name: value}, {name: beside}, **(minutes or {}))
        for number, (value, beside) in enumerate(zip(canary, controls, strict=True))
    ]
    return grade(name, chosen, usual or baseline(chosen), minutes_of(seen), discount_shared=discount_shared)


def compared_with(found: Grade) -> str:
    return REFERENCES[int(found.reference.names[-1])]


# --- what it is compared with -----------------------------------------------------------------------------


def test_the_control_at_the_same_moment_comes_first() -> None:
    usual = past(signal(0.4, same_hour=summary(0.5)))

    found = graded([0.9], [0.8], usual=usual)

    assert compared_with(found) == "control now"
    assert found.reference.centre.tolist() == [0.8]


def test_where_the_control_is_silent_it_is_the_same_hour_of_the_past_week() -> None:
    usual = past(signal(0.4, same_hour=summary(0.5)))

    found = graded([0.9], usual=usual)

    assert compared_with(found) == "past weeks, same hour"
    assert found.reference.centre.tolist() == [0.5]


def test_where_that_hour_is_not_known_it_is_the_whole_baseline() -> None:
    found = graded([0.9], usual=past(signal(0.4)))

    assert compared_with(found) == "baseline"
    assert found.reference.centre.tolist() == [0.4]


def test_without_anything_to_compare_with_there_is_no_level() -> None:
    assert graded([0.9], usual=past(signal(None, None))).level.tolist() == [UNKNOWN]


def test_a_metric_may_change_its_reference_from_minute_to_minute() -> None:
    found = graded([0.9, 0.9, 0.9], [0.9, NOTHING, 0.9])

    assert found.reference.names.tolist() == [0, 2, 0]
    assert found.level.tolist() == [GREEN, RED, GREEN]


# --- how far it may go ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "allowed"),
    [
        (Threshold(sigmas=2), 0.04),
        (Threshold(sigmas=2, at_least_percent=25), 0.1),
        (Threshold(sigmas=2, at_least_percent=25, points=0.3), 0.3),
        (Threshold(sigmas=20, at_least_percent=25, points=0.3), 0.4),
    ],
)
def test_the_largest_of_what_the_threshold_gives_is_allowed(threshold: Threshold, allowed: float) -> None:
    found = graded([0.4], metrics=only("latency", threshold=threshold), usual=past(signal(0.4, 0.02)))

    assert found.reference.allowed.tolist() == pytest.approx([allowed])


def test_percents_are_of_what_the_control_shows_now() -> None:
    threshold = Threshold(at_least_percent=50)

    found = graded([1.5], [2.0], metrics=only("latency", threshold=threshold))

    assert found.reference.allowed.tolist() == [1.0]


def test_sigmas_are_of_the_past_also_where_the_control_speaks() -> None:
    found = graded(
        [2.05], [2.0], metrics=only("latency", threshold=Threshold(sigmas=2)), usual=past(signal(0.4, 0.02))
    )

    assert found.reference.allowed.tolist() == [0.04]
    assert found.level.tolist() == [RED]


def test_sigmas_are_of_the_same_hour_where_that_is_known() -> None:
    usual = past(signal(0.4, 0.02, same_hour=summary(0.5, spread=0.125)))

    found = graded([0.5], metrics=only("latency", threshold=Threshold(sigmas=2)), usual=usual)

    assert found.reference.allowed.tolist() == [0.25]


def test_sigmas_of_a_past_that_is_not_known_allow_nothing_to_be_said() -> None:
    metrics = only("latency", threshold=Threshold(sigmas=2))

    assert graded([2.0], [2.0], metrics=metrics, usual=past(signal(None, None))).level.tolist() == [UNKNOWN]


def test_a_floor_judges_without_a_past() -> None:
    metrics = only("latency", threshold=Threshold(sigmas=2, points=0.5))

    found = graded([2.4, 2.6], 2.0, metrics=metrics, usual=past(signal(None, None)))

    assert found.level.tolist() == [YELLOW, RED]


@pytest.mark.parametrize(
    ("value", "level"),
    [(0.4, GREEN), (0.5, GREEN), (0.5000001, YELLOW), (0.6, YELLOW), (0.6000001, RED), (0.1, GREEN)],
)
def test_exactly_half_of_what_is_allowed_is_green_and_exactly_all_of_it_yellow(
    value: float, level: int
) -> None:
    assert graded([value], [0.4]).level.tolist() == [level]  # a half of 0.4 is allowed


@pytest.mark.parametrize(
    ("value", "level"), [(12.0, GREEN), (10.8, GREEN), (9.6, YELLOW), (9.5, RED), (30, GREEN)]
)
def test_a_metric_that_is_bad_when_falling_may_rise(value: float, level: int) -> None:
    assert graded([value], [12.0], metrics=only("volume")).level.tolist() == [level]


def test_an_edge_lies_where_the_decimals_put_it() -> None:
    metrics = only("latency", threshold=Threshold(points=0.05))

    assert 0.75 - 0.7 > 0.05
    assert graded([0.75], [0.7], metrics=metrics).level.tolist() == [YELLOW]


def test_where_nothing_is_allowed_any_worsening_is_red() -> None:
    metrics = only("latency", threshold=Threshold(points=0))

    found = graded([0.4, 0.41, 0.3], 0.4, metrics=metrics)

    assert found.level.tolist() == [GREEN, RED, GREEN]
    assert found.used.tolist() == [0, math.inf, 0]


def test_where_nothing_is_allowed_rounding_is_no_worsening() -> None:
    metrics = only("latency", threshold=Threshold(points=0))

    assert 0.1 + 0.2 > 0.3
    assert graded([0.1 + 0.2], [0.3], metrics=metrics).level.tolist() == [GREEN]


def test_percents_of_a_negative_number_are_of_its_size() -> None:
    found = graded([-7.0, -4.0], [-10.0, -10.0])

    assert found.reference.allowed.tolist() == [5.0, 5.0]
    assert found.level.tolist() == [YELLOW, RED]


def test_what_got_better_uses_nothing() -> None:
    assert graded([0.1], [0.4]).used.tolist() == [0]


def test_a_metric_that_may_be_yellow_at_most_is_never_red() -> None:
    found = graded([9.0] * 3, 0.4, metrics=only("latency", worst_level="yellow"))

    assert found.level.tolist() == [YELLOW] * 3
    assert found.held.tolist() == [GREEN, YELLOW, YELLOW]


# --- several queries --------------------------------------------------------------------------------------


def test_of_several_queries_the_worst_counts() -> None:
    found = graded([[1.0, 9.0], [9.0, 1.0]], [[1.0, 1.0]] * 2, metrics=only("errors"))

    assert found.query.tolist() == [1, 0]
    assert found.value.tolist() == [9.0, 9.0]
    assert found.level.tolist() == [RED, RED]


def test_a_query_that_is_missing_beside_a_red_one_changes_nothing() -> None:
    found = graded([[NOTHING, 9.0]], [[1.0, 1.0]], metrics=only("errors"))

    assert found.level.tolist() == [RED]
    assert found.query.tolist() == [1]


@pytest.mark.parametrize("other", [1.0, 4.5])
def test_a_query_that_is_missing_beside_a_green_or_yellow_one_leaves_the_metric_unknown(other: float) -> None:
    found = graded([[other, NOTHING]], [[1.0, 1.0]], metrics=only("errors"))

    assert found.level.tolist() == [UNKNOWN]
    assert found.query.tolist() == [1]


def test_of_two_queries_without_allowance_and_with_it_the_one_without_is_worse() -> None:
    usual = past(signal(0.0, 0.0), signal(1.0, 0.01), name="errors")
    metrics = only("errors", threshold=Threshold(sigmas=2))

    assert graded([[0.1, 90.0]], [[0.0, 1.0]], metrics=metrics, usual=usual).query.tolist() == [0]


# --- how much it rests on ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requests", "level"), [(19.0, UNKNOWN), (20.0, RED), (None, RED)], ids=["few", "enough", "not counted"]
)
def test_a_minute_with_few_requests_has_no_level(requests: float | None, level: int) -> None:
    found = graded([9.0], [0.4], minutes={"canary_requests": requests}, traffic="t", minimum_requests=20)

    assert found.level.tolist() == [level]


def test_a_minute_in_which_the_provider_is_down_for_another_metric_has_no_level() -> None:
    chosen = scoring()
    seen = [minute(0, {"latency": 9.0, "cpu": NoData.PROVIDER_DOWN})]

    found = grade("latency", chosen, baseline(chosen), minutes_of(seen), discount_shared=False)

    assert found.level.tolist() == [UNKNOWN]


# --- how long it must be bad ------------------------------------------------------------------------------

_ = UNKNOWN


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([2, 0, 0], [0, 0, 0]),
        ([2, 2, 0], [0, 2, 2]),
        ([2, 0, 2], [0, 0, 2]),
        ([2, 0, 0, 2], [0, 0, 0, 0]),
        ([1, 2, 2], [0, 1, 2]),
        ([2, 1, 0], [0, 1, 1]),
        ([2, _, 2], [0, 0, 2]),
        ([2, 2, _, 0], [0, 2, 0, 2]),
        ([2, 2, 0, 0, 0], [0, 2, 2, 2, 0]),
    ],
)
def test_two_of_the_newest_three_minutes_with_data_begin_a_breach_and_three_good_ones_end_it(
    levels: list[int], expected: list[int]
) -> None:
    assert held(Hysteresis(), np.array(levels, dtype=np.int8)).tolist() == expected


def test_a_breach_lasts_until_as_many_good_minutes_as_are_asked() -> None:
    levels = np.array([2, 2, 0, 0, 0, 0, 0], dtype=np.int8)

    assert held(Hysteresis(clear_after=5), levels).tolist() == [0, 2, 2, 2, 2, 2, 0]


def test_one_of_one_holds_nothing_back() -> None:
    levels = np.array([2, 0, 1], dtype=np.int8)

    assert held(Hysteresis(bad=1, of=1), levels).tolist() == [2, 0, 1]


def test_a_detector_brings_its_own_hysteresis() -> None:
    detector = Fixed(limit=1.0, hysteresis=Hysteresis(bad=1, of=1))

    assert graded([9.0], metrics=only("latency", detector=detector)).held.tolist() == [RED]


@pytest.mark.parametrize(
    ("flags", "lengths"),
    [([], []), ([True, True, False, True], [1, 2, 0, 1]), ([False], [0]), ([True] * 3, [1, 2, 3])],
)
def test_runs_count_the_flags_in_a_row_that_end_with_each_minute(flags: list[bool], lengths: list[int]) -> None:
    assert runs(np.array(flags, dtype=bool)).tolist() == lengths


# --- silence ----------------------------------------------------------------------------------------------

SILENT = NoData.CANARY_SILENT


@pytest.mark.parametrize(
    ("canary", "control", "lengths"),
    [
        ([SILENT, SILENT, 0.4, SILENT], [0.4, 0.4, 0.4, 0.4], [1, 2, 0, 1]),
        ([SILENT, NOTHING, SILENT], [0.4, NOTHING, 0.4], [1, 0, 1]),
        ([SILENT, NoData.PROVIDER_DOWN, SILENT], [0.4, NoData.PROVIDER_DOWN, 0.4], [1, 0, 1]),
    ],
    ids=["the canary speaks", "the control is silent too", "the provider is down"],
)
def test_silence_is_counted_while_the_control_speaks(
    canary: list[Value], control: list[Value], lengths: list[int]
) -> None:
    assert graded(canary, control).silent.tolist() == lengths


def test_a_metric_is_silent_only_when_all_of_its_queries_are() -> None:
    found = graded([[SILENT, 0.0], [SILENT, SILENT]], [[1.0, 1.0], [1.0, NOTHING]], metrics=only("errors"))

    assert found.silent.tolist() == [0, 1]


# --- what the control shares ------------------------------------------------------------------------------

LIMITED = only("latency", detector=Fixed(limit=0.6))


@pytest.mark.parametrize(
    ("control", "level"), [(1.5, GREEN), (1.49, RED), (NOTHING, RED)], ids=["half", "less than half", "silent"]
)
def test_a_deviation_that_the_control_makes_half_of_does_not_count(control: Value, level: int) -> None:
    found = graded([2.5], control, metrics=LIMITED, usual=past(signal(0.5)), discount_shared=True)

    assert found.level.tolist() == [level]


@pytest.mark.parametrize(
    "detector",
    [
        Fixed(limit=0.6),
        ZScore(minimum_points=10),
        Ewma(minimum_points=10, weight=0.5),
        MovingAverage(minimum_points=10, window=timedelta(minutes=2)),
        Seasonal(),
    ],
    ids=lambda detector: detector.kind,
)
def test_what_is_shared_does_not_count_for_any_detector_that_looks_past_the_control(detector: Detector) -> None:
    usual = past(signal(0.4, median=0.4, mad=0.01, recent=QUIET))
    metrics = with_detector(detector)

    for discount_shared, level in ((True, GREEN), (False, RED)):
        found = graded([2.4], [1.5], metrics=metrics, usual=usual, discount_shared=discount_shared)
        assert found.level.tolist() == [level]


@pytest.mark.parametrize("detector", [None, Sigmas()], ids=["threshold", "sigmas"])
def test_what_is_compared_with_the_control_is_not_excused_by_it_once_more(detector: Detector | None) -> None:
    found = graded(
        [2.5], [1.5], metrics=only("latency", detector=detector), usual=past(signal(0.5)), discount_shared=True
    )

    assert compared_with(found) == "control now"
    assert found.level.tolist() == [RED]


def test_it_counts_where_the_file_asks_for_a_larger_part_to_be_shared() -> None:
    rules = {"shared_percent": 60}

    found = graded(
        [2.5], [1.5], metrics=LIMITED, usual=past(signal(0.5)), discount_shared=True, attribution=rules
    )

    assert found.level.tolist() == [RED]


def test_a_shared_fall_does_not_count_either() -> None:
    metrics = only("volume", detector=Fixed(limit=9))

    found = graded([2.0, 2.0], [6.0, 8.0], metrics=metrics, discount_shared=True)

    assert found.level.tolist() == [GREEN, RED]


def test_what_is_shared_counts_from_the_same_hour_of_the_past_week() -> None:
    usual = past(signal(0.4, same_hour=summary(0.9)))

    found = graded([1.6, 1.6], [1.0, 1.25], metrics=LIMITED, usual=usual, discount_shared=True)

    assert found.level.tolist() == [RED, GREEN]


def test_nothing_is_shared_where_the_past_is_not_known() -> None:
    usual = past(signal(None, None))

    found = graded([1.6], [1.6], metrics=LIMITED, usual=usual, discount_shared=True)

    assert found.level.tolist() == [RED]


def test_what_is_no_worse_than_usual_is_not_excused_by_a_control_that_is_so_too() -> None:
    metrics = only("latency", detector=Fixed(limit=0.3))

    found = graded([0.4], [0.4], metrics=metrics, usual=past(signal(0.4)), discount_shared=True)

    assert found.level.tolist() == [RED]


# --- detectors in place of the threshold ------------------------------------------------------------------


def with_detector(detector: Detector, name: str = "latency") -> dict[str, Metric]:
    return only(name, detector=detector)


def test_a_fixed_limit_is_the_highest_good_value() -> None:
    found = graded([0.25, 0.5, 0.51], metrics=with_detector(Fixed(limit=0.5)))

    assert found.level.tolist() == [GREEN, GREEN, RED]
    assert found.reference.centre.tolist() == [0.5] * 3
    assert compared_with(found) == "limit"


def test_a_fixed_limit_is_the_lowest_good_value_where_falling_is_bad() -> None:
    found = graded([7.5, 5.0, 4.9], metrics=with_detector(Fixed(limit=5), "volume"))

    assert found.level.tolist() == [GREEN, GREEN, RED]


def test_beyond_a_fixed_limit_a_metric_that_may_be_yellow_at_most_is_yellow() -> None:
    metrics = only("latency", detector=Fixed(limit=0.5), worst_level="yellow")

    assert graded([0.5, 0.51], metrics=metrics).level.tolist() == [GREEN, YELLOW]


def test_a_fixed_limit_is_red_from_where_the_file_says_and_never_yellow() -> None:
    found = graded([0.55, 0.6, 0.61], metrics=with_detector(Fixed(limit=0.5)), red_from_percent=120)

    assert found.level.tolist() == [GREEN, GREEN, RED]


def test_sigmas_as_a_detector_are_compared_with_the_control_now() -> None:
    detector = Sigmas(k=3, points=0.05)

    found = graded([0.85, 0.87], 0.8, metrics=with_detector(detector), usual=past(signal(0.4, 0.02)))

    assert compared_with(found) == "control now"
    assert found.reference.allowed.tolist() == pytest.approx([0.06, 0.06])
    assert found.level.tolist() == [YELLOW, RED]


@pytest.mark.parametrize("control", [0.8, NOTHING], ids=["beside a control", "without one"])
def test_sigmas_of_too_few_points_of_the_past_know_nothing(control: Value) -> None:
    usual = past(signal(0.4, 0.02))

    for wanted, level in ((60, RED), (61, UNKNOWN)):
        detector = Sigmas(minimum_points=wanted)
        found = graded([9.0], control, metrics=with_detector(detector), usual=usual)
        assert found.level.tolist() == [level]


def test_a_floor_of_sigmas_judges_by_the_control_where_the_past_has_too_few_points() -> None:
    detector = Sigmas(minimum_points=61, points=0.5)

    found = graded([1.2, 1.4], [0.8, NOTHING], metrics=with_detector(detector), usual=past(signal(0.4, 0.02)))

    assert found.level.tolist() == [YELLOW, UNKNOWN]


@pytest.mark.parametrize("floor", [{"at_least_percent": 50}, {"points": 0.4}], ids=str)
def test_a_floor_of_sigmas_as_a_detector_counts(floor: dict[str, float]) -> None:
    detector = Sigmas.model_validate({"k": 3, **floor})

    assert graded([1.1], [0.8], metrics=with_detector(detector)).level.tolist() == [YELLOW]


@pytest.mark.parametrize(
    "detector",
    [
        ZScore(minimum_points=10),
        Ewma(minimum_points=10, weight=0.5),
        MovingAverage(minimum_points=10, window=timedelta(minutes=2)),
    ],
    ids=lambda detector: detector.kind,
)
def test_a_detector_that_learns_begins_with_the_newest_points_of_the_baseline(detector: Detector) -> None:
    metrics, usual = with_detector(detector), past(signal(recent=QUIET))

    found = graded([0.4, 0.4, 9.0, 9.0], metrics=metrics, usual=usual)

    assert found.level.tolist() == [GREEN, GREEN, RED, RED]
    assert found.held.tolist() == [GREEN, GREEN, GREEN, RED]
    assert compared_with(found) == "limit"
    assert 0.4 < found.reference.centre[2] < 0.6


def test_a_detector_that_learns_knows_nothing_of_a_metric_without_history() -> None:
    found = graded([0.4, 9.0], metrics=with_detector(ZScore()))

    assert found.level.tolist() == [UNKNOWN, UNKNOWN]


def test_a_falling_metric_is_compared_with_the_lower_limit_of_its_detector() -> None:
    usual = past(signal(12, 1, recent=[11.0, 13.0] * 30), name="volume")

    found = graded([30.0, 1.0], metrics=with_detector(ZScore(), "volume"), usual=usual)

    assert found.level.tolist() == [GREEN, RED]
    assert found.reference.centre[0] < 12


# --- the hours of the week --------------------------------------------------------------------------------

BUSY = {MONDAY_NOON: summary(0.8, spread=0.02), MONDAY_NOON + 1: summary(0.4, spread=0.02)}


def test_a_seasonal_detector_compares_with_the_same_hour_of_the_week() -> None:
    usual = past(signal(median=0.4, mad=0.01, hours=BUSY))

    found = graded([0.85, 9.0], metrics=with_detector(Seasonal(k=3)), usual=usual)

    assert found.level.tolist() == [YELLOW, RED]
    assert found.reference.centre.tolist() == [0.8, 0.8]
    assert found.reference.allowed.tolist() == pytest.approx([3 * 1.4826 * 0.02] * 2, rel=1e-4)
    assert compared_with(found) == "past weeks, same hour"


def test_the_profile_turns_with_the_hour() -> None:
    usual = past(signal(median=0.4, mad=0.01, hours=BUSY))
    chosen = scoring(metrics=with_detector(Seasonal()))
    seen = [minute(number, {"latency": 0.8}) for number in (59, 60)]

    found = grade("latency", chosen, usual, minutes_of(seen), discount_shared=False)

    assert found.reference.centre.tolist() == [0.8, 0.4]
    assert found.level.tolist() == [GREEN, RED]


def test_the_week_begins_on_monday_at_midnight_utc() -> None:
    usual = past(signal(median=0.4, mad=0.01, hours={0: summary(0.1), 167: summary(0.2)}))
    chosen = scoring(metrics=with_detector(Seasonal()))
    midnight = NOON - timedelta(hours=12)
    seen = [
        minute(0).model_copy(update={"at": midnight - timedelta(minutes=1)}),
        minute(0).model_copy(update={"at": midnight}),
    ]

    found = grade("latency", chosen, usual, minutes_of(seen), discount_shared=False)

    assert found.reference.centre.tolist() == [0.2, 0.1]


@pytest.mark.parametrize(
    ("hours", "centre"),
    [({}, 0.4), ({MONDAY_NOON: summary(0.8, points=29)}, 0.4), ({MONDAY_NOON: summary(0.8, points=30)}, 0.8)],
    ids=["not known", "too few points", "enough points"],
)
def test_an_hour_that_is_not_known_well_is_compared_with_all_hours(
    hours: dict[int, Summary], centre: float
) -> None:
    usual = past(signal(median=0.4, mad=0.01, hours=hours))

    found = graded([0.4], metrics=with_detector(Seasonal()), usual=usual)

    assert found.reference.centre.tolist() == [centre]


@pytest.mark.parametrize("floor", [{"at_least_percent": 25}, {"points": 0.1}], ids=str)
def test_a_seasonal_detector_keeps_to_its_floor(floor: dict[str, float]) -> None:
    detector, usual = Seasonal.model_validate(floor), past(signal(median=0.4, mad=0.0))

    found = graded([0.45, 0.51], metrics=with_detector(detector), usual=usual)

    assert found.level.tolist() == [GREEN, RED]


def test_a_seasonal_detector_knows_nothing_without_a_past() -> None:
    found = graded([9.0], metrics=with_detector(Seasonal()), usual=past(signal(None, None)))

    assert found.level.tolist() == [UNKNOWN]
