"""Which run is meant, where somebody did not say it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from holdfast.apps.bot.questions import Question
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.shelf import Shelf, meant_by
from holdfast.domain.errors import EngineUnavailable, InvalidInput
from holdfast.domain.ids import digest_of
from holdfast.domain.view import RunState, RunView
from holdfast.ports.runs import RunLine

_ENDED: Final = {state.value for state in RunState if state.ended} | {
    "completed",
    "failed",
    "canceled",
    "terminated",
    "timed_out",
}
_LOOKED_AT: Final = 100
_MOST_BUTTONS: Final = 20
_VIEW_WITHIN_SECONDS: Final = 3


@dataclass(frozen=True)
class Listed:
    """A run in a list.

    Attributes:
        view: None where the run cannot be asked, or need not be.
        title: what people read; of its runbook where the run does not say it.
    """

    line: RunLine
    view: RunView | None
    title: str

    @property
    def state(self) -> str:
        """Where it stands."""
        return self.view.state.value if self.view else self.line.status


def has_ended(line: RunLine) -> bool:
    """Whether nothing more will happen."""
    return line.status.lower() in _ENDED


class Picker:
    """Lists runs with what they show of themselves."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._shelf = Shelf(services)

    async def open(self, kind: str) -> list[Listed]:
        """Return the runs of a kind that have not ended, newest first."""
        lines = await self._services.runs.recent(limit=_LOOKED_AT)
        listed = await self.listed([line for line in lines if line.kind == kind and not has_ended(line)])
        return [run for run in listed if run.view is None or not run.view.state.ended]

    async def listed(self, lines: Iterable[RunLine]) -> list[Listed]:
        """Return these runs with what they show of themselves, as far as they answer soon."""
        return await asyncio.gather(*(self._listed(line) for line in lines))

    async def _listed(self, line: RunLine) -> Listed:
        view: RunView | None = None
        if not has_ended(line):
            try:
                async with asyncio.timeout(_VIEW_WITHIN_SECONDS):
                    view = await self._services.runs.view(line.run_id)
            except (EngineUnavailable, InvalidInput, TimeoutError):
                view = None
        return Listed(line, view, view.title if view else self._title(line))

    def _title(self, line: RunLine) -> str:
        return self._shelf.title(line.kind, line.runbook)


def which(
    runs: list[Listed], *, question: str, html: str, data: dict[str, str], step: bool = False
) -> Question:
    """Return the question which of these runs is meant; `picked` reads its answer.

    Args:
        runs: to choose from.
        question: id of the update that led to it.
        html: what is asked.
        data: what the asker needs besides.
        step: whether another question follows.
    """
    shown = runs[:_MOST_BUTTONS]
    prefix = "run." if step else ""
    options = tuple((f"{prefix}{digest_of(r.line.run_id)}", r.title or r.line.run_id) for r in shown)
    return Question(
        id=question,
        html=html,
        options=options,
        data={**data, "runs": " ".join(r.line.run_id for r in shown)},
    )


def picked(data: dict[str, str], answer: str) -> str:
    """Return the run that was chosen; empty where the answer is to another question."""
    return meant_by(answer.removeprefix("run."), data.get("runs", "").split())
