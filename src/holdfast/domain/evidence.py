"""What an approval rests on: when it changes, the approval is void."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from holdfast.domain.ids import digest_of


class Evidence(BaseModel):
    """Plan, file version, risk inputs and target state, as they were when people were asked.

    Attributes:
        plan: what would be done, as data.
        file: digest of the runbook file.
        risk: what the risk is judged by: the settings of the scoring, and a verdict's numbers where there is
            one.
        target: everything that is set at the target.
        wanted: what would be set instead, setting by setting.
        taken_at: when this was looked at; not part of the digest.
    """

    plan: dict[str, Any] = Field(default_factory=dict[str, Any])
    file: str = ""
    risk: dict[str, Any] = Field(default_factory=dict[str, Any])
    target: dict[str, Any] = Field(default_factory=dict[str, Any])
    wanted: dict[str, Any] = Field(default_factory=dict[str, Any])
    taken_at: datetime

    @property
    def digest(self) -> str:
        """The short name of this evidence: another one, another question."""
        # A later look that finds the same is the same evidence, and what was approved stays approved.
        facts = self.model_dump(mode="json", exclude={"taken_at"})
        return digest_of(_text(facts))

    def changes_since(self, earlier: "Evidence") -> list[str]:
        """Say what is different from an earlier look, one line each; empty when nothing is."""
        before, after = (e.model_dump(mode="json") for e in (earlier, self))
        parts = {"plan": "plan", "risk": "risk input", "target": "target's", "wanted": "wanted"}
        return [
            *_value("the runbook file", _given(before, "file"), _given(after, "file")),
            *(line for part, what in parts.items() for line in _values(what, before[part], after[part])),
        ]

    def diff(self) -> list[tuple[str, str, str]]:
        """Return each setting that would change, with its value before and after."""
        return [(name, _shown(self.target, name), str(value)) for name, value in self.wanted.items()]

    @property
    def replaced(self) -> dict[str, Any]:
        """The settings that would be replaced, as they are."""
        return {name: self.target[name] for name in self.wanted if name in self.target}


def _values(what: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *after]):
        yield from _value(f"{what} {name}", _given(before, name), _given(after, name))


def _given(values: dict[str, Any], name: str) -> tuple[Any, ...]:
    return (values[name],) if name in values else ()


def _value(what: str, before: tuple[Any, ...], after: tuple[Any, ...]) -> Iterator[str]:
    """Compare as the digest does, so that both agree: `8` and `"8"` differ, an order of keys does not."""
    if _text(before) != _text(after):
        words = [_words(value) for value in (before, after)]
        if words[0] == words[1]:
            words = [_text(value[0]) if value else "nothing" for value in (before, after)]
        yield f"{what}: {words[0]} → {words[1]}"


def _words(value: tuple[Any, ...]) -> str:
    return str(value[0]) if value and value[0] != "" else "nothing"


def _text(facts: Any) -> str:
    return json.dumps(facts, sort_keys=True)


def _shown(values: dict[str, Any], name: str) -> str:
    return str(values[name]) if name in values else ""
