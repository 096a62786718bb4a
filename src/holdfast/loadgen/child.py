"""A generator as a child process: its share, signs of life and the word `stop` go in, reports come out.

Each is a line. It ends with its standard input, so none outlives a parent that is killed. A parent that hangs
gives no sign of life, and the generator stops by itself, see `Share.lease_seconds`: whoever takes the share
over must not find it still being made.
"""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Self

from pydantic import ValidationError

from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.loadgen.report import Report, Share
from holdfast.loadgen.safety import SETTING

COMMAND: Final = (sys.executable, "-m", "holdfast.loadgen")
_LONGEST_LINE: Final = 64 * 1024 * 1024
# From the loop, never from a thread: a parent whose loop hangs listens to nobody, and has to seem dead.
_SIGN_SECONDS: Final = 0.1
# Reports come four times a second, from the moment at which the share is read; starting takes a second.
_SILENT_SECONDS: Final = 15.0


class Child:
    """One generator process; made by `started`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._signs: asyncio.Task[None] | None = None

    @classmethod
    async def started(cls, command: Sequence[str], hosts: Sequence[str]) -> Self:
        """Start a generator that waits for its share.

        Args:
            command: that starts it.
            hosts: that may get load, see `safety.Limits`.

        Raises:
            Unavailable: this machine starts no process.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                limit=_LONGEST_LINE,
                env=os.environ | {SETTING: ",".join(hosts)},
                start_new_session=True,  # Ctrl-C is for the parent, which stops it in order
            )
        except OSError as error:
            raise Unavailable(f"no generator process can be started here: {error.strerror}") from error
        return cls(process)

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended, as far as it is known."""
        return self._process.returncode is None

    async def give(self, share: Share) -> None:
        """Let it make a share, and go on for as long as this process gives signs of life."""
        await self._write(share.model_dump_json(by_alias=True))
        if share.lease_seconds:
            self._signs = asyncio.create_task(self._give_signs())

    async def reports(self) -> AsyncIterator[Report]:
        """Yield what it says, to its end.

        Raises:
            InvalidInput: it says why it does not make this share.
            Unavailable: it hangs, and is killed.
        """
        while line := await self._line():
            report = _report(line)
            if report is None:
                return  # cut off when it was killed
            yield report

    async def stop(self, why: str) -> None:
        """Let it send nothing any more; what it still has to say comes out of `reports`."""
        await self._write(f"stop {why}")

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        with contextlib.suppress(ProcessLookupError):
            if self.is_alive:
                self._process.kill()

    async def ended(self) -> int:
        """Wait for its end and return its status."""
        return await self._process.wait()

    async def gone(self) -> None:
        """See that it is gone, also while the caller is being cancelled."""
        if self._signs is not None:
            self._signs.cancel()
        self.kill()
        await asyncio.shield(self._process.wait())

    async def _line(self) -> bytes:
        stdout = self._process.stdout
        if stdout is None:
            return b""
        try:
            async with asyncio.timeout(_SILENT_SECONDS):
                return await stdout.readline()
        except TimeoutError:
            self.kill()
            raise Unavailable(f"the generator process hung for {_SILENT_SECONDS:g} s") from None

    async def _write(self, line: str) -> None:
        """Write a line; that the process is dead is noticed by who reads it."""
        stdin = self._process.stdin
        if stdin is None:
            return
        with contextlib.suppress(ConnectionError, RuntimeError):
            stdin.write(line.encode() + b"\n")
            await stdin.drain()

    async def _give_signs(self) -> None:
        while self.is_alive:
            await self._write("")
            await asyncio.sleep(_SIGN_SECONDS)


def _report(line: bytes) -> Report | None:
    try:
        said: Any = json.loads(line)
    except ValueError:
        return None
    if isinstance(said, dict) and "error" in said:
        raise InvalidInput(str(said["error"]))  # pyright: ignore[reportUnknownArgumentType]  any JSON
    try:
        return Report.model_validate(said)
    except ValidationError:
        return None
