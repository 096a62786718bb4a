"""What simulated customers do: the scenarios of `kind: load`, their requests, and what makes a good answer."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from holdfast.domain.strict import Duration, Strict
from holdfast.runbook.systems import Secret

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Variable = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
# What every session has without saying so.
BUILT_IN: frozenset[str] = frozenset({"session", "now", "update_id", "message_id", "chat_id"})


class Range(Strict):
    """A whole number, drawn evenly for each session, both ends included."""

    low: int = Field(alias="from")
    high: int = Field(alias="to")

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low > self.high:
            raise ValueError("'from' must not be above 'to'")
        return self


Choices = Annotated[tuple[str | int | float, ...], Field(min_length=1)]


class Extract(Strict):
    """Where a value of the answer is; the first that fits counts. A session whose value is missing ends there.

    Attributes:
        json_path: dotted path into the JSON body: `ticket`, `result.items.0.id`.
        header: name of a header.
        regex: first group of the first match in the body.
    """

    json_path: str | None = Field(default=None, alias="json")
    header: str | None = None
    regex: str | None = None

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if sum(place is not None for place in (self.json_path, self.header, self.regex)) != 1:
            raise ValueError("give one of 'json', 'header', 'regex'")
        if self.regex is not None and not _groups(self.regex):
            raise ValueError("'regex' needs a group: the part in brackets is the value")
        return self


class Check(Strict):
    """What makes an answer a good one; whatever fails counts as an error of the step.

    Attributes:
        status: statuses that are good.
        within: time from the intended start to the answer's end, of this request.
        contains: text that must be in the body.
        json_values: dotted path into the JSON body, and what must stand there.
    """

    status: tuple[Annotated[int, Field(ge=100, le=599)], ...] = (200, 201, 202, 204)
    within: Duration | None = None
    contains: str = ""
    json_values: dict[str, Any] = Field(default_factory=dict, alias="json")


class Http(Strict):
    """One HTTP request. `{name}` in path, headers, body and JSON texts stands for a variable.

    A JSON text that is nothing but one `{name}` becomes the variable itself, a number stays a number.
    """

    target: Name
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = "GET"
    path: str = Field(default="/", pattern=r"^/")
    headers: dict[str, str] = Field(default_factory=dict)
    json_body: Any = Field(default=None, alias="json")
    body: str | None = None

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if self.json_body is not None and self.body is not None:
            raise ValueError("give 'json' or 'body', not both")
        return self


class TelegramUpdate(Strict):
    """One update of a customer's private chat, posted to a bot's webhook as Telegram would.

    Attributes:
        target: the bot.
        path: of its webhook.
        secret_token: goes along as `X-Telegram-Bot-Api-Secret-Token`.
        text: what the customer writes; a `/command` gets its entity.
        tap: callback data of a tapped button, in place of text.
    """

    target: Name
    path: str = Field(default="/telegram/webhook", pattern=r"^/")
    secret_token: Secret | None = None
    text: str = ""
    tap: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if bool(self.text) == bool(self.tap):
            raise ValueError("give 'text', or 'tap' for the tap of a button")
        return self


class Think(Strict):
    """How long the customer waits before the next step, drawn evenly."""

    low: Duration = Field(alias="from")
    high: Duration = Field(alias="to")

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low > self.high:
            raise ValueError("'from' must not be above 'to'")
        return self


class Step(Strict):
    """One request of a scenario.

    Attributes:
        name: unique in the file; measured under it.
        context: the bounded context that serves it; its figures are those of its steps.
        extract: values for the later steps, by variable.
        think: after the answer, before the next step.
        timeout: after which the request is given up and counts as an error.
    """

    name: Name
    context: Name = "service"
    http: Http | None = None
    telegram: TelegramUpdate | None = None
    extract: dict[Variable, Extract] = Field(default_factory=dict)
    check: Check = Check()
    think: Think | Duration | None = None
    timeout: Duration = timedelta(seconds=30)

    @model_validator(mode="after")
    def _is_one_request(self) -> Self:
        if (self.http is None) == (self.telegram is None):
            raise ValueError("give a step either 'http' or 'telegram'")
        return self

    @property
    def target(self) -> str:
        """The target's name."""
        request = self.http or self.telegram
        return request.target if request else ""

    @property
    def placeholders(self) -> set[str]:
        """The variables that the request needs."""
        request = self.http or self.telegram
        return set(_placeholders(request.model_dump(by_alias=True))) if request else set()


class Scenario(Strict):
    """What one kind of customer does.

    Attributes:
        weight: how often it is chosen, in proportion to the others.
        variables: drawn anew for each session: a range of numbers, or one of a list.
    """

    name: Name
    title: str = Field(default="", max_length=120)
    weight: float = Field(default=1, gt=0, allow_inf_nan=False)
    variables: dict[Variable, Range | Choices] = Field(default_factory=dict)
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _knows_its_variables(self) -> Self:
        known = BUILT_IN | self.variables.keys()
        for step in self.steps:
            unknown = step.placeholders - known
            if unknown:
                raise ValueError(
                    f"step '{step.name}' uses {{{min(unknown)}}}: no variable and no extract before gives it"
                )
            known |= step.extract.keys()
        return self


def _groups(regex: str) -> int:
    try:
        return re.compile(regex).groups
    except re.error as error:
        raise ValueError(f"'regex' is none: {error}") from None


def _placeholders(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _PLACEHOLDER.findall(value)
    elif isinstance(value, dict):
        for part in value.values():  # pyright: ignore[reportUnknownVariableType]  any JSON
            yield from _placeholders(part)
    elif isinstance(value, list | tuple):
        for part in value:  # pyright: ignore[reportUnknownVariableType]  any JSON
            yield from _placeholders(part)
