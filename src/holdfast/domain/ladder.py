"""The ladder of notices about an open gate: who is told what, and when.

Everything follows from the gate, so it is the same for whoever computes it, and however often:

* a REQUEST at once when somebody can answer for an approver: when the gate opens, when a step begins, when the
  gate is handed over, when the person for whom a deputy stands goes away;
* REMINDERs, counted from that request, each moved to the person's next working moment;
* an ESCALATION when a tier begins, for whoever can answer only because of it, and again after the last tier for
  as long as the gate is open;
* WARNINGs before the deadline, moved to earlier working hours: one that comes too late is of no use;
* OVERDUE at the deadline of a gate that holds.

Nobody is told whose answer is not needed at that moment.
"""

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count, takewhile
from operator import attrgetter
from typing import Final

from holdfast.domain.calendar import last_working_moment, next_working_moment, turns_of_absence
from holdfast.domain.gates import Gate, GateState, lapses
from holdfast.domain.people import People, Person
from holdfast.domain.signoff import Lapse, Reminders
from holdfast.domain.standing import waiting_for

_ROOM_TO_ANSWER: Final = timedelta(hours=1)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class NoticeKind(StrEnum):
    """Why a person is written to."""

    REQUEST = "request"
    REMINDER = "reminder"
    WARNING = "warning"  # the deadline comes near
    ESCALATION = "escalation"  # may answer now in place of others
    OVERDUE = "overdue"  # the deadline has passed and the gate holds


@dataclass(frozen=True)
class Due:
    """One notice that one person should get.

    Attributes:
        number: counts the person's notices of this kind, from 1; of warnings: the deadline's, from 1.
        person: short name.
        at: when, in UTC.
        deadline: the deadline that it is about; a later deadline is warned of anew.
    """

    kind: NoticeKind
    number: int
    person: str
    at: datetime
    deadline: datetime | None = None

    @property
    def mark(self) -> str:
        """What tells it from all other notices of the gate to this person, e.g. `reminder/2`."""
        until = f"-until-{self.deadline.astimezone(UTC):%Y%m%dT%H%M%SZ}" if self.deadline else ""
        return f"{self.kind}/{self.number}{until}"


