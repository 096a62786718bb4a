import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from holdfast.adapters.command import watcher
from holdfast.adapters.command.programs import Order
from holdfast.adapters.command.record import POLL_SECONDS, CommandFiles, Event, Line
from holdfast.adapters.command.watcher import GRACE_SECONDS, Outcome
from holdfast.domain.errors import ChangeFailed, Unavailable
from holdfast.ports.changes import Progress

_WATCHER: Final = str(Path(watcher.__file__).resolve())
# Watchers that were left to themselves; without a place to be their handles would warn when they are forgotten.
_left: Final[list[subprocess.Popen[bytes]]] = []


@asynccontextmanager
async def locked_for(
    files: CommandFiles, name: str, limit: timedelta, progress: Progress
) -> AsyncGenerator[int]:
    """Hold the command's lock, after waiting for an earlier run that outlived its worker.

    When that wait is called off, the earlier run is ended first.

    Raises:
        Unavailable: something holds the lock for longer than any run may take.
    """
    patience = limit.total_seconds() + 2 * GRACE_SECONDS
    looks = itertools.count()

    def waits() -> None:
        if next(looks) == 0:
            progress.keep({"waits": f"for an earlier run of command '{name}', which has not ended yet"})
        if time.monotonic() - began > patience:
            raise Unavailable(
                f"command '{name}': an earlier run holds {files.lock} for longer than its time_limit: look for "
                "its process on this machine and end it"
            )

    began = time.monotonic()
    try:
        descriptor = await files.locked(waits)
    except asyncio.CancelledError:
        if progress.called_off:
            await _end_earlier_run(files)
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def _end_earlier_run(files: CommandFiles) -> None:
    run = files.last_run()
    if run is None or run.ending.event is not Event.BEGAN:
        return
    order = files.stop_file(run.key)
    order.touch(mode=0o600)
    deadline = time.monotonic() + 3 * GRACE_SECONDS
    while files.busy() and time.monotonic() < deadline:  # noqa: ASYNC110  another process gives the lock back
        await asyncio.sleep(POLL_SECONDS)
    order.unlink(missing_ok=True)


@dataclass(frozen=True)
class Run:
    """One run of a command under its key, while the lock is held."""

    files: CommandFiles
    lock: int
    began: Line

    async def to_its_end(self, order: Order, progress: Progress) -> Outcome:
        """Start the watcher with the command and wait for its end.

        When the wait is cancelled: a run that is called off is ended before this returns; one whose worker
        stops goes on, and holds the lock.

        Raises:
            ChangeFailed: the watcher was ended; what became of the command is not known.
        """
        stop = self.files.stop_file(self.began.key)
        stop.unlink(missing_ok=True)
        process = self._start(order, stop)
        try:
            await _ended(process)
        except asyncio.CancelledError:
            if progress.called_off:
                stop.touch(mode=0o600)
                await _ended_whatever_comes(process)
                stop.unlink(missing_ok=True)
                _outcome(process)
            else:
                _left.append(process)
            raise
        return _outcome(process)

    def _start(self, order: Order, stop: Path) -> subprocess.Popen[bytes]:
        told = {
            "key": self.began.key,
            "arguments": order.arguments,
            "variables": list(order.environment),
            "directory": order.directory,
            "limit_seconds": order.limit_seconds,
            "record": str(self.files.record.absolute()),
            "stop_file": str(stop.absolute()),
            "run_file": str(self.files.run_file(self.began.key).absolute()),
        }
        run_lock = self.files.begin(self.began)
        try:
            return subprocess.Popen(  # noqa: S603  our own program by path; secrets are in variables only
                [sys.executable, "-I", "-S", _WATCHER, json.dumps({**told, "run_lock": run_lock})],
                env=dict(order.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(self.lock, run_lock),
            )
        finally:
            os.close(run_lock)


async def _ended(process: subprocess.Popen[bytes]) -> None:
    # Polled, because asyncio's own processes are killed when their event loop is closed.
    while process.poll() is None:  # noqa: ASYNC110  as said
        await asyncio.sleep(POLL_SECONDS / 4)


async def _ended_whatever_comes(process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with suppress(asyncio.CancelledError):
            await _ended(process)


def _outcome(process: subprocess.Popen[bytes]) -> Outcome:
    with process:
        said = process.stdout.read() if process.stdout else b""
    try:
        return Outcome(**json.loads(said))
    except (ValueError, TypeError):
        raise ChangeFailed(
            f"the watcher of a command was ended from outside (exit code {process.returncode}); whether the "
            "command has done its work is not known: look at its system"
        ) from None
