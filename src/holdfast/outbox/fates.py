"""What follows from a try: what is written down, who waits, what is tried again."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from holdfast.outbox.backoff import Backoff, doubling
from holdfast.outbox.bell import Bell
from holdfast.outbox.clock import Clock
from holdfast.outbox.ledger import Ledger, persistently
from holdfast.outbox.limits import Limits
from holdfast.outbox.message import Delivery, Row, RowState
from holdfast.outbox.metrics import OutboxMetrics
from holdfast.outbox.store import Lease, OutboxStore
from holdfast.outbox.transport import Fate, Moved, Never, NotSent, Refused, Sent, Unknown

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MOST_TRIES: Final = 10
"""A message of unknown fate is not repeated after so many tries; it stays uncertain, for people to decide."""
_FIRST_REPEAT: Final = timedelta(seconds=5)
_LONGEST_REPEAT: Final = timedelta(minutes=5)


def is_repeated(row: Row) -> bool:
    """Whether a row of unknown fate is sent again by its own policy.

    The first time always: most of its tries may have reached nobody, while the chat was down.
    """
    return row.delivery is Delivery.AT_LEAST_ONCE and (not row.repeated or row.attempts < MOST_TRIES)


def repeat_after(row: Row) -> timedelta:
    """Return how long a repetition waits: what is lost for one reason would be repeated for nothing at once."""
    return min(_LONGEST_REPEAT, _FIRST_REPEAT * (1 << min(max(0, row.attempts - 1), 30)))


@dataclass(frozen=True)
class Try:
    """One try.

    Attributes:
        rows: one, or those that went as a digest; all of one chat.
        began: reading of the monotonic clock.
    """

    rows: Sequence[Row]
    began: int

    @property
    def chat(self) -> str:
        """Where it went."""
        return self.rows[0].chat

    @property
    def ids(self) -> list[int]:
        """The rows' ids."""
        return [row.id for row in self.rows]


