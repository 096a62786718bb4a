"""Whatever is called in whatever order: the tables say what a plain model of the rows says."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from holdfast.adapters.sql_store import SqlStore
from holdfast.outbox.message import Delivery, Message, Ranked, Request, RowState
from holdfast.outbox.store import Head, LaneState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
QUEUED, SENDING, SENT, UNCERTAIN, DEAD = RowState
CHATS = ("1", "2", "-3")
TTL = timedelta(days=1)


@dataclass(frozen=True)
class Waiting:
    """What the model knows of a row."""

    id: int
    chat: str
    tier: str
    kind: str
    thread: str
    line: str
    replaces: str
    words: str
    queued_at: datetime
    due: datetime
    state: RowState = QUEUED
    not_before: datetime | None = None
    repeated: bool = False
    attempts: int = 0

    @property
    def place(self) -> tuple[datetime, int]:
        return self.due, self.id


@dataclass
class Model:
    """The rows of one bot in a dictionary; each question looks at all of them."""

    rows: dict[int, Waiting] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    moves: dict[str, str] = field(default_factory=dict)

    def change(self, row_id: int, **values) -> None:
        self.rows[row_id] = replace(self.rows[row_id], **values)

    def ready(self, now: datetime) -> list[Waiting]:
        queued = (row for row in self.rows.values() if row.state is QUEUED)
        return sorted(
            (row for row in queued if row.not_before is None or row.not_before <= now),
            key=lambda row: row.place,
        )

    def alike(self, head: Waiting | Head, now: datetime) -> list[Waiting]:
        def about(row: Waiting | Head) -> tuple[str, ...]:
            return row.tier, row.chat, row.kind, row.thread

        return [row for row in self.ready(now) if row.line and about(row) == about(head)]

    def heads(self, now: datetime, skip: Collection[str], per_lane: int) -> list[Head]:
        firsts: dict[tuple[str, str], Waiting] = {}
        for row in self.ready(now):
            firsts.setdefault((row.tier, row.chat), row)
        served = [row for row in firsts.values() if row.chat not in skip]
        return [
            Head(
                **{name: getattr(row, name) for name in ("id", "chat", "tier", "kind", "thread", "due")},
                alike=len(self.alike(row, now)) if row.line else 0,
            )
            for _, lane in itertools.groupby(sorted(served, key=lambda row: row.tier), lambda row: row.tier)
            for row in sorted(lane, key=lambda row: row.place)[:per_lane]
        ]

    def put(self, ranked: Ranked, row_id: int) -> None:
        message = ranked.message
        chat = self.moves.get(message.chat, message.chat)
        content = {"line": message.line, "words": message.request.params["text"]}
        older = [row for row in self.versions(chat, message.replaces) if row.state is QUEUED]
        self.keys[message.key] = older[0].id if older else row_id
        if older:
            self.change(older[0].id, **content)
        else:
            about = {
                "kind": message.kind,
                "thread": message.thread,
                "replaces": message.replaces,
                "tier": ranked.tier,
            }
            times = {"queued_at": ranked.queued_at, "due": ranked.due}
            self.rows[row_id] = Waiting(id=row_id, chat=chat, **about, **times, **content)

    def versions(self, chat: str, replaces: str) -> list[Waiting]:
        return [row for row in self.rows.values() if replaces and (row.chat, row.replaces) == (chat, replaces)]

    def queue(self, row_id: int, **values) -> bool:
        row = self.rows[row_id]
        chat = self.moves.get(row.chat, row.chat)
        others = [other for other in self.versions(chat, row.replaces) if other.id != row_id]
        newer = any(other.id > row_id and other.state not in {QUEUED, DEAD} for other in others)
        if newer or any(other.state is QUEUED for other in others):
            self.change(row_id, state=DEAD)
            return False
        self.change(row_id, **{"state": QUEUED, "chat": chat} | values)
        return True

    def move(self, old: str, new: str) -> None:
        self.moves = {there: new if to == old else to for there, to in self.moves.items()}
        self.moves.pop(new, None)
        self.moves[old] = new
        for row in [row for row in self.rows.values() if row.state is QUEUED and row.chat == old]:
            self.change(row.id, chat=new)
        queued = [row for row in self.rows.values() if row.state is QUEUED and row.chat == new and row.replaces]
        for row in queued:
            if any(other.replaces == row.replaces and other.id > row.id for other in queued):
                self.change(row.id, state=DEAD)

    def lanes(self) -> dict[str, LaneState]:
        tiers = {row.tier for row in self.rows.values() if row.state is QUEUED}
        of = {
            tier: [r.queued_at for r in self.rows.values() if r.state is QUEUED and r.tier == tier]
            for tier in tiers
        }
        return {tier: LaneState(len(times), min(times)) for tier, times in of.items()}


@st.composite
def _ranked(draw: st.DrawFn) -> Ranked:
    number = draw(st.integers(0, 40))
    message = Message(
        key=f"key {number}",
        chat=draw(st.sampled_from(CHATS)),
        kind=draw(st.sampled_from(("card", "ping"))),
        request=Request(method="sendMessage", params={"text": f"{draw(st.integers())}"}),
        replaces=draw(st.sampled_from(("", "", "a", "b"))),
        line=draw(st.sampled_from(("", "line"))),
        thread=draw(st.sampled_from(("", "8"))),
    )
    moment = NOW + timedelta(seconds=draw(st.integers(0, 6)))
    tier, delivery = draw(st.sampled_from(("gold", "silver"))), Delivery.AT_MOST_ONCE
    return Ranked(message=message, tier=tier, queued_at=NOW, due=moment, delivery=delivery)


_WHICH = st.lists(st.integers(0, 30), max_size=4, unique=True)


class Outboxes(RuleBasedStateMachine):
    """Calls the tables and the model alike. The rows of an example are those of a bot of its own."""

    store: SqlStore
    run: Callable
    bots: Iterator[int] = itertools.count()

    @initialize()
    def begin(self) -> None:
        self.bot, self.model, self.now, self.holder = f"bot {next(self.bots)}", Model(), NOW, 0
        self.outbox = self.store.outbox
        self.next_holder()

    def some(self, which: Collection[int]) -> list[int]:
        ids = sorted(self.model.rows)
        return list(dict.fromkeys(ids[each % len(ids)] for each in which)) if ids else []

    @rule(messages=st.lists(_ranked(), min_size=1, max_size=4))
    def put(self, messages: list[Ranked]) -> None:
        messages = [each.model_copy(update={"queued_at": self.now}) for each in messages]
        ids = self.run(self.outbox.put(self.bot, messages))
        for each, row_id in zip(messages, ids, strict=True):
            if each.message.key not in self.model.keys:
                self.model.put(each, row_id)
        assert ids == [self.model.keys[each.message.key] for each in messages]

    @rule(seconds=st.integers(0, 4))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(which=_WHICH)
    def claim(self, which: list[int]) -> None:
        ids = self.some(which)
        self._claimed(self.run(self.outbox.claim(self.lease, ids, now=self.now)))
        assert not any(self.model.rows[each].state is QUEUED for each in ids)

    @rule(first=st.integers(0, 9), at_most=st.integers(1, 3))
    def claim_alike(self, first: int, at_most: int) -> None:
        heads = self.run(self.outbox.heads(self.bot, now=self.now))
        if heads:
            head = heads[first % len(heads)]
            expected = [row.id for row in self.model.alike(head, self.now)[:at_most]]
            rows = self.run(self.outbox.claim_alike(self.lease, head, at_most=at_most, now=self.now))
            assert [row.id for row in rows] == expected
            self._claimed(rows)

    def _claimed(self, rows) -> None:
        for row in rows:
            known = self.model.rows[row.id]
            assert known.state is QUEUED
            assert row.request.params["text"] == known.words
            self.model.change(row.id, state=SENDING, attempts=known.attempts + 1)

    @rule(which=_WHICH, state=st.sampled_from((SENT, SENT, UNCERTAIN, DEAD)))
    def settle(self, which: list[int], state: RowState) -> None:
        ids = self.some(which)
        self.run(self.outbox.settle(self.lease, ids, state, now=self.now))
        for each in ids:
            if self.model.rows[each].state is SENDING:
                self.model.change(each, state=state)

    @rule(which=_WHICH, repeated=st.booleans(), wait=st.none() | st.integers(0, 5))
    def requeue(self, *, which: list[int], repeated: bool, wait: int | None) -> None:
        ids = self.some(which)
        until = None if wait is None else self.now + timedelta(seconds=wait)
        self.run(self.outbox.requeue(self.lease, ids, repeated=repeated, not_before=until))
        for each in sorted(ids, reverse=True):
            row = self.model.rows[each]
            if row.state in {SENDING, UNCERTAIN}:
                self.model.queue(each, repeated=repeated or row.repeated, not_before=until)

    @rule(which=st.integers(0, 30))
    def retry(self, which: int) -> None:
        for each in self.some([which]):
            row = self.model.rows[each]
            times = {"queued_at": self.now, "due": self.now + (row.due - row.queued_at), "not_before": None}
            repeated = row.repeated or row.state is UNCERTAIN
            possible = row.state in {UNCERTAIN, DEAD}
            expected = possible and self.model.queue(each, repeated=repeated, **times)
            assert self.run(self.outbox.retry(each, why="asked", now=self.now)) == expected

    @rule(which=st.integers(0, 30))
    def drop(self, which: int) -> None:
        for each in self.some([which]):
            expected = self.model.rows[each].state in {QUEUED, UNCERTAIN}
            assert self.run(self.outbox.drop(each, why="asked")) == expected
            if expected:
                self.model.change(each, state=DEAD)

    @rule(old=st.sampled_from(CHATS), new=st.sampled_from((*CHATS, "-4")))
    def move_chat(self, old: str, new: str) -> None:
        self.run(self.outbox.move_chat(self.bot, old, new))
        if old != new:
            self.model.move(old, new)

    @rule()
    def next_holder(self) -> None:
        """The sender dies, and the next one takes over."""
        self.holder += 1
        dead = {f"holder {self.holder - 1}"}
        taking = self.outbox.take_lease(self.bot, f"holder {self.holder}", ttl=TTL, now=self.now, dead=dead)
        self.lease = self.run(taking)
        left = [row.id for row in self.model.rows.values() if row.state is SENDING]
        assert [row.id for row in self.run(self.outbox.recover(self.lease, now=self.now))] == sorted(left)
        for each in left:
            self.model.change(each, state=UNCERTAIN)

    @invariant()
    def counts_and_lanes_agree(self) -> None:
        numbers = Counter(row.state for row in self.model.rows.values())
        assert self.run(self.outbox.counts(self.bot)) == {state: numbers[state] for state in RowState}
        assert self.run(self.outbox.lanes(self.bot)) == self.model.lanes()

    @rule(skip=st.sets(st.sampled_from(CHATS), max_size=2), per_lane=st.integers(1, 3))
    def heads_agree(self, skip: set[str], per_lane: int) -> None:
        found = self.run(self.outbox.heads(self.bot, now=self.now, skip=skip, per_lane=per_lane))
        assert found == self.model.heads(self.now, skip, per_lane)

    def teardown(self) -> None:
        """Every row is there, and as the model has it."""
        if not hasattr(self, "model"):
            return
        assert self.run(self.outbox.heads(self.bot, now=self.now)) == self.model.heads(self.now, (), 32)
        rows = self.run(self.outbox.rows(self.bot, limit=1000))
        assert len(rows) == len(self.model.rows)
        for row in rows:
            known = self.model.rows[row.id]
            same = ("chat", "state", "line", "due", "queued_at", "repeated", "attempts", "tier", "thread")
            assert {name: getattr(row, name) for name in same} == {name: getattr(known, name) for name in same}
            assert row.request.params["text"] == known.words


@pytest.mark.parametrize("examples", [40])
def test_the_tables_and_the_model_agree_after_any_calls(url, keyring, examples):
    with asyncio.Runner() as runner:
        store = SqlStore(url, keyring)
        machine = type("OutboxesOfThisTest", (Outboxes,), {"store": store, "run": staticmethod(runner.run)})
        quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
        options = settings(max_examples=examples, stateful_step_count=30, suppress_health_check=quiet)
        try:
            run_state_machine_as_test(machine, settings=options)
        finally:
            runner.run(store.close())
