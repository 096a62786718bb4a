"""Keeps a long activity alive at the server, and its memory for the worker that takes over."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from temporalio import activity

# A write that is over sooner needs no sign of life.
_BEAT_SECONDS: Final = 1.0


class Pulse:
    """`ports.changes.Progress` of the activity that is running."""

    def __init__(self) -> None:
        """Take over what an earlier attempt has kept."""
        info = activity.info()
        kept: list[Any] = list(info.heartbeat_details)
        self._memory = cast("dict[str, str]", kept[0]) if kept and isinstance(kept[0], dict) else {}
        self._repeated = info.attempt > 1

    @property
    def memory(self) -> dict[str, str]:
        """What an earlier attempt has kept."""
        return self._memory

    @property
    def repeated(self) -> bool:
        """Whether there was an earlier attempt."""
        return self._repeated

    @property
    def called_off(self) -> bool:
        """Whether the run does not want this any more."""
        why = activity.cancellation_details()
        return why is not None and why.cancel_requested

    def keep(self, memory: dict[str, str]) -> None:
        """Remember this for the next attempt."""
        self._memory = memory
        activity.heartbeat(memory)

    async def beat(self) -> None:
        """Tell the server that this is alive, until cancelled."""
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            activity.heartbeat(self._memory)


@asynccontextmanager
async def beating() -> AsyncGenerator[Pulse]:
    """Tell the server that this activity is alive for as long as the block lasts.

    Raises:
        RuntimeError: this is no activity.
    """
    pulse = Pulse()
    beat = asyncio.create_task(pulse.beat())
    try:
        yield pulse
    finally:
        beat.cancel()
