from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from holdfast.domain.calendar import is_working, last_working_moment, next_working_moment
from holdfast.domain.people import WEEKDAYS, Away, Person, WorkingHours

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # moves its clocks by half an hour
    "America/Havana",  # moves them at midnight
    "Pacific/Auckland",
]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DAYS_OF_CHANGE = [(3, 8), (3, 29), (4, 5), (9, 27), (10, 4), (10, 25), (11, 1)]


def person(
    zone: str = "Europe/Berlin", hours: str = "09:00-18:00", days: tuple[str, ...] = WEEKDAYS[:5]
) -> Person:
    when = WorkingHours(days=days, hours=hours)
    return Person(name="vera", title="Vera", time_zone=zone, working_hours=when)


def away(who: Person, *periods: tuple[date, date]) -> Person:
    absences = tuple(Away.model_validate({"from": first, "until": last}) for first, last in periods)
    return who.model_copy(update={"away": absences})


def clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


people = st.builds(
    lambda zone, start, length, days: person(zone, f"{clock(start)}-{clock(start + length)}", tuple(days)),
    st.sampled_from(ZONES),
    st.integers(0, 1439),
    st.integers(1, 1439),
    st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True),
)
days_of_2026 = st.integers(0, 400).map(lambda days: date(2026, 1, 1) + days * DAY)
absences = st.lists(st.tuples(days_of_2026, st.integers(0, 30)), max_size=3).map(
    lambda drawn: [(first, first + length * DAY) for first, length in drawn]
)
people_with_absences = st.builds(lambda who, periods: away(who, *periods), people, absences)


def minutes_after(first: datetime, low: int, high: int) -> st.SearchStrategy[datetime]:
    return st.integers(low, high).map(lambda minutes: first + minutes * MINUTE)


moments = minutes_after(datetime(2026, 1, 1, tzinfo=UTC), 0, 525_600) | st.sampled_from(DAYS_OF_CHANGE).flatmap(
    lambda day: minutes_after(datetime(2026, *day, tzinfo=UTC), -1440, 2880)
)


@given(people_with_absences, moments)
def test_the_next_working_moment_is_a_working_one_with_none_before(who: Person, at: datetime) -> None:
    found = next_working_moment(who, at)

    assert found >= at
    assert is_working(who, found)
    assert not who.is_away(found)
    assert next_working_moment(who, found) == found
    between = range(0, int((found - at) / MINUTE), 11)
    assert not any(is_working(who, at + minutes * MINUTE) for minutes in between)


@given(people_with_absences, moments, st.integers(0, 20))
def test_an_earlier_moment_is_a_working_one_or_the_moment_itself(who: Person, at: datetime, days: int) -> None:
    earliest = at - days * DAY
    found = last_working_moment(who, at, earliest=earliest, room=HOUR)

    assert earliest <= found <= at
    assert found == at or is_working(who, found)
    assert found == at or not is_working(who, at)


