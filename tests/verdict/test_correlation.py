import math
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from holdfast.domain.errors import InvalidInput
from holdfast.verdict.correlation import Link, moved_together
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


def skewed(rng: np.random.Generator, points: int) -> Floats:
    return np.exp(autoregressive(rng, points, 0.8))


def wild_in_an_incident(rng: np.random.Generator, points: int) -> Floats:
    """Return noise that is five times as loud from 60 % to 90 % of the time, in every series alike."""
    place = np.arange(points) / points
    return rng.normal(size=points) * np.where((place > 0.6) & (place < 0.9), 5, 1)


def counts(rng: np.random.Generator, points: int) -> Floats:
    return rng.poisson(0.5, size=points).astype(np.float64)


def stepping_once(rng: np.random.Generator, points: int) -> Floats:
    return rng.normal(size=points) + np.where(np.arange(points) > rng.integers(5, points - 5), 8, 0)


def drifting(rng: np.random.Generator, points: int) -> Floats:
    return np.linspace(0, 20, points) + rng.normal(size=points)


def with_a_day(rng: np.random.Generator, points: int) -> Floats:
    return 10 * np.sin(2 * np.pi * np.arange(points) / 1440) + rng.normal(size=points)


def named(*rows: Floats) -> dict[str, list[float | None]]:
    return {f"m{i}": [float(v) for v in row] for i, row in enumerate(rows)}


def lagged_copy(
    rng: np.random.Generator, points: int, *, lag: int, memory: float = 0.5, noise: float = 0.3, sign: int = 1
) -> dict[str, list[float | None]]:
    """Return `cpu`, its noisy copy `latency` some minutes later, and three strangers."""
    long = autoregressive(rng, points + lag, memory)
    copy = sign * (long[:points] + rng.normal(size=points) * noise * long.std())
    strangers = named(*(autoregressive(rng, points, memory) for _ in range(3)))
    return {"cpu": long[lag:].tolist(), "latency": copy.tolist(), **strangers}


def only(links: tuple[Link, ...]) -> Link:
    (link,) = links
    return link


# --- how often it is wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "points", "repetitions"),
    [
        *((remembering(memory), points, 200) for memory in (0.0, 0.5, 0.9, 0.98) for points in (60, 240)),
        (random_walk, 60, 200),
        (random_walk, 240, 100),
        (noisy_walk, 120, 200),
        (skewed, 120, 200),
        (counts, 60, 200),
        (rare_errors, 60, 200),
        (rare_errors, 240, 100),
        (stepping_once, 60, 200),
        (drifting, 60, 200),
        (drifting, 240, 100),
        (wild_in_an_incident, 240, 100),
        (with_a_day, 1440, 40),
    ],
)
def test_series_that_share_nothing_are_rarely_linked(make: Make, points: int, repetitions: int) -> None:
    rng = np.random.default_rng(20260302)
    wrong = sum(
        bool(moved_together(named(*(make(rng, points) for _ in range(4))), weakest=0))
        for _ in range(repetitions)
    )

    # The level is 5 %; so many or more would come up in one of a hundred such measurements.
    assert wrong <= stats.binom.ppf(0.99, repetitions, 0.05)


def test_levels_of_the_same_walks_would_have_been_linked_without_care() -> None:
    rng = np.random.default_rng(7)
    pairs = [(random_walk(rng, 60), random_walk(rng, 60)) for _ in range(200)]
    fooled = sum(float(stats.spearmanr(x, y).pvalue) < 0.05 for x, y in pairs)

    assert fooled > 100


def test_a_shared_day_is_no_link_but_shared_noise_on_it_is() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=1440)
    day = 50 * np.sin(2 * np.pi * np.arange(1440) / 1440)
    apart, near = day + rng.normal(size=1440), day + noise + rng.normal(size=1440) * 0.3

    links = moved_together(named(day + noise, near, apart))

    assert [(link.leader, link.follower) for link in links] == [("m0", "m1")]


def test_one_joint_step_is_one_event_and_no_link() -> None:
    rng = np.random.default_rng(5)
    step = np.where(np.arange(60) > 30, 20.0, 0.0)

    assert moved_together(named(step + rng.normal(size=60), step + rng.normal(size=60))) == ()


