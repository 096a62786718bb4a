import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from holdfast.verdict.detector_settings import (
    Detector,
    Direction,
    Ewma,
    Fixed,
    Hysteresis,
    MovingAverage,
    Seasonal,
    Sigmas,
    ZScore,
)
from holdfast.verdict.detectors import Detection, judge_series

NO_DATA = math.nan
MONDAY = np.datetime64("2026-01-05T00:00")
ADAPTER: TypeAdapter[Detector] = TypeAdapter(Detector)

SMALL: list[Detector] = [
    Fixed(limit=1.5),
    Sigmas(k=2),
    ZScore.model_validate({"window": "12m", "minimum_points": 4, "relearn_after": "9m", "k": 2}),
    Ewma.model_validate({"reference": "15m", "minimum_points": 4, "relearn_after": "9m", "k": 2}),
    MovingAverage.model_validate(
        {"reference": "15m", "window": "3m", "minimum_points": 4, "relearn_after": "9m"}
    ),
    Seasonal.model_validate({"minimum_points": 4, "relearn_after": "9m", "k": 2, "weeks": 1}),
]
VALUES = st.floats(-100, 100, width=32) | st.sampled_from([0.0, 0.0, 0.1, NO_DATA])
SERIES = st.lists(VALUES, max_size=60)
DIRECTIONS = st.sampled_from(["rising", "falling", "either"])


def name(detector: Detector) -> str:
    return detector.kind


def fitting(detector: Detector, bad_when: Direction) -> Detector:
    return Fixed(limit=1.5, low=-1.5) if isinstance(detector, Fixed) and bad_when == "either" else detector


def clock(size: int) -> Any:
    # Twelve values an hour, so that short series see several hours.
    return MONDAY + np.arange(size) * np.timedelta64(5, "m")


def judged(
    detector: Detector, values: Any, *, bad_when: Direction = "rising", history: Any = None
) -> Detection:
    detector = fitting(detector, bad_when)
    return judge_series(detector, bad_when, values, times=clock(len(values)), history=history)


def noise(size: int, *, seed: int = 1, mean: float = 10.0) -> Any:
    return np.random.default_rng(seed).normal(mean, 1.0, size)


@pytest.mark.parametrize("detector", SMALL, ids=name)
@given(series=SERIES, history=SERIES, cut=st.integers(0, 60), bad_when=DIRECTIONS)
def test_what_comes_later_does_not_change_the_result(
    detector: Detector, series: list[float], history: list[float], cut: int, bad_when: Direction
) -> None:
    whole = judged(detector, series, bad_when=bad_when, history=history)
    part = judged(detector, series[:cut], bad_when=bad_when, history=history)

    for field in ("statistic", "low", "high", "used", "raw", "breach", "begins"):
        np.testing.assert_array_equal(getattr(part, field), getattr(whole, field)[:cut])


@pytest.mark.parametrize("detector", SMALL, ids=name)
@given(
    series=st.lists(VALUES, min_size=1, max_size=60),
    history=SERIES,
    by=st.floats(0, 100, width=32),
    bad_when=st.sampled_from(["rising", "falling"]),
)
def test_a_worse_value_never_ends_a_breach(
    detector: Detector, series: list[float], history: list[float], by: float, bad_when: Direction
) -> None:
    worse = [*series[:-1], series[-1] + (by if bad_when == "rising" else -by)]

    before = judged(detector, series, bad_when=bad_when, history=history)
    after = judged(detector, worse, bad_when=bad_when, history=history)

    assert after.raw[-1] >= before.raw[-1]
    assert after.breach[-1] >= before.breach[-1]


@pytest.mark.parametrize("detector", SMALL, ids=name)
@given(series=st.lists(VALUES, min_size=1, max_size=60), history=SERIES, by=st.floats(0, 100, width=32))
def test_where_either_direction_is_bad_going_further_out_never_ends_a_breach(
    detector: Detector, series: list[float], history: list[float], by: float
) -> None:
    before = judged(detector, series, bad_when="either", history=history)
    centre = (before.low[-1] + before.high[-1]) / 2
    outward = by if before.statistic[-1] >= centre else -by
    after = judged(detector, [*series[:-1], series[-1] + outward], bad_when="either", history=history)

    assert after.raw[-1] >= before.raw[-1]
    assert after.breach[-1] >= before.breach[-1]


@pytest.mark.parametrize("detector", SMALL, ids=name)
@given(series=SERIES, history=SERIES)
def test_falling_is_rising_upside_down(detector: Detector, series: list[float], history: list[float]) -> None:
    if isinstance(detector, Fixed):
        detector = Fixed(limit=0)
    up = judged(detector, series, bad_when="rising", history=history)
    down = judged(detector, [-v for v in series], bad_when="falling", history=[-v for v in history])

    np.testing.assert_array_equal(up.breach, down.breach)
    np.testing.assert_array_equal(up.used, down.used)


