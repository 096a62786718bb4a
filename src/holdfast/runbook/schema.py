"""JSON schemas of the files that people write, for editors: completion, and errors while typing."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from holdfast.domain.errors import UnknownName
from holdfast.domain.people import People
from holdfast.runbook.kinds.table import KINDS

MODELS: Final[dict[str, type[BaseModel]]] = {**KINDS, "people": People}

_UNITS: Final = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


def schema_of(kind: str) -> dict[str, Any]:
    """Return the JSON schema of a runbook kind, or of `people`.

    Raises:
        UnknownName: there is no such kind.
    """
    if kind not in MODELS:
        raise UnknownName("kind of file", kind, MODELS)
    schema = MODELS[kind].model_json_schema()
    for definition in (schema, *schema.get("$defs", {}).values()):
        _explain_properties(definition)
        for node in definition.get("properties", {}).values():
            _write_duration_as_people_do(node)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text(kind: str) -> str:
    """Return the schema as the committed file has it."""
    return json.dumps(schema_of(kind), indent=2, ensure_ascii=False) + "\n"


def write_schemas(directory: Path) -> list[Path]:
    """Write `<directory>/<kind>.json` for every kind of file and return the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = {kind: directory / f"{kind}.json" for kind in MODELS}
    for kind, path in paths.items():
        path.write_text(schema_text(kind), encoding="utf-8")
    return list(paths.values())


def _explain_properties(definition: dict[str, Any]) -> None:
    """Move what a class's docstring says of its attributes to the properties, where editors show it."""
    head, _, attributes = definition["description"].partition("\n\nAttributes:\n")
    definition["description"] = head
    for names, text in re.findall(r"^    ([\w, ]+): (.+(?:\n {5,}.+)*)", attributes, re.MULTILINE):
        for name in names.split(", "):
            definition["properties"][name].setdefault("description", re.sub(r"\s+", " ", text))


def _write_duration_as_people_do(node: dict[str, Any]) -> None:
    if node.pop("gt", None) is None:  # only durations are bounded by something that JSON Schema has no word for
        return
    node["pattern"] = r"^\d+(\.\d+)?\s*[smhd]$"
    node["examples"] = ["90s", "10m", "2h", "7d"]
    if "default" in node:
        node["default"] = _readable(TypeAdapter(timedelta).validate_python(node["default"]))


def _readable(duration: timedelta) -> str:
    for letter, unit in _UNITS.items():
        if duration % unit == timedelta(0):
            return f"{duration // unit}{letter}"
    return f"{duration.total_seconds():g}s"