# --- how often it is right ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "memory", "noise", "at_least"),
    [(60, 0.3, 0.5, 0.9), (60, 0.9, 0.3, 0.8), (240, 0.3, 1.0, 0.95), (240, 0.9, 0.6, 0.95)],
)
def test_a_lagged_copy_is_found_at_its_lag(points: int, memory: float, noise: float, at_least: float) -> None:
    rng = np.random.default_rng(11)
    found = 0
    for _ in range(50):
        links = moved_together(lagged_copy(rng, points, lag=2, memory=memory, noise=noise))
        found += any((link.leader, link.follower, link.lag) == ("cpu", "latency", 2 * MINUTE) for link in links)

    assert found >= at_least * 50


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.sampled_from([1, -1]), st.sampled_from([1, -1]))
def test_a_clean_copy_is_found_whatever_its_lag_its_sign_and_the_order_of_the_series(
    seed: int, lag: int, sign: int, order: int
) -> None:
    series = lagged_copy(np.random.default_rng(seed), 120, lag=lag, noise=0.1, sign=sign)

    best = moved_together(dict(list(series.items())[::order]))[0]

    assert {best.leader, best.follower} == {"cpu", "latency"}
    assert best.lag == lag * MINUTE
    assert best.leader == "cpu" or lag == 0
    assert math.copysign(1, best.coefficient) == sign
    assert best.p_value <= 0.05


def test_a_change_of_unit_or_an_outlier_changes_nothing_that_matters() -> None:
    series = lagged_copy(np.random.default_rng(2), 120, lag=3)
    link = only(moved_together(series))
    bent = series | {"cpu": [math.exp(v) if v is not None else v for v in series["cpu"]]}

    assert only(moved_together(bent)).coefficient == pytest.approx(link.coefficient)
    series["latency"][50] = 1e12
    spoilt = only(moved_together(series))
    assert (spoilt.leader, spoilt.lag) == ("cpu", 3 * MINUTE)
    assert spoilt.coefficient > link.coefficient - 0.1


def test_day_long_series_of_ten_metrics_are_searched_to_thirty_minutes() -> None:
    rng = np.random.default_rng(8)
    series = lagged_copy(rng, 1440, lag=30) | {f"more{i}": random_walk(rng, 1440).tolist() for i in range(5)}

    link = only(moved_together(series, longest_lag=30))

    assert (link.leader, link.follower, link.lag) == ("cpu", "latency", 30 * MINUTE)
    assert link.points > 1380


def test_the_strongest_link_comes_first_and_each_pair_once() -> None:
    rng = np.random.default_rng(4)
    base = rng.normal(size=240)
    links = moved_together(
        named(base, base + rng.normal(size=240) * 0.2, base + rng.normal(size=240) * 0.8, rng.normal(size=240))
    )

    assert [{link.leader, link.follower} for link in links] == [{"m0", "m1"}, {"m0", "m2"}, {"m1", "m2"}]
    assert [abs(link.coefficient) for link in links] == sorted(
        (abs(x.coefficient) for x in links), reverse=True
    )


# --- the numbers --------------------------------------------------------------------------------------------


def test_white_series_without_memory_get_spearmans_own_coefficient_nearly() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    y = x + rng.normal(size=400)

    link = only(moved_together(named(x, y), longest_lag=0))

    assert link.coefficient == pytest.approx(float(stats.spearmanr(x, y).statistic), abs=0.03)


def test_each_lag_tried_costs_certainty() -> None:
    series = lagged_copy(np.random.default_rng(6), 60, lag=0, noise=1)
    few, many = (moved_together(series, longest_lag=lag, level=0.9)[0] for lag in (0, 5))

    assert few.coefficient == many.coefficient
    assert many.p_value == pytest.approx(11 * few.p_value, rel=0.5)


def test_a_link_weaker_than_asked_for_is_left_out() -> None:
    series = lagged_copy(np.random.default_rng(9), 1440, lag=1, noise=2)
    (link,) = moved_together(series)

    assert moved_together(series, weakest=abs(link.coefficient) + 0.01) == ()


# --- gaps and windows ---------------------------------------------------------------------------------------


