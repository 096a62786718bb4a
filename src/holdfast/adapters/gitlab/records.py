"""What GitLab's REST v4 answers, as far as it is read here."""

from typing import Final

from pydantic import BaseModel, TypeAdapter

from holdfast.ports.pipelines import RunStatus

_STATUS: Final = {
    "created": RunStatus.QUEUED,
    "waiting_for_resource": RunStatus.QUEUED,
    "preparing": RunStatus.QUEUED,
    "pending": RunStatus.QUEUED,
    "manual": RunStatus.QUEUED,
    "scheduled": RunStatus.QUEUED,
    "waiting_for_callback": RunStatus.RUNNING,
    "running": RunStatus.RUNNING,
    "canceling": RunStatus.RUNNING,
    "success": RunStatus.SUCCEEDED,
    "failed": RunStatus.FAILED,
    "skipped": RunStatus.FAILED,
    "canceled": RunStatus.CANCELLED,
}
_WAITS: Final = {
    "created": "is about to begin",
    "waiting_for_resource": "waits until another pipeline frees a resource",
    "preparing": "is being prepared",
    "pending": "waits for a runner",
    "manual": "waits for somebody who starts a manual job",
    "scheduled": "waits for the time of a delayed job",
    "canceling": "is being cancelled",
    "skipped": "all jobs were skipped",
}


class PipelineRecord(BaseModel):
    """One pipeline, from a list or alone."""

    id: int
    status: str
    source: str = ""
    updated_at: str = ""
    web_url: str = ""

    @property
    def stands(self) -> RunStatus:
        """Where it stands; a word that GitLab may add later is not over, so that nobody builds on it."""
        return _STATUS.get(self.status, RunStatus.RUNNING)

    @property
    def waits(self) -> str:
        """What people should know while nothing happens; empty where all is usual."""
        return _WAITS.get(self.status, "")


class JobRecord(BaseModel):
    """One job of a pipeline."""

    id: int
    name: str
    status: str
    started_at: str | None = None
    failure_reason: str = ""

    @property
    def comes(self) -> bool:
        """Whether it runs without anybody's help, while its pipeline is not over."""
        return self.status not in {"manual", "skipped", "canceled"}


class Marks(BaseModel):
    """What we wrote into a pipeline's variables; empty where it is not ours."""

    key: str = ""
    part: str = ""


class VariableRecord(BaseModel):
    """One variable of a pipeline."""

    key: str
    value: str = ""


PIPELINES: Final = TypeAdapter(list[PipelineRecord])
JOBS: Final = TypeAdapter(list[JobRecord])
VARIABLES: Final = TypeAdapter(list[VariableRecord])