@given(people, moments)
def test_on_days_without_a_change_of_clocks_the_wall_clock_decides(who: Person, at: datetime) -> None:
    local = at.astimezone(who.zone)
    noons = [local.replace(hour=12, fold=0) + days * DAY for days in (-1, 0, 1)]
    assume(len({noon.utcoffset() for noon in noons}) == 1)
    hours, now = who.working_hours, local.time()
    overnight = hours.end <= hours.start
    begins = local.date() - DAY if overnight and now < hours.end else local.date()
    inside = now >= hours.start or now < hours.end if overnight else hours.start <= now < hours.end

    assert is_working(who, at) == (inside and WEEKDAYS[begins.weekday()] in hours.days)


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> datetime:
    """A moment by the clock of a place."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("hours", "asked", "expected"),
    [
        ("09:00-18:00", "2026-11-20 12:34", "2026-11-20 12:34"),
        ("09:00-18:00", "2026-11-20 08:59", "2026-11-20 09:00"),
        ("09:00-18:00", "2026-11-20 18:00", "2026-11-23 09:00"),  # from Friday evening to Monday
        ("09:00-18:00", "2026-11-21 03:00", "2026-11-23 09:00"),
        ("22:00-06:00", "2026-11-20 05:59", "2026-11-20 05:59"),
        ("22:00-06:00", "2026-11-20 06:00", "2026-11-20 22:00"),
        ("22:00-06:00", "2026-11-21 05:00", "2026-11-21 05:00"),  # Friday's shift, on Saturday
        ("22:00-06:00", "2026-11-21 22:30", "2026-11-23 22:00"),
        ("22:00-06:00", "2026-11-23 01:00", "2026-11-23 22:00"),  # Sunday has no shift
    ],
)
def test_working_moments_in_an_ordinary_week(hours: str, asked: str, expected: str) -> None:
    assert next_working_moment(person(hours=hours), at(asked)) == at(expected)


def test_nine_o_clock_stays_nine_o_clock_when_the_clocks_change() -> None:
    before, after = at("2026-03-27 18:00"), at("2026-03-30 09:00")

    assert next_working_moment(person(), before) == after
    assert after.hour == 7
    assert before.hour == 17


def test_a_shift_over_the_change_of_clocks_lasts_as_long_as_it_does() -> None:
    guard = person(hours="22:00-06:00", days=WEEKDAYS)
    spring = [at("2026-03-28 22:00") + minutes * MINUTE for minutes in range(0, 12 * 60, 30)]
    autumn = [at("2026-10-24 22:00") + minutes * MINUTE for minutes in range(0, 12 * 60, 30)]

    assert sum(is_working(guard, moment) for moment in spring) == 7 * 2
    assert sum(is_working(guard, moment) for moment in autumn) == 9 * 2


def test_a_shift_that_begins_in_a_skipped_hour_begins_when_the_clock_shows_an_hour_more() -> None:
    early = person(hours="02:30-10:00", days=WEEKDAYS)

    assert next_working_moment(early, at("2026-03-29 01:00")) == at("2026-03-29 03:30")


def test_a_shift_that_ends_in_an_hour_that_comes_twice_ends_the_second_time() -> None:
    late = person(hours="18:00-02:30", days=WEEKDAYS)

    assert is_working(late, at("2026-10-25 02:29", fold=1))
    assert not is_working(late, at("2026-10-25 02:30", fold=1))


def test_a_shift_within_a_skipped_hour_does_not_take_place() -> None:
    odd = person(hours="02:00-03:00", days=WEEKDAYS)

    assert next_working_moment(odd, at("2026-03-29 00:00")) == at("2026-03-30 02:00")


def test_days_away_are_skipped_and_a_night_shift_ends_where_they_begin() -> None:
    week = (date(2026, 11, 20), date(2026, 11, 26))

    assert next_working_moment(away(person(), week), at("2026-11-19 18:00")) == at("2026-11-27 09:00")
    guard = away(person(hours="22:00-06:00"), week)
    assert is_working(guard, at("2026-11-19 23:59"))
    assert not is_working(guard, at("2026-11-20 00:00"))
    assert next_working_moment(guard, at("2026-11-20 00:00")) == at("2026-11-27 22:00")


def test_whoever_is_away_for_more_than_a_year_is_told_in_working_hours_all_the_same() -> None:
    gone = away(person(), (date(2026, 1, 1), date(2030, 1, 1)))

    assert next_working_moment(gone, at("2026-11-21 03:00")) == at("2026-11-23 09:00")


def test_an_earlier_moment_leaves_room_to_act() -> None:
    sunday = at("2026-11-22 09:00")

    assert last_working_moment(person(), sunday, earliest=at("2026-11-16 09:00"), room=HOUR) == at(
        "2026-11-20 17:00"
    )
    assert last_working_moment(person(), sunday, earliest=at("2026-11-20 17:30"), room=HOUR) == sunday
    guard = person(hours="12:00-12:30")
    assert last_working_moment(guard, sunday, earliest=at("2026-11-16 09:00"), room=HOUR) == at(
        "2026-11-20 12:00"
    )
