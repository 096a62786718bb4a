"""Makes effects: the journal entry comes first; what has begun has ended before a cancellation goes through."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.workflow import ActivityCancellationType

from workflows import options
from workflows.board import Board
from workflows.calls import call

with workflow.unsafe.imports_passed_through():
    from activities.changes import ChangeActivities
    from holdfast.domain.journal import Effect, EntryStatus, JournalEntry
    from holdfast.runbook.plan import SHARE_KIND

T = TypeVar("T")
# One request each: finished sooner than it could be stopped.
_AT_ONCE = ("http_config", SHARE_KIND)


async def even_if_cancelled(work: Awaitable[T]) -> T:
    """Finish this work before a cancellation of the run is let through."""
    task = asyncio.ensure_future(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancellation = error
    result = task.result()
    if cancellation is not None:
        raise cancellation
    return result


async def apply(board: Board, effect: Effect, *, give_up_after: timedelta) -> None:
    """Apply an effect, recorded in the run's journal before it is made; nothing where it is in place already.

    Raises:
        ActivityError: the target refused it, somebody else changed the target, or it did not answer in time.
    """
    limit = effect.give_up_after or give_up_after
    entry = await call(
        ChangeActivities.plan_effect,
        effect,
        returns=JournalEntry,
        start_to_close_timeout=limit,
        schedule_to_close_timeout=limit,
        heartbeat_timeout=options.HEARTBEAT,
        summary=f"read: {effect.title}",
    )
    if not entry.differs:
        return
    board.view.journal.append(entry)
    writing = _write(entry, limit)
    await (even_if_cancelled(writing) if effect.kind in _AT_ONCE else writing)
    board.show(say=effect.title, quietly=True)


async def _write(entry: JournalEntry, limit: timedelta) -> None:
    entry.status = await call(
        ChangeActivities.apply_effect,
        entry,
        returns=EntryStatus,
        start_to_close_timeout=limit,
        schedule_to_close_timeout=limit,
        heartbeat_timeout=options.HEARTBEAT,
        # What takes long is stopped at its system before it is taken back.
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=entry.effect.title,
    )
