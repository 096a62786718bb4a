from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

WEATHER: Final = (
    "runners",
    "queue_seconds",
    "job_seconds",
    "requests_per_minute",
    "failing_versions",
    "drop_starts",
    "visible_after_seconds",
)


class CiSettings(BaseModel):
    """How one CI system is set up, and what its days are like.

    Attributes:
        token: what requests have to bring.
        user: to whom the token belongs, where a face wants to know.
        deploy_name, rollback_name: what the face calls its pipeline, workflow or job.
        initial_version: deployed to every part at first.
        parts: what can be deployed to.
        refs: branches that exist.
        runners: jobs at once; others queue, oldest first.
        queue_seconds: how long a runner takes to pick a job up.
        job_seconds: how long a job takes.
        cancel_seconds: how long a running job takes to end when it is cancelled.
        requests_per_minute: what clients may ask for in a minute, all together.
        window_seconds: how long such a budget is counted before it begins anew.
        visible_after_seconds: a run that was started is in lists only after this; by its number it is
            there at once.
        failing_versions: a job that deploys one of these fails halfway.
        drop_starts: that many starts are accepted, and the connection breaks before the answer.
        deployments_file: keeps runs and deployments over a restart; nothing is kept without it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str = Field(repr=False, min_length=1)
    user: str = "holdfast"
    deploy_name: str = "deploy"
    rollback_name: str = "rollback"
    initial_version: str = "1.4.2"
    parts: tuple[str, ...] = ("canary", "stable", "all")
    refs: tuple[str, ...] = ("main",)
    runners: int = Field(default=2, ge=0)
    queue_seconds: float = Field(default=0.2, ge=0)
    job_seconds: float = Field(default=0.5, ge=0)
    cancel_seconds: float = Field(default=0.1, ge=0)
    requests_per_minute: int = Field(default=6000, ge=0)
    window_seconds: float = Field(default=60.0, gt=0)
    visible_after_seconds: float = Field(default=0.0, ge=0)
    failing_versions: frozenset[str] = frozenset()
    drop_starts: int = Field(default=0, ge=0)
    deployments_file: Path | None = None

    def changed(self, wanted: dict[str, Any]) -> "CiSettings":
        """Return the settings with those fields set; for values that a program knows to be right.

        Raises:
            ValueError: an unknown field, or a value that a field does not take; the text says which.
        """
        return CiSettings.model_validate({**self.model_dump(), **wanted})

    @property
    def weather(self) -> dict[str, Any]:
        """What may change while the system runs, ready for JSON."""
        return self.model_dump(mode="json", include=set(WEATHER))

    @property
    def visible_after(self) -> timedelta:
        """`visible_after_seconds` as a duration."""
        return timedelta(seconds=self.visible_after_seconds)
