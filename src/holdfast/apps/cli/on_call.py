"""Who is on duty, who is next, and taking a turn for somebody else."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from cyclopts import App, Group, Parameter
from rich.console import RenderableType

from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.moments import span_typed
from holdfast.apps.cli.output import Output, complain
from holdfast.apps.cli.parameters import AsJson, AsPerson
from holdfast.apps.cli.tables import span, table
from holdfast.domain.duty import Roster, Rota, Shift
from holdfast.domain.errors import DecisionRefused, InvalidInput, Unavailable, UnknownName
from holdfast.domain.people import People, Person
from holdfast.ports.duty import Cover, DutyBook
from holdfast.runbook.library import DUTY_FILE, RunbookLibrary

_EXAMPLES: Final = """\
Examples:
  holdfast oncall                        who is on duty, and who is next
  holdfast oncall --rota crm --days 60
  holdfast oncall --rota crm --json | jq -r '.rotas[0].shifts[0].person'
  holdfast oncall cover crm vera --until +4h --as anna

Rotas are in escalation/duty.yaml. Times are those of each rota's time zone, which stands beside its name.

Exit codes:
  0  done
  1  you may not arrange who is on duty
  2  wrong input
  3  the database does not answer; what the file says is shown all the same"""

_COVER_EXAMPLES: Final = """\
Examples:
  holdfast oncall cover crm vera --until +4h --as anna --note 'dentist'
  holdfast oncall cover crm vera --from 2026-12-24T18:00 --until 2026-12-26T10:00 --as anna

