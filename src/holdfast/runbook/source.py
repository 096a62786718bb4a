"""A YAML file with the lines of its fields, so that what is wrong is told by file, line and field."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from holdfast.domain.errors import RunbookInvalid
from holdfast.runbook.plain_yaml import FieldPath, Problem, read_yaml

_LARGEST_FILE_KIB: Final = 256


@dataclass(frozen=True)
class Source:
    """A YAML file as it was read.

    Attributes:
        path: the file, as it was named by the caller.
        text: its text with line feeds only, so that its digest does not depend on the checkout.
        data: the map that the file holds.
        lines: the line (from 1) of every field in `data`.
    """

    path: Path
    text: str
    data: Mapping[str, Any]
    lines: Mapping[FieldPath, int]

    def line_of(self, field: FieldPath) -> int:
        """Return the field's line, or that of the nearest field around it when it is not there."""
        while field not in self.lines:
            field = field[:-1]
        return self.lines[field]

    def invalid(self, problems: Iterable[Problem]) -> RunbookInvalid:
        """Make one error of all problems, one a line, in the order of the file."""
        placed = [(p.line or self.line_of(p.field), p) for p in problems]
        ordered = sorted(placed, key=lambda pair: pair[0])
        return RunbookInvalid("\n".join(f"{self.path}:{line}: {describe(p)}" for line, p in ordered))


def describe(problem: Problem) -> str:
    """Say what is wrong, after the field's name as people write it, e.g. `stages.0.gate: is missing`."""
    named = ".".join(map(str, problem.field))
    return f"{named}: {problem.message}" if named else problem.message


def read_source(path: Path) -> Source:
    """Read a YAML file of at most 256 KiB that holds one map.

    Raises:
        RunbookInvalid: the file cannot be read or is not plain YAML; each line names file and line.
    """
    text = _read_text(path)
    found = read_yaml(text)
    is_map = isinstance(found.data, dict)
    if not found.problems and not is_map:
        found.problems.append(Problem((), "the file must hold a map of fields (`name: value` lines)"))
    source = Source(path, text, cast("dict[str, Any]", found.data) if is_map else {}, found.lines)
    if found.problems:
        raise source.invalid(found.problems)
    return source


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE_KIB * 1024 + 1)
    except OSError as error:
        raise RunbookInvalid(f"{path}:1: cannot be read: {error.strerror}") from None
    if len(raw) > _LARGEST_FILE_KIB * 1024:
        raise RunbookInvalid(
            f"{path}:1: is larger than {_LARGEST_FILE_KIB} KiB; a runbook is a page, not a database"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RunbookInvalid(f"{path}:{line}: is not UTF-8 text: save the file as UTF-8") from None
    return text.replace("\r\n", "\n")
