"""When the load tests of a campaign begin: its cron line, the window around it, and the blackouts.

`why_not` is the rule, for one moment; runs and previews ask it. `left_out` says as much of the blackouts as a
calendar can, for a server that only knows moments of the day.
"""

import calendar
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from holdfast.domain import run_phrases
from holdfast.domain.errors import InvalidInput
from holdfast.runbook.kinds.campaign import Blackout, CampaignSpec, TestSchedule

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES: Final = 24 * 60
_FIELDS: Final = ("minute", "hour", "day of the month", "month", "day of the week")
_BOUNDS: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS: Final = {name.lower(): n for n, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS: Final = {name: (n + 1) % 7 for n, name in enumerate(DAYS)}  # cron counts from Sunday


@dataclass(frozen=True)
class Occurrence:
    """A moment of the cron line; `left_out` says why no test begins then, empty where one does."""

    at: datetime
    left_out: str = ""


class Left(BaseModel):
    """Moments of whole minutes that are left out, on the campaign's clock.

    Attributes:
        hour: from and to, both included.
        minute: of each of these hours, likewise.
        weekdays: on these, from Sunday as 0; all where empty.
        on: on this date only; each day where None.
        why: for the people who wonder.
    """

    hour: tuple[int, int]
    minute: tuple[int, int]
    weekdays: tuple[int, ...] = ()
    on: date | None = None
    why: str = ""


class Cron:
    """A line of five fields. A day has to fit both of its fields, as Temporal reads it.

    Raises:
        InvalidInput: names the field that cannot be read.
    """

    def __init__(self, line: str) -> None:
        parts = line.split()
        if len(parts) != len(_FIELDS):
            raise InvalidInput(f"cron: '{line}' has {len(parts)} fields; write {', '.join(_FIELDS)}")
        read = [_numbers(part, number) for number, part in enumerate(parts)]
        self._minutes, self._hours, self._days, self._months, weekdays = read
        self._weekdays = {day % 7 for day in weekdays}

    def times(self, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the moments later than `after` and not later than `until`, in UTC.

        A moment that the clock leaps over does not come; one that it shows twice comes the first time.
        """
        day = after.astimezone(zone).date()
        while day <= until.astimezone(zone).date():
            for at in self._of_day(day, zone):
                if after < at <= until:
                    yield at
            day += timedelta(days=1)

    def _of_day(self, day: date, zone: ZoneInfo) -> Iterator[datetime]:
        fits = day.month in self._months and day.day in self._days
        if not fits or (day.weekday() + 1) % 7 not in self._weekdays:
            return
        for hour in sorted(self._hours):
            for minute in sorted(self._minutes):
                there = datetime.combine(day, time(hour, minute), tzinfo=zone)
                at = there.astimezone(UTC)
                if at.astimezone(zone).replace(tzinfo=None) == there.replace(tzinfo=None):
                    yield at


def schedule_of(spec: CampaignSpec) -> TestSchedule:
    """Return when a campaign's tests begin by themselves; raises InvalidInput where they do not."""
    if spec.load_test.schedule is None:
        raise InvalidInput(
            f"campaign '{spec.name}' has no load_test.schedule: write when its load tests begin, for example "
            'schedule: {cron: "30 2 * * *"}'
        )
    return spec.load_test.schedule


def lasts_of(spec: CampaignSpec) -> timedelta:
    """Return how long a test of the campaign is."""
    return sum((phase.lasts for phase in spec.load_test.peak.phases()), timedelta(0))


def why_not(spec: CampaignSpec, at: datetime, *, jitter: bool = False) -> str:
    """Say why no scheduled test of this campaign may begin at a moment; empty where it may.

    Args:
        spec: the campaign.
        at: the moment, aware.
        jitter: whether it may still be moved by the schedule's jitter.
    """
    schedule, zone = schedule_of(spec), ZoneInfo(spec.client.time_zone)
    if at < spec.opens - schedule.begins:
        return run_phrases.LOAD_TOO_EARLY.format(at=_on(spec.opens - schedule.begins, zone))
    if at > spec.opens - schedule.ends:
        return run_phrases.LOAD_TOO_LATE.format(at=_on(spec.opens - schedule.ends, zone))
    spread = (schedule.jitter or timedelta(0)) if jitter else timedelta(0)
    end = at + spread + lasts_of(spec)
    for blackout in schedule.blackouts:
        for begins, ends in _periods(blackout, zone, at, end):
            if at < ends and end > begins:
                return _collides(blackout, begins.astimezone(zone), inside=begins <= at)
    return ""


def preview(spec: CampaignSpec, now: datetime, *, most: int = 20) -> list[Occurrence]:
    """Return the next moments of the cron line, each with why no test begins then.

    Raises:
        InvalidInput: the cron line cannot be read, or the campaign has no schedule.
    """
    schedule, zone = schedule_of(spec), ZoneInfo(spec.client.time_zone)
    after = max(now, spec.opens - schedule.begins - timedelta(seconds=1))
    found: list[Occurrence] = []
    for at in Cron(schedule.cron).times(zone, after, spec.opens - schedule.ends):
        if len(found) == most:
            break
        found.append(Occurrence(at, why_not(spec, at, jitter=True)))
    return found


def left_out(spec: CampaignSpec) -> list[Left]:
    """Return what of the blackouts can be said exactly by moments of the day.

    Where the clock changes while tests are scheduled nothing is said: the runs look themselves.
    """
    schedule, zone = schedule_of(spec), ZoneInfo(spec.client.time_zone)
    # A calendar knows moments of the day only. The run looks again in any case: it knows how long the test is
    # (docs/decisions/0020).
    if not _clock_stays(zone, spec.opens - schedule.begins, spec.opens):
        return []
    needs = lasts_of(spec) + (schedule.jitter or timedelta(0))
    return [left for blackout in schedule.blackouts for left in _left_out(blackout, needs)]


# --- blackouts ----------------------------------------------------------------------------------------------


def _periods(
    blackout: Blackout, zone: ZoneInfo, since: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the periods of a blackout around a stretch of time, in UTC."""
    day = since.astimezone(zone).date() - timedelta(days=1)
    while day <= until.astimezone(zone).date():
        if _on_this(blackout, day):
            over_midnight = blackout.ends <= blackout.begins
            last = day + timedelta(days=1) if over_midnight else day
            yield min(_moments(day, blackout.begins, zone)), max(_moments(last, blackout.ends, zone))
        day += timedelta(days=1)


def _moments(day: date, at: time, zone: ZoneInfo) -> list[datetime]:
    """Return what a time of day may mean: two moments where the clock shows it twice, or leaps over it."""
    return [datetime.combine(day, at, tzinfo=zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1)]


def _collides(blackout: Blackout, begins: datetime, *, inside: bool) -> str:
    if inside:
        template = run_phrases.LOAD_IN_BLACKOUT_BECAUSE if blackout.why else run_phrases.LOAD_IN_BLACKOUT
    else:
        template = run_phrases.LOAD_INTO_BLACKOUT_BECAUSE if blackout.why else run_phrases.LOAD_INTO_BLACKOUT
    since, until = f"{blackout.begins:%H:%M}", f"{blackout.ends:%H:%M}"
    return template.format(at=f"{begins:%H:%M}", since=since, until=until, why=blackout.why)


def _on_this(blackout: Blackout, day: date) -> bool:
    if blackout.dates:
        return day.isoformat() in blackout.dates
    return not blackout.days or DAYS[day.weekday()] in blackout.days


def _left_out(blackout: Blackout, needs: timedelta) -> Iterator[Left]:
    """Yield the minutes at which a test that needs so long must not begin."""
    begins, ends = _seconds(blackout.begins), _seconds(blackout.ends)
    if ends <= begins:
        ends += _MINUTES * 60
    first = math.floor((begins - needs.total_seconds()) / 60) + 1  # it would end after the blackout began
    last = math.ceil(ends / 60) - 1
    for day in range(first // _MINUTES, last // _MINUTES + 1):
        low = max(first, day * _MINUTES) - day * _MINUTES
        high = min(last, (day + 1) * _MINUTES - 1) - day * _MINUTES
        for hour, minute in _blocks(low, high):
            for weekdays, on in _days(blackout, day):
                yield Left(hour=hour, minute=minute, weekdays=weekdays, on=on, why=blackout.why)


def _days(blackout: Blackout, later: int) -> Iterator[tuple[tuple[int, ...], date | None]]:
    """Yield on which days something is left out that lies so many days after a blackout's own day."""
    if blackout.dates:
        yield from (((), date.fromisoformat(each) + timedelta(days=later)) for each in blackout.dates)
    elif blackout.days:
        yield tuple(sorted((_WEEKDAYS[day] + later) % 7 for day in blackout.days)), None
    else:
        yield (), None


def _blocks(low: int, high: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield hours and minutes, as two ranges each, that are the minutes of a day from `low` to `high`."""
    (low_hour, low_minute), (high_hour, high_minute) = divmod(low, 60), divmod(high, 60)
    if low_hour == high_hour:
        yield (low_hour, low_hour), (low_minute, high_minute)
        return
    if low_minute:
        yield (low_hour, low_hour), (low_minute, 59)
        low_hour += 1
    if high_minute < 59:  # noqa: PLR2004  the last minute of an hour
        yield (high_hour, high_hour), (0, high_minute)
        high_hour -= 1
    if low_hour <= high_hour:
        yield (low_hour, high_hour), (0, 59)


def _clock_stays(zone: ZoneInfo, since: datetime, until: datetime) -> bool:
    days = range((until - since).days + 2)
    return len({(since + timedelta(days=n)).astimezone(zone).utcoffset() for n in days}) == 1


def _seconds(at: time) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second


def _on(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M} {zone.key}"


# --- cron ---------------------------------------------------------------------------------------------------


def _numbers(text: str, field: int) -> set[int]:
    """Read one field: `*`, `5`, `1-5`, `*/15`, `mon,wed`."""
    found: set[int] = set()
    for part in text.lower().split(","):
        match = re.fullmatch(r"(\*|(\w+)(?:-(\w+))?)(?:/(\d+))?", part)
        if match is None:
            raise _unreadable(text, field)
        whole, first, last, step = match.groups()
        low, high = _BOUNDS[field]
        if whole != "*":
            low = _number(first, field, text)
            high = _number(last, field, text) if last else (high if step else low)
        if not (_BOUNDS[field][0] <= low <= high <= _BOUNDS[field][1]) or (step and not int(step)):
            raise _unreadable(text, field)
        found.update(range(low, high + 1, int(step or 1)))
    return found


def _number(word: str, field: int, text: str) -> int:
    names: Mapping[str, int] = _MONTHS if field == 3 else _WEEKDAYS if field == 4 else {}  # noqa: PLR2004
    if word in names:
        return names[word]
    if not word.isdecimal():
        raise _unreadable(text, field)
    return int(word)


def _unreadable(text: str, field: int) -> InvalidInput:
    low, high = _BOUNDS[field]
    return InvalidInput(
        f"cron: '{text}' is no {_FIELDS[field]}: write numbers from {low} to {high}, *, 1-5, */2 or 1,3"
    )
