"""Where the figures of load tests are kept while they run and afterwards."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel, Field

from holdfast.domain.campaign import Go, TestLine, TestVerdict
from holdfast.loadgen.report import Report
from holdfast.runbook.kinds.load import LoadSpec


class KeptReport(BaseModel):
    """One report of one shard; `(run, shard, attempt, number)` names it.

    Attributes:
        attempt: grows each time another worker goes on with the shard, from 1.
        number: counts the attempt's reports, from 1.
    """

    # Differences that add up, named so that repeating one is harmless. Not in heartbeats, of which the server
    # keeps the newest alone: what was said between two of them would be gone with the worker
    # (docs/decisions/0019).
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


class NewerTest(BaseModel):
    """A test of a campaign that has come to a result, as older tests of the same campaign are told of it."""

    campaign: str
    line: TestLine


class MadeTest(BaseModel):
    """A load test as its run makes it.

    Attributes:
        spec: the test; None until its files are read.
        start_at: agreed start, seconds of the epoch; 0 until it is agreed.
        headline: what the run shows.
        verdict: what the run says that it came to; None while it does not say.
        open: the run has not ended.
    """

    spec: LoadSpec | None = None
    start_at: float = 0.0
    headline: str = ""
    verdict: TestVerdict | None = None
    open: bool = True


class LoadRuns(Protocol):
    """Reads the runs of load tests."""

    async def made(self, run: str) -> MadeTest:
        """Return which test a run makes, and whether the run is open.

        Raises:
            UnknownName: there is no such run.
            InvalidInput: it is the run of something else.
            EngineUnavailable: the Temporal server, or every worker, does not answer.
        """
        ...


class LoadLog(Protocol):
    """Keeps reports and results. All methods raise `Unavailable` when the store does not answer."""

    async def add(self, reports: Sequence[KeptReport]) -> None:
        """Keep reports; one that is there already stays as it was, so that repeating is harmless."""
        ...

    async def reports(self, run: str, *, after: int = 0) -> tuple[list[KeptReport], int]:
        """Return the run's reports that came after a mark, and the mark after them; 0 is the beginning."""
        ...

    async def newest_attempt(self, run: str, shard: int) -> int:
        """Return the newest attempt of which there is a report; 0 where there is none."""
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
