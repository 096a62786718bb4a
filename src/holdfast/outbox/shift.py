"""One bot's sending under one lease: chooses what goes next, tries it, has its fate written down."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

import structlog

from holdfast.domain.errors import Unavailable
from holdfast.outbox.backoff import Backoff, doubling
from holdfast.outbox.bell import Bell
from holdfast.outbox.clock import Clock
from holdfast.outbox.fates import Fates, Try
from holdfast.outbox.gcra import nanoseconds
from holdfast.outbox.lease import LeaseKeeper
from holdfast.outbox.limits import Limits
from holdfast.outbox.message import ANSWERS, Row, RowState
from holdfast.outbox.metrics import OutboxMetrics
from holdfast.outbox.order import Order, Room
from holdfast.outbox.store import Head, LeaseLost, OutboxStore
from holdfast.outbox.timing import Timing
from holdfast.outbox.transport import Fate, NotSent, Transport, Unknown
from holdfast.runbook.priorities import Priorities

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_FRESH_NS: Final = 20_000_000
_STORE_FIRST_NS: Final = 100_000_000
_STORE_LONGEST_NS: Final = 5_000_000_000
_FORGET_AT_ONCE: Final = 10_000
_PLACES_FOR_ANSWERS: Final = 8
_OWED: Final = 1000


class Shift:
    """The time from taking a lease to its end.

    In memory are a few heads a lane and what is under way; everything else stays in the store.

    Args:
        store: where the rows are.
        transport: tries them.
        priorities: gives the policy that holds now.
        keeper: holds the lease.
        bell: wakes the loop.
        metrics: what is counted.
        clock: gives the moments.
        timing: times and sizes.
    """

    def __init__(
        self,
        store: OutboxStore,
        transport: Transport,
        priorities: Callable[[], Priorities],
        *,
        keeper: LeaseKeeper,
        bell: Bell,
        metrics: OutboxMetrics,
        clock: Clock,
        timing: Timing,
    ) -> None:
        self._store = store
        self._transport = transport
        self._priorities = priorities
        self._keeper = keeper
        self._lease = keeper.lease
        self._bot = self._lease.bot
        self._bell = bell
        self._metrics = metrics
        self._clock = clock
        self._timing = timing
        self._policy = priorities()
        self._limits = Limits(self._policy.limits)
        self._order = Order(self._policy)
        self._backoff = Backoff()
        self._fates = Fates(
            store,
            self._lease,
            limits=self._limits,
            backoff=self._backoff,
            bell=bell,
            clock=clock,
            metrics=metrics,
        )
        self._begin()

    def _begin(self) -> None:
        """Begin with nothing under way, and nothing known of what waits."""
        self._tries: set[asyncio.Task[None]] = set()
        self._busy: Counter[str] = Counter()
        self._serving: asyncio.Task[None] | None = None
        self._doubtful: list[Head] = []
        self._heads: list[Head] = []
        self._read_at = -_FRESH_NS
        self._rings_seen = -1
        self._is_freed = False
        self._next_claim = 0
        self._tidying: asyncio.Task[None] | None = None

    def tokens(self) -> int:
        """Return how many messages the bot may send at this moment."""
        return self._limits.tokens(self._clock.monotonic())

    async def take_over(self) -> None:
        """Take up what an earlier sender left: rows in the middle of a try, pauses, and what it sent lately.

        Raises:
            LeaseLost: somebody else sends.
        """
        times = 0
        while True:
            try:
                return await self._take_over()
            except Unavailable as away:
                times += 1
                await self._store_is_away(away, times)

    async def dispatch(self) -> NoReturn:
        """Send, until cancelled.

        Raises:
            LeaseLost: somebody else sends, or may by now.
        """
        self._tidying = asyncio.create_task(self._tidy())
        times = 0
        while True:
            try:
                seconds = await self._round()
            except Unavailable as away:
                times += 1
                await self._store_is_away(away, times)
                continue
            times = 0
            if seconds > 0:
                await self._bell.wait(seconds)

    async def drain(self, patience: float | None) -> None:
        """Wait for the tries under way; after so many seconds, if given, leave them uncertain."""
        if self._tidying is not None:
            self._tidying.cancel()
        await self._served()
        if not self._tries:
            return
        _, left = await asyncio.wait(self._tries, timeout=patience)
        for task in left:
            task.cancel()
        if left:
            _log.warning("tries under way are left uncertain", bot=self._bot, tries=len(left))
            await asyncio.wait(left)

    async def _served(self) -> None:
        """Wait for a claim that was under way: what it took is tried, or put back."""
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)
        with contextlib.suppress(Unavailable, LeaseLost):
            await self._put_back()

    async def _take_over(self) -> None:
        left = await self._store.recover(self._keeper.lease, now=self._clock.now())
        # Those too that a sender made uncertain and ended before it put them back.
        owed = await self._store.rows(self._bot, states={RowState.UNCERTAIN}, limit=_OWED)
        await self._fates.recover(left, owed)
        now = self._clock.now()
        # Both outlive the sender that met them: a restart must be no burst.
        for chat, until in (await self._store.pauses(self._bot, now=now)).items():
            self._limits.pause(chat, self._clock.reading(until))
        recent = await self._store.recent(self._bot, since=now - self._limits.memory)
        # A clock that was set back has left moments that are still to come; nothing was sent then.
        self._limits.replay((chat, self._clock.reading(min(moment, now))) for chat, moment in recent)

    async def _round(self) -> float:
        """Try what may be tried now; return the seconds after which there may be more, 0 for at once."""
        if not self._keeper.is_held:
            raise LeaseLost(f"bot {self._bot}: the lease is lost, or could not be renewed in time")
        self._adopt_policy()
        await self._put_back()
        now = self._clock.monotonic()
        if (waiting := max(self._backoff.delay(now), self._next_claim - now)) > 0:
            return waiting / 1e9
        room = self._room(now)
        if not room.answers:
            return self._pause(now, {})
        blocked = self._limits.blocked(now)
        await self._look(now, blocked, room)
        chosen = self._order.choose(
            self._heads,
            room,
            now,
            moment=self._clock.now(),
            servable=lambda head: head.chat not in blocked and head.chat not in self._busy,
        )
        if not chosen:
            return self._pause(self._clock.monotonic(), blocked)
        # Not cut short by our end: rows would be left in the middle of a try that was never made.
        self._next_claim = now + self._limits.gathering
        self._serving = asyncio.create_task(self._serve(chosen))
        await asyncio.shield(self._serving)
        return 0.0

    def _room(self, now: int) -> Room:
        places = self._timing.at_once - len(self._tries)
        # Slow tries of others must not leave answers without a place.
        kept = self._timing.at_once // _PLACES_FOR_ANSWERS
        return Room(
            answers=min(places, self._limits.tokens(now)),
            everybody=max(0, min(places - kept, self._limits.tokens_for_all(now))),
        )

    async def _look(self, now: int, blocked: dict[str, int], room: Room) -> None:
        """Read the heads, unless they were read a moment ago: at a high rate that would be most of the work."""
        is_rung = self._bell.rings != self._rings_seen
        is_needed = is_rung or room.everybody > 0
        fresh_for = _FRESH_NS if is_needed else nanoseconds(self._timing.poll)
        if now - self._read_at < fresh_for and not (is_rung and not self._heads):
            return
        self._is_freed = False
        self._rings_seen = self._bell.rings
        self._heads = await self._store.heads(
            self._bot,
            now=self._clock.now(),
            skip={*blocked, *self._busy},
            per_lane=self._timing.per_lane,
        )
        self._read_at = self._clock.monotonic()

    def _pause(self, now: int, blocked: dict[str, int]) -> float:
        """Return the seconds until something may have changed that nobody rings for."""
        moments = [nanoseconds(self._timing.poll), *(until - now for until in blocked.values())]
        moments += [self._limits.delay(now), self._limits.delay(now, answer=True)]
        if self._is_freed or self._bell.rings != self._rings_seen:
            moments.append(self._read_at + _FRESH_NS - now)
        # A moment that has passed is one that changed nothing, or it would not be waited for.
        return min(moment for moment in moments if moment > 0) / 1e9

    async def _serve(self, chosen: Sequence[Head]) -> None:
        """Claim the rows of these heads and try them, each chat by itself."""
        going = {head.id for head in chosen}
        self._heads = [head for head in self._heads if head.id not in going]
        singles = [head.id for head in chosen if not self._is_storm(head)]
        storms = [head for head in chosen if self._is_storm(head)]
        lease, now = self._keeper.lease, self._clock.now()
        try:
            if singles:
                for row in await self._store.claim(lease, singles, now=now):
                    self._start([row])
            for head in storms:
                at_most = self._policy.digest.at_most
                if rows := await self._store.claim_alike(lease, head, at_most=at_most, now=now):
                    self._start(rows)
        except Unavailable:
            # The store may have done it before it fell silent; nobody would try these rows then.
            self._doubtful += [head for head in chosen if head.chat not in self._busy]
            raise

    async def _put_back(self) -> None:
        """Put rows back whose claim had no answer; none of them was tried."""
        while self._doubtful:
            head = self._doubtful[-1]
            rows = await self._store.rows(self._bot, states={RowState.SENDING}, chat=head.chat)
            if rows:
                await self._store.requeue(self._lease, [row.id for row in rows])
            self._doubtful.pop()

    def _is_storm(self, head: Head) -> bool:
        kind = self._policy.kinds.get(head.kind)
        return kind is not None and kind.digest and head.alike > self._policy.digest.more_than

    def _start(self, rows: list[Row]) -> None:
        now = self._clock.monotonic()
        chat = rows[0].chat
        # Counted when it goes, not when it was chosen: a slow claim must not end in a larger burst.
        self._limits.take(chat, now)
        self._busy[chat] += 1
        task = asyncio.create_task(self._try(Try(rows, now)))
        self._tries.add(task)
        task.add_done_callback(self._tries.discard)

    async def _try(self, tried: Try) -> None:
        try:
            # This process may have been stopped since the claim, and another one sends by now.
            held = self._keeper.is_held
            fate = await self._fate(tried) if held else NotSent("the lease ran out before it was tried")
            await self._fates.apply(tried, fate)
        except LeaseLost as lost:
            _log.warning("fate of a try is for the next sender to settle", rows=tried.ids, why=str(lost))
            self._keeper.lose()
        except Exception:  # noqa: BLE001  it is logged
            # Its rows are in the middle of a try, for the next who takes the lease: this process again.
            _log.exception("fate of a try could not be settled", rows=tried.ids)
            self._keeper.lose()
        finally:
            self._busy -= Counter([tried.chat])
            self._is_freed = True
            self._bell.wake()

    async def _fate(self, tried: Try) -> Fate:
        try:
            async with asyncio.timeout(self._timing.try_for.total_seconds()):
                if len(tried.rows) > 1:
                    return await self._transport.send_digest(list(tried.rows))
                return await self._transport.send(tried.rows[0])
        except TimeoutError:
            return Unknown(f"no answer within {self._timing.try_for.total_seconds():g} s")
        except Exception as error:  # noqa: BLE001  it is logged
            # A fault of ours says nothing of what the chat did.
            _log.exception("trying an outbox message failed", rows=tried.ids)
            return Unknown(f"trying it failed: {type(error).__name__}")

    def _adopt_policy(self) -> None:
        policy = self._priorities()
        if policy is self._policy:
            return
        if policy.limits != self._policy.limits:
            self._limits = self._fates.limits = self._limits.adopted(policy.limits, self._clock.monotonic())
        self._policy = policy
        self._order = Order(policy)

    async def _store_is_away(self, away: Unavailable, times: int) -> None:
        # Nothing is sent meanwhile: a try that could not be written down before might be made twice.
        if times == 1:
            _log.warning("outbox store does not answer", bot=self._bot, error=str(away))
        pause = doubling(times, first=_STORE_FIRST_NS, longest=_STORE_LONGEST_NS)
        await asyncio.sleep(pause / 1e9)
        if not self._keeper.is_held:
            raise LeaseLost(
                f"bot {self._bot}: the lease could not be renewed, the store does not answer"
            ) from away

    async def _tidy(self) -> None:
        """Measure what waits, and forget settled rows, for as long as the shift lasts."""
        tidy_at = self._clock.monotonic()
        while True:
            try:
                await self._measure()
                if self._clock.monotonic() >= tidy_at:
                    is_more = await self._forget()
                    tidy_at = self._clock.monotonic() + (0 if is_more else nanoseconds(self._timing.tidy))
            except Unavailable:
                _log.debug("outbox store does not answer, measured later", bot=self._bot)
            except Exception:  # noqa: BLE001  it is logged
                _log.exception("outbox could not be measured or tidied", bot=self._bot)
            await asyncio.sleep(self._timing.measure.total_seconds())

    async def _measure(self) -> None:
        lanes = await self._store.lanes(self._bot)
        counts = await self._store.counts(self._bot)
        self._metrics.measured(lanes, counts, (*self._policy.tiers, ANSWERS), self._clock.now())

    async def _forget(self) -> bool:
        """Forget a batch of settled rows; return whether there may be more."""
        before = self._clock.now() - self._timing.keep
        return (
            await self._store.forget(self._bot, settled_before=before, limit=_FORGET_AT_ONCE) >= _FORGET_AT_ONCE
        )
