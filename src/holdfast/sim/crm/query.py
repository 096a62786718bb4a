"""Filter, order, select and pages of `crm.item.list`."""

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from holdfast.sim.crm.errors import RestError, invalid_argument
from holdfast.sim.crm.fields import CrmField
from holdfast.sim.crm.php import Params, as_list, as_object
from holdfast.sim.crm.store import Item

PAGE_SIZE = 50
Test = Callable[[Item], bool]
Fields = Mapping[str, CrmField]

_KEY = re.compile(r"(!=%|!%=|!@|!%|!=|!|>=|>|<=|<|=%|%=|%|=|@)?(.+)", re.DOTALL)


def _like(value: Any, pattern: str) -> bool:
    glob = str(pattern).replace("[", "[[]").replace("*", "[*]").replace("?", "[?]").replace("%", "*")
    return value is not None and fnmatchcase(str(value).lower(), glob.lower())


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "=": lambda value, wanted: value == wanted,
        ">": lambda value, wanted: value is not None and value > wanted,
        ">=": lambda value, wanted: value is not None and value >= wanted,
        "<": lambda value, wanted: value is not None and value < wanted,
        "<=": lambda value, wanted: value is not None and value <= wanted,
        "@": lambda value, wanted: value in wanted,
        "%": lambda value, wanted: _like(value, f"%{wanted}%"),
        "=%": _like,
    }
)
_NEGATED = MappingProxyType({"!": "=", "!=": "=", "!@": "@", "!%": "%", "!=%": "=%", "!%=": "=%"})
_ORDERINGS = frozenset({">", ">=", "<", "<="})
_SYNONYMS = MappingProxyType({"": "=", "%=": "=%"})


def matching(fields: Fields, conditions: Any) -> Test:
    """Build the test for a filter: conditions joined by AND, or as `logic` says; groups may nest.

    Raises:
        RestError: an unknown field, or a value that does not fit its field.
    """
    given = as_object(conditions)
    join = any if str(given.get("logic", "AND")).upper() == "OR" else all
    tests = [_condition(fields, key, value) for key, value in given.items() if key != "logic"]
    return lambda item: join(test(item) for test in tests) if tests else True


def _condition(fields: Fields, key: str, value: Any) -> Test:
    if key.isdigit():
        return matching(fields, value)
    match = _KEY.fullmatch(key)
    prefix, name = (match[1] or "", match[2]) if match else ("", key)
    if name not in fields:
        raise invalid_argument(f"Invalid filter: field '{name}' is not allowed in filter")
    prefix = _SYNONYMS.get(prefix, prefix)
    positive = _NEGATED.get(prefix, prefix)
    if positive == "=" and isinstance(value, list | dict):
        positive = "@"
    compare, wanted = _COMPARISONS[positive], _wanted(fields[name], name, positive, value)
    if prefix in _NEGATED:
        return lambda item: not compare(item[name], wanted)
    return lambda item: compare(item[name], wanted)


def _wanted(field: CrmField, name: str, prefix: str, value: Any) -> Any:
    if "%" in prefix:
        return str(value)
    try:
        if prefix == "@":
            return [field.read(name, one) for one in as_list(value)]
        wanted = field.read(name, value)
    except RestError as error:
        raise invalid_argument(f"Invalid filter: field '{name}' has invalid value") from error
    if wanted is None and prefix in _ORDERINGS:
        raise invalid_argument(f"Invalid filter: field '{name}' has invalid value")
    return wanted


def ordered(fields: Fields, items: Iterable[Item], order: Any) -> list[Item]:
    """Sort by one or more fields; without an order by id, as the portal does.

    Raises:
        RestError: an unknown field or direction.
    """
    result = sorted(items, key=lambda item: item["id"])
    for name, direction in reversed(as_object(order).items()):
        if name not in fields:
            raise invalid_argument(f"Invalid order: field '{name}' is not allowed in order")
        if str(direction).upper() not in {"ASC", "DESC"}:
            raise invalid_argument(
                "Invalid order: allowed sort directions are `ASC, DESC`. "
                f"But got '{direction}' for field '{name}'"
            )
        result.sort(key=_sort_key(name), reverse=str(direction).upper() == "DESC")
    return result


def _sort_key(name: str) -> Callable[[Item], Any]:
    return lambda item: (item[name] is not None, item[name])


def selected(item: Item, select: Any) -> Item:
    """Keep the fields asked for; nothing asked, or `*`, keeps all."""
    names = [str(name) for name in as_list(select)] if select else ["*"]
    if "*" in names:
        return item
    return {name: item[name] for name in names if name in item}


def start_of(params: Params) -> int:
    """Read where the page begins; -1 asks for the first page without counting."""
    try:
        start = int(params.get("start") or 0)
    except (TypeError, ValueError):
        return 0
    return -1 if start < 0 else start // PAGE_SIZE * PAGE_SIZE


def page(found: list[Item], start: int) -> tuple[list[Item], dict[str, int]]:
    """Cut a page out; returns it with the `total` and `next` that belong into the answer."""
    if start < 0:
        return found[:PAGE_SIZE], {}
    counts = {"total": len(found)}
    if start + PAGE_SIZE < len(found):
        counts = {"next": start + PAGE_SIZE, **counts}
    return found[start : start + PAGE_SIZE], counts
