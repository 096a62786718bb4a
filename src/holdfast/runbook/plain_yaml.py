"""From YAML text to plain data, with the line of every field and with what is wrong with it.

Scalars are read as YAML 1.2 reads them, like the editors that use our JSON schemas: `on` and `no` are text, and
`1:30` is no number. Aliases, foreign tags and repeated fields are refused: what a reviewer reads is what runs.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

FieldPath = tuple[str | int, ...]

_DEEPEST_LEVEL: Final = 20
_TAG: Final = "tag:yaml.org,2002:"
# What a scalar without quotes may be: its tag, how it looks, what it may begin with.
_SCALARS: Final = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, at a field such as `("stages", 0, "gate")`; the message names the remedy.

    Attributes:
        line: where it stands, if not where the field stands.
    """

    field: FieldPath
    message: str
    line: int | None = None


@dataclass
class PlainYaml:
    """What was read.

    Attributes:
        data: text, numbers, booleans, None, lists, and maps with text keys.
        lines: the line (from 1) of every field in `data`; of the whole as well, under the empty path.
        problems: what is in the text but not allowed; it is missing in `data`.
    """

    data: Any = None
    lines: dict[FieldPath, int] = field(default_factory=lambda: {(): 1})
    problems: list[Problem] = field(default_factory=list[Problem])


def read_yaml(text: str) -> PlainYaml:
    """Read one YAML document; never raises for whatever the text is."""
    reader = _Reader()
    try:
        node = _compose(text)
        reader.found.data = None if node is None else reader.plain(node, (), 1)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        reader.refuse((), line, "a character that YAML does not allow: remove it")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reader.refuse((), mark.line + 1 if mark else 1, _in_plain_words(error))
    return reader.found


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for name, pattern, first in _SCALARS:
        for character in first:
            table.setdefault(character, []).append((_TAG + name, re.compile(f"^(?:{pattern})$")))
    return table


class _PlainLoader(yaml.SafeLoader):
    yaml_implicit_resolvers = _resolvers()


def _compose(text: str) -> yaml.Node | None:
    loader = _PlainLoader(text)
    try:
        return loader.get_single_node()
    except RecursionError:
        here = yaml.Mark("", loader.index, loader.line, loader.column, "", 0)
        raise yaml.MarkedYAMLError(problem="is nested far too deep", problem_mark=here) from None


def _in_plain_words(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "is not YAML"
    if "'\\t'" in problem:
        return "a tab: YAML is indented with spaces only"
    if error.context == "expected a single document in the stream":
        return "a second document (---) begins here: one file is one runbook"
    if error.context and error.context_mark:
        return f"{problem}, {error.context} that begins on line {error.context_mark.line + 1}"
    return problem


class _Reader:
    """Turns nodes into plain data, collecting lines and problems on the way."""

    def __init__(self) -> None:
        self.found = PlainYaml()
        self._seen: set[int] = set()

    def plain(self, node: yaml.Node, at: FieldPath, line: int) -> Any:
        self.found.lines[at] = line
        if id(node) in self._seen:
            return self.refuse(at, line, "an alias (*name) stands here: write the value out")
        self._seen.add(id(node))
        if len(at) > _DEEPEST_LEVEL:
            return self.refuse(at, line, f"is nested deeper than {_DEEPEST_LEVEL} levels")
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._map(node, at)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.plain(item, (*at, i), _line(item)) for i, item in enumerate(node.value)]
        try:
            return _scalar(node.tag.removeprefix(_TAG), node.value)
        except ValueError as error:
            return self.refuse(at, line, str(error))

    def refuse(self, at: FieldPath, line: int, message: str) -> None:
        self.found.problems.append(Problem(at, message, line))

    def _map(self, node: yaml.MappingNode, at: FieldPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            line = _line(key)
            if not isinstance(key, yaml.ScalarNode) or key.tag != _TAG + "str":
                name = key.value if isinstance(key, yaml.ScalarNode) else "a list or map"
                self.refuse(at, line, f"a field's name is text, not {name}: put it into quotes")
            elif key.value in data:
                first = self.found.lines[(*at, key.value)]
                self.refuse((*at, key.value), line, f"is given twice, first on line {first}: keep one")
            else:
                data[key.value] = self.plain(value, (*at, key.value), line)
        return data


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark else 1


def _scalar(tag: str, value: Any) -> Any:
    if tag == "str":
        return _text(value)
    if tag == "null":
        return None
    if tag == "bool":
        return value.lower() == "true"
    if tag in {"int", "float"}:
        return _number(tag, value)
    raise ValueError(
        f"the tag !!{tag} is not allowed: write text, a number, true, false, null, a list or a map"
    )


def _text(value: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("holds half of a character (a lone surrogate): write the whole character")
    return value


def _number(tag: str, value: str) -> float:
    try:
        number = int(value) if tag == "int" else float(value)
        usable = math.isfinite(number)
    except (ValueError, OverflowError):
        usable, number = False, 0
    if not usable:
        raise ValueError(f"is no number that can be used: {value[:20]}")
    return number
