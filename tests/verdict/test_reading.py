from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from holdfast.verdict.observation import Level, MetricReading, NoData, SignalBaseline
from holdfast.verdict.reading import read_metric
from holdfast.verdict.settings import Metric, Scoring, Threshold


def read(
    values: list[float | NoData],
    *,
    threshold: Threshold,
    mean: float | None = 1.0,
    sd: float | None = 0.0,
    **metric: Any,
) -> MetricReading:
    scoring = Scoring(
        metrics={"m": Metric(weight_percent=100, query=("q",) * len(values), threshold=threshold, **metric)}
    )
    signal = SignalBaseline(query="q", mean=mean, standard_deviation=sd, points=60 if mean is not None else 1)
    return read_metric("m", scoring, values, [signal] * len(values))


@pytest.mark.parametrize(
    ("threshold", "allowed"),
    [
        (Threshold(sigmas=2), 1.0),
        (Threshold(sigmas=2, at_least_percent=20), 2.0),
        (Threshold(sigmas=2, points=3), 3.0),
        (Threshold(sigmas=2, at_least_percent=20, points=1.5), 2.0),
    ],
)
def test_the_allowed_deviation_is_the_largest_of_what_is_given(threshold: Threshold, allowed: float) -> None:
    assert read([10.0], threshold=threshold, mean=10.0, sd=0.5).allowed == allowed


def test_a_percentage_is_of_the_size_of_the_mean_whatever_its_sign() -> None:
    assert read([0.0], threshold=Threshold(at_least_percent=20), mean=-10.0).allowed == 2.0


@pytest.mark.parametrize(
    ("value", "level", "used_percent"),
    [
        (0.725, Level.GREEN, 50),
        (0.7251, Level.YELLOW, 51),
        (0.75, Level.YELLOW, 100),  # as binary fractions 0.75 - 0.7 is more than 0.05
        (0.7501, Level.RED, 101),
        (0.65, Level.GREEN, 0),
    ],
)
def test_levels_change_exactly_at_the_edges(value: float, level: Level, used_percent: int) -> None:
    reading = read([value], threshold=Threshold(points=0.05), mean=0.7)

    assert (reading.level, reading.used_percent) == (level, used_percent)


def test_falling_is_bad_where_the_file_says_so() -> None:
    falling = {"threshold": Threshold(at_least_percent=10), "mean": 100.0, "bad_when": "falling"}

    assert read([80.0], **falling).level is Level.RED
    assert read([130.0], **falling).level is Level.GREEN


def test_where_nothing_is_allowed_any_worsening_is_red() -> None:
    nothing = Threshold(sigmas=2)

    worse, same, better = (read([value], threshold=nothing) for value in (1.001, 1.0, 0.5))

    assert (worse.level, worse.used_percent) == (Level.RED, None)
    assert (same.level, same.used_percent) == (Level.GREEN, 0)
    assert better.level is Level.GREEN


def test_the_worst_of_several_queries_counts() -> None:
    reading = read([1.2, 1.9, 0.1], threshold=Threshold(points=1))

    assert (reading.value, reading.level) == (1.9, Level.YELLOW)


def test_a_silent_query_leaves_its_metric_without_a_level() -> None:
    reading = read([1.9, NoData.CANARY_SILENT], threshold=Threshold(points=1))

    assert (reading.level, reading.no_data) == (None, NoData.CANARY_SILENT)


def test_a_silent_query_cannot_hide_a_red_one() -> None:
    assert read([NoData.CANARY_SILENT, 2.9], threshold=Threshold(points=1)).level is Level.RED


def test_no_baseline_means_no_level() -> None:
    reading = read([2.9], threshold=Threshold(points=1), mean=None, sd=None)

    assert (reading.value, reading.level, reading.no_data) == (2.9, None, None)


FLOATS = st.floats(-1e12, 1e12)


@given(
    st.tuples(FLOATS, FLOATS),
    FLOATS,
    st.floats(0, 1e12),
    st.builds(
        Threshold,
        sigmas=st.floats(0, 9),
        at_least_percent=st.floats(0, 200),
        points=st.floats(0, 1e6) | st.none(),
    ),
    st.sampled_from(["rising", "falling"]),
)
def test_a_worse_value_never_has_a_better_level(
    values: tuple[float, float], mean: float, sd: float, threshold: Threshold, bad_when: str
) -> None:
    low, high = sorted(values)
    assume(low != high)
    better, worse = (low, high) if bad_when == "rising" else (high, low)

    levels = [
        read([value], threshold=threshold, mean=mean, sd=sd, bad_when=bad_when).level
        for value in (better, worse)
    ]

    assert None not in levels
    assert levels == sorted(levels, key=lambda level: -1 if level is None else level)
