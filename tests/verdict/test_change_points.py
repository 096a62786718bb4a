import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from holdfast.domain.errors import InvalidInput
from holdfast.verdict.change_points import JointStep, Shift, shifts, stepped_together
from tests.verdict.noise import (
    Floats,
    Make,
    autoregressive,
    noisy_walk,
    random_walk,
    rare_errors,
    remembering,
)

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 8, 12, 0, tzinfo=UTC)


def heavy_tailed(rng: np.random.Generator, points: int) -> Floats:
    return rng.standard_t(3, size=points)


def ramp(rng: np.random.Generator, points: int) -> Floats:
    return np.linspace(0, 8, points) + rng.normal(size=points)


def a_wave(rng: np.random.Generator, points: int) -> Floats:
    return 2 * np.sin(2 * np.pi * (np.arange(points) / points + rng.random())) + rng.normal(size=points)


def level(points: int, *, at: int, height: float, back: int | None = None) -> Floats:
    places = np.arange(points)
    return np.where((places >= at) & (places < (back or points)), height, 0.0)


def stepping(
    seed: int, points: int = 60, *, at: int = 30, height: float = 6, memory: float = 0, back: int | None = None
) -> list[float | None]:
    rng = np.random.default_rng(seed)
    row = autoregressive(rng, points, memory) + level(points, at=at, height=height, back=back)
    return [float(v) for v in row]


def only(found: tuple[Shift, ...]) -> Shift:
    (shift,) = found
    return shift


def incident(seed: int = 1) -> dict[str, list[float | None]]:
    """Return an hour in which CPU steps up at 12:28, latency at 12:30, and traffic does nothing."""
    rng = np.random.default_rng(seed)
    cpu = 30 + 3 * rng.normal(size=60) + level(60, at=28, height=50)
    latency = 0.41 + 0.04 * rng.normal(size=60) + level(60, at=30, height=1.89)
    return {"latency_p95": latency.tolist(), "cpu": cpu.tolist(), "traffic": rng.normal(size=60).tolist()}


# --- how often it is wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "points", "repetitions"),
    [
        *((remembering(memory), points, 60) for memory in (0.0, 0.5, 0.9, 0.98) for points in (60, 240)),
        (random_walk, 60, 60),
        (random_walk, 240, 40),
        (noisy_walk, 60, 60),
        (rare_errors, 60, 60),
        (heavy_tailed, 60, 60),
        (ramp, 60, 60),
        (a_wave, 60, 60),
    ],
)
def test_series_without_a_step_are_rarely_given_one(make: Make, points: int, repetitions: int) -> None:
    rng = np.random.default_rng(20260302)
    wrong = sum(
        bool(shifts({str(i): make(rng, points).tolist() for i in range(3)})) for _ in range(repetitions)
    )

    # The level is 5 %; so many or more would come up in one of a hundred such measurements.
    assert wrong <= stats.binom.ppf(0.99, repetitions, 0.05)


def test_points_taken_for_independent_would_have_been_given_steps() -> None:
    rng = np.random.default_rng(7)
    series = [autoregressive(rng, 60, 0.9) for _ in range(60)]
    fooled = sum(float(stats.mannwhitneyu(row[:30], row[30:]).pvalue) < 0.05 for row in series)

    assert fooled > 20


# --- how often it is right ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "height", "memory", "place", "at_least"),
    [
        (60, 3, 0.0, 0.5, 0.8),
        (60, 6, 0.0, 0.9, 0.95),
        (60, 6, 0.0, 0.12, 0.95),
        (60, 6, 0.5, 0.5, 0.95),
        (60, 6, 0.9, 0.5, 0.9),
        (240, 1.5, 0.0, 0.5, 0.8),
        (240, 3, 0.5, 0.5, 0.95),
    ],
)
def test_a_step_is_found_in_its_minute(
    points: int, height: float, memory: float, place: float, at_least: float
) -> None:
    at = round(points * place)
    found = [
        shift
        for seed in range(40)
        for shift in shifts({"m": stepping(seed, points, at=at, height=height, memory=memory)})
    ]
    near = [shift for shift in found if abs(shift.point - at) * MINUTE <= shift.uncertainty]

    assert len(found) >= at_least * 40
    # The interval is one of 95 %; so few or fewer within it would come up in one of a hundred measurements.
    assert len(near) >= stats.binom.ppf(0.01, len(found), 0.95)


