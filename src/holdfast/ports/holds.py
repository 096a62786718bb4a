from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel


class Holder(BaseModel):
    """Which run holds a system, in which of its stages, since when."""

    run: str
    stage: str = ""
    since: datetime | None = None


class Held(BaseModel):
    """A system that another run holds."""

    system: str
    by: Holder

    def describe(self) -> str:
        """Say it in one sentence part, e.g. `shop is held by rollout-4f7qk2mz (stage crm-pool, since …)`."""
        since = f", since {self.by.since:%Y-%m-%d %H:%M:%S} UTC" if self.by.since else ""
        return f"{self.system} is held by {self.by.run} (stage {self.by.stage}{since})"


class Holds(Protocol):
    """Keeps two runs from changing one system at once. A run that has ended holds nothing, however it ended."""

    async def claim(self, systems: Sequence[str], holder: Holder) -> Held | None:
        """Hold all of these for a run, or none of them; what it holds already stays held.

        Returns:
            The first system that another run holds; None when all are held by this one.

        Raises:
            Unavailable: the server does not answer; whether anything is held is not known: claim again.
        """
        ...

    async def release(self, systems: Sequence[str], run: str) -> None:
        """Let go of whichever of these the run holds; raises Unavailable as `claim` does."""
        ...
