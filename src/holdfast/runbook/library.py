"""Finds runbooks by name in the directories that hold the reviewed files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.people import People
from holdfast.runbook.kinds.rollout import RolloutSpec
from holdfast.runbook.kinds.table import KINDS
from holdfast.runbook.loader import LoadedRunbook, load_people, load_rollout, load_systems
from holdfast.runbook.systems import Systems

PEOPLE_FILE: Final = "people.yaml"
SYSTEMS_FILE: Final = "systems.yaml"


class RunbookLibrary:
    """Directories with `people.yaml`, `systems.yaml` and one folder a runbook kind.

    Files are read anew at every call. Where a name is in several directories, the first directory counts.
    """

    def __init__(self, directories: Iterable[Path]) -> None:
        """Look in these directories, in this order."""
        self.directories = tuple(directories)

    def names(self) -> list[str]:
        """Return the names of all runbooks, sorted; their files may still be invalid."""
        return sorted(self._files())

    def path(self, name: str) -> Path:
        """Return the file of a runbook.

        Raises:
            UnknownName: there is none of that name.
        """
        files = self._files()
        try:
            return files[name]
        except KeyError:
            raise UnknownName("runbook", name, files) from None

    def rollout(self, name: str) -> LoadedRunbook[RolloutSpec]:
        """Load a rollout.

        Raises:
            UnknownName: there is no runbook of that name.
            RunbookInvalid: its file is wrong, line by line.
        """
        return load_rollout(self.path(name))

    def people_path(self) -> Path:
        """Return the `people.yaml` that counts.

        Raises:
            InvalidInput: no directory has one.
        """
        found = self._first(PEOPLE_FILE)
        if found is not None:
            return found
        looked = ", ".join(map(str, self.directories)) or "no directory"
        raise InvalidInput(
            f"there is no {PEOPLE_FILE} in {looked}: write one, it says who may start and approve"
        )

    def people(self) -> People:
        """Load everybody; raises InvalidInput without a `people.yaml`, RunbookInvalid for a wrong one."""
        return load_people(self.people_path())

    def systems_path(self) -> Path | None:
        """Return the `systems.yaml` that counts; None where no directory has one."""
        return self._first(SYSTEMS_FILE)

    def systems(self) -> Systems:
        """Load the systems that runbooks may change, their paths placed; none where there is no `systems.yaml`.

        Raises:
            RunbookInvalid: the file is wrong, line by line.
        """
        path = self.systems_path()
        return load_systems(path) if path else Systems()

    def _first(self, name: str) -> Path | None:
        return next((d / name for d in self.directories if (d / name).is_file()), None)

    def _files(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for directory in self.directories:
            for folder in (*(directory / kind for kind in KINDS), directory):
                for path in folder.glob("*.yaml"):
                    if path.name not in {PEOPLE_FILE, SYSTEMS_FILE}:
                        found.setdefault(path.stem, path)
        return found
