from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.verdict.baseline import affordable_step, covered_seconds, signal_baseline
from holdfast.verdict.query import resolve


def test_a_baseline_is_the_mean_and_the_sample_standard_deviation() -> None:
    baseline = signal_baseline("q", [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], minimum_points=5)

    assert (baseline.mean, baseline.points) == (5.0, 8)
    assert baseline.standard_deviation == pytest.approx((32 / 7) ** 0.5)


def test_too_few_points_are_no_baseline_but_are_counted() -> None:
    baseline = signal_baseline("q", [1.0] * 4, minimum_points=5)

    assert (baseline.mean, baseline.standard_deviation, baseline.points) == (None, None, 4)


@pytest.mark.parametrize(
    ("window", "asked", "given_step"),
    [
        (timedelta(days=7), timedelta(minutes=1), timedelta(seconds=121)),
        (timedelta(hours=1), timedelta(minutes=1), timedelta(minutes=1)),
        (timedelta(seconds=40), timedelta(milliseconds=500), timedelta(milliseconds=500)),
        (timedelta(seconds=4999), timedelta(seconds=1), timedelta(seconds=1)),
        (timedelta(seconds=5000), timedelta(seconds=1), timedelta(seconds=2)),
        (timedelta(0), timedelta(minutes=1), timedelta(minutes=1)),
    ],
)
def test_a_step_is_widened_only_where_there_would_be_too_many_points(
    window: timedelta, asked: timedelta, given_step: timedelta
) -> None:
    assert affordable_step(window, asked) == given_step


@given(
    st.timedeltas(timedelta(0), timedelta(days=400)),
    st.timedeltas(timedelta(milliseconds=100), timedelta(days=1)),
)
def test_no_window_has_more_than_5000_points(window: timedelta, step: timedelta) -> None:
    widened = affordable_step(window, step)

    assert widened >= step
    assert window // widened + 1 <= 5_000


def test_the_history_covered_is_the_shortest_and_never_more_than_wanted() -> None:
    minute, hour = timedelta(minutes=1), timedelta(hours=1)

    assert covered_seconds([hour, 2 * minute], wanted=hour) == 120
    assert covered_seconds([2 * hour], wanted=hour) == 3600
    assert covered_seconds([], wanted=hour) == 0


@pytest.mark.parametrize(
    ("window", "promql"),
    [(timedelta(seconds=8), "8s"), (timedelta(minutes=1), "60s"), (timedelta(seconds=1.5), "1500ms")],
)
def test_a_query_is_resolved_with_side_and_window(window: timedelta, promql: str) -> None:
    query = 'rate(x{side="$side", path=~"/api$"}[$window])'

    assert resolve(query, side="canary", window=window) == f'rate(x{{side="canary", path=~"/api$"}}[{promql}])'
