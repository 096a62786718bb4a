"""Watches one command to its end, within its time, whatever becomes of the worker.

Run as a program it is the command's parent, in a session of its own. It outlives a worker that is killed, keeps
reading what the command prints, ends it when its time is over, and records its exit code. It holds the lock of
the command, and the command the lock of its run. Standard library only: it starts in some milliseconds, is run
by path, and knows no other variables than those of the command.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

KEPT_BYTES = 4096
GRACE_SECONDS = 5.0
# What a command leaves running may hold its output open for ever; nobody waits for that.
_LAST_WORDS_SECONDS = 0.5
_TICK_SECONDS = 0.1


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: its exit code; -9 and the like for a signal; None where it could not be started.
        stopped: `time` or `order` where it was stopped; empty where it ended by itself.
        out, err: the last 4 kB of what it printed.
        problem: why it could not be started.
    """

    code: int | None
    stopped: str = ""
    out: str = ""
    err: str = ""
    problem: str = ""


def watch(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: str,
    limit_seconds: float,
    stop: Callable[[], bool],
    keep_open: Sequence[int] = (),
) -> Outcome:
    """Run a command in a process group of its own until it ends, its time is over, or `stop` says so."""
    try:
        process = subprocess.Popen(  # noqa: S603  reviewed arguments, no shell
            list(arguments),
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=tuple(keep_open),
        )
    except (OSError, ValueError) as error:
        return Outcome(None, problem=getattr(error, "strerror", None) or str(error))
    with process, _Outputs(process) as outputs:
        stopped = _until_over(process, outputs, time.monotonic() + limit_seconds, stop)
        outputs.read_until(time.monotonic() + _LAST_WORDS_SECONDS)
        return Outcome(process.returncode, stopped, outputs.said(process.stdout), outputs.said(process.stderr))


class _Outputs:
    """Reads both outputs of a process and remembers their ends."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._selector = selectors.DefaultSelector()
        self._ends: dict[IO[bytes], bytes] = {}
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                self._selector.register(stream, selectors.EVENT_READ)
                self._ends[stream] = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()

    def read(self, seconds: float) -> None:
        """Read what is there, or wait for it so long."""
        if not self._selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._selector.select(seconds):
            stream = key.fileobj
            data = os.read(key.fd, 65536)
            for known in self._ends:
                if known is stream:
                    self._ends[known] = (self._ends[known] + data)[-KEPT_BYTES:]
            if not data:
                self._selector.unregister(stream)

    def read_until(self, moment: float) -> None:
        """Read until both are closed, at most until then."""
        while self._selector.get_map() and (left := moment - time.monotonic()) > 0:
            self.read(left)

    def said(self, stream: IO[bytes] | None) -> str:
        return self._ends[stream].decode(errors="replace") if stream is not None else ""


def _until_over(
    process: subprocess.Popen[bytes], outputs: _Outputs, deadline: float, stop: Callable[[], bool]
) -> str:
    """Wait for the end; return why it was brought about, or nothing where it came by itself."""
    stopped, tick = "", 0.005
    while process.poll() is None:
        overdue = time.monotonic() >= deadline
        if overdue or (not stopped and stop()):
            _signal(process, signal.SIGKILL if stopped else signal.SIGTERM)
            stopped = stopped or ("time" if overdue else "order")
            deadline = time.monotonic() + GRACE_SECONDS
        outputs.read(tick)
        tick = min(tick * 2, _TICK_SECONDS)  # short commands are common, long ones need no hurry
    if stopped:
        _signal(process, signal.SIGKILL)  # whatever of its group has not listened
    return stopped


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def main(order: str) -> None:
    """Watch the command of an order in JSON, append its end to the record, and print the outcome."""
    given = json.loads(order)
    outcome = watch(
        given["arguments"],
        # Python adds one of its own where no locale is set.
        environment={name: os.environ[name] for name in given["variables"]},
        directory=given["directory"],
        limit_seconds=given["limit_seconds"],
        stop=lambda: os.path.exists(given["stop_file"]),  # noqa: PTH110  some hundred times a minute
        keep_open=[given["run_lock"]],
    )
    event = "void" if outcome.code is None else "exited"
    ending = {"key": given["key"], "event": event, "code": outcome.code, "stopped": outcome.stopped}
    append(Path(given["record"]), ending)
    Path(given["run_file"]).unlink(missing_ok=True)
    with suppress(BrokenPipeError):  # the worker is gone; the next one reads the record
        sys.stdout.write(json.dumps(asdict(outcome)))
        sys.stdout.flush()
    os._exit(0)  # closing a broken pipe once more would only complain


def append(path: Path, line: Mapping[str, object]) -> None:
    """Append one JSON line, on the disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        # A power cut may have left half a line before; the empty line in between is skipped.
        os.write(descriptor, f"\n{json.dumps(line)}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1])
