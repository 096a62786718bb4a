from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.domain.duty import Roster, Rota, Shift, on_duty, shifts, stand_in
from holdfast.domain.people import Away, People, Person
from holdfast.ports.duty import Cover

BERLIN = ZoneInfo("Europe/Berlin")
DAY, WEEK = timedelta(days=1), timedelta(days=7)
NAMES = ("anna", "boris", "vera", "gleb")


def rota(*members: str, turn: timedelta = WEEK, backup: str = "", begins: str = "2026-03-02T10:00") -> Rota:
    return Rota(
        title="On call",
        members=members or ("anna", "boris"),
        turn=turn,
        begins=datetime.fromisoformat(begins),
        time_zone="Europe/Berlin",
        backup=backup,
    )


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def cover(person: str, since: datetime, until: datetime, *, rota: str = "oncall", at: int = 0) -> Cover:
    arranged = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=at)
    return Cover(id=f"{at}", rota=rota, person=person, since=since, until=until, by="boris", at=arranged)


def person(name: str, *away: tuple[str, str], deputy: str = "") -> Person:
    days = tuple(Away.model_validate({"from": first, "until": last}) for first, last in away)
    return Person(name=name, title=name.title(), time_zone="Europe/Berlin", away=days, deputy=deputy)


def told(found: list[Shift]) -> list[tuple[str, str, str]]:
    return [(s.person, f"{s.since.astimezone(BERLIN):%m-%d %H:%M}", s.cover) for s in found]


def test_turns_change_at_the_same_time_of_day_when_the_clocks_change() -> None:
    found = shifts(rota(), berlin("2026-03-20T00:00"), 3)

    assert told(found) == [
        ("anna", "03-16 10:00", ""),
        ("boris", "03-23 10:00", ""),
        ("anna", "03-30 10:00", ""),
    ]
    assert [s.until - s.since for s in found] == [WEEK, WEEK - timedelta(hours=1), WEEK]


def test_a_turn_in_the_skipped_hour_begins_when_the_clock_shows_an_hour_more() -> None:
    daily = rota(turn=DAY, begins="2026-03-27T02:30")

    assert [t[1] for t in told(shifts(daily, berlin("2026-03-28T12:00"), 3))] == [
        "03-28 02:30",
        "03-29 03:30",
        "03-30 02:30",
    ]


def test_before_its_first_turn_a_rota_counts_backwards() -> None:
    assert on_duty(rota(), berlin("2026-03-02T09:59")).person == "boris"
    assert on_duty(rota(), berlin("2026-03-02T10:00")).person == "anna"


def test_a_beginning_may_name_its_offset() -> None:
    assert rota(begins="2026-03-02T12:00+03:00").start_of(0) == rota().start_of(0)


def test_covers_split_turns() -> None:
    covers = [cover("vera", berlin("2026-03-04T18:00"), berlin("2026-03-05T18:00"))]

    assert told(shifts(rota(), berlin("2026-03-03T00:00"), 4, covers)) == [
        ("anna", "03-02 10:00", ""),
        ("vera", "03-04 18:00", "anna"),
        ("anna", "03-05 18:00", ""),
        ("boris", "03-09 10:00", ""),
    ]


def test_of_two_covers_for_one_moment_the_later_arranged_counts() -> None:
    monday, tuesday, friday = (berlin(f"2026-03-0{day}T10:00") for day in (2, 3, 6))
    covers = [cover("gleb", monday, tuesday, at=5), cover("vera", monday, friday, at=1)]

    assert told(shifts(rota(), monday, 3, covers)) == [
        ("gleb", "03-02 10:00", "anna"),
        ("vera", "03-03 10:00", "anna"),
        ("anna", "03-06 10:00", ""),
    ]


def test_who_covers_into_the_own_turn_has_one_shift() -> None:
    covers = [cover("boris", berlin("2026-03-08T10:00"), berlin("2026-03-09T10:00"))]

    expected = [("boris", "03-08 10:00", ""), ("anna", "03-16 10:00", "")]
    assert told(shifts(rota(), berlin("2026-03-08T12:00"), 2, covers)) == expected
    # Also seen from the own turn, the shift began the day before.
    assert told(shifts(rota(), berlin("2026-03-12T12:00"), 2, covers)) == expected


