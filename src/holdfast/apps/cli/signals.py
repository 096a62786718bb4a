"""Work that goes on until it is done, or until somebody tells this command to end."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")


class ToldToEndError(Exception):
    """A signal arrived; the text is its name."""


async def unless_told_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Do the work; raises `ToldToEndError` when SIGINT or SIGTERM comes first, as CI systems send it."""
    task = asyncio.ensure_future(work)
    told: list[str] = []

    def end(name: str) -> None:
        told.append(name)
        task.cancel()

    with _signals(end):
        try:
            return await task
        except asyncio.CancelledError:
            if told:
                raise ToldToEndError(told[0]) from None
            raise


@contextmanager
def _signals(hear: Callable[[str], None]) -> Generator[None]:
    loop, heard = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
    # Neither another thread than the main one nor Windows can listen; there a signal ends the process at once.
    with suppress(NotImplementedError, RuntimeError, ValueError):
        for number in heard:
            loop.add_signal_handler(number, hear, number.name)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            for number in heard:
                loop.remove_signal_handler(number)
