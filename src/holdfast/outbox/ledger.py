"""Writes down what became of rows, as long as it takes, many in one transaction where the store can."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import structlog

from holdfast.domain.errors import Unavailable
from holdfast.outbox.backoff import doubling
from holdfast.outbox.clock import Clock
from holdfast.outbox.message import Row, RowState
from holdfast.outbox.store import Lease, OutboxStore, SettlesTogether

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_FIRST_NS: Final = 100_000_000
_LONGEST_NS: Final = 2_000_000_000
_TOGETHER: Final = 500


async def persistently(write: Callable[[], Awaitable[None]]) -> None:
    """Write, again and again while the store does not answer.

    Raises:
        LeaseLost: it is for somebody else to say what became of the rows.
    """
    times = 0
    while True:
        try:
            await write()
        except Unavailable as away:
            times += 1
            if times == 1:
                _log.warning(
                    "outbox store does not answer, the fate of rows is kept until it does", error=str(away)
                )
            await asyncio.sleep(doubling(times, first=_FIRST_NS, longest=_LONGEST_NS) / 1e9)
        else:
            return


class Ledger:
    """Settles rows under one lease.

    Those that arrived while a write was under way go into the next one together.

    Args:
        store: where the rows are.
        lease: under which all is written.
        clock: gives the moments.
    """

    def __init__(self, store: OutboxStore, lease: Lease, clock: Clock) -> None:
        self._store = store
        self._together = store if isinstance(store, SettlesTogether) else None
        self._lease = lease
        self._clock = clock
        self._arrived: list[tuple[dict[int, str], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def sent(self, rows: Sequence[Row], message_id: str) -> None:
        """Write down that rows arrived."""
        if self._together is None:
            await self.settle(rows, RowState.SENT, message_id=message_id)
            return
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrived.append(({row.id: message_id for row in rows}, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(self._together))
        await written

    async def settle(
        self, rows: Sequence[Row], state: RowState, *, message_id: str = "", why: str = "", code: int = 0
    ) -> None:
        """Write down another fate, or this one alone."""
        ids = [row.id for row in rows]
        await persistently(
            lambda: self._store.settle(
                self._lease, ids, state, now=self._clock.now(), message_id=message_id, why=why, code=code
            )
        )

    async def _write_all(self, store: SettlesTogether) -> None:
        while self._arrived:
            batch, self._arrived = self._arrived[:_TOGETHER], self._arrived[_TOGETHER:]
            together = {row_id: message for ids, _ in batch for row_id, message in ids.items()}
            try:
                await persistently(partial(self._write, store, together))
            except Exception as error:  # noqa: BLE001  those who wait for it raise it
                _end(batch, error)
            else:
                _end(batch, None)
        self._writing = None

    async def _write(self, store: SettlesTogether, together: dict[int, str]) -> None:
        await store.settle_sent(self._lease, together, now=self._clock.now())


def _end(batch: list[tuple[dict[int, str], asyncio.Future[None]]], error: Exception | None) -> None:
    for _, written in batch:
        if written.done():  # whoever waited was cancelled
            continue
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