class Ladder:
    """What is due to whom at one gate.

    Who is waited for changes only at certain moments, and is worked out once between two of them.
    """

    def __init__(self, gate: Gate, people: People) -> None:
        """Look at this gate, as it is now, with these people."""
        self._gate, self._people = gate, people
        self._turns = sorted({gate.opened_at, *(t for t in _turns(gate, people) if t > gate.opened_at)})
        self._asked: dict[int, frozenset[str]] = {}
        self._called: dict[int, frozenset[str]] = {}

    def schedule(self, person: Person) -> Iterator[Due]:
        """Yield what is due to a person since the gate was opened, in the order of time; may be endless."""
        if self._gate.state is not GateState.OPEN:
            return iter(())
        ladder = heapq.merge(
            self._requests(person),
            self._reminders(person),
            self._escalations(person),
            self._warnings(person),
            self._overdue(person),
            key=attrgetter("at"),
        )
        # From the gate and the people alone, at each attempt anew: so months of reminders cost no history, and
        # a second worker comes to the same notices (docs/decisions/0006).
        return takewhile(lambda due: not lapses(self._gate, due.at), ladder)

    def asked(self, at: datetime) -> frozenset[str]:
        """Return who can answer at that moment without any tier, and has not."""
        turn = self._turn(at)
        if turn not in self._asked:
            tiers = tuple(tier.model_copy(update={"at": _NEVER}) for tier in self._gate.tiers)
            self._asked[turn] = self._waiting({"tiers": tiers}, turn)
        return self._asked[turn]

    def called(self, at: datetime) -> frozenset[str]:
        """Return who can answer at that moment only because of a tier, and has not."""
        turn = self._turn(at)
        if turn not in self._called:
            self._called[turn] = self._waiting({}, turn) - self.asked(at)
        return self._called[turn]

    def _turn(self, at: datetime) -> int:
        return max(0, bisect_right(self._turns, at) - 1)

    def _waiting(self, changed: dict[str, object], turn: int) -> frozenset[str]:
        at = self._turns[turn]
        given = [d for d in self._gate.decisions if d.at is None or d.at <= at]
        then = self._gate.model_copy(update={"decisions": given, **changed})
        return frozenset(waiting_for(then, self._people, at))

    def _first(self, person: Person, waiting: Callable[[datetime], frozenset[str]]) -> datetime | None:
        return next((turn for turn in self._turns if person.name in waiting(turn)), None)

    def _while(
        self, person: Person, waiting: Callable[[datetime], frozenset[str]], moments: Iterator[datetime]
    ) -> Iterator[datetime]:
        """Yield the moments at which the person is waited for; ends when that cannot come again."""
        for moment in moments:
            if person.name in waiting(moment):
                yield moment
            elif moment >= self._turns[-1]:
                return

    def _requests(self, person: Person) -> Iterator[Due]:
        asked = self._first(person, self.asked)
        if asked is not None:
            yield Due(NoticeKind.REQUEST, 1, person.name, asked)

    def _reminders(self, person: Person) -> Iterator[Due]:
        asked = self._first(person, self.asked)
        if asked is None:
            return
        rungs = _rungs(self._gate.remind, asked, person)
        for number, at in enumerate(self._while(person, self.asked, rungs), 1):
            yield Due(NoticeKind.REMINDER, number, person.name, at)

    def _escalations(self, person: Person) -> Iterator[Due]:
        first = self._first(person, self.called)
        if first is None:
            return
        calls = self._while(person, self.called, _calls(self._gate, first))
        for number, at in enumerate(calls, 1):
            yield Due(NoticeKind.ESCALATION, number, person.name, at)

    def _warnings(self, person: Person) -> Iterator[Due]:
        told = min((t for t in (self._first(person, w) for w in (self.asked, self.called)) if t), default=None)
        if told is None or self._gate.deadline is None:
            return
        warned = told
        for number, before in enumerate(sorted(self._gate.warnings, reverse=True), 1):
            at = self._useful(person, self._gate.deadline - before, told)
            if at > warned and self._is_waited_for(person, at):
                yield Due(NoticeKind.WARNING, number, person.name, at, self._gate.deadline)
                warned = at

    def _useful(self, person: Person, at: datetime, told: datetime) -> datetime:
        if not self._gate.remind.in_working_hours or at <= told:
            return at
        return last_working_moment(person, at, earliest=told, room=_ROOM_TO_ANSWER)

    def _overdue(self, person: Person) -> Iterator[Due]:
        deadline = self._gate.deadline
        if deadline and self._gate.on_deadline is Lapse.HOLD and self._is_waited_for(person, deadline):
            yield Due(NoticeKind.OVERDUE, 1, person.name, deadline, deadline)

    def _is_waited_for(self, person: Person, at: datetime) -> bool:
        return person.name in self.asked(at) or person.name in self.called(at)


def _turns(gate: Gate, people: People) -> Iterator[datetime]:
    """Yield the moments at which it may change who is waited for."""
    yield from (d.at for d in gate.decisions if d.at is not None)
    yield from (tier.at for tier in gate.tiers)
    yield from (at for d in gate.delegations for at in (d.since, d.until) if at is not None)
    yield from (at for p in people.people if p.deputy for at in turns_of_absence(p))


def _rungs(remind: Reminders, asked: datetime, person: Person) -> Iterator[datetime]:
    """Yield the moments of reminders; what is moved to one and the same moment comes once."""
    rung = _next_rung(remind, asked, asked)
    while rung is not None:
        at = next_working_moment(person, rung) if remind.in_working_hours else rung
        yield at
        rung = _next_rung(remind, asked, at)


def _next_rung(remind: Reminders, asked: datetime, after: datetime) -> datetime | None:
    listed = next((asked + wait for wait in remind.after if asked + wait > after), None)
    if listed is not None or remind.then_every is None:
        return listed
    last_listed = asked + (remind.after[-1] if remind.after else timedelta(0))
    return last_listed + remind.then_every * ((after - last_listed) // remind.then_every + 1)


def _calls(gate: Gate, first: datetime) -> Iterator[datetime]:
    """Yield the first call, and from the last tier on one after the other."""
    yield first
    if gate.call_tiers_every is None or not gate.tiers:
        return
    last_tier = gate.tiers[-1].at
    for number in count(1):
        at = last_tier + gate.call_tiers_every * number
        if at > first:
            yield at