def test_a_deputy_has_the_days_on_which_a_member_is_away() -> None:
    people = People(people=(person("anna", ("2026-03-04", "2026-03-05"), deputy="vera"), person("vera")))

    assert told(shifts(rota(), berlin("2026-03-03T00:00"), 3, (), people)) == [
        ("anna", "03-02 10:00", ""),
        ("vera", "03-04 00:00", "anna"),
        ("anna", "03-06 00:00", ""),
    ]


def test_a_cover_goes_before_the_deputy() -> None:
    people = People(people=(person("anna", ("2026-03-04", "2026-03-05"), deputy="vera"), person("vera")))
    covers = [cover("gleb", berlin("2026-03-04T00:00"), berlin("2026-03-06T00:00"))]

    assert on_duty(rota(), berlin("2026-03-04T12:00"), covers, people).person == "gleb"


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ((person("anna", ("2026-03-03", "2026-03-03")),), "anna"),
        ((person("anna", ("2026-03-03", "2026-03-03"), deputy="vera"), person("vera")), "vera"),
        (
            (
                person("anna", ("2026-03-03", "2026-03-03"), deputy="vera"),
                person("vera", ("2026-03-01", "2026-03-09"), deputy="gleb"),
                person("gleb"),
            ),
            "gleb",
        ),
        (
            (
                person("anna", ("2026-03-03", "2026-03-03"), deputy="vera"),
                person("vera", ("2026-03-01", "2026-03-09"), deputy="anna"),
            ),
            "anna",
        ),
        ((), "anna"),
    ],
    ids=["no deputy", "a deputy", "the deputy's deputy", "a circle of people who are away", "nobody known"],
)
def test_the_first_deputy_who_is_there_stands_in(people: tuple[Person, ...], expected: str) -> None:
    assert stand_in("anna", People(people=people), berlin("2026-03-03T12:00")) == expected


def test_the_backup_rota_stands_in_where_no_deputy_is_there() -> None:
    people = People(people=(person("anna", ("2026-03-03", "2026-03-03")), person("vera"), person("gleb")))
    second = rota("vera", "gleb", turn=DAY, begins="2026-03-03T12:00")
    found = Roster({"oncall": rota(backup="second"), "second": second}, people=people).shifts(
        "oncall", since=berlin("2026-03-03T00:00"), count=3
    )

    assert told(found) == [
        ("gleb", "03-03 00:00", "anna"),
        ("vera", "03-03 12:00", "anna"),
        ("anna", "03-04 00:00", ""),
    ]


def test_a_roster_tells_covers_of_one_rota_from_those_of_another() -> None:
    monday = berlin("2026-03-02T10:00")
    covers = [cover("gleb", monday, monday + DAY, rota="crm")]
    roster = Roster({"oncall": rota(), "crm": rota("vera")}, covers=covers)

    on_call, crm = (roster.on_duty(name, monday) for name in ("oncall", "crm"))

    assert on_call is not None
    assert crm is not None
    assert (on_call.person, crm.person) == ("anna", "gleb")
    assert roster.on_duty("nothing", monday) is None
    assert roster.shifts("nothing", since=monday, count=3) == []


def test_a_rota_of_one_person_is_told_in_shifts_that_end() -> None:
    found = shifts(rota("anna"), berlin("2026-06-01T00:00"), 3)

    assert {s.person for s in found} == {"anna"}
    assert all(a.until == b.since for a, b in pairwise(found))
    assert found[0].since <= berlin("2026-06-01T00:00") < found[0].until


@pytest.mark.parametrize("turn", ["90m", "36h", "367d"])
def test_a_turn_has_whole_days(turn: str) -> None:
    with pytest.raises(ValidationError, match="turn must be whole days"):
        Rota.model_validate({"title": "x", "members": ["anna"], "turn": turn, "begins": "2026-03-02T10:00"})


