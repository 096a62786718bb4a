"""What is known of a command's newest run: its lock and its record, kept on the worker's machine."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ValidationError

from holdfast.adapters.command.watcher import append
from holdfast.domain.errors import InvalidInput

POLL_SECONDS: Final = 0.1
_TAIL_BYTES: Final = 64 * 1024


class Event(StrEnum):
    """What a line of the record tells of a run."""

    BEGAN = "began"
    VOID = "void"  # the program could not be started, so nothing began
    EXITED = "exited"
    SETTLED = "settled"  # it exited well and the state was the wanted one


class Line(BaseModel):
    """One line of the record. `source` and `goal` are told when a run begins, `code` when it has exited."""

    key: str
    event: Event
    source: str = ""
    goal: str = ""
    code: int | None = None
    stopped: Literal["", "time", "order"] = ""


@dataclass(frozen=True)
class LastRun:
    """The newest run of a command.

    Attributes:
        ending: its newest line.
        source, goal: the state it was to change, and into what.
    """

    key: str
    ending: Line
    source: str
    goal: str

    @property
    def words(self) -> str:
        """How it ended, e.g. `failed with exit code 3`; empty while that is not known."""
        line = self.ending
        if line.stopped == "time":
            return "ran over its time limit and was stopped"
        if line.stopped == "order":
            return "was called off and stopped"
        if line.event is not Event.EXITED or line.code is None:
            return ""
        if line.code < 0:
            return f"was ended by signal {-line.code}"
        return f"failed with exit code {line.code}" if line.code else "ended well without its work done"

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than well."""
        return self.ending.event is Event.EXITED and (self.ending.code != 0 or self.ending.stopped != "")

    def open_at(self, state: str) -> bool:
        """Whether it began and, as far as the state and the record tell, did not come to its end."""
        if self.ending.event is Event.SETTLED:
            return False
        return self.failed or state != self.goal or self.goal == self.source


class CommandFiles:
    """The locks, the record and the stop order of one command.

    A lock belongs to the open file, so that who inherits that holds it after the worker is dead: the watcher
    has the command's lock, and the command that of its run. The latter counts only while the record does not
    know how the run ended, so that a process which a command leaves behind stands in nobody's way. Both protect
    one machine only.
    """

    def __init__(self, directory: Path, name: str) -> None:
        """Keep the files of the command with this name here; makes the directory.

        Raises:
            InvalidInput: it cannot be made.
        """
        self.lock = directory / f"{name}.lock"
        self.record = directory / f"{name}.jsonl"
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.lock.touch(mode=0o600)
        except OSError as error:
            raise InvalidInput(
                f"commands keep their locks in {directory}, which cannot be written ({error.strerror}): let "
                "HOLDFAST_STATE_DIR be a directory of the worker"
            ) from None

    def note(self, line: Line) -> None:
        """Append a line to the record."""
        append(self.record, line.model_dump(mode="json", exclude_defaults=True))

    def last_run(self) -> LastRun | None:
        """Return the newest run that began; None where there was none."""
        lines = self._lines()
        for index in range(len(lines) - 1, -1, -1):
            began = lines[index]
            if began.event is not Event.BEGAN:
                continue
            later = [line for line in lines[index:] if line.key == began.key]
            if later[-1].event is not Event.VOID:
                return LastRun(began.key, later[-1], began.source, began.goal)
        return None

    def busy(self) -> bool:
        """Whether a run, or an attempt at one, is under way."""
        return _is_held(self.lock) or any(map(_is_held, self._open_runs()))

    async def locked(self, waits: Callable[[], None]) -> int:
        """Take the lock and return its file descriptor; who closes that, gives the lock back.

        Calls `waits` at each look that finds a run under way; what that raises ends the wait.
        """
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            while not _taken(descriptor, fcntl.LOCK_EX) or any(map(_is_held, self._open_runs())):
                waits()
                await asyncio.sleep(POLL_SECONDS)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def begin(self, line: Line) -> int:
        """Record that a run begins; return the file descriptor that its command has to inherit as its lock."""
        descriptor = os.open(self.run_file(line.key), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.note(line)
        return descriptor

    def run_file(self, key: str) -> Path:
        """Return the file that the command of this run has locked, until its end is on record."""
        return self._named(key, "run")

    def _open_runs(self) -> list[Path]:
        run = self.last_run()
        return [self.run_file(run.key)] if run and run.ending.event is Event.BEGAN else []

    def stop_file(self, key: str) -> Path:
        """Return the file whose existence tells the watcher of this run to end it."""
        return self._named(key, "stop")

    def _named(self, key: str, ending: str) -> Path:
        return self.lock.with_suffix(f".{sha256(key.encode()).hexdigest()[:16]}.{ending}")

    def _lines(self) -> list[Line]:
        try:
            with self.record.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
                texts = file.read().splitlines()
        except FileNotFoundError:
            return []
        return [line for line in map(_line, texts) if line]


def _line(text: bytes) -> Line | None:
    try:
        return Line.model_validate_json(text)
    except ValidationError:  # a power cut in the middle of it: what it would have told did not happen
        return None


def _is_held(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return not _taken(
                file.fileno(), fcntl.LOCK_SH
            )  # shared, so that two who look do not see each other
    except FileNotFoundError:
        return False


def _taken(descriptor: int, lock: int) -> bool:
    try:
        fcntl.flock(descriptor, lock | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
