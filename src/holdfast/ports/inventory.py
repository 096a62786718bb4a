"""Which messages the contexts of a client's system exchange: rate, size, latency and errors."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, Field

from holdfast.runbook.kinds.campaign import Message

Source = Literal["metrics", "logs", ""]


class InventoryLine(BaseModel):
    """One message over a stretch of time; each `…_from` says where its number comes from, empty for nowhere.

    Attributes:
        name: of the campaign's file; what only the logs know has its name there.
        listed: the campaign's file has it.
        rate: messages a second.
        bytes_mean, bytes_p95: of one message; percentiles of sizes are in logs only.
        p50, p95, p99: seconds.
        errors_percent: of the messages.
        logged: how many lines of the logs it rests on.
        logs_rate: what the logs say where the metrics say the rate too.
        problems: what could not be asked, one sentence each.
    """

    name: str
    title: str = ""
    sender: str
    receiver: str
    listed: bool = True
    rate: float | None = None
    rate_from: Source = ""
    bytes_mean: float | None = None
    bytes_p95: float | None = None
    bytes_from: Source = ""
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    latency_from: Source = ""
    errors_percent: float | None = None
    errors_from: Source = ""
    logged: int = 0
    logs_rate: float | None = None
    problems: list[str] = Field(default_factory=list[str])


class LogSummary(BaseModel):
    """What was read of the logs.

    Attributes:
        lines: that were read.
        outside: well formed, but not of the stretch.
        malformed: that are no message; `first_malformed` says where the first one is and what is wrong.
        first, last: of the messages within the stretch.
    """

    files: int = 0
    lines: int = 0
    outside: int = 0
    malformed: int = 0
    first_malformed: str = ""
    first: datetime | None = None
    last: datetime | None = None


class Inventory(BaseModel):
    """The messages over a stretch, and what it rests on."""

    since: datetime
    until: datetime
    lines: list[InventoryLine] = Field(default_factory=list[InventoryLine])
    logs: LogSummary | None = None


class InventoryTaking(Protocol):
    """Takes the inventory from metrics and logs."""

    async def take(
        self,
        messages: Sequence[Message],
        *,
        since: datetime,
        until: datetime,
        logs: Sequence[Path] | None = None,
    ) -> Inventory:
        """Ask for each message of a campaign's file.

        Args:
            messages: of the file.
            since: the stretch's beginning.
            until: its end.
            logs: files to read beside the metrics; None for those that are read always.

        A query that is wrong or gets no answer leaves its number out and says so in `problems`.

        Raises:
            InvalidInput: the stretch is none, or a file of the logs cannot be read.
        """
        ...