def test_a_time_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="'Europe/Berln' is no time zone"):
        Rota.model_validate(
            {
                "title": "x",
                "members": ["anna"],
                "turn": "7d",
                "begins": "2026-03-02T10:00",
                "time_zone": "Europe/Berln",
            }
        )


def after_june(unit: timedelta) -> st.SearchStrategy[datetime]:
    reach = int(400 * DAY / unit)
    return st.integers(-reach, reach).map(lambda n: datetime(2026, 6, 1, tzinfo=UTC) + n * unit)


hours = after_june(timedelta(hours=1))
moments = hours | after_june(timedelta(seconds=1))
rotas = st.builds(
    lambda members, days, clock: rota(
        *members, turn=days * DAY, begins=f"2026-03-02T{clock // 2:02}:{30 * (clock % 2):02}"
    ),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=5),
    st.integers(1, 20),
    st.integers(0, 47),
)
covers_of_a_rota = st.lists(
    st.builds(
        lambda name, since, length, at: cover(name, since, since + timedelta(hours=length), at=at),
        st.sampled_from(NAMES),
        hours,
        st.integers(1, 1000),
        st.integers(0, 5),
    ),
    max_size=6,
)
absences = st.lists(st.tuples(st.integers(-300, 300), st.integers(0, 40)), max_size=2).map(
    lambda drawn: tuple(
        Away.model_validate({"from": date(2026, 6, 1) + a * DAY, "until": date(2026, 6, 1) + (a + n) * DAY})
        for a, n in drawn
    )
)
everybody = st.tuples(*(st.tuples(absences, st.sampled_from(NAMES)) for _ in NAMES)).map(
    lambda drawn: People(
        people=tuple(
            Person(name=name, title=name, time_zone="Europe/Berlin", away=away, deputy=deputy)
            for name, (away, deputy) in zip(NAMES, drawn, strict=True)
        )
    )
)


@given(rotas, moments, covers_of_a_rota, everybody)
def test_shifts_leave_no_gap_and_do_not_overlap(
    one: Rota, since: datetime, covers: list[Cover], people: People
) -> None:
    found = shifts(one, since, 8, covers, people)

    assert len(found) == 8
    assert found[0].since <= since < found[0].until
    assert all(before.until == after.since for before, after in pairwise(found))
    assert all(s.since < s.until and s.cover != s.person for s in found)


@given(rotas, moments, covers_of_a_rota, everybody)
def test_whoever_is_asked_about_a_moment_names_the_same_one_person(
    one: Rota, since: datetime, covers: list[Cover], people: People
) -> None:
    for shift in shifts(one, since, 4, covers, people):
        for at in (
            max(shift.since, since),
            shift.since + (shift.until - shift.since) / 2,
            shift.until - DAY / 86400,
        ):
            arranged = [c for c in covers if c.since <= at < c.until]
            turn = next(k for k in range(one.turn_at(at) - 1, 10**6) if one.start_of(k + 1) > at)
            expected = (
                max(enumerate(arranged), key=lambda c: (c[1].at, c[0]))[1].person
                if arranged
                else stand_in(one.members[turn % len(one.members)], people, at)
            )
            assert on_duty(one, at, covers, people).person == shift.person == expected


@given(rotas, st.integers(-200, 200))
def test_every_turn_begins_at_the_same_time_of_day_in_its_zone(one: Rota, turn: int) -> None:
    begin = one.start_of(turn).astimezone(BERLIN)

    assert one.turn_at(one.start_of(turn)) == turn
    assert one.turn_at(one.start_of(turn) - timedelta.resolution) == turn - 1
    skipped = begin.date() in {date(y, m, d) for y, m, d in LAST_SUNDAYS_OF_MARCH} and one.begins.hour == 2
    assert (begin.hour, begin.minute) == (one.begins.hour + skipped, one.begins.minute)


LAST_SUNDAYS_OF_MARCH = [
    (y, 3, d) for y in range(2010, 2045) for d in range(25, 32) if date(y, 3, d).weekday() == 6
]
