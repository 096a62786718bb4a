"""What is usual at this hour of the week."""

import math
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.slo.baseline import MOST_SIGMAS, Usual, baseline_step, deviates, distance, usual
from holdfast.slo.spec import Kpi
from tests.slo.slo_builders import AT, DAY, HOUR, MINUTE

RISING = Kpi(query="a[$window]")


def past(value: float, *, since: timedelta, count: int) -> list[tuple[datetime, float]]:
    return [(AT - since + k * MINUTE, value) for k in range(count)]


def test_the_same_hour_of_the_week_goes_before_all_hours() -> None:
    points = [*past(5.0, since=7 * DAY, count=60), *past(1.0, since=2 * DAY, count=600)]

    found = usual(points, at=AT + 30 * MINUTE)

    assert found == Usual(median=5.0, mad=0.0, points=60, same_hour=True)


def test_all_hours_stand_in_where_the_hour_has_too_few_points() -> None:
    points = [*past(5.0, since=7 * DAY, count=19), *past(1.0, since=2 * DAY, count=600)]

    found = usual(points, at=AT)

    assert found == Usual(median=1.0, mad=0.0, points=619, same_hour=False)


def test_the_hour_that_is_judged_is_no_memory_of_earlier_weeks() -> None:
    assert usual(past(5.0, since=timedelta(0), count=59), at=AT + 59 * MINUTE) is None


def test_numbers_that_are_none_do_not_count() -> None:
    points = past(math.nan, since=2 * DAY, count=100) + past(2.0, since=3 * DAY, count=20)

    assert usual(points, at=AT) == Usual(median=2.0, mad=0.0, points=20)


def test_too_few_points_are_no_baseline() -> None:
    assert usual(past(1.0, since=2 * DAY, count=19), at=AT) is None
    assert usual([], at=AT) is None


def test_the_distance_is_in_standard_deviations_of_a_normal_distribution() -> None:
    # the median absolute deviation of a normal distribution is 0.6745 of its standard deviation
    assert distance(RISING, 13.0, Usual(median=10, mad=0.6745, points=99)) == pytest.approx(3, abs=1e-3)


def test_what_is_only_shown_never_deviates() -> None:
    shown = Kpi(query="a[$window]", bad_when="never")

    assert not deviates(shown, 1e9, Usual(median=0, mad=0, points=99))
    assert distance(shown, 1e9, Usual(median=0, mad=0, points=99)) == 0


def test_two_weeks_each_minute_are_asked_at_a_distance_that_can_be_afforded() -> None:
    assert baseline_step(DAY, interval=MINUTE) == MINUTE
    step = baseline_step(14 * DAY, interval=MINUTE)
    assert step == timedelta(seconds=242)
    assert 14 * DAY / step < 5_000
    assert HOUR / step * 2 >= 20  # two same hours of two weeks still make a baseline


@given(
    value=st.floats(allow_nan=False, allow_infinity=False),
    median=st.floats(allow_nan=False, allow_infinity=False),
    mad=st.floats(0, allow_nan=False, allow_infinity=False),
    bad_when=st.sampled_from(["rising", "falling", "never"]),
)
def test_the_distance_is_always_a_number_within_bounds(value, median, mad, bad_when) -> None:
    kpi = Kpi(query="a[$window]", bad_when=bad_when)

    found = distance(kpi, value, Usual(median=median, mad=mad, points=20))

    assert -MOST_SIGMAS <= found <= MOST_SIGMAS


@given(st.lists(st.tuples(st.datetimes(), st.floats()), max_size=80))
def test_any_past_gives_a_finite_baseline_or_none(points) -> None:
    aware = [(when.replace(tzinfo=AT.tzinfo), value) for when, value in points]

    found = usual(aware, at=AT, fewest=1)

    assert found is None or (math.isfinite(found.median) and math.isfinite(found.mad) and found.mad >= 0)
