"""In-memory ports of gates for tests: each behaves as its protocol says and remembers what was asked."""

import hashlib
import itertools
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.domain.people import Person
from holdfast.domain.view import MessageRef
from holdfast.ports.audit import AuditEntry, ChainedEntry, ChainReport
from holdfast.ports.duty import Cover
from holdfast.ports.notices import Errand, Notice, NoticeKind, Page, SentNotice


@dataclass(frozen=True)
class Said:
    """Plain text that one person got, and the block to copy below it."""

    person: str
    text: str
    paste: str


@dataclass
class RecordingChannel:
    """A `PrivateChannel` that reaches people with a Telegram id, or an address if it is called `email`.

    Attributes:
        name: `telegram` or `email`.
        notices: what was sent, as (short name, notice), oldest first; an uncertain one is there if it arrived.
        pages: calls to incidents, likewise; each key of a person once.
        errands: roles and tasks that people were asked for, likewise.
        said: plain texts, oldest first.
        retired: what the messages that were retired say now, by message id.
        gone: ids of messages that cannot be edited any more.
        troubles: what happens to the next messages to a person, in order; `arrives` of an error says that the
            message was delivered before it.
    """

    name: str = "telegram"
    notices: list[tuple[str, Notice]] = field(default_factory=list)
    pages: list[tuple[str, Page]] = field(default_factory=list)
    errands: list[tuple[str, Errand]] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    retired: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    troubles: defaultdict[str, deque[BaseException]] = field(default_factory=lambda: defaultdict(deque))
    retiring: deque[BaseException] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self.sent: dict[tuple[str, str], MessageRef] = {}

    def reaches(self, person: Person) -> bool:
        return bool(person.email) if self.name == "email" else person.telegram_id is not None

    async def notify(self, person: Person, notice: Notice) -> MessageRef:
        self._stumble(person)
        self.notices.append((person.name, notice))
        return MessageRef(chat=person.name, message_id=str(next(self._ids)))

    async def page(self, person: Person, page: Page) -> MessageRef:
        self._stumble(person)
        known = self.sent.get((person.name, page.key))
        if known is None:
            self.pages.append((person.name, page))
            known = MessageRef(chat=person.name, message_id=str(next(self._ids)))
            self.sent[(person.name, page.key)] = known
        return known

    async def errand(self, person: Person, errand: Errand) -> MessageRef:
        self._stumble(person)
        known = self.sent.get((person.name, errand.key))
        if known is None:
            self.errands.append((person.name, errand))
            known = MessageRef(chat=person.name, message_id=str(next(self._ids)))
            self.sent[(person.name, errand.key)] = known
        return known

    async def say(self, person: Person, text: str, *, paste: str = "") -> None:
        self._stumble(person)
        self.said.append(Said(person.name, text, paste))

    async def retire(self, message: MessageRef, text: str) -> None:
        if self.retiring:
            raise self.retiring.popleft()
        if message.message_id in self.gone:
            raise InvalidInput("the message can't be edited")
        self.retired[message.message_id] = text

    def to(self, person: str) -> list[tuple[NoticeKind, int]]:
        """Return the kinds and numbers of the notices that a person got, oldest first."""
        return [(notice.kind, notice.number) for name, notice in self.notices if name == person]

    def _stumble(self, person: Person) -> None:
        if not self.reaches(person):
            raise InvalidInput(f"{person.name} cannot be reached by {self.name}")
        if self.troubles[person.name]:
            raise self.troubles[person.name].popleft()


class MemoryDuty:
    """A `DutyBook`; `down` makes it unavailable."""

    def __init__(self) -> None:
        self.items: list[Cover] = []
        self.down = False

    async def put(self, cover: Cover) -> bool:
        if cover.id in {c.id for c in self.items}:
            return False
        self.items.append(cover)
        return True

    async def covers(self, rota: str = "", *, since: datetime, until: datetime) -> Sequence[Cover]:
        if self.down:
            raise Unavailable("the database does not answer")
        found = [c for c in self.items if rota in {"", c.rota} and c.since < until and c.until > since]
        return sorted(found, key=lambda cover: cover.at)


class MemoryBook:
    """A `NoticeBook`; `down` makes it unavailable."""

    def __init__(self) -> None:
        self.entries: dict[str, SentNotice] = {}
        self.down = False

    async def begin(self, notice: SentNotice) -> bool:
        self._up()
        if notice.key in self.entries:
            return False
        self.entries[notice.key] = notice.model_copy(update={"state": "sending"})
        return True

    async def finish(self, key: str, *, state: str, message: MessageRef | None = None) -> None:
        self._up()
        entry = self.entries[key]
        if state == "unsent":
            del self.entries[key]
        else:
            update = {"state": state, "message": message or entry.message}
            self.entries[key] = entry.model_copy(update=update)

    async def of_gate(self, run: str, gate: str) -> Sequence[SentNotice]:
        self._up()
        return [e for e in self.entries.values() if (e.run, e.gate) == (run, gate)]

    def states(self) -> list[tuple[str, str, str]]:
        """Return (person, channel, state) of everything in the book, oldest first."""
        return [(e.person, e.channel, e.state) for e in self.entries.values()]

    def _up(self) -> None:
        if self.down:
            raise Unavailable("the database does not answer")


class MemoryAudit:
    """An `AuditLog` with a real chain; `down` makes it unavailable."""

    def __init__(self) -> None:
        self.entries: list[ChainedEntry] = []
        self.down = False

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        self._up()
        for entry in entries:
            if entry.key in {e.key for e in self.entries}:
                continue
            chained = ChainedEntry(
                **entry.model_dump(), number=len(self.entries) + 1, previous=self._head(), hash=""
            )
            self.entries.append(chained.model_copy(update={"hash": _hash(chained)}))

    async def verify(self, *, expected_head: str = "") -> ChainReport:
        self._up()
        previous = ""
        for entry in self.entries:
            if entry.previous != previous or entry.hash != _hash(entry):
                problem = "it is not as it was written"
                return self._report(broken_at=entry.number, problem=problem)
            previous = entry.hash
        if expected_head and expected_head not in {e.hash for e in self.entries}:
            return self._report(problem="the end was cut off")
        return self._report()

    def read(self, *, run: str = "", gate: str = "") -> Iterable[ChainedEntry]:
        self._up()
        for entry in self.entries:
            if (not run or entry.run == run) and (not gate or entry.gate == gate):
                yield entry

    def _report(self, *, broken_at: int | None = None, problem: str = "") -> ChainReport:
        return ChainReport(entries=len(self.entries), head=self._head(), broken_at=broken_at, problem=problem)

    def _head(self) -> str:
        return self.entries[-1].hash if self.entries else ""

    def _up(self) -> None:
        if self.down:
            raise Unavailable("the database does not answer")


def _hash(entry: ChainedEntry) -> str:
    return hashlib.sha256(entry.model_copy(update={"hash": ""}).model_dump_json().encode()).hexdigest()
