"""An outbox store in memory that keeps to the whole contract, and can fall silent."""

import bisect
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from holdfast.domain.errors import Unavailable
from holdfast.outbox.message import Ranked, Row, RowState
from holdfast.outbox.store import Head, LaneState, Lease, LeaseLost

Place = tuple[datetime, int]
_NEWER = "replaced by a newer version"


class MemoryStore:
    """Implements `OutboxStore`.

    Attributes:
        failing: names of methods that raise `Unavailable` before they do anything.
        unsettled: ids of the rows that are.
        losing_answers: names of methods that raise it after they did.
        calls: how often each method was called.
    """

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.losing_answers: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.on_call: Callable[[str], None] = lambda _: None
        self._rows: dict[int, Row] = {}
        self._newest = 0
        self.unsettled: set[int] = set()
        self._settled_at: dict[int, datetime] = {}
        self._keys: dict[tuple[str, str], int] = {}
        self._lanes: dict[tuple[str, str], list[Place]] = {}
        self._alike: Counter[tuple[str, str, str, str, str]] = Counter()
        self._versions: dict[tuple[str, str, str], int] = {}
        self._tried: list[tuple[str, str, datetime]] = []
        self._leases: dict[str, Lease] = {}
        self._epochs: Counter[str] = Counter()
        self._moves: dict[tuple[str, str], str] = {}
        self._pauses: dict[tuple[str, str], datetime] = {}

    # --- for everybody

    async def put(self, bot: str, messages: Sequence[Ranked]) -> list[int]:
        self._enter("put")
        ids = [self._put(bot, ranked) for ranked in messages]
        self._leave("put")
        return ids

    async def row(self, row_id: int) -> Row | None:
        self._enter("row")
        return self._rows.get(row_id)

    async def rows(
        self, bot: str, *, states: Collection[RowState] = (), chat: str = "", limit: int = 100
    ) -> list[Row]:
        self._enter("rows")
        found = [
            row
            for row in self._rows.values()
            if row.bot == bot and (not states or row.state in states) and (not chat or row.chat == chat)
        ]
        waiting = sorted((r for r in found if not r.state.settled), key=lambda r: (r.due, r.id))
        settled = sorted((r for r in found if r.state.settled), key=lambda r: -r.id)
        return [*waiting, *settled][:limit]

    async def ahead(self, row: Row, *, limit: int = 1000) -> int:
        self._enter("ahead")
        lane = self._lanes.get((row.bot, row.tier), [])
        return min(limit, bisect.bisect_left(lane, (row.due, row.id)))

    async def lanes(self, bot: str) -> Mapping[str, LaneState]:
        self._enter("lanes")
        return {
            tier: LaneState(len(lane), min(self._rows[i].queued_at for _, i in lane))
            for (of, tier), lane in self._lanes.items()
            if of == bot and lane
        }

    async def counts(self, bot: str) -> Mapping[RowState, int]:
        self._enter("counts")
        return Counter(row.state for row in self._rows.values() if row.bot == bot)

    async def retry(self, row_id: int, *, why: str, now: datetime) -> bool:
        self._enter("retry")
        row = self._rows.get(row_id)
        if row is None or row.state not in {RowState.UNCERTAIN, RowState.DEAD}:
            return False
        again = row.repeated or row.state is RowState.UNCERTAIN
        self._change(row_id, state=RowState.QUEUED, repeated=again, why=why, not_before=None, code=0)
        return True

    async def drop(self, row_id: int, *, why: str) -> bool:
        self._enter("drop")
        row = self._rows.get(row_id)
        if row is None or row.state not in {RowState.QUEUED, RowState.UNCERTAIN}:
            return False
        self._change(row_id, state=RowState.DEAD, why=why)
        return True

    async def forget(self, bot: str, *, settled_before: datetime, limit: int = 10_000) -> int:
        self._enter("forget")
        old = [
            row.id
            for row in self._rows.values()
            if row.bot == bot
            and row.state in {RowState.SENT, RowState.DEAD}
            and self._settled_at.get(row.id, settled_before) < settled_before
        ][:limit]
        for row_id in old:
            row = self._rows.pop(row_id)
            self._keys = {key: i for key, i in self._keys.items() if i != row.id}
        return len(old)

    # --- for the holder of the lease

    async def take_lease(
        self, bot: str, holder: str, *, ttl: timedelta, now: datetime, dead: Collection[str] = ()
    ) -> Lease | None:
        self._enter("take_lease")
        held = self._leases.get(bot)
        if held and held.holder != holder and held.until > now and held.holder not in dead:
            return None
        if held is None or held.holder != holder:
            self._epochs[bot] += 1
        self._leases[bot] = Lease(bot, holder, self._epochs[bot], now + ttl)
        self._leave("take_lease")
        return self._leases[bot]

    async def give_up_lease(self, lease: Lease) -> None:
        self._enter("give_up_lease")
        held = self._leases.get(lease.bot)
        if held and held.epoch == lease.epoch:
            self._leases[lease.bot] = Lease(
                held.bot, held.holder, held.epoch, datetime.min.replace(tzinfo=held.until.tzinfo)
            )

    async def holder(self, bot: str) -> Lease | None:
        self._enter("holder")
        return self._leases.get(bot)

    async def recover(self, lease: Lease, *, now: datetime) -> list[Row]:
        self._enter("recover")
        self._fence(lease)
        left = [r.id for r in self._rows.values() if r.bot == lease.bot and r.state is RowState.SENDING]
        for row_id in left:
            self._change(row_id, state=RowState.UNCERTAIN)
            self._tried.append((lease.bot, self._rows[row_id].chat, now))
        self._leave("recover")
        return [self._rows[i] for i in left]

    async def recent(self, bot: str, *, since: datetime) -> list[tuple[str, datetime]]:
        self._enter("recent")
        tried = [(chat, moment) for of, chat, moment in self._tried if of == bot and moment >= since]
        return sorted(tried, key=lambda one: one[1])

    async def heads(
        self, bot: str, *, now: datetime, skip: Collection[str] = (), per_lane: int = 32
    ) -> list[Head]:
        self._enter("heads")
        heads: list[Head] = []
        for (of, _), lane in self._lanes.items():
            if of == bot:
                heads += self._first(lane, now, set(skip), per_lane)
        return heads

    async def claim(self, lease: Lease, ids: Sequence[int], *, now: datetime) -> list[Row]:
        self._enter("claim")
        self._fence(lease)
        claimed = [self._claim(i) for i in ids if i in self._rows and self._rows[i].state is RowState.QUEUED]
        self._leave("claim")
        return claimed

    async def claim_alike(self, lease: Lease, head: Head, *, at_most: int, now: datetime) -> list[Row]:
        self._enter("claim_alike")
        self._fence(lease)
        alike = [
            i
            for _, i in self._lanes.get((lease.bot, head.tier), [])
            if (r := self._rows[i]).line and (r.chat, r.thread, r.kind) == (head.chat, head.thread, head.kind)
        ]
        claimed = [self._claim(i) for i in alike[:at_most]]
        self._leave("claim_alike")
        return claimed

    async def settle(
        self,
        lease: Lease,
        ids: Sequence[int],
        state: RowState,
        *,
        now: datetime,
        message_id: str = "",
        why: str = "",
        code: int = 0,
    ) -> None:
        self._enter("settle")
        self._fence(lease)
        for row_id in ids:
            if self._rows[row_id].state is RowState.SENDING:
                self._settle(row_id, state, now, message_id=message_id, why=why, code=code)
        self._leave("settle")

    async def requeue(
        self,
        lease: Lease,
        ids: Sequence[int],
        *,
        repeated: bool = False,
        why: str = "",
        not_before: datetime | None = None,
    ) -> None:
        self._enter("requeue")
        self._fence(lease)
        for row_id in ids:
            self._requeue(row_id, repeated=repeated, why=why, not_before=not_before)
        self._leave("requeue")

    async def move_chat(self, bot: str, old: str, new: str) -> None:
        self._enter("move_chat")
        self._moves[bot, old] = new
        for row in list(self._rows.values()):
            if row.bot == bot and row.chat == old and row.state is RowState.QUEUED:
                self._change(row.id, chat=new)

    async def moved(self, bot: str, chat: str) -> str:
        self._enter("moved")
        while (bot, chat) in self._moves:
            chat = self._moves[bot, chat]
        return chat

    async def pause(self, bot: str, chat: str, until: datetime) -> None:
        self._enter("pause")
        self._pauses[bot, chat] = max(until, self._pauses.get((bot, chat), until))

    async def pauses(self, bot: str, *, now: datetime) -> Mapping[str, datetime]:
        self._enter("pauses")
        return {chat: until for (of, chat), until in self._pauses.items() if of == bot and until > now}

    # --- looking inside

    def every_row(self) -> list[Row]:
        return list(self._rows.values())

    def states(self) -> Counter[RowState]:
        return Counter(row.state for row in self._rows.values())

    def _enter(self, method: str) -> None:
        self.calls[method] += 1
        self.on_call(method)
        if method in self.failing:
            raise Unavailable(f"{method}: the store is away")

    def _leave(self, method: str) -> None:
        if method in self.losing_answers:
            self.losing_answers.discard(method)
            raise Unavailable(f"{method}: the connection broke before the answer")

    def _fence(self, lease: Lease) -> None:
        held = self._leases.get(lease.bot)
        if held is None or (held.holder, held.epoch) != (lease.holder, lease.epoch):
            raise LeaseLost(f"bot {lease.bot}: somebody else sends")

    def _put(self, bot: str, ranked: Ranked) -> int:
        message = ranked.message
        known = self._keys.get((bot, message.key))
        if known is not None:
            return known
        chat = message.chat
        while (bot, chat) in self._moves:
            chat = self._moves[bot, chat]
        waiting = self._versions.get((bot, chat, message.replaces)) if message.replaces else None
        if waiting is not None:
            self._keys[bot, message.key] = waiting
            self._change(waiting, request=message.request, line=message.line)
            return waiting
        self._newest += 1
        row_id = self._newest
        self._keys[bot, message.key] = row_id
        self._rows[row_id] = Row(
            id=row_id,
            bot=bot,
            chat=chat,
            tier=ranked.tier,
            delivery=ranked.delivery,
            state=RowState.QUEUED,
            queued_at=ranked.queued_at,
            due=ranked.due,
            **message.model_dump(include={"key", "kind", "value", "replaces", "line", "thread"}),
            request=message.request,
        )
        self.unsettled.add(row_id)
        self._enlist(self._rows[row_id])
        return row_id

    def _first(self, lane: list[Place], now: datetime, skip: set[str], per_lane: int) -> list[Head]:
        heads: list[Head] = []
        seen = set(skip)
        for _, row_id in lane:
            row = self._rows[row_id]
            if row.chat in seen or (row.not_before and row.not_before > now):
                continue
            seen.add(row.chat)
            alike = self._alike[_like(row)] if row.line else 0
            heads.append(Head(row.id, row.chat, row.tier, row.kind, row.thread, row.due, alike))
            if len(heads) == per_lane:
                break
        return heads

    def _claim(self, row_id: int) -> Row:
        self._change(row_id, state=RowState.SENDING, attempts=self._rows[row_id].attempts + 1)
        return self._rows[row_id]

    def _settle(self, row_id: int, state: RowState, now: datetime, **fields: Any) -> None:
        if state is RowState.SENT:
            fields["sent_at"] = now
        if state in {RowState.SENT, RowState.UNCERTAIN}:
            self._tried.append((self._rows[row_id].bot, self._rows[row_id].chat, now))
        self._settled_at[row_id] = now
        self._change(row_id, state=state, **fields)

    def _requeue(self, row_id: int, *, repeated: bool, why: str, not_before: datetime | None) -> None:
        row = self._rows[row_id]
        if row.state not in {RowState.SENDING, RowState.UNCERTAIN}:
            return
        if row.replaces and (row.bot, row.chat, row.replaces) in self._versions:
            self._change(row_id, state=RowState.DEAD, why=_NEWER)
            return
        repeated = repeated or row.repeated
        self._change(row_id, state=RowState.QUEUED, repeated=repeated, why=why, not_before=not_before)

    def _change(self, row_id: int, **fields: Any) -> None:
        old = self._rows[row_id]
        if old.state is RowState.QUEUED:
            self._delist(old)
        self._rows[row_id] = new = old.model_copy(update=fields)
        if new.state is RowState.QUEUED:
            self._enlist(new)
        (self.unsettled.discard if new.state.settled else self.unsettled.add)(row_id)

    def _enlist(self, row: Row) -> None:
        bisect.insort(self._lanes.setdefault((row.bot, row.tier), []), (row.due, row.id))
        self._alike[_like(row)] += bool(row.line)
        if row.replaces:
            self._versions[row.bot, row.chat, row.replaces] = row.id

    def _delist(self, row: Row) -> None:
        lane = self._lanes[row.bot, row.tier]
        del lane[bisect.bisect_left(lane, (row.due, row.id))]
        self._alike[_like(row)] -= bool(row.line)
        if row.replaces:
            self._versions.pop((row.bot, row.chat, row.replaces), None)


def _like(row: Row) -> tuple[str, str, str, str, str]:
    return (row.bot, row.tier, row.chat, row.thread, row.kind)
