"""Where the series of campaigns are kept: what the watch saw, what happened, and the finished analysis."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel, Field

from holdfast.slo.status import Moment


class KeptMoment(BaseModel):
    """What the watch saw at one moment; `(run, at)` names it."""

    run: str
    campaign: str
    moment: Moment


class KeptCampaign(BaseModel):
    """One run of a campaign as it stands, or stood at its end.

    Attributes:
        view: the run's last view as JSON (`holdfast.domain.view.RunView`): tests, breaches, gates, timeline.
        spec: the file as it was pinned, as JSON.
        inventory: the message inventory as JSON, once it was taken.
    """

    run: str
    campaign: str
    client: str = ""
    opens: datetime
    closes: datetime
    view: dict[str, Any] = Field(default_factory=dict)
    spec: dict[str, Any] = Field(default_factory=dict)
    inventory: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])


class CampaignLog(Protocol):
    """Keeps campaigns beyond their runs. All methods raise `Unavailable` when the store does not answer."""

    async def saw(self, moments: Sequence[KeptMoment]) -> None:
        """Keep what was seen; what is there already stays as it was, so that repeating is harmless."""
        ...

    async def moments(
        self, run: str, *, since: datetime | None = None, limit: int | None = None
    ) -> list[Moment]:
        """Return what was seen in a run, oldest first, at most so many from a moment on.

        Those of a month at once would be gigabytes.
        """
        ...

    async def keep(self, campaign: KeptCampaign) -> None:
        """Keep a campaign as it stands; what is kept again replaces it."""
        ...

    async def campaign(self, run: str) -> KeptCampaign | None:
        """Return one campaign by its run; None where none is kept."""
        ...

    async def campaigns(self, campaign: str = "", *, limit: int = 20) -> list[KeptCampaign]:
        """Return campaigns of this name, or of all, the newest window first, without views and specs."""
        ...
