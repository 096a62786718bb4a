"""Does and undoes effects: the journal entry comes first, and what has begun is finished even if cancelled."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow

from workflows.board import Board
from workflows.calls import call

with workflow.unsafe.imports_passed_through():
    from activities.changes import ChangeActivities, RevertReport, VerifyReport, VerifyRequest
    from holdfast.domain.journal import Effect, EntryStatus, JournalEntry, origins, to_undo

T = TypeVar("T")


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
    entry = await call(
        ChangeActivities.plan_effect,
        effect,
        returns=JournalEntry,
        schedule_to_close_timeout=give_up_after,
        summary=f"read: {effect.title}",
    )
    if not entry.differs:
        return
    board.view.journal.append(entry)
    await even_if_cancelled(_write(entry, give_up_after))
    board.show(say=effect.title, quietly=True)


async def _write(entry: JournalEntry, give_up_after: timedelta) -> None:
    entry.status = await call(
        ChangeActivities.apply_effect,
        entry,
        returns=EntryStatus,
        schedule_to_close_timeout=give_up_after,
        summary=entry.effect.title,
    )


async def undo(board: Board, stage: str) -> list[str]:
    """Walk a stage's journal backwards, then read the target to prove it; return what is not as it was.

    A target that does not answer is tried until it does: a half undone change helps nobody.
    """
    for entry in to_undo(board.view.journal, stage):
        report = await call(
            ChangeActivities.revert_effect,
            entry,
            returns=RevertReport,
            summary=f"undo: {entry.effect.title}",
        )
        entry.status, entry.note = report.status, report.note
        board.show(say=f"undo {entry.effect.title}: {report.status} {report.note}".rstrip(), quietly=True)
    touched = origins(board.view.journal, stage)
    if not touched:
        return []
    proof = await call(
        ChangeActivities.verify_rollback,
        VerifyRequest(origins=touched),
        returns=VerifyReport,
        summary=f"verify that {stage} is undone",
    )
    return [drift.describe() for drift in proof.drifts]