def test_the_smaller_a_step_the_less_certain_its_minute() -> None:
    small, large = (only(shifts({"m": stepping(3, 240, at=120, height=h)})) for h in (1.5, 8))

    assert small.uncertainty > large.uncertainty == MINUTE
    assert small.p_value > large.p_value


def test_a_step_and_its_return_are_both_found() -> None:
    for seed in range(20):
        shift = only(shifts({"m": stepping(seed, at=25, back=37, height=8)}, start=NOON))

        assert (shift.direction, shift.point, shift.back_point) == ("rose", 25, 37)
        assert shift.back_at == NOON + 37 * MINUTE
        assert shift.back is not None
        assert abs(shift.back - shift.before) < 2 < shift.after - shift.before


def test_a_quick_climb_is_a_step_that_lies_within_it() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        climb = np.clip((np.arange(60) - 30) / 4, 0, 1) * 8 + rng.normal(size=60) * 0.5

        assert 30 <= only(shifts({"m": climb.tolist()})).point <= 34


def test_two_points_that_stand_out_are_no_step() -> None:
    row = stepping(5, height=0)
    row[20] = row[40] = row[41] = 1e6

    assert shifts({"m": row}) == ()


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(8, 52),
    st.sampled_from([1.0, -1.0]),
    st.floats(1e-3, 1e6),
    st.floats(-1e6, 1e6),
)
def test_a_large_step_is_found_whatever_its_place_its_sign_and_its_unit(
    seed: int, at: int, sign: float, scale: float, offset: float
) -> None:
    row = [offset + sign * scale * (v or 0) for v in stepping(seed, at=at, height=12)]

    shift = only(shifts({"m": row}))

    assert abs(shift.point - at) <= 1
    assert shift.direction == ("rose" if sign > 0 else "fell")
    assert math.copysign(1, shift.after - shift.before) == sign
    assert shift.p_value <= 0.05


def test_every_metric_asked_about_costs_certainty() -> None:
    row = stepping(4, height=3)
    alone = only(shifts({"m": row}))
    among = shifts({"m": row} | {f"flat{i}": stepping(i, height=0) for i in range(4)}, level=0.5)

    assert next(s for s in among if s.metric == "m").p_value == pytest.approx(5 * alone.p_value)


def test_what_moved_first_comes_first() -> None:
    assert [s.metric for s in shifts(incident())] == ["cpu", "latency_p95"]


# --- gaps ---------------------------------------------------------------------------------------------------


def test_a_step_within_a_gap_is_as_uncertain_as_the_gap_is_long() -> None:
    row = stepping(6, at=30, height=8)
    row[24:34] = [None, math.nan, math.inf, *([None] * 7)]

    shift = only(shifts({"m": row}))

    assert shift.point == 34
    assert shift.uncertainty == 10 * MINUTE


@pytest.mark.parametrize(
    "dull",
    [[], [1.0], [5.0] * 60, [None] * 60, [None] * 31 + [float(i >= 15) for i in range(29)], [1.0, 2.0] * 9],
)
def test_constant_short_or_mostly_missing_series_give_nothing(dull: list[float | None]) -> None:
    assert shifts({"dull": dull, "same": list(dull)}) == ()


def test_a_step_without_any_noise_is_found() -> None:
    shift = only(shifts({"replicas": [3.0] * 20 + [5.0] * 25}))

    assert (shift.point, shift.before, shift.after) == (20, 3, 5)


# --- pairs --------------------------------------------------------------------------------------------------


def pair_of(lag: int, **more: Any) -> JointStep:
    series = {"a": stepping(1, at=30, height=10), "b": stepping(2, at=30 + lag, height=10)}
    (pair,) = stepped_together(shifts(series), **more)
    return pair


def test_the_leader_of_an_incident_comes_with_its_lag() -> None:
    pair = pair_of(4)

    assert (pair.leader.metric, pair.follower.metric, pair.lag) == ("a", "b", 4 * MINUTE)
    assert pair.sure_of_order
    assert MINUTE <= pair.uncertainty < 4 * MINUTE


@pytest.mark.parametrize(("lag", "sure"), [(0, False), (1, False), (2, True)])
def test_an_order_within_the_uncertainty_is_not_sure(lag: int, sure: bool) -> None:  # noqa: FBT001  parametrised
    assert pair_of(lag).sure_of_order is sure


