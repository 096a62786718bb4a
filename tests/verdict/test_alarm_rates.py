import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from holdfast.verdict.alarm_rates import (
    MINUTES_PER_DAY,
    Healthy,
    chance_within,
    per_check,
    per_day,
    student_tail,
)
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
from holdfast.verdict.episodes import episodes_per_minute
from holdfast.verdict.hysteresis import hold

AT_ONCE = Hysteresis(bad=1, of=1)
STANDARD = Healthy(mean=0, standard_deviation=1)


@st.composite
def hystereses(draw: st.DrawFn) -> Hysteresis:
    of = draw(st.integers(1, 5))
    return Hysteresis(
        bad=draw(st.integers(1, of)), of=of, clear_after=draw(st.none() | st.integers(of, of + 3))
    )


def test_two_sigmas_are_outside_in_one_check_of_44_and_seven_metrics_in_ten_an_hour() -> None:
    chance = per_check(Sigmas(k=2))

    assert chance == pytest.approx(0.02275, abs=1e-5)
    assert 7 * 60 * chance == pytest.approx(9.6, abs=0.05)


@given(t=st.floats(-30, 30), degrees=st.floats(0.5, 5000))
def test_the_t_tail_is_that_of_scipy(t: float, degrees: float) -> None:
    assert student_tail(t, degrees) == pytest.approx(float(stats.t.sf(t, degrees)), rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("points", [2, 5, 30, 1000])
def test_an_estimated_baseline_gives_the_prediction_interval_of_student(points: int) -> None:
    expected = float(stats.t.sf(2 / math.sqrt(1 + 1 / points), points - 1))

    assert per_check(Sigmas(k=2), points=points) == pytest.approx(expected, rel=1e-9)
    assert per_check(Sigmas(k=2), "either", points=points) == pytest.approx(2 * expected, rel=1e-9)


@pytest.mark.parametrize("points", [2, 3, 10, 300])
def test_averaging_over_baselines_gives_the_same_as_the_t_tail(points: int) -> None:
    without_floor = per_check(Sigmas(k=2), points=points)
    tiny_floor = per_check(Sigmas(k=2, points=1e-12), points=points, healthy=STANDARD)

    assert tiny_floor == pytest.approx(without_floor, rel=1e-6)


@pytest.mark.parametrize(
    ("detector", "bad_when", "chance"),
    [
        (Fixed(limit=15), "rising", stats.norm.sf(2.5)),
        (Fixed(limit=6), "falling", stats.norm.sf(2)),
        (Fixed(limit=15, low=6), "either", stats.norm.sf(2.5) + stats.norm.sf(2)),
        (Sigmas(k=1, at_least_percent=60), "rising", stats.norm.sf(3)),
        (Sigmas(k=1, at_least_percent=10, points=5), "either", 2 * stats.norm.sf(2.5)),
        (Sigmas(k=3, points=5), "rising", stats.norm.sf(3)),
    ],
)
def test_limits_and_floors_count_in_standard_deviations(
    detector: Detector, bad_when: Direction, chance: float
) -> None:
    healthy = Healthy(mean=10, standard_deviation=2)

    assert per_check(detector, bad_when, healthy=healthy) == pytest.approx(chance)


def long_run(h: Hysteresis, after_good: float, after_bad: float) -> float:
    """Find the chain's stationary distribution over whole histories, and how often a breach begins in it."""
    size = max(h.of - 1, h.clear_minutes)
    states = [(bits, on) for bits in range(1 << size) for on in (False, True)]
    index = {state: i for i, state in enumerate(states)}
    moves, begins = np.zeros((len(states), len(states))), np.zeros(len(states))
    for (bits, on), row in index.items():
        bad = after_bad if bits & 1 else after_good
        for bit, chance in ((1, bad), (0, 1 - bad)):
            following = bits << 1 | bit
            starts = bool(bit) and (following & (1 << h.of) - 1).bit_count() >= h.bad
            clear = not following & (1 << h.clear_minutes) - 1
            moves[row, index[following & (1 << size) - 1, (on or starts) and not clear]] += chance
            begins[row] += chance * (starts and not on)
    system = np.vstack([moves.T - np.eye(len(states)), np.ones(len(states))])
    stationary = np.linalg.lstsq(system, np.append(np.zeros(len(states)), 1.0), rcond=None)[0]
    return float(stationary @ begins)


@given(h=hystereses(), after_good=st.floats(0.02, 0.7), after_bad=st.floats(0.02, 0.9))
def test_the_episode_rate_is_that_of_the_whole_markov_chain(
    h: Hysteresis, after_good: float, after_bad: float
) -> None:
    expected = long_run(h, after_good, after_bad)

    assert episodes_per_minute(h, after_good, after_bad) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("h", [AT_ONCE, Hysteresis(), Hysteresis(bad=3, of=5, clear_after=7)])
def test_the_detectors_own_hysteresis_begins_breaches_at_that_rate(h: Hysteresis) -> None:
    raw = np.random.default_rng(7).random(400_000) < 0.15

    begins = hold(h, raw, np.ones_like(raw))[1].sum()

    expected = 400_000 * episodes_per_minute(h, 0.15)
    assert begins == pytest.approx(expected, abs=4 * math.sqrt(expected))


@pytest.mark.parametrize(("bad", "of"), [(2, 3), (3, 3), (3, 5)])
def test_rare_episodes_keep_their_digits(bad: int, of: int) -> None:
    # The last of `bad` minutes is preceded by the others anywhere in the window.
    leading = math.comb(of - 1, bad - 1) * 1e-7**bad

    assert episodes_per_minute(Hysteresis(bad=bad, of=of), 1e-7) == pytest.approx(leading, rel=1e-5)


def test_minutes_that_are_never_or_always_bad_begin_no_episodes() -> None:
    assert episodes_per_minute(Hysteresis(), 0.0) == 0
    assert episodes_per_minute(Hysteresis(), 1.0) == 0
    assert per_day(Fixed(limit=1000), healthy=STANDARD) == 0
    assert per_day(Fixed(limit=-1000), healthy=STANDARD) == 0


def test_without_hysteresis_each_bad_minute_after_a_good_one_is_an_episode() -> None:
    chance = per_check(Sigmas(k=2))

    rate = per_day(Sigmas(k=2, hysteresis=AT_ONCE), metrics=7)

    assert rate == pytest.approx(7 * MINUTES_PER_DAY * chance * (1 - chance))


@pytest.mark.parametrize("h", [AT_ONCE, Hysteresis(), Hysteresis(bad=3, of=5)])
def test_a_day_with_estimated_baselines_is_the_mean_over_baselines(h: Hysteresis) -> None:
    rng = np.random.default_rng(3)
    points, draws = 10, 20_000
    centre = rng.normal(0, 1 / math.sqrt(points), draws)
    spread = np.sqrt(rng.chisquare(points - 1, draws) / (points - 1))
    outside = stats.norm.sf(centre + 2 * spread)
    rates = [episodes_per_minute(h, float(p)) for p in outside]

    expected, error = MINUTES_PER_DAY * np.mean(rates), MINUTES_PER_DAY * np.std(rates) / math.sqrt(draws)

    measured = per_day(Sigmas(k=2, hysteresis=h), points=points)
    assert measured == pytest.approx(float(expected), abs=4 * float(error))


def test_the_rate_between_solved_limits_is_as_exact_as_at_them() -> None:
    many = per_day(Sigmas(k=2.05), points=10_000_000)

    assert many == pytest.approx(per_day(Sigmas(k=2.05)), rel=1e-4)


def test_minutes_that_resemble_each_other_pass_a_hysteresis_more_often() -> None:
    alone, alike = per_day(Sigmas()), per_day(Sigmas(), autocorrelation=0.7)

    assert alike > 10 * alone


@pytest.mark.parametrize(("bad_when", "sides"), [("rising", 1), ("either", 2)])
def test_without_hysteresis_autocorrelated_minutes_leave_the_limits_as_a_bivariate_gaussian_does(
    bad_when: Direction, sides: int
) -> None:
    pair = stats.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]])
    stay = float(pair.cdf([2, 2], lower_limit=[-2 if sides == 2 else -40, -2 if sides == 2 else -40]))
    inside = 1 - sides * float(stats.norm.sf(2))

    rate = per_day(Sigmas(k=2, hysteresis=AT_ONCE), bad_when, autocorrelation=0.7)

    assert rate == pytest.approx(MINUTES_PER_DAY * (inside - stay), rel=1e-4)


