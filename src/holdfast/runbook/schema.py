"""JSON schemas of the files that people write, for editors: completion, and errors while typing."""

import inspect
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, TypeAdapter

from holdfast.domain.errors import UnknownName
from holdfast.domain.people import People
from holdfast.runbook.commands import CommandRules
from holdfast.runbook.duty import Duty
from holdfast.runbook.kinds.table import KINDS
from holdfast.runbook.policies import Policies
from holdfast.runbook.priorities import Priorities
from holdfast.runbook.systems import Systems

MODELS: Final[dict[str, type[BaseModel]]] = {
    **KINDS,
    "people": People,
    "systems": Systems,
    "duty": Duty,
    "policies": Policies,
    "priorities": Priorities,
    "commands": CommandRules,
}

_UNITS: Final = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


def schema_of(kind: str) -> dict[str, Any]:
    """Return the JSON schema of a kind of file: a runbook kind, `people`, `systems`, `duty`, ….

    Raises:
        UnknownName: there is no such kind.
    """
    if kind not in MODELS:
        raise UnknownName("kind of file", kind, MODELS)
    schema, models = MODELS[kind].model_json_schema(), _models_in(MODELS[kind], {})
    for definition in (schema, *schema.get("$defs", {}).values()):
        _explain_properties(definition, models)
        for node in definition.get("properties", {}).values():
            _write_durations_as_people_do(node)
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


def _explain_properties(definition: dict[str, Any], models: Mapping[str, type[BaseModel]]) -> None:
    """Move what docstrings say of attributes to the properties, where editors show it."""
    model, properties = models.get(definition.get("title", "")), definition.get("properties", {})
    for base in model.__mro__ if model else ():  # a docstring explains the fields of its own class
        for name, text in _attributes(base.__doc__ or "").items():
            if name in properties:
                properties[name].setdefault("description", text)
    if "description" in definition:
        definition["description"] = definition["description"].partition("\n\nAttributes:\n")[0]


def _models_in(annotation: Any, found: dict[str, type[BaseModel]]) -> dict[str, type[BaseModel]]:
    """Add the models that a field's type consists of, those of their fields included, by name."""
    if not isinstance(annotation, type) or not issubclass(annotation, BaseModel):
        for inner in get_args(annotation):
            _models_in(inner, found)
    elif annotation.__name__ not in found:
        found[annotation.__name__] = annotation
        for field in annotation.model_fields.values():
            _models_in(field.annotation, found)
    return found


def _attributes(docstring: str) -> dict[str, str]:
    """Read the `Attributes:` of a docstring: what it says, by name."""
    _, _, attributes = inspect.cleandoc(docstring).partition("\n\nAttributes:\n")
    found = re.findall(r"^    ([\w, ]+): (.+(?:\n {5,}.+)*)", attributes, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for names, text in found for name in names.split(", ")}


def _write_durations_as_people_do(node: dict[str, Any]) -> None:
    places = (node, *node.get("anyOf", []), node.get("items", {}))
    found = ((place, word) for place in places for word in ("gt", "ge") if isinstance(place.get(word), str))
    duration, bound = next(found, (None, ""))
    # Only durations are bounded by something that JSON Schema has no word for.
    if duration is None:
        return
    del duration[bound]
    duration["pattern"] = r"^\d+(\.\d+)?\s*[smhd]$"
    duration["examples"] = ["90s", "10m", "2h", "7d"]
    if isinstance(node.get("default"), str):
        node["default"] = _readable(TypeAdapter(timedelta).validate_python(node["default"]))


def _readable(duration: timedelta) -> str:
    for letter, unit in _UNITS.items():
        if duration and duration % unit == timedelta(0):
            return f"{duration // unit}{letter}"
    return f"{duration.total_seconds():g}s"
