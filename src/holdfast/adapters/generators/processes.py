"""Load generators on this machine, see `holdfast.loadgen.child`.

While one makes load, another waits for its share: it takes a second to start one, which a share that is taken
over does not have.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from holdfast.domain.errors import Unavailable
from holdfast.loadgen.child import COMMAND, Child
from holdfast.loadgen.report import Report, Share
from holdfast.loadgen.safety import LOOPBACK
from holdfast.runbook.kinds.load import LoadSpec
from holdfast.runbook.systems import Secret

# To end by itself, with its last words; then it is killed.
_LAST_WORDS_SECONDS: Final = 0.3
# A worker that hangs is missed by the server 0.7 s after its last heartbeat at the earliest, which is at most
# 0.3 s older than the last sign of life, and whoever takes the share over leaves out another 0.25 s. So the two
# never make the same arrivals. A loop that is busy for less than half a second loses nothing.
_LEASE_SECONDS: Final = 0.6


class ProcessGenerators:
    """Implements `ports.generators.Generators`."""

    def __init__(
        self,
        reveal: Callable[[Secret], str],
        *,
        hosts: Sequence[str] = LOOPBACK,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Start generators on this machine.

        Args:
            reveal: reads a secret.
            hosts: that may get load, see `holdfast.loadgen.safety.Limits`.
            command: that starts a generator.
        """
        self._reveal, self._hosts, self._command = reveal, tuple(hosts), tuple(command)
        self._spare: Child | None = None
        self._starting = asyncio.Lock()
        self._running = 0

    @asynccontextmanager
    async def run(self, share: Share) -> AsyncGenerator["ProcessGeneration"]:
        """Start a generator; it is gone when the block is left."""
        secrets = revealed(share.spec, self._reveal)
        child = await self._taken()
        self._running += 1
        try:
            await child.give(share.model_copy(update={"secrets": secrets, "lease_seconds": _LEASE_SECONDS}))
            await self.prepare()
            yield ProcessGeneration(child)
        finally:
            self._running -= 1
            await child.gone()
            if not self._running:
                await self.aclose()

    async def prepare(self) -> None:
        """Have a generator wait for its share."""
        async with self._starting:
            if self._spare is None or not self._spare.is_alive:
                self._spare = await Child.started(self._command, self._hosts)

    async def aclose(self) -> None:
        """Let none wait any more."""
        async with self._starting:
            spare, self._spare = self._spare, None
        if spare is not None:
            await spare.gone()

    async def _taken(self) -> Child:
        async with self._starting:
            spare, self._spare = self._spare, None
            if spare is not None and spare.is_alive:
                return spare
            return await Child.started(self._command, self._hosts)


class ProcessGeneration:
    """Implements `ports.generators.Generation`."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._killing: asyncio.TimerHandle | None = None
        self._stopped = False

    async def reports(self) -> AsyncIterator[Report]:
        """Yield what it says, to its end."""
        done, why = False, ""
        async for report in self._child.reports():
            done, why = report.done, report.stopped
            yield report
        if self._stopped or (done and not why):
            return
        if why:
            raise Unavailable(f"the generator process stopped before it was done: {why}")
        status = await self._child.ended()
        raise Unavailable(f"the generator process ended with status {status} before it was done")

    async def stop(self, why: str) -> None:
        """Let it send nothing any more; it is killed where it does not listen."""
        self._stopped = True
        loop = asyncio.get_running_loop()
        self._killing = self._killing or loop.call_later(_LAST_WORDS_SECONDS, self._child.kill)
        await self._child.stop(why)


def revealed(spec: LoadSpec, reveal: Callable[[Secret], str]) -> dict[str, str]:
    """Return the secrets of a test by their references, as `Share.secrets` has them."""
    return {_reference(each): reveal(each) for each in secrets_of(spec)}


def secrets_of(spec: LoadSpec) -> Iterator[Secret]:
    """Yield the references to secrets of a test."""
    for target in spec.targets.values():
        yield from target.secret_headers.values()
    for step in spec.steps:
        if step.telegram and step.telegram.secret_token:
            yield step.telegram.secret_token


def _reference(secret: Secret) -> str:
    return f"env:{secret.env}" if secret.env else f"file:{secret.file}"
