"""Who is on duty: rotas whose turns change at one time of day, covers, and deputies of those who are away."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Annotated, Any, Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from holdfast.domain.calendar import turns_of_absence
from holdfast.domain.people import People
from holdfast.domain.strict import Duration, Strict

_DAY: Final = timedelta(days=1)
# Somebody who is on duty for longer, because nobody else is in the rota, is told in several shifts.
_LONGEST_SHIFT: Final = timedelta(days=92)
_TURNS_LOOKED_BACK: Final = 8

_PATTERN: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[-+]\d\d:\d\d)?$"


def _read_begin(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.match(_PATTERN, value):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    raise ValueError("write a date and a time of day, e.g. 2026-11-16T10:00")


_Begin = Annotated[
    datetime,
    BeforeValidator(_read_begin),
    # Not JSON Schema's own `date-time`, which editors refuse without a time zone.
    WithJsonSchema(
        {
            "type": "string",
            "pattern": _PATTERN,
            "examples": ["2026-11-16T10:00"],
        }
    ),
]


class Rota(Strict):
    """People who are on duty in turn, one at a time.

    Attributes:
        title: what people read.
        members: names of `people.yaml`, in the order of their turns; who takes more turns stands there twice.
        turn: how long each is on duty, in whole days: `1d`, `7d`, `14d`.
        begins: when a turn of the first member begins, e.g. `2026-11-16T10:00`; on the clock of `time_zone`,
            unless it names an offset. Turns are counted from there, forwards and backwards.
        time_zone: IANA name; turns change at the same time of day there, also when the clocks change.
        backup: name of another rota; whoever is on duty there stands in where a member is away and no deputy is
            there.
    """

    title: str = Field(min_length=1, max_length=120)
    members: tuple[str, ...] = Field(min_length=1, max_length=100)
    # Whose turn it is follows from these two at any moment: there is no calendar to be kept
    # (docs/decisions/0016).
    turn: Duration
    begins: _Begin
    time_zone: str = "UTC"
    backup: str = ""

    @field_validator("time_zone")
    @classmethod
    def _time_zone_is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"'{name}' is no time zone; write one like Europe/Berlin") from None
        return name

    @field_validator("turn")
    @classmethod
    def _turn_has_whole_days(cls, turn: timedelta) -> timedelta:
        if turn % _DAY or turn > 366 * _DAY:
            raise ValueError("turn must be whole days, at most 366: write 1d, 7d or 14d")
        return turn

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which turns change at one time of day."""
        return ZoneInfo(self.time_zone)

    def member(self, turn: int) -> str:
        """Return whose turn it is; turn 0 is the one that `begins`."""
        return self.members[turn % len(self.members)]

    def start_of(self, turn: int) -> datetime:
        """Return when a turn begins, in UTC; in an hour that clocks skip, when they show an hour more."""
        return (self._on_the_clock(self.begins) + turn * self.turn).replace(tzinfo=self.zone).astimezone(UTC)

    def turn_at(self, at: datetime) -> int:
        """Return the number of the turn in which this moment is."""
        turn = (self._on_the_clock(at) - self._on_the_clock(self.begins)) // self.turn
        # What a clock shows is no moment where hours are skipped or come twice, so the result may be one off.
        while self.start_of(turn) > at:
            turn -= 1
        while self.start_of(turn + 1) <= at:
            turn += 1
        return turn

    def _on_the_clock(self, at: datetime) -> datetime:
        """Return what the rota's clock shows; durations added to it keep the time of day."""
        return at if at.tzinfo is None else at.astimezone(self.zone).replace(tzinfo=None)


class AnyCover(Protocol):
    """What is read of `holdfast.ports.duty.Cover`."""

    rota: str
    person: str
    since: datetime
    until: datetime
    at: datetime


class Shift(Strict):
    """One person, on duty without a break.

    Attributes:
        person: short name.
        since, until: in UTC; `until` is not included.
        cover: whose turn it is by the rota, where all of the shift is somebody else's turn; empty otherwise.
    """

    person: str
    since: datetime
    until: datetime
    cover: str = ""


class Roster:
    """Several rotas with what was arranged about them; answers who is on duty where, and when.

    A cover goes before the rota, and the one that was arranged last before all others. Without one, deputies
    stand in for who is away, then the backup rota. Where nobody is there at all, it is the person whose turn it
    is: better somebody who is away than nobody.
    """

    def __init__(
        self, rotas: Mapping[str, Rota], *, covers: Iterable[AnyCover] = (), people: People | None = None
    ) -> None:
        """Use these; without people nobody is away."""
        listed, known = list(covers), people or People()
        alone = {
            name: _Watch(rota, _newest_first(c for c in listed if c.rota == name), known)
            for name, rota in rotas.items()
        }
        self._watches = {
            name: _Watch(watch.rota, watch.covers, known, alone.get(watch.rota.backup))
            for name, watch in alone.items()
        }

    def on_duty(self, rota: str, at: datetime) -> Shift | None:
        """Return the shift of this moment; None where there is no such rota."""
        return next(iter(self.shifts(rota, since=at, count=1)), None)

    def shifts(self, rota: str, *, since: datetime, count: int) -> list[Shift]:
        """Return the shift of this moment and those that follow; none where there is no such rota."""
        watch = self._watches.get(rota)
        return [] if watch is None else list(islice(watch.shifts(since), count))


