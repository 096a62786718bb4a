"""A generator as a child process: its share and the word `stop` go in, reports come out, a line each.

It ends with its standard input, so none outlives a worker that is killed. While one makes load, another waits
for its share: it takes a second to start one, which a share that is taken over does not have.
"""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from pydantic import ValidationError

from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.loadgen.report import Report, Share
from holdfast.loadgen.safety import LOOPBACK, SETTING
from holdfast.runbook.kinds.load import LoadSpec
from holdfast.runbook.systems import Secret

_COMMAND: Final = (sys.executable, "-m", "holdfast.loadgen")
_LONGEST_LINE: Final = 64 * 1024 * 1024
# To end by itself, with its last words; then it is killed.
_LAST_WORDS_SECONDS: Final = 0.3


class ProcessGenerators:
    """Implements `ports.generators.Generators`."""

    def __init__(
        self,
        reveal: Callable[[Secret], str],
        *,
        hosts: Sequence[str] = LOOPBACK,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        """Start generators on this machine.

        Args:
            reveal: reads a secret.
            hosts: that may get load, see `holdfast.loadgen.safety.Limits`.
            command: that starts a generator.
        """
        self._reveal, self._hosts, self._command = reveal, tuple(hosts), tuple(command)
        self._spare: Process | None = None
        self._starting = asyncio.Lock()
        self._running = 0

    @asynccontextmanager
    async def run(self, share: Share) -> AsyncGenerator["ProcessGeneration"]:
        """Start a generator; it is gone when the block is left."""
        secrets = revealed(share.spec, self._reveal)
        process = await self._taken()
        self._running += 1
        try:
            await _write(process, share.model_copy(update={"secrets": secrets}).model_dump_json(by_alias=True))
            await self.prepare()
            yield ProcessGeneration(process)
        finally:
            self._running -= 1
            await _gone(process)
            if not self._running:
                await self.aclose()

    async def prepare(self) -> None:
        """Have a generator wait for its share."""
        async with self._starting:
            if self._spare is None or self._spare.returncode is not None:
                self._spare = await self._started()

    async def aclose(self) -> None:
        """Let none wait any more."""
        async with self._starting:
            spare, self._spare = self._spare, None
        if spare is not None:
            await _gone(spare)

    async def _taken(self) -> Process:
        async with self._starting:
            spare, self._spare = self._spare, None
            return spare if spare is not None and spare.returncode is None else await self._started()

    async def _started(self) -> Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                limit=_LONGEST_LINE,
                env=os.environ | {SETTING: ",".join(self._hosts)},
                start_new_session=True,  # Ctrl-C is for the worker, which stops it in order
            )
        except OSError as error:
            raise Unavailable(f"no generator process can be started here: {error.strerror}") from error


class ProcessGeneration:
    """Implements `ports.generators.Generation`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._killing: asyncio.TimerHandle | None = None
        self._stopped = False

    async def reports(self) -> AsyncIterator[Report]:
        """Yield what it says, to its end."""
        done = False
        stdout = self._process.stdout
        while stdout is not None and (line := await stdout.readline()):
            report = _report(line)
            if report is None:
                break  # cut off when it was killed
            done |= report.done or bool(report.stopped)
            yield report
        if not done and not self._stopped:
            status = await self._process.wait()
            raise Unavailable(f"the generator process ended with status {status} before it was done")

    async def stop(self, why: str) -> None:
        """Let it send nothing any more; it is killed where it does not listen."""
        self._stopped = True
        loop = asyncio.get_running_loop()
        self._killing = self._killing or loop.call_later(_LAST_WORDS_SECONDS, self._kill)
        await _write(self._process, f"stop {why}")

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._process.returncode is None:
                self._process.kill()


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


def _report(line: bytes) -> Report | None:
    """Read a line.

    Raises:
        InvalidInput: it says why it does not make this share.
    """
    try:
        said: Any = json.loads(line)
    except ValueError:
        return None
    if "error" in said:
        raise InvalidInput(str(said["error"]))
    try:
        return Report.model_validate(said)
    except ValidationError:
        return None


async def _write(process: Process, line: str) -> None:
    """Write a line; that the process is dead is noticed by who reads it."""
    if process.stdin is None:
        return
    with contextlib.suppress(ConnectionError, RuntimeError):
        process.stdin.write(line.encode() + b"\n")
        await process.stdin.drain()


async def _gone(process: Process) -> None:
    """See that it is gone, also while its caller is being cancelled."""
    with contextlib.suppress(ProcessLookupError):
        if process.returncode is None:
            process.kill()
    await asyncio.shield(process.wait())
