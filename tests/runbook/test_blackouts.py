"""When load tests begin, and why not: the cron line, the window, blackouts, and the same as a calendar."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.domain.errors import InvalidInput
from holdfast.runbook.blackouts import DAYS, Cron, Left, left_out, preview, why_not
from tests.temporal.campaign_files import spec_of

MOSCOW = ZoneInfo("Europe/Moscow")
BERLIN = ZoneInfo("Europe/Berlin")
OPENS = "2026-12-11T10:00:00+03:00"


def there(text: str, zone: ZoneInfo = MOSCOW) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def times(cron: str, zone: ZoneInfo, since: str, until: str) -> list[str]:
    found = Cron(cron).times(zone, there(since, zone), there(until, zone))
    return [f"{at.astimezone(zone):%d %H:%M}" for at in found]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 2 * * *", ["01 02:30", "02 02:30"]),
        (
            "0,30 */12 * * *",
            ["01 00:30", "01 12:00", "01 12:30", "02 00:00", "02 00:30", "02 12:00", "02 12:30"],
        ),
        ("15 3 * * wed", ["02 03:15"]),
        ("15 3 2 12 3", ["02 03:15"]),
        ("15 3 1 * wed", []),
        ("5 1-2 * dec tue-wed", ["01 01:05", "01 02:05", "02 01:05", "02 02:05"]),
        ("0 4 * * 7", []),
    ],
)
def test_a_cron_line_gives_its_moments(cron: str, expected: list[str]) -> None:
    assert times(cron, MOSCOW, "2026-12-01T00:00", "2026-12-02T23:59") == expected


def test_a_step_of_hours_comes_at_each_of_its_minutes() -> None:
    found = times("5,30 */12 * * *", MOSCOW, "2026-12-01T00:00", "2026-12-01T23:59")
    assert found == ["01 00:05", "01 00:30", "01 12:05", "01 12:30"]


def test_a_moment_that_the_clock_leaps_over_does_not_come_and_one_that_comes_twice_comes_once() -> None:
    assert times("30 2 * * *", BERLIN, "2026-03-28T00:00", "2026-03-30T12:00") == ["28 02:30", "30 02:30"]
    assert times("30 2 * * *", BERLIN, "2026-10-24T00:00", "2026-10-26T12:00") == [
        "24 02:30",
        "25 02:30",
        "26 02:30",
    ]


@pytest.mark.parametrize(
    "cron", ["60 2 * * *", "a 2 * * *", "*/0 2 * * *", "5-1 2 * * *", "0 2 * * fun", "0 2 * *"]
)
def test_a_field_that_cannot_be_read_is_named(cron: str) -> None:
    with pytest.raises(InvalidInput, match=r"^cron: "):
        Cron(cron)


def test_outside_of_its_days_no_test_begins() -> None:
    spec = spec_of(opens=OPENS)
    assert why_not(spec, there("2026-11-27T09:59")) == "tests begin on 2026-11-27 10:00 Europe/Moscow"
    assert why_not(spec, there("2026-11-27T10:00")) == ""
    assert why_not(spec, there("2026-12-10T10:00")) == ""
    assert why_not(spec, there("2026-12-10T10:01")) == "no test begins after 2026-12-10 10:00 Europe/Moscow"


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("2026-12-01T07:48", ""),
        ("2026-12-01T07:49", "it would still run at 08:00, which is in the blackout 08:00–23:00 (awake)"),
        ("2026-12-01T08:00", "it is in the blackout 08:00–23:00 (awake)"),
        ("2026-12-01T22:59", "it is in the blackout 08:00–23:00 (awake)"),
        ("2026-12-01T23:00", ""),
    ],
)
def test_a_test_must_fit_before_a_blackout_begins(at: str, why: str) -> None:
    spec = spec_of(opens=OPENS, blackouts=[{"begins": "08:00", "ends": "23:00", "why": "awake"}])
    assert why_not(spec, there(at)) == why


def test_a_blackout_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    spec = spec_of(opens=OPENS, blackouts=[{"begins": "22:00", "ends": "04:00", "days": ["fri"]}])
    blocked = [f"{at:%a %H}" for at in hours("2026-12-03", 72) if why_not(spec, at + timedelta(minutes=1))]
    assert blocked == ["Fri 22", "Fri 23", "Sat 00", "Sat 01", "Sat 02", "Sat 03"]


def test_only_the_dates_that_are_given_count() -> None:
    spec = spec_of(opens=OPENS, blackouts=[{"begins": "00:00", "ends": "06:00", "dates": ["2026-12-02"]}])
    nights = preview(spec, there("2026-11-30T12:00"), most=3)
    assert [bool(night.left_out) for night in nights] == [False, True, False]


def test_where_the_clock_changes_nothing_is_left_out_by_calendar_but_the_rule_counts() -> None:
    data = {"opens": "2026-10-30T10:00:00+01:00", "blackouts": [{"begins": "02:00", "ends": "03:00"}]}
    spec = spec_of(**data).model_copy(
        update={"client": spec_of().client.model_copy(update={"time_zone": "Europe/Berlin"})}
    )
    assert left_out(spec) == []
    assert all(each.left_out for each in preview(spec, there("2026-10-20T00:00", BERLIN)))


@pytest.mark.parametrize(
    ("begins", "ends", "inside"),
    [
        # In March the clock leaps from 02:00 to 03:00, at 01:00 UTC.
        ("01:00", "02:30", "2026-03-29T00:50+00:00"),
        ("02:30", "04:00", "2026-03-29T01:10+00:00"),
        # In October it shows 02:00 to 03:00 twice, the second time from 01:00 UTC.
        ("01:00", "02:30", "2026-10-25T01:20+00:00"),
        ("02:30", "04:00", "2026-10-25T00:40+00:00"),
    ],
)
def test_a_blackout_covers_its_time_also_in_the_night_of_a_clock_change(
    begins: str, ends: str, inside: str
) -> None:
    at = datetime.fromisoformat(inside)
    data = {"opens": (at + timedelta(days=5)).isoformat(), "blackouts": [{"begins": begins, "ends": ends}]}
    spec = spec_of(**data).model_copy(
        update={"client": spec_of().client.model_copy(update={"time_zone": "Europe/Berlin"})}
    )
    assert f"it is in the blackout {begins}–{ends}" in why_not(spec, at)


def hours(day: str, count: int) -> list[datetime]:
    first = there(f"{day}T00:00")
    return [first + timedelta(hours=n) for n in range(count)]


def covers(left: Left, at: datetime) -> bool:
    """Whether a calendar of whole minutes has this moment."""
    day = left.on is None or left.on == at.date()
    weekday = not left.weekdays or (at.weekday() + 1) % 7 in left.weekdays
    return (
        day
        and weekday
        and left.hour[0] <= at.hour <= left.hour[1]
        and left.minute[0] <= at.minute <= left.minute[1]
    )


_minutes = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02d}:{minute % 60:02d}")
_blackouts = st.fixed_dictionaries(
    {
        "begins": _minutes,
        "ends": _minutes,
        "days": st.lists(st.sampled_from(DAYS), unique=True, max_size=3),
        "dates": st.lists(st.dates(date(2026, 12, 1), date(2026, 12, 6)).map(str), unique=True, max_size=2),
    }
)


@settings(max_examples=60)
@given(blackout=_blackouts, minute=st.integers(0, 59), jitter=st.integers(0, 40))
def test_the_calendar_leaves_out_exactly_what_the_rule_leaves_out(
    blackout: dict[str, Any], minute: int, jitter: int
) -> None:
    more = {"jitter": f"{jitter}m"} if jitter else {}
    spec = spec_of(opens=OPENS, blackouts=[blackout], **more)
    calendars = left_out(spec)
    for hour in hours("2026-11-29", 24 * 9):
        at = hour + timedelta(minutes=minute)
        by_rule = bool(why_not(spec, at.astimezone(UTC), jitter=True))
        assert by_rule == any(covers(left, at) for left in calendars), at