def test_points_without_data_are_left_out_and_not_counted() -> None:
    series = lagged_copy(np.random.default_rng(12), 120, lag=2, noise=0.1)
    whole = only(moved_together(series))
    for i in range(0, 120, 10):
        series["cpu"][i] = (None, math.nan, math.inf)[i // 10 % 3]

    gappy = only(moved_together(series))

    assert (gappy.leader, gappy.lag) == ("cpu", 2 * MINUTE)
    assert whole.points - 15 <= gappy.points < whole.points


@pytest.mark.parametrize(
    "dull",
    [
        [5.0] * 120,
        [None] * 120,
        [None] * 61 + [float(i * i % 17) for i in range(59)],
        [math.nan] * 119 + [1.0],
    ],
)
def test_constant_or_mostly_missing_series_give_nothing(dull: list[float | None]) -> None:
    assert (
        moved_together({"dull": dull, "same": list(dull), "cpu": [float(i * i % 23) for i in range(120)]}) == ()
    )


def test_a_few_errors_that_meet_say_nothing() -> None:
    errors: list[float | None] = [9.0 if i in (17, 31, 64, 65, 90) else 0.0 for i in range(120)]

    assert moved_together({"a": errors, "b": list(errors)}) == ()


@pytest.mark.parametrize("points", [0, 1, 2, 19])
def test_too_few_points_give_nothing(points: int) -> None:
    wave = [float(i * i % 7) for i in range(points)]

    assert moved_together({"a": wave, "b": list(wave)}, longest_lag=30) == ()


def test_fewer_than_two_series_give_nothing() -> None:
    assert moved_together({}) == ()
    assert moved_together({"a": [1.0, 2.0] * 30}) == ()


def test_only_the_window_of_interest_is_judged() -> None:
    rng = np.random.default_rng(13)
    x, y = rng.normal(size=400), rng.normal(size=400)
    y[200:280] = x[198:278] + rng.normal(size=80) * 0.2

    link = only(moved_together(named(x, y), around=slice(200, 280)))

    assert (link.leader, link.lag) == ("m0", 2 * MINUTE)
    assert link.points == 80
    assert moved_together(named(x, y), around=slice(0, 200)) == ()
    assert moved_together(named(x, y), around=slice(300, 300)) == ()


# --- words --------------------------------------------------------------------------------------------------


def climb(rng: np.random.Generator, lag: int, sign: int = 1) -> dict[str, list[float | None]]:
    """Return `cpu`, climbing unsteadily after a calm hour, and `latency` with it or against it, later."""
    shape = np.concatenate([np.zeros(60), np.linspace(0, 12, 60)])
    cpu = 50 + shape + rng.normal(size=120)
    latency = sign * np.roll(cpu, lag) + rng.normal(size=120) * 0.2
    return {"cpu": cpu.tolist(), "latency_p95": latency.tolist()}


def test_the_words_say_who_rose_and_who_moved_first_and_never_claim_a_cause() -> None:
    link = only(moved_together(climb(np.random.default_rng(1), 2), around=slice(60, 120)))

    rests_on = f"rank correlation {link.coefficient:.2f} over 1 h"
    assert link.words == f"latency_p95 rose with cpu; cpu moved first, by 2 min ({rests_on})"


def test_an_opposite_movement_is_said_as_one() -> None:
    link = only(moved_together(climb(np.random.default_rng(1), 1, sign=-1), around=slice(60, 120)))

    assert link.words.startswith(
        "latency_p95 fell while cpu rose; cpu moved first, by 1 min (rank correlation -0."
    )


def test_at_lag_0_both_moved_at_the_same_minute_and_are_equals() -> None:
    link = only(moved_together(climb(np.random.default_rng(1), 0)))

    assert link.words.startswith("latency_p95 rose with cpu at the same minute (rank correlation 0.")
    assert (link.leader, link.follower) == ("cpu", "latency_p95")


@pytest.mark.parametrize(
    ("sign", "words"), [(1, "latency moved with cpu;"), (-1, "latency moved against cpu;")]
)
def test_a_movement_without_a_direction_is_not_given_one(sign: int, words: str) -> None:
    series = lagged_copy(np.random.default_rng(15), 120, lag=1, sign=sign)

    assert only(moved_together(series)).words.startswith(words)


def test_other_steps_are_written_in_their_own_time() -> None:
    step = timedelta(seconds=15)
    same, later = (
        only(moved_together(lagged_copy(np.random.default_rng(16), 120, lag=lag), step=step)) for lag in (0, 3)
    )

    assert " at the same time (" in same.words
    assert later.lag == timedelta(seconds=45)
    assert "; cpu moved first, by 45 s (" in later.words
    assert f"over {later.points // 4} min" in later.words


# --- wrong input --------------------------------------------------------------------------------------------


def test_series_of_different_lengths_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput) as refused:
        moved_together({"a": [1.0, 2.0], "b": [1.0]})

    assert str(refused.value) == "series: all must have the same number of points, but a has 2, b has 1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": timedelta(0)},
        {"longest_lag": -1},
        {"around": slice(0, 2, 2)},
        {"level": 0},
        {"level": 1},
    ],
)
def test_an_argument_out_of_its_range_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"^{next(iter(wrong))}: "):
        moved_together({"a": [1.0, 2.0], "b": [1.0, 2.0]}, **wrong)
