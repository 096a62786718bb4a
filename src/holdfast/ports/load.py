"""Where the figures of load tests are kept while they run and afterwards."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel, Field

from holdfast.domain.campaign import Go, TestLine
from holdfast.loadgen.report import Report


class KeptReport(BaseModel):
    """One report of one shard; `(run, shard, attempt, number)` names it.

    Attributes:
        attempt: grows each time another worker goes on with the shard, from 1.
        number: counts the attempt's reports, from 1.
    """

    run: str
    shard: int
    attempt: int = 1
    number: int
    report: Report


class KeptTest(BaseModel):
    """What a load test came to.

    Attributes:
        campaign: its name; empty for a test of its own.
        result: the whole `holdfast.loadgen.result.LoadResult` as JSON, for reports and comparisons.
    """

    run: str
    campaign: str = ""
    runbook: str
    at: datetime
    line: TestLine
    result: dict[str, Any] = Field(default_factory=dict)


class LoadLog(Protocol):
    """Keeps reports and results. All methods raise `Unavailable` when the store does not answer."""

    async def add(self, reports: Sequence[KeptReport]) -> None:
        """Keep reports; one that is there already stays as it was, so that repeating is harmless."""
        ...

    async def reports(self, run: str, *, after: int = 0) -> tuple[list[KeptReport], int]:
        """Return the run's reports that came after a mark, and the mark after them; 0 is the beginning."""
        ...

    async def finish(self, test: KeptTest) -> None:
        """Keep a result, once; what is kept again replaces it. The run's single reports may go then."""
        ...

    async def decided(self, run: str, go: Go, by: str) -> None:
        """Put down what people decided after a failed test."""
        ...

    async def tests(self, campaign: str, *, limit: int = 50) -> list[KeptTest]:
        """Return the tests of a campaign, newest first, without `result`."""
        ...

    async def test(self, run: str) -> KeptTest | None:
        """Return one test, whole; None where none is kept."""
        ...
