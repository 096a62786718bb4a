"""The `tree` of Jenkins' addresses: which parts of an answer a client wants."""

import re
from collections.abc import Sequence
from typing import Any, Final, cast

# `builds[number,actions[parameters[name]]]{0,100},url`: names, what is wanted below them, and a range.
_Tree = dict[str, tuple["_Tree", slice]]
_TOKEN: Final = re.compile(r"[A-Za-z_*]+|[\[\],]|\{\d*,?\d*\}")


def chosen(shape: dict[str, Any], tree: str) -> dict[str, Any]:
    """Return what the tree names of an answer, and the classes, which Jenkins always tells."""
    return _picked(shape, _level(_TOKEN.findall(tree.replace(" ", ""))))


def _level(tokens: list[str]) -> _Tree:
    found: _Tree = {}
    while tokens and tokens[0] != "]":
        name = tokens.pop(0)
        if name == ",":
            continue
        below: _Tree = {}
        if tokens and tokens[0] == "[":
            tokens.pop(0)
            below = _level(tokens)
            del tokens[:1]
        taken = tokens.pop(0) if tokens and tokens[0].startswith("{") else "{,}"
        found[name] = (below, _range(taken))
    return found


def _range(text: str) -> slice:
    """Return what `{M,N}`, `{M,}`, `{,N}` or `{N}` (one element) takes of a list."""
    first, comma, last = text.strip("{}").partition(",")
    if not comma:
        return slice(int(first), int(first) + 1)
    return slice(int(first) if first else None, int(last) if last else None)


def _picked(shape: dict[str, Any], tree: _Tree) -> dict[str, Any]:
    picked: dict[str, Any] = {"_class": shape["_class"]} if "_class" in shape else {}
    for name, (below, taken) in tree.items():
        if name in shape:
            picked[name] = _below(shape[name], below, taken)
    return picked


def _below(value: Any, tree: _Tree, taken: slice) -> Any:
    if isinstance(value, list):
        items = cast("Sequence[Any]", value)
        return [_below(one, tree, slice(None)) for one in items[taken]]
    return _picked(cast("dict[str, Any]", value), tree) if isinstance(value, dict) else value
