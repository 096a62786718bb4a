"""Which run holds which system, and which run has frozen it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from pydantic import BaseModel

from holdfast.domain import run_phrases

EVERYTHING: Final = "*"
_FREEZE: Final = "freeze:"


def freeze_name(system: str) -> str:
    """Return the name that is held while a system is frozen; `*` stands for all systems."""
    return f"{_FREEZE}{system}"


class Holder(BaseModel):
    """Which run holds a system, in which of its stages, since when.

    Attributes:
        title: of its runbook.
        team: who owns the work, by its name in `people.yaml`.
        fix: nobody asks it to give way: an urgent mending, or a rollback.
        shares: others who share may hold the same name beside it, as freezes do.
        until: when it is going to let go, where that is known.
    """

    run: str
    stage: str = ""
    since: datetime | None = None
    title: str = ""
    team: str = ""
    fix: bool = False
    shares: bool = False
    until: datetime | None = None


class Held(BaseModel):
    """A system that another run holds.

    Attributes:
        first: the other run does not hold it, but goes first.
    """

    system: str
    by: Holder
    first: bool = False

    def describe(self) -> str:
        """Say it in one sentence part, e.g. `shop is held by rollout-4f7qk2mz (stage crm-pool, since …)`."""
        if self.first:
            return run_phrases.GOES_FIRST.format(system=self.system, run=self.by.run, title=self.by.title)
        since = f", since {self.by.since:%Y-%m-%d %H:%M:%S} UTC" if self.by.since else ""
        return f"{self.system} is held by {self.by.run} (stage {self.by.stage}{since})"

    def describe_freeze(self) -> str:
        """Say of a frozen system who has frozen it, until when, and what to do."""
        what = {"system": self.system, "run": self.by.run, "title": self.by.title or self.by.run}
        until = f"{self.by.until.astimezone(UTC):%Y-%m-%d %H:%M}" if self.by.until else ""
        said = (run_phrases.FROZEN_UNTIL if until else run_phrases.FROZEN).format(until=until, **what)
        return f"{said}. {run_phrases.AFTER_THE_FREEZE}"


class Freezes(Protocol):
    """Knows what is frozen; raises `Unavailable` where the server does not answer."""

    async def frozen(self, systems: Sequence[str]) -> list[Held]:
        """Return which of these are frozen, and by whom; a system that two have frozen is there twice."""
        ...


class Holds(Freezes, Protocol):
    """Keeps two runs from changing one system at once. A run that has ended holds nothing, however it ended.

    All methods raise `Unavailable` when the server does not answer; whether anything is held is not known then:
    call again.
    """

    async def claim(self, systems: Sequence[str], holder: Holder) -> Held | None:
        """Hold all of these for a run, or none of them; what it holds already stays held.

        A holder that shares gets all of them, beside the others who share.

        Returns:
            The first system that another run holds; None when all are held by this one.
        """
        ...

    async def release(self, systems: Sequence[str], run: str) -> None:
        """Let go of whichever of these the run holds."""
        ...

    async def goes_first(self, run: str, *, before: str) -> bool:
        """Whether this run still goes on, and an owner has approved there that it goes before the other one."""
        ...
