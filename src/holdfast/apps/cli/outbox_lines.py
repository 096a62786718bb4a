"""Messages that people and programs type, checked before they are put."""

import json
from typing import Annotated, Any, Final, TextIO, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.outbox.message import ANSWERS, Message, Request
from holdfast.runbook.priorities import Priorities

_TEXT_LIMIT: Final = 4096
_NOTHING_WAS_PUT: Final = "; nothing was put"


class Line(BaseModel):
    """One message on stdin."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=300)
    chat: str | Annotated[int, Field(strict=True)]
    text: str = Field(min_length=1)
    tier: str = ""
    value: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    kind: str = "escalation"
    thread: str = Field(default="", pattern=r"^\d*$", coerce_numbers_to_str=True)


def read(stream: TextIO) -> list[tuple[str, Any]]:
    """Return what stands in each line, with how errors name it."""
    try:
        lines = [(n, text) for n, text in enumerate(stream, start=1) if text.strip()]
    except UnicodeDecodeError:
        raise InvalidInput(f"--lines: stdin is no UTF-8{_NOTHING_WAS_PUT}") from None
    if not lines:
        raise InvalidInput("--lines: stdin is empty; give it one JSON object a line")
    return [(f"line {number}: ", _object(text, number)) for number, text in lines]


def _object(text: str, number: int) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InvalidInput(f"line {number}: this is no JSON object{_NOTHING_WAS_PUT}")
    return cast("dict[str, Any]", content)


def line(where: str, content: Any) -> Line:
    """Check the form of one message; `where` is what errors begin with: a line's number, or the dashes."""
    try:
        return Line.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'][:1]))}: {_problem(e)}" for e in error.errors())
        raise InvalidInput(f"{where}{problems}{_NOTHING_WAS_PUT}") from None


def _problem(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing" | "string_too_short":
            return "is needed"
        case "extra_forbidden":
            return f"there is no such field; known: {', '.join(Line.model_fields)}"
        case "string_unicode":
            return "holds half of a character"
        case "string_pattern_mismatch":
            return "is the number of a topic"
        case _:
            return error["msg"]


def message(where: str, line: Line, priorities: Priorities) -> Message:
    """Check one message against the policy, and make it ready to be put."""
    _check(where, line, priorities)
    try:
        return Message(
            key=line.key,
            chat=str(line.chat),
            kind=line.kind,
            request=Request(method="sendMessage", params={"text": line.text}, plain=line.text),
            tier=line.tier,
            value=line.value,
            thread=line.thread,
            line=" ".join(line.text.split())[:200],
        )
    except ValidationError:
        wrong = f"{where}chat: '{line.chat}' is none; it is a number such as -1001, or @name"
        raise InvalidInput(f"{wrong}{_NOTHING_WAS_PUT}") from None


def _check(where: str, line: Line, priorities: Priorities) -> None:
    kinds = [name for name, kind in priorities.kinds.items() if kind.tier != ANSWERS]
    length = len(line.text.encode("utf-16-le")) // 2
    if line.tier and line.tier not in priorities.tiers:
        wrong = f"tier: {UnknownName('tier', line.tier, priorities.tiers)}"
    elif line.kind not in kinds:
        wrong = f"kind: {UnknownName('kind', line.kind, kinds)}"
    elif length > _TEXT_LIMIT:
        wrong = f"text: at most {_TEXT_LIMIT} characters as Telegram counts them; '{line.key}' has {length}"
    else:
        return
    raise InvalidInput(f"{where}{wrong}{_NOTHING_WAS_PUT}")
