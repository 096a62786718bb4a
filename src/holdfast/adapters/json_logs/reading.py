"""Counts messages in structured logs, line by line, in as little memory as a histogram takes.

A line is a JSON object: `at` (ISO 8601 with its offset), `message`, `from`, `to`, and where they are known
`seconds`, `bytes`, `ok` (true where nothing says otherwise). Other fields are left alone; docs/reports.md says
more.
"""

import gzip
import zlib
from array import array
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from holdfast.domain.errors import InvalidInput
from holdfast.loadgen.histogram import Histogram
from holdfast.ports.inventory import LogSummary
from holdfast.ports.logs import LoggedMessage

_BATCH: Final = 10_000  # numbers that wait for their histogram
_LONGEST_LINE: Final = 1_000_000
_GZIP: Final = b"\x1f\x8b"
_MICROSECONDS: Final = 1_000_000.0

_Text = Annotated[str, Field(min_length=1, max_length=200)]
_Key = tuple[str, str, str]


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore")

    at: AwareDatetime
    message: _Text
    sender: _Text = Field(alias="from")
    receiver: _Text = Field(alias="to")
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    bytes: Annotated[int, Field(ge=0)] | None = None
    ok: bool = True


@dataclass
class _Numbers:
    """Adds numbers up in a histogram, a batch at a time."""

    held: Histogram = field(default_factory=Histogram.empty)
    waiting: "array[float]" = field(default_factory=lambda: array("d"))
    count: int = 0
    total: float = 0.0

    def add(self, value: float) -> None:
        self.waiting.append(value)
        self.count += 1
        self.total += value
        if len(self.waiting) >= _BATCH:
            self._empty()

    def percentiles(self, *percents: float) -> list[float | None]:
        self._empty()
        return list(self.held.percentiles(percents)) if self.count else [None] * len(percents)

    def _empty(self) -> None:
        if self.waiting:
            self.held = self.held.add(Histogram.of(self.waiting))
            self.waiting = array("d")


@dataclass
class _Tally:
    count: int = 0
    failed: int = 0
    micros: _Numbers = field(default_factory=_Numbers)
    sizes: _Numbers = field(default_factory=_Numbers)

    def add(self, line: _Line) -> None:
        self.count += 1
        self.failed += not line.ok
        if line.seconds is not None:
            self.micros.add(line.seconds * _MICROSECONDS)
        if line.bytes is not None:
            self.sizes.add(float(line.bytes))


class JsonLogs:
    """Logs of JSON lines, plain or gzip; see `holdfast.ports.logs.MessageLogs`.

    Percentiles are to a thousandth; of sizes above 3.6 GB it is not known how much above.
    """

    def read(
        self, files: Sequence[Path], *, since: datetime, until: datetime
    ) -> tuple[list[LoggedMessage], LogSummary]:
        """Count the messages of a stretch; errors as the port says."""
        counting = _Counting(since, until)
        for path in files:
            counting.file(path)
        return counting.messages(), counting.summary


class _Counting:
    """Goes through the files once."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self._since, self._until = since, until
        self._tallies: dict[_Key, _Tally] = {}
        self.summary = LogSummary()

    def file(self, path: Path) -> None:
        self.summary.files += 1
        try:
            with path.open("rb") as file:
                compressed = file.read(len(_GZIP)) == _GZIP
            with closing(gzip.open(path, "rb") if compressed else path.open("rb")) as file:
                for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
                    self._line(path, number, line)
        except (OSError, EOFError, zlib.error) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise InvalidInput(f"--logs: {path} cannot be read: {why}") from None

    def messages(self) -> list[LoggedMessage]:
        return [_message(key, self._tallies[key]) for key in sorted(self._tallies)]

    def _line(self, path: Path, number: int, raw: bytes) -> None:
        if not raw.strip():
            return
        summary = self.summary
        summary.lines += 1
        try:
            line = _Line.model_validate_json(raw)
        except ValidationError as error:
            summary.malformed += 1
            summary.first_malformed = summary.first_malformed or f"{path}:{number}: {_wrong(error)}"
            return
        if not self._since <= line.at < self._until:
            summary.outside += 1
            return
        summary.first = min(summary.first or line.at, line.at)
        summary.last = max(summary.last or line.at, line.at)
        self._tallies.setdefault((line.message, line.sender, line.receiver), _Tally()).add(line)


def _wrong(error: ValidationError) -> str:
    """Say what is wrong with a line, never what is in it: logs hold what customers wrote."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(map(str, first["loc"]))
    return f"{name}: {first['msg']}" if name else "no JSON object"


def _message(key: _Key, tally: _Tally) -> LoggedMessage:
    name, sender, receiver = key
    latencies = [None if v is None else v / _MICROSECONDS for v in tally.micros.percentiles(50, 95, 99)]
    (largest,) = tally.sizes.percentiles(95)
    return LoggedMessage(
        name=name,
        sender=sender,
        receiver=receiver,
        count=tally.count,
        failed=tally.failed,
        timed=tally.micros.count,
        sized=tally.sizes.count,
        p50=latencies[0],
        p95=latencies[1],
        p99=latencies[2],
        bytes_mean=tally.sizes.total / tally.sizes.count if tally.sizes.count else None,
        bytes_p95=largest,
    )