@pytest.mark.parametrize("detector", [ZScore(), Ewma(), MovingAverage(), Seasonal()])
def test_a_detector_that_learns_from_fewer_points_alarms_more_often(detector: Detector) -> None:
    assert 0 < per_day(detector, points=100_000) < per_day(detector) < per_day(detector, points=20)


@given(k=st.floats(1, 5), points=st.none() | st.integers(5, 50))
def test_wider_limits_never_alarm_more_often_in_one_check(k: float, points: int | None) -> None:
    assert per_check(Sigmas(k=k + 0.1), points=points) < per_check(Sigmas(k=k), points=points)


def test_the_chance_within_a_watch_counts_minutes_of_a_day() -> None:
    assert chance_within(24, 60) == pytest.approx(1 - math.exp(-1))
    assert chance_within(0, 60) == 0


def test_what_no_rate_is_known_for_is_said() -> None:
    with pytest.raises(ValueError, match="what the metric is like in health"):
        per_check(Fixed(limit=1))
    with pytest.raises(ValueError, match="at least two points, not 1"):
        per_day(Sigmas(), points=1)
    with pytest.raises(ValueError, match="from 0 to below 1, not 1"):
        per_day(Sigmas(), autocorrelation=1)
    with pytest.raises(ValueError, match="no rate is known for ewma on autocorrelated minutes"):
        per_day(Ewma(), autocorrelation=0.5)
    with pytest.raises(ValueError, match="standard deviation above zero"):
        per_check(Fixed(limit=1), healthy=Healthy(mean=0, standard_deviation=0))
