"""Finds the place in a JSON schema that belongs to a place in the data."""

from collections.abc import Iterable
from typing import Any, cast

_Schema = dict[str, Any]


def alternatives(schema: _Schema, node: _Schema) -> list[_Schema]:
    """Return what may stand at a node; a union whose branches are told apart by a field stays one."""
    if "$ref" in node:
        return alternatives(schema, schema["$defs"][node["$ref"].rpartition("/")[2]])
    if "discriminator" in node:
        return [node]
    branches: list[_Schema] = [*node.get("anyOf", []), *node.get("oneOf", [])]
    return [found for branch in branches for found in alternatives(schema, branch)] or [node]


def branch_of(schema: _Schema, nodes: Iterable[_Schema], tag: str | int) -> list[_Schema]:
    """Return the branch that a union among the nodes knows by this tag; nothing where there is none."""
    return [
        found
        for node in nodes
        if tag in (mapping := node.get("discriminator", {}).get("mapping", {}))
        for found in alternatives(schema, {"$ref": mapping[tag]})
    ]


def tags_of(nodes: Iterable[_Schema]) -> list[str]:
    """Return the tags of all unions among the nodes, sorted."""
    return sorted({tag for node in nodes for tag in node.get("discriminator", {}).get("mapping", {})})


def choose(schema: _Schema, nodes: Iterable[_Schema], data: Any) -> list[_Schema]:
    """Replace each union by the branch that the data names, or leave it where the data names none of it."""
    chosen: list[_Schema] = []
    for node in nodes:
        tag: Any = None
        if isinstance(data, dict) and "discriminator" in node:
            tag = cast("dict[str, Any]", data).get(node["discriminator"]["propertyName"])
        branch = branch_of(schema, [node], tag) if isinstance(tag, str) else []
        chosen += branch or [node]
    return chosen


def below(schema: _Schema, nodes: Iterable[_Schema], step: str | int) -> list[_Schema]:
    """Return what may stand at a field, or at a place in a list, inside any of the nodes."""
    return [found for node in nodes for inner in _inside(node, step) for found in alternatives(schema, inner)]


def _inside(node: _Schema, step: str | int) -> list[_Schema]:
    if isinstance(step, int):
        return [node["items"]] if isinstance(node.get("items"), dict) else []
    properties: _Schema = node.get("properties", {})
    patterns: _Schema = node.get("patternProperties", {})
    inner = [properties.get(step, node.get("additionalProperties")), *patterns.values()]
    return [found for found in inner if isinstance(found, dict)]
