"""What every model said of every share, kept beyond the run, so that models can be compared."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel

from holdfast.verdict.observation import Outcome
from holdfast.verdict.scores import Judged, Label


class KeptVerdict(BaseModel):
    """One verdict of one model; `(run_id, stage, share_percent, model, at)` names it.

    Attributes:
        runbook: name of the runbook.
        service: what the judged system is called on call edges; empty where the file has none.
        watch_started_at: when this share began to be watched.
        deciding: whether the rollout followed it.
    """

    run_id: str
    runbook: str
    service: str = ""
    stage: str
    share_percent: int
    model: str
    deciding: bool
    at: datetime
    watch_started_at: datetime
    outcome: Outcome
    risk_percent: int
    reason: str = ""


class ReleaseLabel(BaseModel):
    """What a review found of one stage of one run; a later label replaces an earlier one."""

    run_id: str
    stage: str
    label: Label
    fault: str = ""
    why: str = ""
    person: str
    at: datetime


class VerdictLog(Protocol):
    """Keeps verdicts and labels."""

    async def keep(self, verdicts: Sequence[KeptVerdict]) -> None:
        """Keep verdicts; one that is there already stays as it was, so that repeating is harmless."""
        ...

    async def label(self, label: ReleaseLabel) -> None:
        """Say whether a stage was good or bad.

        Raises:
            InvalidInput: no verdict was ever kept of that stage; the text lists the stages that are known.
        """
        ...

    async def judged(
        self, *, since: datetime | None = None, runbook: str | None = None
    ) -> tuple[list[Judged], str]:
        """Return each stage that was judged, newest first, and the name of the newest deciding model.

        `Judged.id` is `run/stage`, `service` the runbook, `day` its date, `stops` the first stop of each model
        over all shares, in minutes since the first verdict's watch began.
        """
        ...

    async def watched_beside(self, run_id: str, *, since: datetime) -> list[str]:
        """Return the services of other runs of which a verdict was kept since then, sorted, each once."""
        ...
