"""Finds runbooks by name in the directories that hold the reviewed files."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from holdfast.domain.duty import Rota
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.escalation import EscalationPolicy
from holdfast.domain.people import People
from holdfast.runbook.commands import CommandRules
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.runbook.kinds.incident import IncidentSpec
from holdfast.runbook.kinds.load import LoadSpec
from holdfast.runbook.kinds.rollout import RolloutSpec
from holdfast.runbook.kinds.table import KINDS
from holdfast.runbook.loader import (
    LoadedRunbook,
    load_campaign,
    load_commands,
    load_duty,
    load_incident,
    load_load_test,
    load_people,
    load_policies,
    load_priorities,
    load_rollout,
    load_systems,
)
from holdfast.runbook.priorities import DEFAULT_PRIORITIES, Priorities
from holdfast.runbook.source import read_source
from holdfast.runbook.systems import Systems

PEOPLE_FILE: Final = "people.yaml"
SYSTEMS_FILE: Final = "systems.yaml"
COMMANDS_FILE: Final = "commands.yaml"
DUTY_FILE: Final = "escalation/duty.yaml"
POLICIES_FILE: Final = "escalation/policies.yaml"
PRIORITIES_FILE: Final = "escalation/priorities.yaml"
_SETTLED_AFTER_NS: Final = 2_000_000_000
_NO_RUNBOOKS: Final = frozenset({PEOPLE_FILE, SYSTEMS_FILE, COMMANDS_FILE})

Read = TypeVar("Read")


class RunbookLibrary:
    """Directories with `people.yaml`, `systems.yaml`, `commands.yaml`, and folders: `escalation`, one a kind.

    An edited file counts at the next call; what every message of the bot needs is not read again while it does
    not change. Where a name is in several directories, the first directory counts. All methods that load a file
    raise `RunbookInvalid` when it is wrong, line by line.
    """

    def __init__(self, directories: Iterable[Path]) -> None:
        """Look in these directories, in this order."""
        self.directories = tuple(directories)
        self._kept = _Kept()

    def names(self, kind: str = "") -> list[str]:
        """Return the names of the runbooks of one kind or of all, sorted; their files may still be invalid.

        A file outside of the kinds' folders that does not say its kind is listed for every kind, so that
        somebody meets its error.
        """
        return sorted(self._files(kind))

    def path(self, name: str, kind: str = "") -> Path:
        """Return the file of a runbook, of one kind or of any.

        Raises:
            UnknownName: there is none of that name.
        """
        files = self._files(kind)
        try:
            return files[name]
        except KeyError:
            raise UnknownName("runbook", name, files) from None

    def rollout(self, name: str) -> LoadedRunbook[RolloutSpec]:
        """Load a rollout; raises UnknownName where there is none of that name."""
        return load_rollout(self.path(name, "rollout"))

    def incident(self, name: str) -> LoadedRunbook[IncidentSpec]:
        """Load a kind of incident; raises UnknownName where there is none of that name."""
        return load_incident(self.path(name, "incident"))

    def campaign(self, name: str) -> LoadedRunbook[CampaignSpec]:
        """Load a campaign; raises UnknownName where there is none of that name."""
        return load_campaign(self.path(name, "campaign"))

    def load_test(self, name: str) -> LoadedRunbook[LoadSpec]:
        """Load a load test; raises UnknownName where there is none of that name."""
        return load_load_test(self.path(name, "load"))

    def people_path(self) -> Path:
        """Return the `people.yaml` that counts.

        Raises:
            InvalidInput: no directory has one.
        """
        found = self.file(PEOPLE_FILE)
        if found is not None:
            return found
        looked = ", ".join(map(str, self.directories)) or "no directory"
        raise InvalidInput(
            f"there is no {PEOPLE_FILE} in {looked}: write one, it says who may start and approve"
        )

    def people(self) -> People:
        """Load everybody; raises InvalidInput without a `people.yaml`."""
        return self._kept.read(self.people_path(), load_people)

    def systems_path(self) -> Path | None:
        """Return the `systems.yaml` that counts; None where no directory has one."""
        return self.file(SYSTEMS_FILE)

    def systems(self) -> Systems:
        """Load the systems that runbooks may change, their paths placed; none without a `systems.yaml`."""
        path = self.systems_path()
        return load_systems(path) if path else Systems()

    def duty(self) -> Mapping[str, Rota]:
        """Load the rotas, by name; none without an `escalation/duty.yaml`."""
        path = self.file(DUTY_FILE)
        return self._kept.read(path, load_duty).rotas if path else {}

    def policies(self) -> Mapping[str, EscalationPolicy]:
        """Load the escalation policies, by name; none without an `escalation/policies.yaml`."""
        path = self.file(POLICIES_FILE)
        return self._kept.read(path, load_policies).policies if path else {}

    def priorities(self) -> Priorities:
        """Load which message goes first; `DEFAULT_PRIORITIES` without an `escalation/priorities.yaml`."""
        path = self.file(PRIORITIES_FILE)
        return self._kept.read(path, load_priorities) if path else DEFAULT_PRIORITIES

    def commands(self) -> CommandRules:
        """Load who may use which command; everybody may use all of them without a `commands.yaml`."""
        path = self.file(COMMANDS_FILE)
        return self._kept.read(path, load_commands) if path else CommandRules()

    def file(self, name: str) -> Path | None:
        """Return the file of this name that counts, e.g. `escalation/duty.yaml`; None where there is none."""
        return next((d / name for d in self.directories if (d / name).is_file()), None)

    def _files(self, kind: str) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for directory in self.directories:
            for path in (*self._in_folders(directory, kind), *self._loose(directory, kind)):
                found.setdefault(path.stem, path)
        return found

    def _in_folders(self, directory: Path, kind: str) -> Iterator[Path]:
        for folder in [kind] if kind else KINDS:
            yield from (directory / folder).glob("*.yaml")

    def _loose(self, directory: Path, kind: str) -> Iterator[Path]:
        for path in directory.glob("*.yaml"):
            if path.name not in _NO_RUNBOOKS and (not kind or self._kind(path) in {kind, ""}):
                yield path

    def _kind(self, path: Path) -> str:
        """Return the kind that a file says it is of; empty where it says none that is known."""
        try:
            return self._kept.read(path, _kind_of)
        except InvalidInput:
            return ""


class _Kept:
    """What files held, for as long as they do not change."""

    def __init__(self) -> None:
        self._values: dict[tuple[Path, Callable[..., Any]], tuple[object, Any]] = {}

    def read(self, path: Path, load: Callable[[Path], Read]) -> Read:
        """Return what the file holds; it must be nothing that the caller could change.

        A file that is written during the call counts at the next one, because its stamp is taken first.
        """
        stamp = _stamp(path)
        kept = self._values.get((path, load))
        if kept is not None and stamp is not None and kept[0] == stamp:
            return cast("Read", kept[1])
        value = load(path)
        self._values[path, load] = (stamp, value)
        return value


def _stamp(path: Path) -> object:
    """Return what changes whenever the file does; None where that cannot be told."""
    try:
        found = path.stat()
    except OSError:
        return None
    # File systems count time in steps: right after an edit, another one could leave the same stamp.
    if abs(time.time_ns() - found.st_mtime_ns) < _SETTLED_AFTER_NS:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _kind_of(path: Path) -> str:
    kind = read_source(path).data.get("kind")
    return kind if isinstance(kind, str) and kind in KINDS else ""
