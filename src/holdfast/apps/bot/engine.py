"""Knows whether Temporal answers, while something is kept for it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from holdfast.domain.errors import Unavailable

Probe = Callable[[], Awaitable[object]]
"""Asks Temporal something cheap; raises `Unavailable` when it does not answer."""

_PROBE_SECONDS: Final = 2
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 2.5


class Engine:
    """One question to Temporal every few seconds, however many updates are kept for it."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._answers = asyncio.Event()
        self._answers.set()
        self._silent = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    @property
    def is_down(self) -> bool:
        """Whether it was asked, and did not answer, since it answered last."""
        return self._silent.is_set()

    def doubt(self) -> None:
        """Find out whether it is down; called when it does not answer somebody."""
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())

    async def worth_another_try(self, pause_seconds: float) -> None:
        """Return when it came back; after the pause where it seems to be up, yet did not do what was asked."""
        if self._answers.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await self._silent.wait()
        await self._answers.wait()

    async def close(self) -> None:
        """Ask no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})

    async def _watch(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not await self._is_up():
            self._answers.clear()
            self._silent.set()
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
        self._silent.clear()
        self._answers.set()

    async def _is_up(self) -> bool:
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._probe()
        except (Unavailable, TimeoutError):
            return False
        except Exception:  # noqa: BLE001  it answers, if not well; those who are kept will see
            return True
        return True
