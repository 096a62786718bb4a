import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from holdfast.verdict.mann_whitney import (
    Floats,
    Interval,
    cles,
    mean_ratio,
    normal_quantile,
    shift_interval,
    shift_intervals,
    standard_score,
)

# Few distinct integers: ties within and between the sides, and exact arithmetic.
SMALL = st.lists(st.integers(-6, 6), min_size=1, max_size=25)
CONFIDENCES = st.sampled_from([0.8, 0.95, 0.98])
KINDS = ["continuous", "rounded", "counts", "mostly zero", "two humps", "far outliers", "tiny", "sides apart"]


def sample(kind: str, rng: np.random.Generator, size: int) -> Floats:
    normal = rng.normal(size=size)
    values = {
        "continuous": normal,
        "rounded": np.round(100 + 20 * normal, 1),
        "counts": rng.poisson(200, size).astype(np.float64),
        "mostly zero": np.where(rng.random(size) < 0.4, np.abs(normal), 0),
        "two humps": np.where(rng.random(size) < 0.5, normal, 1_000 + normal),
        "far outliers": np.where(rng.random(size) < 0.02, 1e12 * normal, normal),
        "tiny": 1e-9 * normal,
        "sides apart": normal + 50 * rng.integers(2),
    }
    return values[kind]


def differences(x: Floats | list[int], y: Floats | list[int]) -> Floats:
    return np.sort(np.subtract.outer(np.asarray(x, np.float64), np.asarray(y, np.float64)), axis=None)


def d_of(x: list[int], y: list[int], shift: float, q: float) -> float:
    """Return D as R writes it, from scipy's ranks."""
    m, n = len(x), len(y)
    ranks = stats.rankdata(np.concatenate((np.array(x) - shift, y)))
    _, t = np.unique(ranks, return_counts=True)
    dz = ranks[:m].sum() - m * (m + 1) / 2 - m * n / 2
    sigma = math.sqrt(m * n / 12 * (m + n + 1 - (t**3 - t).sum() / ((m + n) * (m + n - 1))))
    return float((dz - 0.5 * np.sign(dz)) / sigma - q)


@given(SMALL, SMALL)
def test_the_estimate_is_the_median_of_all_differences(x: list[int], y: list[int]) -> None:
    assert shift_interval(x, y).estimate == np.median(differences(x, y))


