from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict


class Action(StrEnum):
    """What a pipeline is started for."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"


class RunStatus(StrEnum):
    """Where a pipeline run stands, whatever the system calls it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED}


class PipelineOrder(BaseModel):
    """One run of a pipeline that is wanted, at most once under its key.

    Attributes:
        system: name of the pipeline in `systems.yaml`.
        action: deploy, or the documented rollback.
        part: `canary`, `stable` or `all`.
        version: the artefact's version that has to be there afterwards.
        key: goes along as a parameter, so that the run can be found again.
        parameters: what the runbook gives besides.
    """

    model_config = ConfigDict(frozen=True)

    system: str
    action: Action
    part: str
    version: str
    key: str
    parameters: dict[str, str] = {}


class PipelineRun(BaseModel):
    """A run as its system shows it.

    Attributes:
        id: names the run at its system, for as long as it exists there; a queued run may get another id when it
            begins, then `look` returns the new one.
        url: where people look at it.
        said: what people should know, e.g. `job deploy-canary failed: exit code 1`, `waits for an executor`.
    """

    id: str
    status: RunStatus
    url: str = ""
    said: str = ""


class Deployed(BaseModel):
    """What a pipeline has deployed to one part.

    Attributes:
        version: the artefact's version, from the newest run that succeeded; empty where there was none.
        unsettled: key of a newer run that began and did not succeed, or is not over; its words are in `doubt`.
            A run that somebody else started is named by its address.
    """

    version: str
    unsettled: str = ""
    doubt: str = ""


class Pipelines(Protocol):
    """The pipelines of one CI system. Retries nothing itself.

    All methods raise `Unavailable` (with `retry_after_seconds` where the system said so) when there is no
    answer or a rate limit is used up, `UnknownName` for a pipeline that is not in `systems.yaml`, and
    `InvalidInput` with the system's own words when it refuses: no such branch, no such job, a wrong token.
    """

    async def find(self, order: PipelineOrder) -> PipelineRun | None:
        """Return the run that was started under this key, queued ones too; None where none is to be seen yet.

        The oldest, if there should be two.
        """
        ...

    async def start(self, order: PipelineOrder) -> PipelineRun | None:
        """Start a run; None where the system took it and does not say which one it became: then find it.

        Raises:
            Unavailable: there was no answer; whether it was started is not known: find it before another start.
        """
        ...

    async def look(self, order: PipelineOrder, run_id: str) -> PipelineRun:
        """Return the run as it is now."""
        ...

    async def cancel(self, order: PipelineOrder, run_id: str) -> None:
        """Ask for an end of the run; it ends a little later, or not if it was over."""
        ...

    async def deployed(self, system: str, part: str) -> Deployed:
        """Return which version is deployed to the part."""
        ...
