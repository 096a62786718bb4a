import statistics
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.verdict.baseline import (
    affordable_step,
    covered_seconds,
    dated_baseline,
    edge_baseline,
    points_to_learn_from,
    signal_baseline,
)
from holdfast.verdict.detector_settings import Detector, Ewma, Fixed, MovingAverage, Seasonal, ZScore
from holdfast.verdict.query import resolve

MONDAY_NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


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


def test_a_baseline_has_a_middle_that_one_outlier_does_not_move() -> None:
    baseline = signal_baseline("q", [1.0, 2.0, 3.0, 4.0, 1_000_000.0], minimum_points=5)

    assert (baseline.median, baseline.mad) == (3.0, 1.0)


def test_too_few_points_have_no_middle_either() -> None:
    baseline = signal_baseline("q", [1.0] * 4, minimum_points=5)

    assert (baseline.median, baseline.mad) == (None, None)


def every(step: timedelta, *, since: timedelta, until: datetime = MONDAY_NOON) -> list[tuple[datetime, float]]:
    """One point a step; its value is the hour of the day (UTC)."""
    times = [until - since + n * step for n in range(since // step + 1)]
    return [(at, float(at.astimezone(UTC).hour)) for at in times]


def test_the_same_hour_of_earlier_weeks_is_summarised_alone() -> None:
    at = MONDAY_NOON + timedelta(minutes=30)
    points = every(timedelta(minutes=15), since=14 * DAY, until=at)

    same_hour = dated_baseline("q", points, at=at, minimum_points=5).same_hour

    assert same_hour is not None
    assert (same_hour.mean, same_hour.standard_deviation, same_hour.median, same_hour.mad) == (12, 0, 12, 0)
    assert (same_hour.points, same_hour.days) == (6, 2)  # half an hour of one week, the whole of the next


def test_too_few_points_of_the_same_hour_are_none() -> None:
    points = every(timedelta(minutes=15), since=7 * DAY)

    assert dated_baseline("q", points, at=MONDAY_NOON, minimum_points=5).same_hour is None
    assert dated_baseline("q", points, at=MONDAY_NOON, minimum_points=4).same_hour is not None


def test_the_hour_that_has_just_begun_is_no_memory_of_earlier_weeks() -> None:
    at = MONDAY_NOON + timedelta(minutes=59)
    points = every(timedelta(minutes=1), since=timedelta(minutes=58), until=at)

    baseline = dated_baseline("q", points, at=at, minimum_points=5, by_hour=True)

    assert (baseline.points, baseline.same_hour, baseline.hours) == (59, None, {})


def test_hours_of_the_week_begin_on_monday_midnight_utc_wherever_the_clock_is() -> None:
    points = every(timedelta(minutes=10), since=7 * DAY)
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    moved = [(at.astimezone(kathmandu), value) for at, value in points]

    here = dated_baseline("q", points, at=MONDAY_NOON, minimum_points=5, by_hour=True)
    there = dated_baseline("q", moved, at=MONDAY_NOON.astimezone(kathmandu), minimum_points=5, by_hour=True)

    assert here == there
    assert list(here.hours) == list(range(168))
    assert {hour: summary.mean for hour, summary in here.hours.items()} == {h: h % 24 for h in range(168)}
    assert here.days == 8


@given(
    st.lists(st.tuples(st.timedeltas(timedelta(0), timedelta(days=30)), st.floats(-1e6, 1e6)), min_size=2),
    st.integers(2, 10),
)
def test_the_hours_are_parts_of_the_whole(found: list[tuple[timedelta, float]], minimum: int) -> None:
    points = sorted((MONDAY_NOON - ago, value) for ago, value in found)

    baseline = dated_baseline("q", points, at=MONDAY_NOON, minimum_points=minimum, by_hour=True)

    assert sum(hour.points for hour in baseline.hours.values()) <= baseline.points == len(points)
    assert all(hour.points >= minimum and hour.days <= baseline.days for hour in baseline.hours.values())
    assert baseline.same_hour == baseline.hours.get(12)
    if baseline.mean is not None:
        assert baseline.mean == statistics.fmean(value for _, value in points)


def test_a_call_edge_is_summarised_by_mean_and_worst() -> None:
    edge = edge_baseline("web", "cart", [0.0, 1.0, 5.0])

    assert (edge.mean_error_percent, edge.worst_error_percent, edge.points) == (2.0, 5.0, 3)


@pytest.mark.parametrize(
    ("detector", "points"),
    [
        (None, 0),
        (Fixed(limit=1), 0),
        (Seasonal(), 0),
        (ZScore(window=HOUR), 60),
        (Ewma(), 120),
        (MovingAverage(), 120),
        (ZScore(window=14 * DAY), 1_000),
    ],
)
def test_a_detector_that_learns_from_the_minutes_before_gets_its_window_of_them(
    detector: Detector | None, points: int
) -> None:
    assert points_to_learn_from(detector) == points
