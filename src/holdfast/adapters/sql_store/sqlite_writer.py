"""SQLite takes one writer at a time, and each of its commits waits for the disk."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

T = TypeVar("T")
_AT_MOST: Final = 64  # other processes wait meanwhile
# After these SQLite may have undone the whole transaction, and what follows would stand outside of any.
_OF_ALL: Final = (OperationalError, InterfaceError, InternalError)


@dataclass(frozen=True)
class _Asked:
    work: Callable[[Connection], Any]
    alone: bool
    context: Context = field(default_factory=copy_context)
    written: Future[Any] = field(default_factory=Future[Any])


@dataclass(frozen=True)
class _Refused:
    why: Exception


class SqliteWriter:
    """Writes in one transaction what is asked for while another one is being written.

    Several threads that write would sleep until it is their turn, wake too late for it, and leave no thread to
    those who read.

    Args:
        transaction: begins one that may write, and commits it at the end of its block.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._transaction = transaction
        self._thread = ThreadPoolExecutor(1, "holdfast-writer")
        self._waiting: deque[_Asked] = deque()

    async def write(self, work: Callable[[Connection], T], *, alone: bool = False) -> T:
        """Return what `work` returned after it was committed, all or nothing.

        Args:
            work: what to do; where it raises, nothing of it is written, and only its caller hears of it.
            alone: in a transaction of its own.
        """
        asked = _Asked(work, alone)
        self._waiting.append(asked)
        self._thread.submit(self._write_some)
        written: Future[T] = asked.written
        return await asyncio.wrap_future(written)

    def _write_some(self) -> None:
        some = self._next()
        if not some:
            return  # written with what was asked for before
        try:
            with self._transaction() as connection:
                outcomes = [_outcome(connection, one, among_others=len(some) > 1) for one in some]
        except BaseException as error:  # noqa: BLE001  each caller is to hear of it
            for one in some:
                one.written.set_exception(error)
        else:
            for one, outcome in zip(some, outcomes, strict=True):
                if isinstance(outcome, _Refused):
                    one.written.set_exception(outcome.why)
                else:
                    one.written.set_result(outcome)

    def _next(self) -> list[_Asked]:
        """Take what is written together; the one that is put back has its turn at its own call."""
        some: list[_Asked] = []
        while self._waiting and len(some) < _AT_MOST:
            if some and (some[0].alone or self._waiting[0].alone):
                break
            one = self._waiting.popleft()
            if one.written.set_running_or_notify_cancel():
                some.append(one)
        return some


def _outcome(connection: Connection, one: _Asked, *, among_others: bool) -> Any:
    if not among_others:
        return one.context.run(one.work, connection)
    try:
        with connection.begin_nested():
            return one.context.run(one.work, connection)
    except _OF_ALL:
        raise
    except Exception as error:  # noqa: BLE001  what one may not do is nothing to the others
        return _Refused(error)