@given(SMALL, SMALL, CONFIDENCES)
def test_d_changes_sign_at_each_end_or_the_end_is_the_outermost_difference(
    x: list[int], y: list[int], confidence: float
) -> None:
    found, z = shift_interval(x, y, confidence), normal_quantile(confidence)
    smallest, *_, largest = [*differences(x, y), max(x) - min(y)]

    # The differences are integers, so a half beside an end is between two steps.
    assert d_of(x, y, found.low + 0.5, z) <= 0
    assert d_of(x, y, found.high - 0.5, -z) >= 0
    assert found.low == smallest or d_of(x, y, found.low - 0.5, z) > 0
    assert found.high == largest or d_of(x, y, found.high + 0.5, -z) < 0


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32), m=st.integers(70, 260), n=st.integers(70, 260))
def test_counting_finds_the_same_differences_as_sorting_them_all(kind: str, seed: int, m: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = sample(kind, rng, m), sample(kind, rng, n)
    every = differences(x, y)
    (_, tx), (_, ty) = (np.unique(side, return_counts=True) for side in (x, y))
    t = np.concatenate((tx, ty)).astype(np.float64)
    sigma = math.sqrt(m * n / 12 * (m + n + 1 - (t**3 - t).sum() / ((m + n) * (m + n - 1))))
    above = math.floor(m * n / 2 + 0.5 + normal_quantile(0.95) * sigma)

    assert shift_interval(x, y, 0.95) == Interval(every[-1 - above], every[above], np.median(every))


@given(SMALL, SMALL, st.integers(-100, 100))
def test_shifting_the_experiment_shifts_the_interval_with_it(x: list[int], y: list[int], by: int) -> None:
    still, moved = shift_interval(x, y), shift_interval([value + by for value in x], y)

    assert moved == Interval(still.low + by, still.high + by, still.estimate + by)


@given(SMALL, SMALL)
def test_exchanging_the_sides_negates_the_interval(x: list[int], y: list[int]) -> None:
    there, back = shift_interval(x, y), shift_interval(y, x)

    assert back == Interval(-there.high, -there.low, -there.estimate)


@given(SMALL, SMALL)
def test_more_confidence_never_narrows_the_interval(x: list[int], y: list[int]) -> None:
    wide, narrow = shift_interval(x, y, 0.98), shift_interval(x, y, 0.8)

    assert wide.low <= narrow.low <= narrow.estimate <= narrow.high <= wide.high


@given(st.sampled_from(KINDS), st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40))
def test_a_batch_gives_each_row_what_it_gets_alone(kind: str, seed: int, m: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = sample(kind, rng, 5 * m).reshape(5, m), sample(kind, rng, 5 * n).reshape(5, n)
    together = shift_intervals(x, y, 0.9)

    assert [together[i] for i in range(5)] == [shift_interval(x[i], y[i], 0.9) for i in range(5)]


@pytest.mark.parametrize("size", [60, 600])
def test_a_batch_larger_than_what_is_held_in_memory_at_a_time_is_whole(size: int) -> None:
    rng = np.random.default_rng(5)
    x, y = rng.poisson(40, (150, size)), rng.poisson(41, (150, size))
    together = shift_intervals(x, y)

    assert [together[i] for i in range(150)] == [shift_interval(x[i], y[i]) for i in range(150)]


def test_a_day_of_minutes_is_judged_without_holding_all_differences() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.lognormal(size=1_440), rng.lognormal(size=1_440)
    tracemalloc.start()
    shift_interval(x, y)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 1_440 * 1_440 * 8 / 4


@given(SMALL, SMALL)
def test_the_score_of_a_shift_has_the_p_value_that_scipy_gives(x: list[int], y: list[int]) -> None:
    assume(len({*x, *y}) > 1)
    theirs = stats.mannwhitneyu(x, y, method="asymptotic").pvalue

    assert 2 * stats.norm.sf(abs(standard_score(x, y))) == pytest.approx(theirs)


def test_the_score_has_the_p_value_of_rs_own_example() -> None:
    # Ozone in New York, May and August 1973, from the help page of wilcox.test: W = 127.5, p-value = 0.0001208.
    may = [41, 36, 12, 18, 28, 23, 19, 8, 7, 16, 11, 14, 18, 14, 34, 6, 30, 11, 1, 11, 4, 32, 23, 45, 115, 37]
    august = [39, 9, 16, 78, 35, 66, 122, 89, 110, 44, 28, 65, 22, 59, 23, 31, 44, 21, 9, 45, 168, 73, 76, 118]
    august += [84, 85]

    assert cles(may, august) == 127.5 / (len(may) * len(august))
    assert 2 * stats.norm.sf(abs(standard_score(may, august))) == pytest.approx(0.0001208, abs=5e-8)


def test_nothing_speaks_for_a_shift_where_all_observations_are_tied() -> None:
    assert standard_score([3, 3], [1, 1, 1], shift=2) == 0


@given(SMALL, SMALL)
def test_the_common_language_effect_size_is_scipys_u_as_a_share_of_all_pairs(
    x: list[int], y: list[int]
) -> None:
    u = stats.mannwhitneyu(x, y, method="exact").statistic

    assert cles(x, y) == pytest.approx(u / (len(x) * len(y)))


def test_the_mean_ratio_is_experiment_by_control_and_does_not_exist_where_a_mean_is_zero() -> None:
    assert mean_ratio([2, 4], [1, 1]) == 3
    assert math.isnan(mean_ratio([2, 4], [-1, 1]))
    assert math.isnan(mean_ratio([0, 0], [1, 1]))


@pytest.mark.parametrize("bad", [[], [math.nan], [math.inf, 1], [[1, 2]]])
def test_a_side_that_cannot_be_ranked_is_refused_by_name(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="control"):
        shift_interval([1, 2], bad)
    with pytest.raises(ValueError, match="experiment"):
        cles(bad, [1, 2])


@pytest.mark.parametrize("confidence", [0, 1, 98])
def test_a_confidence_that_is_not_between_zero_and_one_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        shift_interval([1, 2], [3, 4], confidence)


def test_a_batch_with_unequal_numbers_of_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="not 1 and 2"):
        shift_intervals([[1, 2]], [[1, 2], [3, 4]])
