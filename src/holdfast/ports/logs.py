"""Structured logs of the messages that a client's systems exchange."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from holdfast.ports.inventory import LogSummary


class LoggedMessage(BaseModel):
    """All that logs say of one message: `name`, from `sender` to `receiver`.

    Attributes:
        timed, sized: how many of the lines said the time it took, and its size.
        p50, p95, p99: seconds.
    """

    name: str
    sender: str
    receiver: str
    count: int = 0
    failed: int = 0
    timed: int = 0
    sized: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    bytes_mean: float | None = None
    bytes_p95: float | None = None


class MessageLogs(Protocol):
    """Reads logs."""

    def read(
        self, files: Sequence[Path], *, since: datetime, until: datetime
    ) -> tuple[list[LoggedMessage], LogSummary]:
        """Count the messages of a stretch, the beginning included, the end not.

        Lines that are no message are counted and left out.

        Raises:
            InvalidInput: a file cannot be read; the text names it.
        """
        ...
