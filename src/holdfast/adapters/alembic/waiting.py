"""Runs work in a thread and stays with it to its end, whatever becomes of the one who waits."""

import asyncio
import threading
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
_ASK_AGAIN_SECONDS: Final = 0.2


async def to_its_end(work: Callable[[], T], *, stop: Callable[[], None], unwanted: Callable[[], bool]) -> T:
    """Return what `work` returns.

    When this is cancelled, the cancellation is let through only after the work has ended.

    Args:
        work: what runs in a thread.
        stop: makes the work end soon; may be called again and again.
        unwanted: whether the work should be stopped after a cancellation, or come to its own end.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    cancelled: asyncio.CancelledError | None = None
    stopping: threading.Thread | None = None
    while not task.done():
        try:
            await asyncio.wait({task}, timeout=_ASK_AGAIN_SECONDS if cancelled else None)
        except asyncio.CancelledError as error:
            cancelled = error
        # Again and again: a statement may have begun just after the last time.
        if cancelled and unwanted() and not (stopping and stopping.is_alive()):
            # Not in the pool of threads: work that has to be stopped may have taken them all.
            stopping = threading.Thread(target=stop, daemon=True)
            stopping.start()
    if cancelled:
        task.exception()  # it is of no interest any more, but has to be looked at
        raise cancelled
    return task.result()
