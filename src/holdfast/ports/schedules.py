"""Load tests that begin by themselves."""

from datetime import datetime, timedelta
from typing import Protocol

from pydantic import BaseModel, Field

from holdfast.runbook.blackouts import Left


class LoadSchedule(BaseModel):
    """What a campaign's file says about when its load tests begin.

    Attributes:
        campaign: its name; there is one schedule a campaign.
        runbook: of the load test.
        digest: of the campaign's file.
        cron: five fields, on the clock of `time_zone`.
        begins, ends: no test begins before, or after.
        left_out: times of day in which none begins, as exactly as a calendar can say it.
    """

    campaign: str
    runbook: str
    title: str = ""
    digest: str = ""
    cron: str
    time_zone: str
    begins: datetime
    ends: datetime
    catch_up: timedelta = timedelta(minutes=10)
    jitter: timedelta | None = None
    left_out: list[Left] = Field(default_factory=list[Left])


class ScheduledRun(BaseModel):
    """A test that a schedule has started.

    Attributes:
        state: as the run shows it: `passed`, `not passed`, …; or how Temporal calls its end.
    """

    run: str
    at: datetime
    state: str = ""


class ScheduleLine(BaseModel):
    """A schedule as the server has it.

    Attributes:
        digest: of the campaign's file when the schedule was made or changed.
        paused, note: whether it rests, and what people noted.
        next_at: when tests begin next; jitter may move each. None are given while it rests.
        skipped: how often the server began no test because a run of the schedule was open.
        missed: how often none began because the server was down for too long.
        runs: the newest tests, newest first.
    """

    id: str
    campaign: str
    digest: str = ""
    paused: bool = False
    note: str = ""
    next_at: list[datetime] = Field(default_factory=list[datetime])
    skipped: int = 0
    missed: int = 0
    runs: list[ScheduledRun] = Field(default_factory=list[ScheduledRun])


class Schedules(Protocol):
    """Keeps the schedules of load tests, one a campaign.

    All methods raise `EngineUnavailable` when the server does not answer; those that name a campaign raise
    `UnknownName` where it has no schedule, except `apply`.
    """

    async def apply(self, wanted: LoadSchedule) -> bool:
        """Make the schedule, or change it to this; whether it rests, and why, stays. True when it is new."""
        ...

    async def pause(self, campaign: str, note: str) -> None:
        """Let no test begin until `resume`."""
        ...

    async def resume(self, campaign: str, note: str) -> None:
        """Let tests begin again."""
        ...

    async def remove(self, campaign: str) -> None:
        """Delete it; tests that run go on."""
        ...

    async def trigger(self, campaign: str) -> None:
        """Let a test begin now, also while the schedule rests; it skips itself while another one makes load."""
        ...

    async def all(self) -> list[ScheduleLine]:
        """Return every schedule, by the campaign's name."""
        ...