@pytest.mark.parametrize("detector", SMALL, ids=name)
@given(series=SERIES, history=SERIES, bad_when=DIRECTIONS)
def test_a_minute_is_raw_bad_beyond_its_limits_only_and_never_without_data(
    detector: Detector, series: list[float], history: list[float], bad_when: Direction
) -> None:
    seen = judged(detector, series, bad_when=bad_when, history=history)
    missing = np.isnan(np.array(series, dtype=float))

    assert not (seen.breach | seen.raw | seen.begins)[missing].any()
    assert np.isnan(seen.used[missing]).all()
    outside = (seen.statistic < seen.low) | (seen.statistic > seen.high)
    assert not (seen.raw & ~outside).any()
    assert not (seen.raw & ~(seen.used > 1)).any()
    assert not (seen.begins & ~(seen.raw & seen.breach)).any()


@pytest.mark.parametrize(
    ("detector", "bad_when", "low", "high"),
    [
        (Fixed(limit=2), "rising", -math.inf, 2),
        (Fixed(limit=2), "falling", 2, math.inf),
        (Fixed(limit=-2), "rising", -math.inf, -2),
        (Fixed(limit=2, low=-1), "either", -1, 2),
        (Sigmas(k=2), "either", 8, 12),
        (Sigmas(k=2, points=3), "either", 7, 13),
        (Sigmas(k=2, at_least_percent=50, points=3), "rising", -math.inf, 15),
    ],
)
def test_limits_are_where_the_settings_put_them(
    detector: Detector, bad_when: Direction, low: float, high: float
) -> None:
    history = [9.0, 11.0, 10.0, 9.0, 11.0]

    seen = judge_series(detector, bad_when, [10.0], history=history)

    assert (seen.low[0], seen.high[0]) == pytest.approx((low, high))


def test_used_is_the_share_of_the_allowed_deviation() -> None:
    values = [10.0, 11.0, 12.0, 14.0, 6.0]

    seen = judge_series(Sigmas(k=2), "rising", values, history=[9.0, 11.0, 10.0, 9.0, 11.0])

    assert seen.used == pytest.approx([0, 0.5, 1, 2, 0])
    assert seen.raw.tolist() == [False, False, False, True, False]


def test_a_value_on_the_decimal_limit_is_good() -> None:
    seen = judge_series(Sigmas(points=0.05), "rising", [0.75, 0.7501], history=[0.7] * 5)

    assert seen.raw.tolist() == [False, True]


@pytest.mark.parametrize("detector", [Sigmas(), ZScore(), Seasonal()], ids=name)
def test_next_to_a_constant_standing_still_is_good_and_any_worsening_is_bad(detector: Detector) -> None:
    history = [0.1] * 1500

    seen = judge_series(detector, "rising", [0.1, 0.1, 0.2, 0.0], times=hours(4), history=history)

    assert seen.raw.tolist() == [False, False, True, False]
    assert seen.used[2] == math.inf


def hours(size: int) -> Any:
    return MONDAY + np.arange(size) * np.timedelta64(1, "m")


TRAILING: list[Detector] = [ZScore(), Ewma(), MovingAverage(), Seasonal()]


@pytest.mark.parametrize("detector", TRAILING, ids=name)
def test_a_long_incident_does_not_become_the_normal(detector: Detector) -> None:
    values = np.concatenate([noise(300), noise(300, seed=2) + 8])

    seen = judge_series(detector, "rising", values, times=hours(600), history=noise(1500, seed=5))

    assert not seen.breach[:300].any()
    assert seen.breach[310:].all()


@pytest.mark.parametrize("detector", TRAILING, ids=name)
def test_a_breach_that_outlasts_its_patience_is_learned(detector: Detector) -> None:
    patient = ADAPTER.validate_python(detector.model_dump() | {"relearn_after": "5h"})
    values = np.concatenate([noise(300), noise(700, seed=2) + 8])

    seen = judge_series(patient, "rising", values, times=hours(1000), history=noise(1500, seed=5))

    assert seen.breach[310:600].all()
    assert seen.breach[610:].mean() < 0.05


def test_a_lone_outlier_does_not_hide_what_follows() -> None:
    values = noise(240)
    values[120] = 10_000
    values[130:] += 6

    seen = judge_series(ZScore(), "rising", values)

    assert np.flatnonzero(seen.begins).tolist() == [131]
    assert seen.breach[132:].all()


def test_a_good_outlier_does_not_hide_what_follows_either() -> None:
    values = noise(240)
    values[100:110] = -10_000
    values[130:] += 6

    seen = judge_series(ZScore(), "rising", values)

    assert np.flatnonzero(seen.begins).tolist() == [131]


def test_nothing_is_called_bad_before_enough_is_learned() -> None:
    seen = judge_series(ZScore(minimum_points=30), "rising", [*noise(29), 99, 99, 99])

    assert np.flatnonzero(~np.isnan(seen.high)).tolist() == [30, 31]


