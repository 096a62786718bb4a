"""What the kinds of runbooks have in common that people start from a chat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from holdfast.domain.people import Person
from holdfast.domain.strict import Strict


class Draft(BaseModel):
    """A start that somebody is putting together; kept over restarts.

    Attributes:
        id: of the update that began it; the run is named after it.
        kind: of the runbook.
        runbook, pace, title, tier, value: as typed or chosen; empty while they are not known.
        step_by_step: nothing was typed, so that everything is asked for that can be chosen.
        digest: of the runbook that was shown; what is started must be what was confirmed.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    kind: str
    runbook: str = ""
    pace: str = ""
    title: str = ""
    tier: str = ""
    value: str = ""
    step_by_step: bool = False
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Field:
    """An argument.

    Attributes:
        name: of the draft's attribute.
        question: HTML.
        other: what stands beside the confirmation on the button of another choice.
        choices: what it may be; None where anything may be written.
        needed: whether it is asked for even of those who typed something.
    """

    name: str
    question: str
    other: str = ""
    choices: Callable[[Draft], Sequence[str]] | None = None
    needed: bool = False


class Startable(Protocol):
    """A kind of runbook that people start from a chat."""

    @property
    def kind(self) -> str:
        """Of the runbooks."""
        ...

    @property
    def fields(self) -> tuple[Field, ...]:
        """The arguments, in the order in which they are asked for."""
        ...

    @property
    def start_button(self) -> str:
        """What stands on the button that starts it."""
        ...

    def read(self, typed: str, draft: Draft, names: Sequence[str]) -> Draft:
        """Put in what was typed after the command.

        Raises:
            InvalidInput: a word is one too many, or makes no sense; the text names it.
        """
        ...

    def completed(self, draft: Draft) -> Draft:
        """Put in what is usual where nothing was said."""
        ...

    def check(self, person: Person, draft: Draft, spec: Strict) -> None:
        """Return when this person may start it so.

        Raises:
            DecisionRefused: not this person; the text says who may.
            InvalidInput: it cannot be started so; the text names the argument.
        """
        ...

    async def preview(self, person: Person, draft: Draft, spec: Strict) -> str:
        """Return as HTML what will happen."""
        ...

    async def start(self, person: Person, draft: Draft, *, run: str) -> bool:
        """Start it; False when the run was there already."""
        ...

    def may_start(self, spec: Strict) -> tuple[str, ...]:
        """Return the roles and names of those who may start it."""
        ...

    def steps(self, spec: Strict) -> list[str]:
        """Return as HTML what it does, line by line."""
        ...