A time without an offset is on the clock of the rota's time zone.
Of two covers for one moment the later arranged one counts: to take one back, put the person who was on duty.
Who may arrange one is in commands.yaml, as the command cover."""

_LONGEST: Final = timedelta(days=366)
_MOST_DAYS: Final = 366
_MOST_SHIFTS: Final = 400
_MOST_CHARACTERS: Final = 500
_COVER: Final = "cover"


@dataclass(frozen=True)
class OnCallDeps:
    """What these commands work with; called only when needed.

    Attributes:
        library: the reviewed rotas and people on this machine.
        duty: lends the covers; entered once a command.
    """

    library: Callable[[], RunbookLibrary]
    duty: Callable[[], AbstractAsyncContextManager[DutyBook]]


def add_on_call(app: App, deps: OnCallDeps) -> None:
    """Add `holdfast oncall` and `holdfast oncall cover`."""
    commands = OnCallCommands(deps)
    on_call = App(name="oncall", group=Group("On call", sort_key=2), help_epilogue=_EXAMPLES)
    on_call.default(commands.on_call)
    on_call.command(commands.cover, help_epilogue=_COVER_EXAMPLES)
    app.command(on_call)


class OnCallCommands:
    """Looking at the rotas, and arranging who stands in."""

    def __init__(self, deps: OnCallDeps) -> None:
        """Work with these."""
        self._deps = deps

    async def on_call(
        self,
        *,
        rota: Annotated[str, Parameter(help="Only this one.", show_default=False)] = "",
        days: Annotated[int, Parameter(help="How far ahead.")] = 14,
        as_json: AsJson = False,
    ) -> Exit:
        """Say who is on duty, who is next, and who covers for whom."""
        if not 1 <= days <= _MOST_DAYS:
            raise InvalidInput(f"--days: {days} is not from 1 to {_MOST_DAYS}")
        library, out, now = self._deps.library(), Output(as_json=as_json), datetime.now(UTC)
        rotas, people = library.duty(), library.people()
        shown = {rota: _the_rota(rota, rotas)} if rota else rotas
        end = now + timedelta(days=days)
        if not shown and not as_json:
            out.say(f"No rota: write {DUTY_FILE} beside people.yaml; docs/on-call.md shows how.")
            return Exit.DONE
        covers, problem = await self._covers(now, end)
        duty = _DutyShown(rotas, shown, people, covers, now, end)
        if as_json:
            out.document({**duty.document(), "covers_known": not problem})
        else:
            for part in duty.parts():
                out.show(part)
        if problem:
            complain(f"Who covers for whom is not known: {problem}. Above is what the files say.")
        return Exit.NO_ANSWER if problem else Exit.DONE

    async def cover(
        self,
        rota: Annotated[str, Parameter(help="Name of the rota.")],
        who: Annotated[str, Parameter(help="Who is on duty in that time: a short name of people.yaml.")],
        /,
        *,
        until: Annotated[str, Parameter(help="2026-12-26T10:00, or +4h from now.")],
        person: AsPerson,
        since: Annotated[str, Parameter(name="--from", help="2026-12-24T18:00, +1h, or now.")] = "now",
        note: Annotated[str, Parameter(help="What others should know.", show_default=False)] = "",
        as_json: AsJson = False,
    ) -> None:
        """Put somebody on duty for a time, whoever's turn it is."""
        library, now, out = self._deps.library(), datetime.now(UTC), Output(as_json=as_json)
        rotas, people = library.duty(), library.people()
        the_rota, taker, by = _the_rota(rota, rotas), _known(who, people), _known(person, people)
        _check_may(by, library)
        first, last = (_moment(o, t, the_rota.zone, now) for o, t in (("--from", since), ("--until", until)))
        _check_time(first, last, now)
        if len(note) > _MOST_CHARACTERS:
            raise InvalidInput(f"--note: is longer than {_MOST_CHARACTERS} characters")
        key = f"cli/{secrets.token_hex(8)}"
        arranged = Cover(
            id=key, rota=rota, person=taker.name, since=first, until=last, by=by.name, note=note, at=now
        )
        instead_of = await self._put(arranged, rotas, people)
        out.document(arranged.model_dump(mode="json") | {"instead_of": instead_of})
        if not as_json:
            _tell(arranged, the_rota, instead_of, out)
        if _is_away(taker, first, last):
            complain(
                f"By people.yaml {taker.name} is away on some of these days; the cover counts all the same."
            )

    async def _put(self, arranged: Cover, rotas: Mapping[str, Rota], people: People) -> list[str]:
        """Put it into the book; return who had been on duty in that time."""
        first, last = arranged.since, arranged.until
        async with self._deps.duty() as book:
            before = Roster(rotas, covers=await book.covers(since=first, until=last), people=people)
            instead_of = _on_duty_in(before.shifts(arranged.rota, since=first, count=_MOST_SHIFTS), last)
            await book.put(arranged)
        return instead_of

    async def _covers(self, since: datetime, until: datetime) -> tuple[Sequence[Cover], str]:
        """Return what is arranged, and why that is not known where it is not."""
        try:
            async with self._deps.duty() as book:
                # From a week before, so that a shift under way is told from its beginning.
                return await book.covers(since=since - timedelta(days=7), until=until), ""
        except Unavailable as error:
            return [], str(error)


@dataclass(frozen=True)
class _DutyShown:
    """What is shown.

    Attributes:
        rotas, shown: all of them, and those to show.
        covers: that touch the time from `now` to `end`, and perhaps others.
    """

    rotas: Mapping[str, Rota]
    shown: Mapping[str, Rota]
    people: People
    covers: Sequence[Cover]
    now: datetime
    end: datetime

    def parts(self) -> Iterator[RenderableType]:
        """Yield a table for each rota, and one of the covers."""
        for name, rota in self.shown.items():
            rows = (self._row(shift, rota.zone) for shift in self._shifts(name))
            backup = f"; backup: {rota.backup}" if rota.backup else ""
            title = f"\n{name}: {rota.title} ({rota.time_zone}{backup})"
            yield table(("who", "from", "until", ""), rows, title=title)
        if covers := self._arranged():
            columns = ("rota", "who", "from", "until", "arranged by", "note")
            yield table(columns, map(self._cover_row, covers), title="\nCovers")

    def document(self) -> dict[str, Any]:
        """Return the same for scripts."""
        return {
            "at": self.now.isoformat(timespec="seconds"),
            "rotas": [
                {
                    "name": name,
                    "title": rota.title,
                    "time_zone": rota.time_zone,
                    "backup": rota.backup,
                    "shifts": [shift.model_dump(mode="json") for shift in self._shifts(name)],
                }
                for name, rota in self.shown.items()
            ],
            "covers": [cover.model_dump(mode="json") for cover in self._arranged()],
        }

    def _shifts(self, name: str) -> list[Shift]:
        roster = Roster(self.rotas, covers=self.covers, people=self.people)
        found = roster.shifts(name, since=self.now, count=_MOST_SHIFTS)
        return list(takewhile(lambda shift: shift.since < self.end, found))

    def _arranged(self) -> list[Cover]:
        ahead = (c for c in self.covers if c.until > self.now and c.rota in self.shown)
        return sorted(ahead, key=lambda cover: cover.since)

    def _row(self, shift: Shift, zone: ZoneInfo) -> tuple[str, str, str, str]:
        is_now = shift.since <= self.now
        words = [f"on duty, {span(shift.until - self.now)} more"] if is_now else []
        words += [f"for {shift.cover}"] if shift.cover else []
        return (
            self._title(shift.person),
            _shown(shift.since, zone),
            _shown(shift.until, zone),
            "; ".join(words),
        )

    def _cover_row(self, cover: Cover) -> tuple[str, ...]:
        zone = self.rotas[cover.rota].zone
        times = (_shown(cover.since, zone), _shown(cover.until, zone))
        return (cover.rota, cover.person, *times, cover.by, cover.note)

    def _title(self, name: str) -> str:
        person = self.people.named(name)
        return f"{name} – {person.title}" if person else name


