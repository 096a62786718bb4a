"""Working hours: when a person may be reminded of something that can wait.

A shift begins on one of the person's working days, on the person's own clock, and may end after midnight.
Instants are compared, so a day on which the clocks change is as long as it is. A shift that begins in a skipped
hour begins when the clock shows an hour more; one that ends in an hour that comes twice ends the second time.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from holdfast.domain.people import WEEKDAYS, Person

_DAYS_SEARCHED: Final = 366
_DAY: Final = timedelta(days=1)


class _Shift(NamedTuple):
    start: datetime
    end: datetime


def is_working(person: Person, at: datetime) -> bool:
    """Whether the person works at that moment, and is away neither on the shift's day nor on that very day."""
    today = at.astimezone(person.zone).date()
    shifts = _shifts(person, [today - _DAY, today])
    return not person.is_away(at) and any(shift.start <= at < shift.end for shift in shifts)


def next_working_moment(person: Person, at: datetime) -> datetime:
    """Return the first moment from `at` on in which the person works: `at` itself or a shift's start, in UTC.

    For somebody who is away for more than a year only the working hours count: better told then than never.
    """
    today = at.astimezone(person.zone).date()
    for shift in _shifts(person, (today + timedelta(days=n) for n in range(-1, _DAYS_SEARCHED))):
        moment = max(at, shift.start)
        if moment < shift.end and is_working(person, moment):
            return moment
    return next_working_moment(person.model_copy(update={"away": ()}), at) if person.away else at


def last_working_moment(person: Person, at: datetime, *, earliest: datetime, room: timedelta) -> datetime:
    """Return the last moment until `at` in which the person works and can still do something about it.

    Args:
        person: whose working hours count.
        at: returned as it is where the person works then, or not at all between `earliest` and then.
        earliest: only later moments are returned.
        room: how much of the shift is left at the moment returned; a shorter shift is taken at its start.
    """
    if is_working(person, at):
        return at
    first, today = (moment.astimezone(person.zone).date() for moment in (earliest, at))
    for shift in _shifts(person, (today - timedelta(days=n) for n in range((today - first).days + 2))):
        moment = max(shift.start, shift.end - room)
        if earliest < moment < at and is_working(person, moment):
            return moment
    return at


def _shifts(person: Person, days: Iterable[date]) -> Iterator[_Shift]:
    """Yield the shifts that begin on these days; one within an hour that is skipped lasts no time at all."""
    hours = person.working_hours
    for day in days:
        if WEEKDAYS[day.weekday()] not in hours.days or any(a.first <= day <= a.last for a in person.away):
            continue
        last_day = day if hours.end > hours.start else day + _DAY
        ends = [_instant(person, last_day, hours.end, fold=fold) for fold in (0, 1)]
        yield _Shift(_instant(person, day, hours.start, fold=0), max(ends))


def _instant(person: Person, day: date, clock: time, *, fold: int) -> datetime:
    return datetime.combine(day, clock.replace(fold=fold), person.zone).astimezone(UTC)


def turns_of_absence(person: Person) -> Iterator[datetime]:
    """Yield the moments at which the person goes away or comes back, in UTC."""
    for away in person.away:
        yield _instant(person, away.first, time.min, fold=0)
        yield _instant(person, away.last + _DAY, time.min, fold=0)
