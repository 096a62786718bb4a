"""Writes plain data as YAML that people review: the same data always gives the same text.

Every string is quoted or a block, so that nothing reads as a number, a date or a truth value by accident.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

Plain: TypeAlias = "str | int | float | bool | Sequence[Plain] | Mapping[str, Plain]"

_INDENT: Final = "  "
_LAST_BYTE, _LAST_SHORT = 0xFF, 0xFFFF


def yaml_text(data: Mapping[str, Plain], *, header: Sequence[str] = ()) -> str:
    """Return a YAML document.

    Args:
        data: keys must be plain words; texts may be anything.
        header: lines of a comment above it, without `#`.
    """
    comments = (f"# {_one_line(line)}".rstrip() for line in header)
    return "\n".join([*comments, *_mapping(data, "")]) + "\n"


def _mapping(data: Mapping[str, Plain], indent: str) -> Iterator[str]:
    for key, value in data.items():
        yield from _entry(f"{indent}{key}:", value, indent)


def _entry(label: str, value: Plain, indent: str) -> Iterator[str]:
    """Yield a value after its label, which ends with `:`."""
    if isinstance(value, Mapping):
        yield from [label, *_mapping(value, indent + _INDENT)] if value else [f"{label} {{}}"]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from [label, *_items(value, indent + _INDENT)] if value else [f"{label} []"]
    elif isinstance(value, str) and _is_block(value):
        yield f"{label} |-"
        yield from (f"{indent}{_INDENT}{line}".rstrip() for line in value.split("\n"))
    else:
        yield f"{label} {_scalar(value)}"


def _items(values: Sequence[Plain], indent: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping) and value:
            first, *rest = _mapping(value, indent + _INDENT)
            yield from [f"{indent}- {first.lstrip()}", *rest]
        elif isinstance(value, str | int | float):
            yield f"{indent}- {_scalar(value)}"
        else:
            raise TypeError("a list holds mappings that are not empty, or scalars")


def _scalar(value: "str | float") -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    return repr(value)


def _is_block(text: str) -> bool:
    """Whether a text of several lines can stand as it is."""
    lines = text.split("\n")
    whole = all(line.isprintable() and line == line.rstrip() for line in lines)
    return len(lines) > 1 and whole and bool(lines[-1]) and bool(lines[0]) and not lines[0].startswith(" ")


def _quoted(text: str) -> str:
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in {'"', "\\"}:
        return f"\\{character}"
    if character == "\n":
        return "\\n"
    if character.isprintable():
        return character
    code = ord(character)
    if code <= _LAST_BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _LAST_SHORT else f"\\U{code:08x}"


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
