from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from holdfast.adapters.command.programs import Programs, last_line
from holdfast.adapters.command.record import CommandFiles, Event, LastRun, Line
from holdfast.adapters.command.running import Run, locked_for
from holdfast.adapters.command.watcher import Outcome
from holdfast.domain.errors import ChangeConflict, ChangeFailed, UnknownName
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.ports.changes import Progress
from holdfast.runbook.systems import CommandSystem, Secret

_ALL: Final = "all"
_FOLDER: Final = "commands"


class CommandProvider:
    """Changes of kind `command`: part `all`, values `{"state": "<what the state command prints>"}`.

    A command runs at most once under a key: it and its watcher inherit locks, so that the next attempt after a
    killed worker waits for the one that is still running, and reads from the record how it ended. The locks are
    those of this machine: workers on several machines must not be given the same commands. See `ports.changes`.
    """

    def __init__(
        self, systems: Mapping[str, CommandSystem], reveal: Callable[[Secret], str], *, state_dir: Path
    ) -> None:
        """Know these commands, by system name; keep locks and records in `state_dir`/commands."""
        self._programs = Programs(systems, reveal)
        self._directory = state_dir / _FOLDER

    async def read(self, endpoint: str, part: str) -> TargetState:
        """Return what is so, and whether a run of the command is under way or has failed."""
        _check(part)
        self._programs.system(endpoint)
        files = CommandFiles(self._directory, endpoint)
        state = await self._programs.state(endpoint)
        run = files.last_run()
        if run is None or run.ending.event is Event.SETTLED:
            return TargetState(values={"state": state})
        if run.ending.event is Event.BEGAN and files.busy():
            return _in_doubt(run, state, "is still running")
        if not run.open_at(state):
            return TargetState(values={"state": state})
        return _in_doubt(run, state, run.words or "was ended from outside, or with its machine")

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:  # noqa: ARG002  any state will do
        """Return the state of a command that has worked; both programs have to be there."""
        _check(effect.part)
        system = self._programs.system(effect.endpoint)
        for field in ("run", "revert"):
            self._programs.check(effect.endpoint, field)
            self._programs.order(effect.endpoint, field, {})  # its secrets have to be there, too
        return {"state": system.done}

    async def write(self, write: Write, progress: Progress) -> TargetState:
        """Run the command, or its way back. See `ports.changes`."""
        _check(write.effect.part)
        name = write.effect.endpoint
        self._programs.check(name, _field(write))
        files = CommandFiles(self._directory, name)
        limit = self._programs.system(name).time_limit
        async with locked_for(files, name, limit, progress) as lock:
            state = await self._programs.state(name)
            if not _is_done(write, state, files.last_run()):
                began = Line(key=write.key, event=Event.BEGAN, source=state, goal=_goal(write))
                await self._run(write, Run(files, lock, began), progress)
            else:
                _settle(files, write.key)
        return TargetState(values=write.goal)

    async def _run(self, write: Write, run: Run, progress: Progress) -> None:
        """Run it, and compare what it has made with what was wanted."""
        name, field, goal = write.effect.endpoint, _field(write), _goal(write)
        told = {"HOLDFAST_KEY": write.key, **({"HOLDFAST_BEFORE": goal} if write.undo else {})}
        order = self._programs.order(name, field, told)
        outcome = await run.to_its_end(order, progress)
        self._programs.check_started(name, field, outcome)
        if outcome.code != 0 or outcome.stopped:
            raise ChangeFailed(_failure(f"command '{name}' ({field})", outcome, order.limit_seconds))
        found = await self._programs.state(name)
        if found != goal:
            raise ChangeFailed(_another_state(f"command '{name}' ({field}) ended well", found, goal))
        _settle(run.files, write.key)


def _check(part: str) -> None:
    if part != _ALL:
        raise UnknownName("part of command", part, [_ALL])


def _field(write: Write) -> str:
    return "revert" if write.undo else "run"


def _goal(write: Write) -> str:
    return str(write.goal.get("state", ""))


def _in_doubt(run: LastRun, state: str, words: str) -> TargetState:
    return TargetState(values={"state": state}, unsettled=run.key, doubt=f"the command of {run.key} {words}")


def _is_done(write: Write, state: str, last: LastRun | None) -> bool:
    """Return whether there is nothing left to do; where an earlier attempt has ended badly, say so.

    Raises:
        ChangeFailed: it was tried under this key, and did not succeed.
        ChangeConflict: the state is neither the source nor the goal.
    """
    name, goal = write.effect.endpoint, _goal(write)
    mine = last if last and last.key == write.key else None
    if mine and mine.failed:
        raise ChangeFailed(
            f"command '{name}' ({_field(write)}): {mine.words}; what it said went with its worker"
        )
    if state == goal and not (mine is None and _must_act(write, state, last)):
        return True
    if mine and (mine.ending.event is Event.EXITED or state != mine.source):
        raise ChangeFailed(_another_state(f"command '{name}' ({_field(write)}) has ended", state, goal))
    if not mine and state != str(write.source.get("state", "")):
        raise ChangeConflict(
            _another_state(f"command '{name}': somebody else changed it meanwhile", state, goal)
        )
    return False


def _must_act(write: Write, state: str, last: LastRun | None) -> bool:
    """Return whether a way back is needed although the state looks like the old one: a run ended badly."""
    return write.undo and last is not None and last.open_at(state)


def _settle(files: CommandFiles, key: str) -> None:
    last = files.last_run()
    if last and last.key == key and last.ending.event is not Event.SETTLED:
        files.note(Line(key=key, event=Event.SETTLED))


def _failure(what: str, outcome: Outcome, limit_seconds: float) -> str:
    if outcome.stopped == "time":
        said = f"took longer than its time_limit of {limit_seconds:g} s and was ended"
    elif outcome.stopped:
        said = "was called off and ended"
    elif outcome.code is not None and outcome.code < 0:
        said = f"was ended by signal {-outcome.code}"
    else:
        said = f"failed with exit code {outcome.code}"
    words = last_line(outcome.err) or last_line(outcome.out)
    return f"{what} {said}" + (f": {words}" if words else "")


def _another_state(what: str, state: str, goal: str) -> str:
    return f"{what}, and the state is '{state}' instead of '{goal}'"
