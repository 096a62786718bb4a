"""The people who may start runs and decide gates."""

import re
from collections.abc import Iterable
from datetime import date, datetime, time
from functools import cache
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(\d\d:\d\d)\s*[-–]\s*(\d\d:\d\d)")


class WorkingHours(BaseModel):
    """When a person may be reminded of something that can wait; on the person's own clock.

    Attributes:
        days: `mon` … `sun`.
        hours: `09:00-18:00`; the end may lie after midnight (`22:00-06:00`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: tuple[str, ...] = WEEKDAYS[:5]
    hours: str = "09:00-18:00"

    @field_validator("days")
    @classmethod
    def _days_are_known(cls, days: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [d for d in days if d not in WEEKDAYS]
        if unknown or not days:
            raise ValueError(f"days must be some of {', '.join(WEEKDAYS)}")
        return days

    @field_validator("hours")
    @classmethod
    def _hours_are_readable(cls, hours: str) -> str:
        start, end = _clock_times(hours)
        if start == end:
            raise ValueError("hours must end at another time than they begin")
        return hours

    @property
    def start(self) -> time:
        """When the working day begins."""
        return _clock_times(self.hours)[0]

    @property
    def end(self) -> time:
        """When it ends; not later than `start` means on the next day."""
        return _clock_times(self.hours)[1]


def _clock_times(hours: str) -> tuple[time, time]:
    match = _HOURS.fullmatch(hours.strip())
    if match is None:
        raise ValueError("hours must read like 09:00-18:00")
    return time.fromisoformat(match[1]), time.fromisoformat(match[2])


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


class Away(BaseModel):
    """Days on which somebody is not there, both included, in that person's time zone."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    first: date = Field(alias="from")
    last: date = Field(alias="until")

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.last < self.first:
            raise ValueError("until must not be before from")
        return self


class Person(BaseModel):
    """One person of `runbooks/people.yaml`.

    Attributes:
        name: short unique name, as typed on the command line and in the Temporal UI.
        title: what others read, e.g. `Olga (SRE lead)`.
        telegram_id: the numeric id that Telegram puts into updates; None for people without Telegram.
        email: where a link to the web page is sent; empty for nobody.
        roles: what the person may do; runbooks name roles, never people's ids.
        groups: teams or boards of which each member counts.
        time_zone: IANA name, e.g. `Europe/Berlin`; of the working hours and of times in messages.
        deputy: who acts for this person while away, and first when an answer is overdue.
        away: when the deputy acts.
        region: where the person is, for rosters.
        language: in which Holdfast speaks to this person, `en` or `ru`; empty: as the chat application says,
            else English.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9._-]{0,31}$")
    title: str = Field(min_length=1, max_length=64)
    telegram_id: int | None = None
    email: str = Field(default="", pattern=r"^$|^[^@\s]+@[^@\s]+$", max_length=254)
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    time_zone: str = "UTC"
    working_hours: WorkingHours = WorkingHours()
    deputy: str = ""
    away: tuple[Away, ...] = ()
    region: str = ""
    language: str = Field(default="", pattern=r"^(en|ru)?$")

    @field_validator("time_zone")
    @classmethod
    def _time_zone_is_known(cls, name: str) -> str:
        try:
            _zone(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"'{name}' is no time zone; write one like Europe/Berlin") from None
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The person's time zone."""
        return _zone(self.time_zone)

    def is_away(self, at: datetime) -> bool:
        """Whether the person is away on that day."""
        if not self.away:
            return False
        today = at.astimezone(self.zone).date()
        return any(a.first <= today <= a.last for a in self.away)

    def belongs_to(self, wanted: Iterable[str]) -> bool:
        """Whether one of these is this person's name, role or group."""
        return not {self.name, *self.roles, *self.groups}.isdisjoint(wanted)


class Team(BaseModel):
    """A team that owns work.

    Attributes:
        title: what others read.
        owner: roles, groups or names of those who decide about its work, each of them alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1, max_length=64)
    owner: tuple[str, ...] = Field(min_length=1)


class People(BaseModel):
    """Everybody Holdfast knows; a run takes a copy of it when it starts.

    Attributes:
        teams: by name; runbooks name them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: tuple[Person, ...] = ()
    teams: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")], Team] = Field(
        default_factory=dict[str, Team]
    )

    def named(self, name: str) -> Person | None:
        """Return the person with this short name (case does not matter), or None."""
        wanted = name.strip().lower()
        return next((p for p in self.people if p.name == wanted), None)

    def on_telegram(self, telegram_id: int) -> Person | None:
        """Return the person with this Telegram id, or None for a stranger."""
        return next((p for p in self.people if p.telegram_id == telegram_id), None)

    def holding(self, wanted: Iterable[str]) -> tuple[Person, ...]:
        """Return the people who have one of these names, roles or groups, each once, in file order."""
        names = set(wanted)
        return tuple(p for p in self.people if p.belongs_to(names))