def test_sigmas_without_enough_history_judge_nothing() -> None:
    seen = judge_series(Sigmas(minimum_points=5), "rising", [99.0] * 5, history=[1.0, 2.0, 1.0, NO_DATA, 2.0])

    assert not seen.raw.any()
    assert np.isnan(seen.high).all()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_the_trailing_window_is_mean_and_deviation_of_the_last_hour(scale: float) -> None:
    values = (noise(500, mean=1000.0)) * scale

    seen = judge_series(ZScore(k=100), "either", values)

    for minute in (31, 60, 61, 250, 499):
        past = values[max(0, minute - 60) : minute]
        centre, spread = (seen.low + seen.high)[minute] / 2, (seen.high - seen.low)[minute] / 200
        assert centre == pytest.approx(past.mean(), rel=1e-12)
        assert spread == pytest.approx(past.std(ddof=1), rel=1e-9)


def test_charts_smooth_as_their_definitions_say() -> None:
    values = noise(200)

    average = judge_series(MovingAverage(k=100), "rising", values)
    ewma = judge_series(Ewma(k=100, weight=0.2), "either", values)

    assert average.statistic[150] == pytest.approx(values[141:151].mean())
    before, now = ewma.statistic[149:151]
    assert now == pytest.approx(0.2 * values[150] + 0.8 * before)
    assert (ewma.high - ewma.low)[150] / 200 == pytest.approx(values[30:150].std(ddof=1) / 3, rel=1e-6)


def test_an_ewma_sees_a_shift_of_one_and_a_half_sigmas_that_single_minutes_do_not_show() -> None:
    values = np.concatenate([noise(600), noise(60, seed=3) + 1.5])
    strict = Hysteresis(bad=3, of=3)

    smooth = judge_series(Ewma(hysteresis=strict), "rising", values)
    single = judge_series(ZScore(hysteresis=strict), "rising", values)

    assert smooth.begins[600:620].any()
    assert not single.begins.any()


def week_of_days(days: int) -> Any:
    minute = np.arange(days * 1440)
    night = (minute // 60 % 24) < 8
    return np.where(night, 2.0, 20.0) + np.random.default_rng(4).normal(0, 0.5, minute.size)


def test_the_seasonal_profile_knows_that_nights_are_quiet() -> None:
    values = week_of_days(15)
    values[14 * 1440 + 120 : 14 * 1440 + 180] = 12  # usual for nobody, but within the range of a day

    seen = judge_series(Seasonal(), "rising", values, times=hours(values.size))

    assert np.flatnonzero(seen.begins).tolist() == [14 * 1440 + 121]
    assert seen.breach[14 * 1440 + 121 : 14 * 1440 + 180].all()


def test_the_seasonal_profile_falls_back_to_all_hours_in_its_first_week() -> None:
    values = week_of_days(3)
    values[2 * 1440 + 120 : 2 * 1440 + 180] = [12, 200] * 30

    seen = judge_series(Seasonal(), "either", values, times=hours(values.size))

    assert np.flatnonzero(seen.raw).tolist() == list(range(2 * 1440 + 121, 2 * 1440 + 180, 2))
    assert np.isnan(seen.high[:1440]).all()


def test_the_seasonal_detector_says_that_it_needs_times() -> None:
    with pytest.raises(ValueError, match="needs times"):
        judge_series(Seasonal(), "rising", [1.0])


def test_times_must_fit_the_values() -> None:
    with pytest.raises(ValueError, match="3 times for 2 values"):
        judge_series(ZScore(), "rising", [1.0, 2.0], times=hours(3))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"kind": "sigmas", "hysteresis": {"bad": 4, "of": 3}}, "4 bad minutes of the last 3 can never be"),
        ({"kind": "sigmas", "hysteresis": {"clear_after": 2}}, "clear_after must be at least of (3)"),
        ({"kind": "fixed", "limit": 1, "low": 1}, "low (1) must be below limit (1)"),
        ({"kind": "fixed", "limit": "nan"}, "finite number"),
        (
            {"kind": "zscore", "window": "20m"},
            "window holds 20 points at most: fewer than minimum_points (30)",
        ),
        ({"kind": "zscore", "window": "90s"}, "whole minutes"),
        ({"kind": "zscore", "window": "60d"}, "at most 28d"),
        ({"kind": "ewma", "reference": "10m"}, "reference holds 10 points"),
        ({"kind": "ewma", "weight": 0}, "greater than 0"),
        ({"kind": "moving_average", "window": "2h"}, "window must be shorter than reference"),
        ({"kind": "seasonal", "weeks": 1, "minimum_points": 90}, "weeks (60 points each an hour) holds 60"),
        ({"kind": "magic"}, "'fixed', 'sigmas', 'zscore', 'ewma', 'moving_average', 'seasonal'"),
        ({"kind": "sigmas", "window": "1h"}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_words(written: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        ADAPTER.validate_python(written)


@pytest.mark.parametrize(
    ("detector", "bad_when", "said"),
    [
        (Fixed(limit=1), "either", "needs low as well"),
        (Fixed(limit=1, low=0), "rising", "this one is bad when rising"),
    ],
)
def test_a_fixed_limit_must_fit_the_direction(detector: Detector, bad_when: Direction, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        judge_series(detector, bad_when, [1.0])


@pytest.mark.parametrize("detector", SMALL, ids=name)
def test_settings_survive_being_written_down(detector: Detector) -> None:
    assert ADAPTER.validate_json(ADAPTER.dump_json(detector)) == detector
