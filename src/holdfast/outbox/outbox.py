"""What everybody calls who has something to send."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.outbox.bell import Bell, wait_within
from holdfast.outbox.clock import utc_now
from holdfast.outbox.message import Message, Row
from holdfast.outbox.metrics import OutboxMetrics
from holdfast.outbox.order import ranked
from holdfast.outbox.steady import LastGood
from holdfast.outbox.store import OutboxStore
from holdfast.runbook.priorities import DEFAULT_PRIORITIES, Priorities

_FIRST_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 1.0
_PAUSE_BESIDE_A_SENDER_SECONDS: Final = 5.0
_GROWTH: Final = 1.6


class Outbox:
    """The messages of one bot: puts them in line and waits for what becomes of them.

    Args:
        store: where the rows are.
        priorities: gives the policy that holds now; where it raises, the last good one goes on counting.
        bot: whose messages.
        now: the present moment.
        bell: shared with the `Sender`, where that runs in this process.
        metrics: counts the versions that replaced one that waited.
    """

    def __init__(
        self,
        store: OutboxStore,
        priorities: Callable[[], Priorities],
        *,
        bot: str,
        now: Callable[[], datetime] = utc_now,
        bell: Bell | None = None,
        metrics: OutboxMetrics | None = None,
    ) -> None:
        self._store = store
        self._priorities = LastGood(priorities, DEFAULT_PRIORITIES, what="priorities")
        self._bot = bot
        self._now = now
        self._bell = bell or Bell()
        self._metrics = metrics
        self._newest = 0

    async def put(self, message: Message) -> int:
        """Put a message in line; return the id of its row, the earlier one's if the key is there already.

        Raises:
            InvalidInput: no such kind of message; nothing was put.
            Unavailable: the store does not answer; put it again under the same key.
        """
        return (await self.put_all([message]))[0]

    async def put_all(self, messages: Sequence[Message]) -> list[int]:
        """Put several in one transaction; return their ids in order. Otherwise as `put`."""
        if not messages:
            return []
        # Ranked here and not by the sender: what is in line keeps the place that it was given when the file is
        # edited.
        priorities, now = self._priorities(), self._now()
        ids = await self._store.put(self._bot, [ranked(message, priorities, now) for message in messages])
        self._count(messages, ids)
        self._bell.ring()
        return ids

    async def row(self, row_id: int) -> Row:
        """Return a row.

        Raises:
            InvalidInput: there is none of this id.
            Unavailable: the store does not answer.
        """
        row = await self._store.row(row_id)
        if row is None:
            raise InvalidInput(
                f"outbox: no message {row_id}; it was never put, or was settled long ago and forgotten"
            )
        return row

    async def settled(self, row_id: int, *, within: timedelta) -> Row:
        """Return a row as soon as it is settled, or as it stands after `within`.

        Raises:
            InvalidInput: there is none of this id.
            Unavailable: the store does not answer, and time is over.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + within.total_seconds()
        # The sender of this process tells at once: to look at the store is only for what another one sent, and
        # hundreds who wait for their turn must not take the time of those who send.
        heard = self._bell.is_heard
        pause = _PAUSE_BESIDE_A_SENDER_SECONDS if heard else _FIRST_PAUSE_SECONDS
        longest = max(pause, _LONGEST_PAUSE_SECONDS)
        with self._bell.watch(row_id) as told:
            while True:
                # Cleared before the look, so that what is settled during it is not missed.
                told.clear()
                is_last = clock() >= end
                row = await self._look(row_id, is_last=is_last)
                if row is not None and (row.state.settled or is_last):
                    return row
                await wait_within(told, min(pause, end - clock()))
                pause = min(longest, pause * _GROWTH)

    async def _look(self, row_id: int, *, is_last: bool) -> Row | None:
        """Return a row; None where the store does not answer and there is time to ask again."""
        try:
            return await self.row(row_id)
        except Unavailable:
            if is_last:
                raise
            return None

    def _count(self, messages: Sequence[Message], ids: Sequence[int]) -> None:
        """Count the versions that got the place of an earlier one: ids otherwise grow."""
        for message, row_id in zip(messages, ids, strict=True):
            if self._metrics and message.replaces and row_id <= self._newest:
                self._metrics.coalesced()
            self._newest = max(self._newest, row_id)
