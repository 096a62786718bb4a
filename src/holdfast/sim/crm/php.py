"""Parameters as PHP reads them: `filter[>id]=5&select[]=id`, and lists that may come as objects."""

import re
from collections.abc import Iterable
from typing import Any, TypeGuard
from urllib.parse import parse_qsl

Params = dict[str, Any]
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)$")


def parse_query(text: str) -> Params:
    """Read a query string; brackets nest, `[]` appends, and every container is an object with string keys."""
    return nest(parse_qsl(text, keep_blank_values=True))


def nest(pairs: Iterable[tuple[str, str]]) -> Params:
    """Like `parse_query`, for pairs that are already decoded."""
    result: Params = {}
    for name, value in pairs:
        if match := _KEY.match(name):
            _put(result, [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])], value)
    return result


def as_list(value: Any) -> list[Any]:
    """Take a list as it is, and an object with keys 0, 1, 2 … for the list that PHP makes of it."""
    if _is_object(value):
        return list(value.values())
    return value if _is_list(value) else [value]


def as_object(value: Any) -> Params:
    """Take an object as it is; an empty PHP array comes as `[]`, a list gets its indexes as keys."""
    if _is_object(value):
        return value
    return {str(index): item for index, item in enumerate(value)} if _is_list(value) else {}


def _is_object(value: Any) -> TypeGuard[Params]:
    return isinstance(value, dict)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def or_empty_list(value: Params) -> Params | list[Any]:
    """Write an object as PHP does: an empty one is `[]`."""
    return value or []


def _put(container: Params, path: list[str], value: str) -> None:
    *outer, last = path
    for key in outer:
        container = _inner(container, key or str(len(container)))
    container[last or str(len(container))] = value


def _inner(container: Params, key: str) -> Params:
    found = container.get(key)
    if _is_object(found):
        return found
    made: Params = {}
    container[key] = made
    return made
