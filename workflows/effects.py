"""Makes effects: the journal entry comes first; what has begun has ended before a cancellation goes through."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError
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
        except FailureError:
            break
    if cancellation is None:
        return task.result()
    await ended(task)
    raise cancellation


async def ended(task: asyncio.Future[T]) -> None:
    """Wait until a task is over that was cancelled, however it ends; only a fault in our own code is raised."""
    await workflow.wait([task])
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, FailureError | workflow.ContinueAsNewError):
        raise error


async def stopped_if_cancelled(work: Awaitable[T]) -> T:
    """Let a cancellation of the run stop this work, and go through when the work has ended, however it ended.

    An activity whose cancellation is waited for may come to its good end instead, and the SDK then returns its
    result as if nobody had cancelled.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        await even_if_cancelled(ended(task))
        raise


async def apply(
    board: Board,
    effect: Effect,
    *,
    give_up_after: timedelta,
    permitted: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Apply an effect, recorded in the run's journal before it is made; nothing where it is in place already.

    `permitted` is waited for before anything is made; it raises where that is not wanted.

    Raises:
        ActivityError: the target refused it, somebody else changed the target, or it did not answer in time.
    """
    limit = effect.give_up_after or give_up_after
    entry = await _read(effect, limit)
    if entry.differs and permitted is not None:
        await permitted()
        entry = await _read(effect, limit)  # an answer may take days
    if not entry.differs:
        return
    board.view.journal.append(entry)
    writing = _write(entry, limit)
    await (even_if_cancelled(writing) if effect.kind in _AT_ONCE else stopped_if_cancelled(writing))
    board.show(say=effect.title, quietly=True)


async def _read(effect: Effect, limit: timedelta) -> JournalEntry:
    return await call(
        ChangeActivities.plan_effect,
        effect,
        returns=JournalEntry,
        start_to_close_timeout=limit,
        schedule_to_close_timeout=limit,
        heartbeat_timeout=options.HEARTBEAT,
        summary=f"read: {effect.title}",
    )


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