def on_duty(rota: Rota, at: datetime, covers: Iterable[AnyCover] = (), people: People | None = None) -> Shift:
    """Return who is on duty at a moment; there is always exactly one.

    Args:
        rota: the turns; its backup is not known here, see `Roster`.
        at: an aware moment.
        covers: of this rota only.
        people: who may be away, and their deputies.
    """
    return shifts(rota, at, 1, covers, people)[0]


def shifts(
    rota: Rota, since: datetime, count: int, covers: Iterable[AnyCover] = (), people: People | None = None
) -> list[Shift]:
    """Return the shift of this moment and the next ones, without gaps; arguments as for `on_duty`."""
    watch = _Watch(rota, _newest_first(covers), people or People())
    return list(islice(watch.shifts(since), count))


def stand_in(name: str, people: People, at: datetime) -> str:
    """Return who acts for a person: the person, or while away the first deputy of deputies who is there.

    Where all of them are away, it is the person.
    """
    asked: list[str] = []
    candidate = people.named(name)
    while candidate is not None and candidate.name not in asked:
        if not candidate.is_away(at):
            return candidate.name
        asked.append(candidate.name)
        candidate = people.named(candidate.deputy)
    return name


def _newest_first(covers: Iterable[AnyCover]) -> tuple[AnyCover, ...]:
    # Reversed after sorting: of two that were arranged at once the one that is listed later comes first.
    return tuple(sorted(covers, key=lambda cover: cover.at))[::-1]


@dataclass(frozen=True)
class _Watch:
    """One rota with everything that decides who is on duty.

    Attributes:
        covers: the one that was arranged last comes first.
    """

    rota: Rota
    covers: tuple[AnyCover, ...]
    people: People
    backup: "_Watch | None" = None

    def shifts(self, since: datetime) -> Iterator[Shift]:
        """Yield the shift of this moment and all that follow, without end."""
        current: Shift | None = None
        for piece in self._pieces(self._first_turn(since)):
            if current is None:
                current = piece
            elif current.person == piece.person and piece.until - max(current.since, since) <= _LONGEST_SHIFT:
                current = _joined(current, piece)
            else:
                if current.until > since:
                    yield current
                current = piece

    def _first_turn(self, since: datetime) -> int:
        """Return the turn in which the shift of this moment began, which may be an earlier one."""
        turn = self.rota.turn_at(since)
        for _ in range(_TURNS_LOOKED_BACK):
            start = self.rota.start_of(turn)
            if self._who(start)[0] != self._who(start - timedelta.resolution)[0]:
                break
            turn -= 1
        return turn

    def _pieces(self, turn: int) -> Iterator[Shift]:
        """Yield the time from the beginning of a turn on in pieces of one person each."""
        while True:
            since, until = self.rota.start_of(turn), self.rota.start_of(turn + 1)
            inside = {moment for moment in self._changes(since, until) if since < moment < until}
            for start, end in pairwise(sorted({since, *inside, until})):
                person, cover = self._who(start)
                yield Shift(person=person, since=start, until=end, cover=cover)
            turn += 1

    def _changes(self, since: datetime, until: datetime) -> Iterator[datetime]:
        """Yield every moment in this time at which somebody else may be on duty, and perhaps others."""
        for cover in self.covers:
            yield from (cover.since, cover.until)
        for person in self.people.people:
            yield from turns_of_absence(person)
        if self.backup is not None:
            rota = self.backup.rota
            turns = range(rota.turn_at(since), rota.turn_at(until) + 1)
            yield from (rota.start_of(turn) for turn in turns)
            yield from self.backup._changes(since, until)  # noqa: SLF001  of its own class

    def _who(self, at: datetime) -> tuple[str, str]:
        """Return who is on duty, and whose turn it is where that is somebody else."""
        own = self.rota.member(self.rota.turn_at(at))
        cover = next((c for c in self.covers if c.since <= at < c.until), None)
        person = cover.person if cover else self._there(own, at)
        return person, "" if person == own else own

    def _there(self, own: str, at: datetime) -> str:
        person = stand_in(own, self.people, at)
        if self.backup is None or not self._is_away(person, at):
            return person
        other, _ = self.backup._who(at)  # noqa: SLF001  of its own class
        return own if self._is_away(other, at) else other

    def _is_away(self, name: str, at: datetime) -> bool:
        person = self.people.named(name)
        return person is not None and person.is_away(at)


def _joined(first: Shift, second: Shift) -> Shift:
    cover = first.cover if first.cover == second.cover else ""
    return Shift(person=first.person, since=first.since, until=second.until, cover=cover)
