import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast.adapters.command.watcher import Outcome, watch
from holdfast.domain.errors import InvalidInput, Unavailable, UnknownName
from holdfast.runbook.systems import CommandSystem, Secret

_LONGEST_LINE: Final = 300
_LONGEST_STATE: Final = 1000
_INHERITED: Final = ("PATH", "HOME", "LANG")


@dataclass(frozen=True)
class Order:
    """One command to run: its arguments, its variables (secrets among them), where, and for how long."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    limit_seconds: float

    def __repr__(self) -> str:
        """Show nothing of the variables."""
        return f"Order({self.arguments!r})"


class Programs:
    """The programs of the commands in `systems.yaml`: `run`, `revert` and `state`."""

    def __init__(self, systems: Mapping[str, CommandSystem], reveal: Callable[[Secret], str]) -> None:
        """Know these commands by name."""
        self._systems = systems
        self._reveal = reveal

    def system(self, name: str) -> CommandSystem:
        """Return a command; raises UnknownName where there is none."""
        try:
            return self._systems[name]
        except KeyError:
            raise UnknownName("command", name, self._systems) from None

    def order(self, name: str, field: str, told: Mapping[str, str]) -> Order:
        """Return what has to be run for a field, with these variables besides."""
        system = self.system(name)
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        secrets = {key: self._reveal(secret) for key, secret in system.secrets.items()}
        return Order(
            arguments=getattr(system, field),
            environment={**inherited, **told, **system.environment, **secrets},
            directory=str(system.directory or Path.cwd()),
            limit_seconds=system.time_limit.total_seconds(),
        )

    def check(self, name: str, field: str) -> None:
        """Check that the program of a field is there.

        Raises:
            InvalidInput: it is not, or its directory is not.
        """
        system = self.system(name)
        directory = system.directory or Path.cwd()
        if not directory.is_dir():
            raise InvalidInput(
                f"systems.yaml: systems.{name}.directory: there is no directory {directory} on this worker"
            )
        program: str = getattr(system, field)[0]
        placed = str(directory / program) if "/" in program else program
        path = system.environment.get("PATH", os.environ.get("PATH"))
        if shutil.which(placed, path=path) is None:
            raise _no_program(name, field, program, "no such program, or it may not be executed")

    def check_started(self, name: str, field: str, outcome: Outcome) -> None:
        """Raise InvalidInput where a program could not even be started."""
        if outcome.code is None:
            raise _no_program(name, field, getattr(self.system(name), field)[0], outcome.problem)

    async def state(self, name: str) -> str:
        """Return the line that the command's `state` prints.

        Raises:
            Unavailable: it failed, or took too long.
            InvalidInput: there is no such program, or it printed something else than one line.
        """
        self.check(name, "state")
        order = self.order(name, "state", {})
        outcome = await _watched(order)
        self.check_started(name, "state", outcome)
        if outcome.stopped:
            raise Unavailable(f"command '{name}': its state took longer than {order.limit_seconds:g} s to tell")
        if outcome.code != 0:
            words = last_line(outcome.err) or last_line(outcome.out) or "no words"
            raise Unavailable(f"command '{name}': its state failed with exit code {outcome.code}: {words}")
        lines = outcome.out.strip().splitlines()
        if len(lines) != 1 or len(lines[0]) > _LONGEST_STATE:
            raise InvalidInput(
                f"systems.yaml: systems.{name}.state: has to print one line of at most {_LONGEST_STATE} "
                f"characters; it printed {len(lines)} lines"
            )
        return lines[0].strip()


def last_line(text: str) -> str:
    """Return the last line with anything in it, not too long."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    said = lines[-1] if lines else ""
    return said if len(said) <= _LONGEST_LINE else "…" + said[-_LONGEST_LINE:]


def _no_program(name: str, field: str, program: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"systems.yaml: systems.{name}.{field}.0: '{program}' cannot be started on this worker ({why}): "
        "install it there, or give its whole path"
    )


async def _watched(order: Order) -> Outcome:
    """Run a command that changes nothing; when cancelled, it is ended first."""
    cancelled = threading.Event()
    running = asyncio.ensure_future(
        asyncio.to_thread(
            watch,
            order.arguments,
            environment=order.environment,
            directory=order.directory,
            limit_seconds=order.limit_seconds,
            stop=cancelled.is_set,
        )
    )
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        cancelled.set()
        await running
        raise
