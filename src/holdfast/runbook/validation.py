"""Validates plain data against a model and says in a person's words what is wrong, field by field."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from holdfast.runbook.json_schema import alternatives, below, branch_of, choose, tags_of
from holdfast.runbook.plain_yaml import FieldPath, Problem
from holdfast.runbook.source import Source

Model = TypeVar("Model", bound=BaseModel)
_Schema = dict[str, Any]

_LONGEST_VALUE_SHOWN: Final = 60
_DURATION: Final = "must be a duration such as 90s, 10m, 2h or 7d"
_MAP: Final = "must be a map of fields (`name: value` lines)"
_WHERE: Final = "must say where the secret is, `{file: …}` or `{env: …}`, and never hold the secret itself"
# What pydantic says in words of its own trade.
_WORDS: Final[Mapping[str, str]] = {
    "model_type": _MAP,
    "dict_type": _MAP,
    "model_attributes_type": _MAP,
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
        problems = [_problem(e, source, schema) for e in _without_doubles(error.errors(), source, schema)]
        raise source.invalid(_joined(problems)) from None


def _without_doubles(errors: Sequence[ErrorDetails], source: Source, schema: _Schema) -> list[ErrorDetails]:
    """Leave out what a branch of a union says about the whole field when another branch got further into it."""
    fields = [_field(e, source, schema) for e in errors]
    return [
        error
        for error, field in zip(errors, fields, strict=True)
        if error["loc"][-1:] == ("[key]",)  # about the name of a field, which nothing inside it says again
        or not any(len(other) > len(field) > 0 and other[: len(field)] == field for other in fields)
    ]


def _joined(problems: Iterable[Problem]) -> list[Problem]:
    """Make one problem of several about one field: the branches of a union each have their say."""
    messages: dict[FieldPath, list[str]] = {}
    for problem in problems:
        said = messages.setdefault(problem.field, [])
        if problem.message not in said:
            said.append(problem.message)
    return [Problem(field, " or ".join(said)) for field, said in messages.items()]


def _field(error: ErrorDetails, source: Source, schema: _Schema) -> FieldPath:
    """Return the place in the file: pydantic also names union branches, which no file has."""
    field: FieldPath = ()
    nodes, last_is_field = alternatives(schema, schema), True
    for step in error["loc"]:
        branch = branch_of(schema, nodes, step)
        last_is_field = not branch
        if branch:
            nodes = branch
        elif (*field, step) in source.lines:
            field, nodes = (*field, step), below(schema, nodes, step)
    if error["type"] == "missing" and last_is_field:
        return (*field, error["loc"][-1])
    if error["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        return (*field, _tag(error))
    return _meant(field, error, source) if error["type"] == "value_error" else field


def _tag(error: ErrorDetails) -> str:
    """Return the field by which pydantic chooses the branch of a union, e.g. `kind`."""
    return str(error.get("ctx", {}).get("discriminator", "kind")).strip("'")


def _meant(field: FieldPath, error: ErrorDetails, source: Source) -> FieldPath:
    """Return the field that a check across fields speaks of first, when there is one of that name."""
    words = re.findall(r"\w+", error["msg"])
    return next(((*field, word) for word in words if (*field, word) in source.lines), field)


def _problem(error: ErrorDetails, source: Source, schema: _Schema) -> Problem:
    field = _field(error, source, schema)
    if error["type"] == "missing":
        return Problem(field, "is missing: add it")
    if error["type"] == "extra_forbidden":
        return Problem(field, _unknown_field(str(field[-1]), known_fields(schema, field[:-1], source.data)))
    if error["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        return Problem(field, _unknown_branch(field, source, schema))
    if error["type"] == "literal_error" and field[-1] == "kind":
        return Problem(field, f"unknown kind '{error['input']}'; known: {_choices(error)}")
    if error["type"] in {"dict_type", "model_type"} and _is_secret(_nodes(schema, field, source.data)):
        return Problem(field, _WHERE)  # without what was found there, which may be the secret
    named = f"{field[-1]} " if field else ""
    return Problem(field, _in_plain_words(error).removeprefix(named) + _got(error["input"]))


def _is_secret(nodes: Iterable[_Schema]) -> bool:
    return any(node.get("title") == "Secret" for node in nodes)


def _unknown_branch(field: FieldPath, source: Source, schema: _Schema) -> str:
    *around, tag = field
    known = ", ".join(tags_of(_nodes(schema, tuple(around), source.data)))
    data: Any = source.data
    for step in around:
        data = data[step]
    return (
        f"unknown {tag} {data[tag]!r}; known: {known}" if tag in data else f"is missing: add it; known: {known}"
    )


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


def known_fields(schema: _Schema, field: FieldPath, data: Any = None) -> list[str]:
    """Return the names of the fields that a JSON schema knows at a place in the data.

    Where a field of the data says which branch of a union it is (`kind: gitlab`), only that branch counts.
    """
    return sorted({name for node in _nodes(schema, field, data) for name in node.get("properties", {})})


def _nodes(schema: _Schema, field: FieldPath, data: Any) -> list[_Schema]:
    """Return what the schema allows at a place in the data."""
    nodes = choose(schema, alternatives(schema, schema), data)
    for step in field:
        data = _at(data, step)
        nodes = choose(schema, below(schema, nodes, step), data)
    return nodes


def _at(data: Any, step: str | int) -> Any:
    """Return what the data has at a field or place; None where there is nothing of the kind."""
    if isinstance(data, list) and isinstance(step, int):
        items = cast("Sequence[Any]", data)
        return items[step] if step < len(items) else None
    return cast("_Schema", data).get(str(step)) if isinstance(data, dict) else None