def test_steps_further_apart_than_asked_for_are_no_pair() -> None:
    found = shifts({"a": stepping(1, at=20, height=10), "b": stepping(2, at=26, height=10)})

    assert stepped_together(found, longest_lag=5 * MINUTE) == ()
    assert len(stepped_together(found, longest_lag=6 * MINUTE)) == 1


@pytest.mark.parametrize("lag", [0, 3, 10])
def test_the_chance_of_a_coincidence_is_that_of_two_places_drawn_at_random(lag: int) -> None:
    places = np.arange(60)
    near = (np.abs(np.subtract.outer(places, places)) <= lag).mean()

    assert pair_of(lag).coincidence == pytest.approx(near)


def test_the_closest_pair_comes_first() -> None:
    series = {
        name: stepping(i, at=at, height=10) for i, (name, at) in enumerate([("a", 20), ("b", 26), ("c", 28)])
    }
    pairs = stepped_together(shifts(series))

    assert [(p.leader.metric, p.follower.metric) for p in pairs] == [("b", "c"), ("a", "b"), ("a", "c")]


# --- words --------------------------------------------------------------------------------------------------


def test_the_words_of_a_pair_say_what_moved_how_far_and_when_and_never_claim_a_cause() -> None:
    found = shifts(incident(), start=NOON, units={"cpu": "%", "latency_p95": "s"})
    (pair,) = stepped_together(found)

    assert [shift.words for shift in found] == [
        "cpu rose from 30.1 % to 80 % at 12:28 (± 1 min)",
        "latency_p95 rose from 0.415 s to 2.3 s at 12:30 (± 1 min)",
    ]
    assert pair.words == (
        "latency_p95 rose from 0.415 s to 2.3 s at 12:30; "
        "cpu rose from 30.1 % to 80 % 2 min before (12:28 ± 1 min)"
    )


def test_a_doubtful_order_and_a_common_minute_are_said() -> None:
    assert pair_of(1).words.endswith(
        " 1 min before (30 min after the start ± 1 min), too close to be sure which was first"
    )
    assert pair_of(0).words.endswith(" at the same minute (± 1 min)")


def test_a_return_is_said() -> None:
    shift = only(shifts({"m": stepping(1, at=25, back=37, height=8)}, start=NOON))

    assert ", and was back at " in shift.words
    assert shift.words.endswith(" at 12:37")


@pytest.mark.parametrize(
    ("start", "step", "when"),
    [
        (None, MINUTE, "30 min after the start"),
        (NOON, MINUTE, "12:30"),
        (NOON.astimezone(timezone(timedelta(hours=3))), MINUTE, "15:30"),
        (NOON, timedelta(seconds=15), "12:07:30"),
        (NOON, timedelta(hours=1), "2026-03-09 18:00"),
    ],
)
def test_times_are_written_in_the_zone_of_the_window(
    start: datetime | None, step: timedelta, when: str
) -> None:
    shift = only(shifts({"m": stepping(1, height=10)}, step=step, start=start))

    assert shift.when == when
    assert shift.at == (start and start + 30 * step)
    assert shift.uncertainty == step


def test_levels_that_three_digits_do_not_tell_apart_get_more() -> None:
    row = [1000 + 0.1 * (v or 0) for v in stepping(1, height=4)]

    assert only(shifts({"m": row}, units={"m": "ms"})).words.startswith("m rose from 999.9")


def test_errors_that_become_frequent_are_given_by_their_means_where_both_medians_are_zero() -> None:
    row = [0.0] * 40 + [float(i % 5 in (0, 2)) * 9 for i in range(80)]

    shift = only(shifts({"errors": row}, level=0.999))

    assert shift.before == 0
    assert shift.after == pytest.approx(3.6, rel=0.1)


# --- wrong input --------------------------------------------------------------------------------------------


def test_series_of_different_lengths_are_refused_by_name() -> None:
    with pytest.raises(
        InvalidInput, match=r"^series: all must have the same number of points, but a has 2, b has 1$"
    ):
        shifts({"a": [1.0, 2.0], "b": [1.0]})


@pytest.mark.parametrize("wrong", [{"step": timedelta(0)}, {"level": 0}, {"level": 1}])
def test_an_argument_out_of_its_range_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"^{next(iter(wrong))}: "):
        shifts({"a": [1.0, 2.0]}, **wrong)


def test_a_negative_lag_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^longest_lag: "):
        stepped_together((), longest_lag=-MINUTE)
