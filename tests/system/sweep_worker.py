"""A worker over the real change providers that dies (kill -9) at the points that a file names, once at each.

`python -m tests.system.sweep_worker FOLDER`: reads `FOLDER/die_at`, appends each point to `FOLDER/points` as it
is reached, and those at which it dies to `FOLDER/deaths`.
"""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from activities.calling import CallingActivities
from activities.guard import Guard, install
from activities.signing import RecordActivities, SigningActivities
from holdfast.adapters.temporal.history import TemporalHistory
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.ports.changes import ChangeProvider, Progress
from tests import signing
from tests.activities.gate_fakes import MemoryAudit, MemoryBook, RecordingChannel
from tests.fakes import ChatRoom, Metrics
from tests.workflows.conftest import StandingDelegations
from workers import wiring
from workers.client import connect_patiently, register_search_attributes
from workers.queues import chat_worker, record_worker, run_workers
from workers.settings import Settings


class Points:
    """Where this worker has been, and where it has to die; survives its deaths."""

    def __init__(self, folder: Path) -> None:
        self._points, self._deaths = folder / "points", folder / "deaths"
        self._die_at = set((folder / "die_at").read_text().split())

    def reach(self, point: str) -> None:
        """Note the point, and die there if this is the first time that it is one to die at."""
        _append(self._points, point)
        if point in self._die_at and point not in _lines(self._deaths):
            _append(self._deaths, point)
            os.kill(os.getpid(), signal.SIGKILL)


class Deadly:
    """A change provider whose worker may die right before, during and right after each write."""

    def __init__(self, inner: ChangeProvider, points: Points) -> None:
        self._inner, self._points = inner, points

    async def read(self, endpoint: str, part: str) -> TargetState:
        return await self._inner.read(endpoint, part)

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        return await self._inner.foresee(effect, state)

    async def write(self, write: Write, progress: Progress) -> TargetState:
        step = write.key.partition("/")[2]
        self._points.reach(f"before:{step}")
        state = await self._inner.write(write, Watched(progress, self._points, f"during:{step}"))
        self._points.reach(f"after:{step}")
        return state


class Watched:
    """Progress whose worker may die when a write has first told where it is."""

    def __init__(self, inner: Progress, points: Points, point: str) -> None:
        self._inner, self._points, self._point = inner, points, point

    @property
    def memory(self) -> dict[str, str]:
        return self._inner.memory

    @property
    def repeated(self) -> bool:
        return self._inner.repeated

    @property
    def called_off(self) -> bool:
        return self._inner.called_off

    def keep(self, memory: dict[str, str]) -> None:
        self._inner.keep(memory)
        self._points.reach(self._point)


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())


def _lines(path: Path) -> set[str]:
    return set(path.read_text().split()) if path.exists() else set()


async def serve(folder: Path) -> None:
    """Serve runs until killed; people, chat and metrics are in memory, what is changed is real."""
    settings = Settings()
    points = Points(folder)
    guard = Guard(signing.KEYS)
    install(guard)
    client = await connect_patiently(settings)
    await register_search_attributes(client)
    library = wiring.library(settings)
    calling = CallingActivities(
        [RecordingChannel()], MemoryBook(), MemoryAudit(), keyring=signing.KEYS, run_url=str
    )
    providers = wiring.change_providers(settings)
    workers = [
        *run_workers(
            client,
            library=library,
            providers={kind: Deadly(provider, points) for kind, provider in providers.items()},
            metrics=Metrics(),
            signing=SigningActivities(
                keyring=signing.KEYS,
                history=TemporalHistory(client),
                file_digest=lambda name: library.rollout(name).digest,
            ),
        ),
        chat_worker(client, ChatRoom(), calling, run_url=str),
        record_worker(client, RecordActivities(audit=MemoryAudit(), delegations=StandingDelegations())),
    ]
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