class Fates:
    """Carries out what follows from tries under one lease.

    Args:
        store: where the rows are.
        lease: under which all is written.
        limits: of the bot.
        backoff: of the bot.
        bell: rung for those who wait for rows.
        clock: gives the moments.
        metrics: what is counted.
    """

    def __init__(
        self,
        store: OutboxStore,
        lease: Lease,
        *,
        limits: Limits,
        backoff: Backoff,
        bell: Bell,
        clock: Clock,
        metrics: OutboxMetrics,
    ) -> None:
        self.limits = limits
        self._store = store
        self._lease = lease
        self._ledger = Ledger(store, lease, clock)
        self._backoff = backoff
        self._bell = bell
        self._clock = clock
        self._metrics = metrics
        self._moves: Counter[int] = Counter()

    async def apply(self, tried: Try, fate: Fate) -> None:
        """Do what follows from a try; returns when it is written down.

        Raises:
            LeaseLost: somebody else sends, and has made the rows uncertain.
        """
        if not isinstance(fate, NotSent | Unknown):
            self._backoff.succeeded(self._clock.monotonic())
        match fate:
            case Sent():
                await self._sent(tried, fate)
            case Refused():
                await self._refused(tried, fate)
            case NotSent():
                await self._not_sent(tried, fate)
            case Unknown():
                await self._unknown(tried, fate)
            case Never():
                await self._never(tried, fate)
            case Moved():
                await self._moved(tried, fate)

    async def recover(self, left: Sequence[Row], uncertain: Sequence[Row]) -> None:
        """Take up what an earlier sender left.

        Args:
            left: what was in the middle of a try; uncertain by now.
            uncertain: what is uncertain; by its own policy some of it may have to be sent again.

        Raises:
            LeaseLost: somebody else sends.
            Unavailable: the store does not answer.
        """
        again = [row for row in {row.id: row for row in (*uncertain, *left)}.values() if is_repeated(row)]
        if again:
            why = "an earlier copy may have arrived: the sender ended in the middle of its try"
            # Telegram has no key by which one could ask whether a message arrived, so the copy has to say so.
            await self._store.requeue(self._lease, [row.id for row in again], repeated=True, why=why)
        for row in left:
            if not is_repeated(row):
                _log.warning(
                    "outbox message is uncertain after a sender's end", row=row.id, chat=row.chat, kind=row.kind
                )
        self._metrics.uncertain(left)
        self._metrics.repeated(again)
        self._bell.settled(row.id for row in left)

    async def _sent(self, tried: Try, fate: Sent) -> None:
        await self._ledger.sent(tried.rows, fate.message_id)
        self._metrics.sent(tried.rows, self._clock.now())
        if len(tried.rows) > 1:
            self._metrics.digest(len(tried.rows))
        self._bell.settled(tried.ids)

    async def _refused(self, tried: Try, fate: Refused) -> None:
        self._metrics.refused(tried.chat)
        pauses = self.limits.refused(tried.chat, fate.retry_after, self._clock.monotonic())
        _log.warning(
            "chat refuses more messages",
            chat=tried.chat,
            retry_after_seconds=fate.retry_after,
            whole_bot_waits=len(pauses) > 1,
        )
        await self._again(tried, why=f"the chat took no more messages for {fate.retry_after:g} s")
        await self._remember(pauses)

    async def _not_sent(self, tried: Try, fate: NotSent) -> None:
        self._metrics.not_sent()
        self._wait(tried)
        _log.warning("outbox message was not sent, tried again", rows=tried.ids, chat=tried.chat, why=fate.why)
        await self._again(tried, why=fate.why)

    async def _unknown(self, tried: Try, fate: Unknown) -> None:
        # A way through that loses every answer would make the whole queue uncertain if nothing slowed it down.
        self._wait(tried)
        again = [row for row in tried.rows if is_repeated(row)]
        left = [row for row in tried.rows if not is_repeated(row)]
        self._metrics.uncertain(tried.rows)
        if left:
            _log.warning(
                "outbox message is uncertain", rows=[r.id for r in left], chat=tried.chat, why=fate.why
            )
            await self._ledger.settle(left, RowState.UNCERTAIN, why=fate.why)
            self._bell.settled(row.id for row in left)
        if again:
            self._metrics.repeated(again)
            later = self._clock.now() + repeat_after(again[0])
            await self._again(Try(again, tried.began), why=fate.why, repeated=True, not_before=later)

    async def _never(self, tried: Try, fate: Never) -> None:
        _log.warning(
            "chat does not take an outbox message",
            rows=tried.ids,
            chat=tried.chat,
            code=fate.code,
            why=fate.why,
        )
        await self._ledger.settle(tried.rows, RowState.DEAD, why=fate.why, code=fate.code)
        self._metrics.dead(tried.rows)
        self._bell.settled(tried.ids)

    async def _moved(self, tried: Try, fate: Moved) -> None:
        self._moves[tried.ids[0]] += 1  # few: the others of the chat do not meet its old id
        if fate.chat == tried.chat or self._moves[tried.ids[0]] >= MOST_TRIES:
            await self._never(tried, Never(f"the chat sends this message in circles, at last to {fate.chat}"))
            return
        _log.info("chat has another id", chat=tried.chat, moved_to=fate.chat)
        # Back first: after an end between the two the row learns of the move by its next try.
        await self._again(tried, why=f"the group has another id: {fate.chat}")
        await persistently(lambda: self._store.move_chat(self._lease.bot, tried.chat, fate.chat))

    def _wait(self, tried: Try) -> None:
        """Let the bot wait, or this chat alone where others get through; its own order is kept by that."""
        now = self._clock.monotonic()
        if not self._backoff.failed(tried.began, now):
            self.limits.pause(tried.chat, now + doubling(max(1, tried.rows[0].attempts)))

    async def _again(
        self, tried: Try, *, why: str, repeated: bool = False, not_before: datetime | None = None
    ) -> None:
        await persistently(
            lambda: self._store.requeue(
                self._lease, tried.ids, repeated=repeated, why=why, not_before=not_before
            )
        )

    async def _remember(self, pauses: Mapping[str, int]) -> None:
        for chat, until in pauses.items():
            await persistently(partial(self._store.pause, self._lease.bot, chat, self._clock.at(until)))
