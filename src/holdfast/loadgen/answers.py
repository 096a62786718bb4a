"""What an answer must be, and what is taken from it."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.runbook.kinds.load_scenario import Check, Extract

_MISSING = object()
_decoded = json.JSONDecoder().raw_decode
_OBJECT = ord("{")
_NO_VALUES: Mapping[str, Any] = {}

Getter = Callable[[Any], Any]


class Rules:
    """The checks and extracts of one step, compiled.

    Attributes:
        statuses: that are good.
        plain: nothing but the status is asked.
        needs_body, needs_headers: what has to be kept of an answer.
    """

    __slots__ = (
        "_contains",
        "_extracts",
        "_json",
        "_parses",
        "_within",
        "needs_body",
        "needs_headers",
        "plain",
        "statuses",
    )

    def __init__(self, check: Check, extracts: Mapping[str, Extract]) -> None:
        self.statuses = frozenset(check.status)
        self._within = check.within.total_seconds() if check.within else None
        self._contains = check.contains.encode()
        self._json = tuple((_getter(path), expected) for path, expected in check.json_values.items())
        self._extracts = tuple((name, *_compiled(extract)) for name, extract in extracts.items())
        self.needs_headers = any(extract.header is not None for extract in extracts.values())
        in_body = any(extract.header is None for extract in extracts.values())
        self.needs_body = bool(self._contains or self._json or in_body)
        self._parses = bool(self._json) or any(e.json_path is not None for e in extracts.values())
        self.plain = not (self.needs_body or self.needs_headers or self._within is not None)

    def judged(
        self, status: int, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> tuple[str, Mapping[str, Any]]:
        """Judge an answer.

        Args:
            status: of the answer.
            body: of the answer; empty if it is not needed.
            headers: by name in small letters; empty if they are not needed.
            seconds: from the moment of the request to the answer's end.

        Returns:
            The kind of error, empty for none, and the values that were asked for.
        """
        if status not in self.statuses:
            return f"status_{status}", _NO_VALUES
        if self._within is not None and seconds > self._within:
            return "check_within", _NO_VALUES
        if self._contains and self._contains not in body:
            return "check_contains", _NO_VALUES
        found = parsed(body) if self._parses else _MISSING
        for get, expected in self._json:
            value = get(found)
            # In JSON `true` is not 1, in Python it is.
            if value != expected or isinstance(value, bool) != isinstance(expected, bool):
                return "check_json", _NO_VALUES
        return self._extracted(found, body, headers) if self._extracts else ("", _NO_VALUES)

    def _extracted(self, found: Any, body: bytes, headers: Mapping[str, str]) -> tuple[str, Mapping[str, Any]]:
        values = {name: read(found, body, headers, place) for name, read, place in self._extracts}
        return ("extract", _NO_VALUES) if _MISSING in values.values() else ("", values)


def _compiled(extract: Extract) -> tuple[Any, Any]:
    if extract.json_path is not None:
        return _from_json, _getter(extract.json_path)
    if extract.header is not None:
        return _from_header, extract.header.lower()
    return _from_regex, re.compile((extract.regex or "").encode())


def _from_json(found: Any, body: bytes, headers: Mapping[str, str], place: Getter) -> Any:
    del body, headers
    value = place(found)
    return _MISSING if value is None else value


def _from_header(found: Any, body: bytes, headers: Mapping[str, str], place: str) -> Any:
    del found, body
    return headers.get(place, _MISSING)


def _from_regex(found: Any, body: bytes, headers: Mapping[str, str], place: re.Pattern[bytes]) -> Any:
    del found, headers
    match = place.search(body)
    return _MISSING if match is None or match[1] is None else match[1].decode(errors="replace")


def _getter(dotted: str) -> Getter:
    """Return what reads a dotted path; most paths are one name in an object."""
    path = tuple(dotted.split("."))
    name, *further = path
    if further:
        return lambda value: _at(value, path)
    return lambda value: value.get(name, _MISSING) if type(value) is dict else _at(value, path)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportUnknownLambdaType]  any JSON


def parsed(body: bytes) -> Any:
    """Return the JSON value of a body, as `json.loads` does, or a value that is nowhere in JSON.

    An object without anything around it goes to the scanner at once, which takes a third of the time.
    """
    if body and body[0] == _OBJECT:
        try:
            text = body.decode()
            value, end = _decoded(text)
        except (ValueError, RecursionError):
            pass
        else:
            if end == len(text):
                return value
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _MISSING


def _at(value: Any, path: tuple[str, ...]) -> Any:
    """Return what stands at a path in a JSON value: names in objects, numbers in lists."""
    for part in path:
        if isinstance(value, dict) and part in value:
            value = value[part]  # pyright: ignore[reportUnknownVariableType]  any JSON
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):  # pyright: ignore[reportUnknownArgumentType]
            value = value[int(part)]  # pyright: ignore[reportUnknownVariableType]
        else:
            return _MISSING
    return value  # pyright: ignore[reportUnknownVariableType]