def _the_rota(name: str, rotas: Mapping[str, Rota]) -> Rota:
    if name not in rotas:
        raise UnknownName("rota", name, rotas)
    return rotas[name]


def _known(name: str, people: People) -> Person:
    person = people.named(name)
    if person is None:
        raise UnknownName("person", name, (p.name for p in people.people))
    return person


def _check_may(person: Person, library: RunbookLibrary) -> None:
    rules = library.commands()
    if not rules.may(person, _COVER):
        holders = ", ".join(rules.holders(_COVER))
        raise DecisionRefused(
            "may_not_cover",
            f"'{person.name}' may not arrange who is on duty; this is for {holders}: ask one of them",
        )


def _check_time(first: datetime, last: datetime, now: datetime) -> None:
    if last <= first:
        raise InvalidInput("--until: must be later than --from")
    if last <= now:
        raise InvalidInput(f"--until: {last:%Y-%m-%d %H:%M} UTC has passed already")
    if last - first > _LONGEST:
        raise InvalidInput(
            f"--until: is more than {_LONGEST.days} days after --from; change {DUTY_FILE} for that"
        )


def _moment(option: str, typed: str, zone: ZoneInfo, now: datetime) -> datetime:
    """Read `now`, `+4h`, or a moment, which is on the zone's clock where it names no offset; in UTC."""
    if typed == "now":
        return now.replace(microsecond=0)
    if typed.startswith("+"):
        return (now + span_typed(option, typed[1:])).replace(microsecond=0)
    try:
        at = datetime.fromisoformat(typed)
    except ValueError:
        raise InvalidInput(
            f"{option}: '{typed}' is no moment; write 2026-12-24T18:00, or +4h from now"
        ) from None
    return (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)


def _on_duty_in(shifts: Iterable[Shift], until: datetime) -> list[str]:
    """Return who is on duty in this time, each once."""
    return list(dict.fromkeys(s.person for s in takewhile(lambda s: s.since < until, shifts)))


def _is_away(person: Person, first: datetime, last: datetime) -> bool:
    days = range((last - first).days + 1)
    return any(
        person.is_away(at) for at in (*(first + timedelta(days=n) for n in days), last - timedelta.resolution)
    )


def _tell(cover: Cover, rota: Rota, instead_of: Sequence[str], out: Output) -> None:
    others = ", ".join(name for name in instead_of if name != cover.person)
    out.say(
        f"{cover.person} is on duty in {cover.rota} from {_shown(cover.since, rota.zone)} until "
        f"{_shown(cover.until, rota.zone)} ({rota.time_zone}), "
        + (f"instead of {others}." if others else "as without this cover.")
    )
    out.say(
        f"Tell {cover.person}: this command tells nobody. To see the rota: holdfast oncall --rota {cover.rota}"
    )


def _shown(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %Y-%m-%d %H:%M}"
