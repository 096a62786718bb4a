"""One round of calling people to an open gate: what is due, what was sent before, and when the next one is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from holdfast.domain.errors import ChatUnavailable
from holdfast.domain.gates import Gate
from holdfast.domain.ids import digest_of
from holdfast.domain.ladder import Due, Ladder, NoticeKind
from holdfast.domain.people import People, Person
from holdfast.ports.notices import SentNotice

NEXT_CALL: Final = "NextCall"
SOON: Final = timedelta(seconds=20)
_AT_ONCE: Final = timedelta(milliseconds=100)
# Longer than any sending takes: what is `sending` for so long was begun by an attempt that did not survive it.
_SURELY_CRASHED: Final = timedelta(minutes=5)
# Of what was missed while no worker was up, only the newest of each group is still worth a message.
_GROUPS: Final = (
    (NoticeKind.REQUEST, NoticeKind.REMINDER),
    (NoticeKind.ESCALATION,),
    (NoticeKind.WARNING, NoticeKind.OVERDUE),
)


@dataclass
class Round:
    """What one attempt knows and has done.

    Attributes:
        now: the server's time.
        book: everything that was sent about the gate before.
        told: who was told in this round.
        troubles: what went wrong and is tried again, one sentence each.
        waits: how soon.
    """

    run_id: str
    gate: Gate
    people: People
    now: datetime
    book: Sequence[SentNotice]
    told: list[str] = field(default_factory=list[str])
    troubles: list[str] = field(default_factory=list[str])
    waits: list[timedelta] = field(default_factory=list[timedelta])

    def __post_init__(self) -> None:
        self._ladder = Ladder(self.gate, self.people)
        self._known = {notice.key for notice in self.book}
        self._repeated: set[str] = set()

    def due(self, person: Person) -> list[Due]:
        """Return what this person should have by now, the newest of each group; nothing for the others."""
        if person.name not in self._ladder.asked(self.now) | self._ladder.called(self.now):
            return []
        newest: dict[int, Due] = {}
        for due in self._ladder.schedule(person):
            if due.at > self.now:
                break
            newest[next(n for n, kinds in enumerate(_GROUPS) if due.kind in kinds)] = due
        return sorted(newest.values(), key=lambda due: due.at)

    def next_for(self, person: Person) -> datetime | None:
        """Return when something more becomes due to this person."""
        return next((due.at for due in self._ladder.schedule(person) if due.at > self.now), None)

    def notice(self, due: Due, channel: str) -> SentNotice | None:
        """Return a notice as it is to stand in the book; None when it is there already."""
        key = self._key(due, channel)
        if key in self._known:
            return None
        return SentNotice(
            key=key,
            run=self.run_id,
            gate=self.gate.id,
            person=due.person,
            channel=channel,
            kind=due.kind,
            at=self.now,
        )

    def begun(self, due: Due, channel: str) -> SentNotice | None:
        """Return this notice where an earlier attempt began to send it and no more; it is repeated."""
        key = self._key(due, channel)
        begun = next((n for n in self.book if n.key == key and n.state == "sending"), None)
        if begun is not None:
            self._repeated.add(key)
        return begun

    def _key(self, due: Due, channel: str) -> str:
        # A gate that is asked anew under its old id, after a reset of the run, has another token.
        gate = f"{self.gate.id}.{digest_of(self.gate.token)[:6]}"
        return f"{self.run_id}/{gate}/{due.mark}/{due.person}/{channel}"

    def crashed(self) -> Iterator[SentNotice]:
        """Yield what an earlier attempt began and cannot be finishing any more; the rest is looked at later.

        What was repeated meanwhile is none of it.
        """
        for notice in self.book:
            if notice.state != "sending" or notice.key in self._repeated:
                continue
            age = self.now - notice.at
            if age >= _SURELY_CRASHED:
                yield notice
            else:
                self._try_again(_SURELY_CRASHED - age, f"it is not known yet whether {notice.person} was told")

    def failed(self, person: Person, channel: str, error: ChatUnavailable) -> None:
        """Note that nothing was sent, and when to try again."""
        wait = error.retry_after_seconds
        trouble = f"{person.name} could not be told by {channel} yet: {str(error)[:200]}"
        self._try_again(SOON if wait is None else timedelta(seconds=wait), trouble)

    def _try_again(self, wait: timedelta, trouble: str) -> None:
        self.waits.append(wait)
        self.troubles.append(trouble)

    def next_call(self) -> ApplicationError | None:
        """Return the failure that ends this attempt and waits for the next one; None if there is none."""
        upcoming = {p.name: at for p in self.people.people if (at := self.next_for(p)) is not None}
        waits = [*self.waits, *(at - self.now for at in upcoming.values())]
        if not waits:
            return None
        told = ", ".join(dict.fromkeys(self.told))
        said = [f"Told {told}" if told else "Nobody was told", *self.troubles, *_in_words(upcoming)]
        return ApplicationError(
            "; ".join(said),
            type=NEXT_CALL,
            next_retry_delay=max(min(waits), _AT_ONCE),
            category=ApplicationErrorCategory.BENIGN,
        )


def _in_words(upcoming: dict[str, datetime]) -> Iterator[str]:
    if upcoming:
        first = min(upcoming.values())
        names = ", ".join(name for name, at in upcoming.items() if at == first)
        yield f"next: {names} on {first:%Y-%m-%d %H:%M} UTC"
