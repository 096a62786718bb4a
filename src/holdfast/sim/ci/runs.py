from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CiAction = Literal["deploy", "rollback"]


class RunState(StrEnum):
    """Where a run stands; every face has its own words for it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELED = "canceled"


class CiRun(BaseModel):
    """One run of a pipeline with one job.

    Attributes:
        number: 1, 2, … in the order of starts; unique.
        name: pipeline, workflow or job, in the face's own words.
        key: what the client wants to find the run by; empty where it gave none. Nothing makes it unique.
        parameters: everything the client gave, as it gave it.
        canceling: whether a cancellation is under way.
        artifacts: content by path; `version.txt` after a success.
        log: what the job printed.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    number: int
    name: str
    action: CiAction
    part: str
    version: str
    key: str
    ref: str
    parameters: dict[str, str]
    created_at: datetime
    state: RunState = RunState.QUEUED
    started_at: datetime | None = None
    ended_at: datetime | None = None
    canceling: bool = False
    artifacts: dict[str, bytes] = Field(default_factory=dict)
    log: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state not in {RunState.QUEUED, RunState.RUNNING}

    def say(self, line: str) -> None:
        """Print a line in the job."""
        self.log += f"{line}\n"
