"""What the rules of a gate mean, written as naively as possible: every question is answered by trying all.

Shares no rule with `holdfast.domain.gates` and `holdfast.domain.standing`; only the words that people use.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise, permutations
from zoneinfo import ZoneInfo

from holdfast.domain.people import People, Person
from holdfast.domain.signoff import SignOff, Step

MOST_HANDS = 3


@dataclass(frozen=True)
class Seat:
    """One approval that somebody has to give."""

    step: int
    may: frozenset[str]


@dataclass(frozen=True)
class Vote:
    """One answer that counted."""

    by: str
    whose: str
    how: str
    step: int
    choice: str


@dataclass(frozen=True)
class Said:
    """A decision as it arrives."""

    by: str
    choice: str
    reason: str
    evidence: str
    proofs: tuple[str, ...]


@dataclass(frozen=True)
class Handed:
    """A hand-over."""

    by: str
    to: str
    until: datetime | None = None
    since: datetime | None = None

    def holds(self, at: datetime) -> bool:
        return (self.since is None or at >= self.since) and not self.over(at)

    def over(self, at: datetime) -> bool:
        return self.until is not None and at >= self.until


@dataclass
class Model:
    """A gate, as a person with paper and much patience would keep it."""

    policy: SignOff
    people: People
    requester: str
    opened_at: datetime
    evidence: str
    taken_at: datetime
    mfa: bool
    state: str = "open"
    votes: list[Vote] = field(default_factory=list[Vote])
    handed: list[Handed] = field(default_factory=list[Handed])
    deadline: datetime | None = None
    overdue: bool = False

    def __post_init__(self) -> None:
        if self.policy.deadline is not None:
            self.deadline = self.opened_at + self.policy.deadline.after
        self.lapse = str(self.policy.deadline.then) if self.policy.deadline else "hold"
        self.barred = "" if self.policy.requester_may_approve else self.requester
        self.seats = [
            Seat(number, frozenset(may - {self.barred}))
            for number, step in enumerate(self.policy.all_steps)
            for may in _wanted(step, self.people)
        ]
        self.ordered = self.policy.order == "in_order"

    # --- who is who -------------------------------------------------------------------------------------

    def person(self, name: str) -> Person | None:
        return {p.name: p for p in self.people.people}.get(name)

    def listed(self, wanted: tuple[str, ...]) -> set[str]:
        return {p.name for p in self.people.people for w in wanted if w in (p.name, *p.roles, *p.groups)}

    @property
    def seated(self) -> set[str]:
        return {name for seat in self.seats for name in seat.may}

    def later(self, at: datetime | None) -> set[str]:
        """Who is called in the end, or up to a moment."""
        called: set[str] = set()
        for tier in self.policy.escalate:
            if tier.to != "deputies" and (at is None or at >= self.opened_at + tier.after):
                called |= self.listed(tuple(tier.to)) - {self.barred}
        return called

    def extenders(self) -> set[str]:
        return self.listed(self.policy.may_extend) or self.seated

    # --- who acts for whom ------------------------------------------------------------------------------

    def passes_on(self, name: str, at: datetime, more: tuple[Handed, ...] = ()) -> Iterator[tuple[str, str]]:
        for handed in (*self.handed, *more):
            if handed.by == name and handed.holds(at):
                yield handed.to, "delegation"
        person = self.person(name)
        if person and person.deputy and (self._away(person, at) or self._deputies_called(at)):
            yield person.deputy, "deputy"

    def _deputies_called(self, at: datetime) -> bool:
        return any(t.to == "deputies" and at >= self.opened_at + t.after for t in self.policy.escalate)

    @staticmethod
    def _away(person: Person, at: datetime) -> bool:
        today = at.astimezone(ZoneInfo(person.time_zone)).date().isoformat()
        return any(a.first.isoformat() <= today <= a.last.isoformat() for a in person.away)

    def ways(
        self, start: str, end: str, at: datetime, more: tuple[Handed, ...] = ()
    ) -> Iterator[tuple[int, tuple[int, ...], str]]:
        """Yield each way by which a vote gets from one to the other: its length, its turns, its first kind."""

        def walk(
            here: str, been: tuple[str, ...], turns: tuple[int, ...], kind: str
        ) -> Iterator[tuple[int, tuple[int, ...], str]]:
            if here == end and turns:
                yield len(turns), turns, kind
                return
            if len(turns) == MOST_HANDS:
                return
            for number, (there, how) in enumerate(self.passes_on(here, at, more)):
                if there not in been and there != self.barred and self.person(there):
                    yield from walk(there, (*been, there), (*turns, number), kind or how)

        return walk(start, (start,), (), "")

    def standings(self, name: str, at: datetime) -> list[tuple[str, str]]:
        """Return whose vote this person might give, and why; an own vote first."""
        if self.person(name) is None or name == self.barred:
            return []
        found = [(name, "")] if name in self.seated else []
        for seat in self.seats:
            for holder in self._in_file_order(seat.may):
                ways = sorted(self.ways(holder, name, at))
                if ways and (holder, ways[0][2]) not in found:
                    found.append((holder, ways[0][2]))
        called = self.later(at)
        found += [(name, "escalation")] if name in called else []
        others = [c for c in called if c != name and any(True for _ in self.ways(c, name, at))]
        return found + [(other, "escalation") for other in self._as_called(others)]

    def _in_file_order(self, names: frozenset[str] | set[str]) -> list[str]:
        return [p.name for p in self.people.people if p.name in names]

    def _as_called(self, names: list[str]) -> list[str]:
        order = [
            p
            for tier in self.policy.escalate
            if tier.to != "deputies"
            for p in self._in_file_order(self.listed(tuple(tier.to)))
        ]
        return sorted(names, key=order.index)

    # --- whether votes and seats go together ------------------------------------------------------------

    def _sits(self, vote: Vote, seat: Seat) -> bool:
        right_time = not self.ordered or vote.step == seat.step
        return right_time and (vote.how == "escalation" or vote.whose in seat.may)

    def seatings(self, votes: list[Vote]) -> Iterator[list[Seat]]:
        """Yield the seats that stay empty, for each way to seat these votes."""
        for chosen in permutations(range(len(self.seats)), len(votes)):
            if all(self._sits(v, self.seats[c]) for v, c in zip(votes, chosen, strict=True)):
                yield [s for number, s in enumerate(self.seats) if number not in chosen]

    def seated_together(self, votes: list[Vote]) -> bool:
        return any(True for _ in self.seatings(votes))

    def completable(self, votes: list[Vote], helpers: set[str]) -> bool:
        """Whether people who have not been heard could take the seats that these votes leave."""
        heard = {v.by for v in votes} | {v.whose for v in votes}
        fresh = (self.seated | helpers) - heard
        return any(_filled(empty, fresh, helpers) for empty in self.seatings(votes))

    def keeps_a_way(self, votes: list[Vote], vote: Vote) -> bool:
        for helpers in (set[str](), self.later(None)):
            if self.completable(votes, helpers):
                return self.completable([*votes, vote], helpers)
        return True

    @property
    def approvals(self) -> list[Vote]:
        return [v for v in self.votes if v.choice == "approve"]

    @property
    def step(self) -> int:
        """The first step that lacks approvals."""
        for seat in self.seats:
            wanted = sum(1 for s in self.seats if s.step == seat.step)
            if sum(1 for v in self.approvals if v.step == seat.step) < wanted:
                return seat.step
        return self.seats[-1].step

    # --- what is said -----------------------------------------------------------------------------------

    def closed_by_time(self, at: datetime) -> bool:
        return self.deadline is not None and at >= self.deadline and self.lapse != "hold"

    def vote_of(self, said: Said, at: datetime) -> Vote | str:
        """Return the vote, or why there is none; only that one of them may give it."""
        if any(v.by == said.by for v in self.votes):
            return "already_decided"
        may_veto = said.by in self.listed(self.policy.veto) and said.by != self.barred
        if said.choice == "reject" and may_veto:
            return Vote(said.by, said.by, "veto", self.step, "reject")
        able = self.standings(said.by, at)
        if not able:
            return "not_an_approver"
        for whose, how in able:
            vote = Vote(said.by, whose, how, self.step, said.choice)
            if self._counts(vote):
                return vote
        return "not_your_turn"

    def _counts(self, vote: Vote) -> bool:
        given = self.approvals
        if any(v.whose == vote.whose for v in given) or not self.seated_together([*given, vote]):
            return False
        return vote.choice == "reject" or self.keeps_a_way(given, vote)

    def answer(self, said: Said, at: datetime) -> tuple[str, Vote | None]:
        """Return what becomes of a decision about this gate, while it is open."""
        if self.closed_by_time(at):
            return "expired", None
        vote = self.vote_of(said, at)
        if isinstance(vote, str):
            return vote, None
        age = self.policy.evidence_max_age
        if said.evidence not in ("", self.evidence) or (age is not None and at >= self.taken_at + age):
            return "evidence_out_of_date", None
        if said.choice == "reject" and not said.reason.strip():
            return "reason_needed", None
        if self.mfa and "totp" not in said.proofs:
            return "code_needed", None
        done = said.choice == "reject" or len(self.approvals) + 1 == len(self.seats)
        return ("accepted" if done else "waiting_for_more"), vote

    def take(self, vote: Vote) -> None:
        self.votes.append(vote)
        if vote.choice == "reject":
            self.state = "rejected"
        elif len(self.approvals) == len(self.seats):
            self.state = "approved"

    def expire(self, at: datetime) -> bool:
        if self.state != "open" or self.deadline is None or at < self.deadline or self.overdue:
            return False
        if self.lapse == "hold":
            self.overdue = True
        else:
            self.state = "expired"
        return True

    def extension(self, by: str, until: datetime, proofs: tuple[str, ...], at: datetime) -> str:
        if self.closed_by_time(at):
            return "expired"
        if by not in self.extenders():
            return "not_an_approver"
        if self.deadline is None or until <= at or until <= self.deadline:
            return "unreadable"
        return "code_needed" if self.mfa and "totp" not in proofs else "accepted"

    def handover(self, new: Handed, proofs: tuple[str, ...], at: datetime) -> str:
        able = self.standings(new.by, at)
        free = [whose for whose, _ in able if all(whose != v.whose for v in self.approvals)]
        answered = {v.by for v in self.votes}
        problems = (
            ("expired", self.closed_by_time(at)),
            ("not_an_approver", not able),
            ("already_decided", new.by in answered),
            ("not_your_turn", not free),
            ("unreadable", self.person(new.to) is None or new.to in {new.by, self.barred, *answered}),
            ("unreadable", new.over(at)),
            ("unreadable", self._goes_in_circles_or_too_far(new, at)),
            ("unreadable", not any(self._reaches(w, new, at) for w in free)),
            ("code_needed", self.mfa and "totp" not in proofs),
        )
        return next((answer for answer, is_so in problems if is_so), "accepted")

    def _reaches(self, whose: str, new: Handed, at: datetime) -> bool:
        return any(True for _ in self.ways(whose, new.to, at, (new,)))

    def _goes_in_circles_or_too_far(self, new: Handed, at: datetime) -> bool:
        """Try every row of up to three hand-overs that last, before the new one and after it."""
        lasting = {(h.by, h.to) for h in self.handed if not h.over(at)}
        rows = [row for hands in range(1, MOST_HANDS + 1) for row in permutations(lasting, hands)]
        rows = [row for row in rows if _is_a_chain(row)]
        before = [row for row in rows if row[-1][1] == new.by]
        after = [row for row in rows if row[0][0] == new.to]
        circle = any(to == new.by for row in after for _, to in row)
        longest = sum(max(map(len, side), default=0) for side in (before, after)) + 1
        return circle or longest > MOST_HANDS


def _is_a_chain(row: tuple[tuple[str, str], ...]) -> bool:
    names = [row[0][0], *(to for _, to in row)]
    joined = all(one[1] == other[0] for one, other in pairwise(row))
    return joined and len(set(names)) == len(names)


def _wanted(step: Step, people: People) -> Iterator[set[str]]:
    def having(word: str) -> set[str]:
        return {p.name for p in people.people if word == p.name or word in p.roles or word in p.groups}

    if step.of:
        for _ in range(step.any):
            yield {name for word in step.of for name in having(word)}
    for word in step.all_of:
        members = {p.name for p in people.people if word in p.groups}
        yield from [{m} for m in sorted(members)] if members else [having(word)]


def _filled(empty: list[Seat], fresh: set[str], helpers: set[str]) -> bool:
    if not empty:
        return True
    first, *rest = empty
    return any(_filled(rest, fresh - {n}, helpers) for n in fresh if n in first.may or n in helpers)
