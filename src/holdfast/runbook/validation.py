"""Validates plain data against a model and says in a person's words what is wrong, field by field."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from holdfast.runbook.plain_yaml import FieldPath, Problem
from holdfast.runbook.source import Source

Model = TypeVar("Model", bound=BaseModel)
_Schema = dict[str, Any]

_LONGEST_VALUE_SHOWN: Final = 60
_DURATION: Final = "must be a duration such as 90s, 10m, 2h or 7d"
_MAP: Final = "must be a map of fields (`name: value` lines)"
# What pydantic says in words of its own trade.
_WORDS: Final[Mapping[str, str]] = {
    "model_type": _MAP,
    "dict_type": _MAP,
    "tuple_type": "must be a list",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "time_delta_type": _DURATION,
    "time_delta_parsing": _DURATION,
}


def validated(source: Source, model: type[Model]) -> Model:
    """Return the model that the file holds.

    Raises:
        RunbookInvalid: one line for each problem.
    """
    try:
        # Through JSON, because strictness there still lets a list be a tuple and text be a duration.
        return model.model_validate_json(json.dumps(source.data), strict=True)
    except ValidationError as error:
        schema = model.model_json_schema()
        problems = [_problem(e, source, schema) for e in _without_doubles(error.errors(), source)]
        raise source.invalid(_joined(problems)) from None


def _without_doubles(errors: Sequence[ErrorDetails], source: Source) -> list[ErrorDetails]:
    """Leave out what a branch of a union says about the whole field when another branch got further into it."""
    fields = [_field(e, source) for e in errors]
    return [
        error
        for error, field in zip(errors, fields, strict=True)
        if not any(len(other) > len(field) > 0 and other[: len(field)] == field for other in fields)
    ]


def _joined(problems: Iterable[Problem]) -> list[Problem]:
    """Make one problem of several about one field: the branches of a union each have their say."""
    messages: dict[FieldPath, list[str]] = {}
    for problem in problems:
        said = messages.setdefault(problem.field, [])
        if problem.message not in said:
            said.append(problem.message)
    return [Problem(field, " or ".join(said)) for field, said in messages.items()]


def _field(error: ErrorDetails, source: Source) -> FieldPath:
    """Return the place in the file: pydantic also names union branches, which no file has."""
    *steps, last = error["loc"] or ("",)
    field: FieldPath = ()
    for step in (*steps, last):
        if (*field, step) in source.lines:
            field = (*field, step)
    if error["type"] == "missing":
        return (*field, last)
    return _meant(field, error, source) if error["type"] == "value_error" else field


def _meant(field: FieldPath, error: ErrorDetails, source: Source) -> FieldPath:
    """Return the field that a check across fields speaks of first, when there is one of that name."""
    words = re.findall(r"\w+", error["msg"])
    return next(((*field, word) for word in words if (*field, word) in source.lines), field)


def _problem(error: ErrorDetails, source: Source, schema: _Schema) -> Problem:
    field = _field(error, source)
    if error["type"] == "missing":
        return Problem(field, "is missing: add it")
    if error["type"] == "extra_forbidden":
        return Problem(field, _unknown_field(str(field[-1]), known_fields(schema, field[:-1])))
    if error["type"] == "literal_error" and field[-1] == "kind":
        return Problem(field, f"unknown kind '{error['input']}'; known: {_choices(error)}")
    named = f"{field[-1]} " if field else ""
    return Problem(field, _in_plain_words(error).removeprefix(named) + _got(error["input"]))


def _unknown_field(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
    return f"unknown field; {hint}"


def _choices(error: ErrorDetails) -> str:
    return str(error.get("ctx", {}).get("expected", "")).replace("'", "")


def _in_plain_words(error: ErrorDetails) -> str:
    if error["type"] in {"literal_error", "enum"}:
        return f"must be {_choices(error)}"
    if error["type"] == "greater_than" and "timedelta" in str(error.get("ctx")):
        return f"{_DURATION}, above 0"
    if error["type"] in _WORDS:
        return _WORDS[error["type"]]
    message = error["msg"].removeprefix("Value error, ")
    return re.sub(r"^\w+ should (be|have|match)", r"must \1", message).replace(" a valid ", " a ")


def _got(value: Any) -> str:
    if isinstance(value, dict | list):
        return ""
    shown = json.dumps(value, ensure_ascii=False)
    return f" (got {shown if len(shown) <= _LONGEST_VALUE_SHOWN else shown[:_LONGEST_VALUE_SHOWN] + '…'})"


def known_fields(schema: _Schema, field: FieldPath) -> list[str]:
    """Return the names of the fields that a JSON schema knows at a place in the data."""
    nodes = _alternatives(schema, schema)
    for step in field:
        nodes = [found for node in nodes for found in _below(schema, node, step)]
    return sorted({name for node in nodes for name in node.get("properties", {})})


def _alternatives(schema: _Schema, node: _Schema) -> list[_Schema]:
    if "$ref" in node:
        return _alternatives(schema, schema["$defs"][node["$ref"].rpartition("/")[2]])
    branches: list[_Schema] = [*node.get("anyOf", []), *node.get("oneOf", [])]
    return [found for branch in branches for found in _alternatives(schema, branch)] or [node]


def _below(schema: _Schema, node: _Schema, step: str | int) -> list[_Schema]:
    if isinstance(step, int):
        return _alternatives(schema, node.get("items", {}))
    inner = node.get("properties", {}).get(step, node.get("additionalProperties"))
    return _alternatives(schema, cast("_Schema", inner)) if isinstance(inner, dict) else []
