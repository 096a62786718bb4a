"""Watching a load test by what its generators have reported, and making its result of it."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, Field
from temporalio import activity

from activities.failures import as_failures
from holdfast.domain.campaign import Go, LoadLine, TestLine
from holdfast.domain.errors import HoldfastError, Unavailable
from holdfast.loadgen.result import Broken, LoadResult
from holdfast.ports.load import KeptReport, KeptTest, LoadLog
from holdfast.ports.metrics import MetricsSource
from holdfast.runbook.kinds.load import LoadSpec
from holdfast.runbook.load_plan import LoadPlan
from holdfast.slo.spec import Resource
from holdfast.verdict.query import resolve

if TYPE_CHECKING:
    from holdfast.loadgen.totals import Totals

T = TypeVar("T")
# When each point of a series was, and what it was.
Points = list[tuple[datetime, float]]

_LOOK_SECONDS: Final = 0.5
_TESTS_REMEMBERED: Final = 8
# Of a resource: long enough for two scrapes, and short enough to see when it fills up.
_WINDOW: Final = timedelta(seconds=30)
_MOST_POINTS: Final = 600


class LoadWatchRequest(BaseModel):
    """Which test to look at, and when the newest figures are told.

    Attributes:
        start_at: agreed start, seconds of the epoch.
        seconds: they are told at the next multiple of this many seconds from the start; a threshold that aborts
            the test is told at once.
    """

    run: str
    spec: LoadSpec
    start_at: float
    seconds: float


class LoadLook(BaseModel):
    """How a test goes.

    Attributes:
        offset: how far it has come, in seconds.
        phase, rate, lines, late_percent, lost, shards: see `holdfast.loadgen.totals.Live`.
        client: general clients that serve; empty for the engine.
        broken: thresholds that say `abort` and do not hold.
        said: the same in sentences, English.
    """

    offset: float = 0.0
    phase: str = ""
    rate: float = 0.0
    lines: list[LoadLine] = Field(default_factory=list[LoadLine])
    late_percent: float = 0.0
    lost: int = 0
    shards: int = 0
    client: str = ""
    broken: list[Broken] = Field(default_factory=list[Broken])
    said: list[str] = Field(default_factory=list[str])


class ConcludeRequest(BaseModel):
    """A test that is over.

    Attributes:
        start_at: agreed start, seconds of the epoch.
        stopped: why somebody stopped it; empty where nobody did.
        aborted: thresholds for which it was stopped.
    """

    run: str
    plan: LoadPlan
    start_at: float
    stopped: str = ""
    aborted: list[Broken] = Field(default_factory=list[Broken])


class Concluded(BaseModel):
    """What a test came to.

    Attributes:
        sentences: all that is to be said about it, the most important first; English.
        numbers: what a decision about it rests on.
        look: the figures of the whole test.
    """

    line: TestLine
    sentences: list[str] = Field(default_factory=list[str])
    numbers: dict[str, Any] = Field(default_factory=dict)
    look: LoadLook = LoadLook()


class GoRequest(BaseModel):
    """What people decided after a failed test."""

    run: str
    go: Go
    by: str


class LoadWatchActivities:
    """The activities that read what generators have reported.

    Args:
        metrics: knows what the contexts' resources did; None where there is no metrics source.
        log: gives the log of load tests, or None while it is not open yet.
    """

    def __init__(self, metrics: MetricsSource | None, log: Callable[[], LoadLog | None]) -> None:
        self._metrics, self._log = metrics, log
        self._known: OrderedDict[str, tuple[int, Totals | None]] = OrderedDict()

    @activity.defn(name="watch_load")
    async def watch_load(self, request: LoadWatchRequest) -> LoadLook:
        """Take in reports as they come; return the newest figures when due, at once before an abort."""
        until = time.monotonic() + _due_in(request, time.time())
        mark, totals = self._known.pop(request.run, (0, None))
        while True:
            activity.heartbeat()
            try:
                with as_failures():
                    reports, mark = await _beating(self._open_log().reports(request.run, after=mark))
            except BaseException:  # whoever looks next does not begin from the beginning
                self._remember(request.run, mark, totals)
                raise
            at = time.time() - request.start_at
            totals, look = await _beating(asyncio.to_thread(_looked, request.spec, totals, reports, at))
            if look.broken or time.monotonic() >= until:
                break
            await asyncio.sleep(min(_LOOK_SECONDS, max(0.0, until - time.monotonic())))
        self._remember(request.run, mark, totals)
        return look

    @activity.defn(name="conclude_load")
    async def conclude_load(self, request: ConcludeRequest) -> Concluded:
        """Add up every report that was kept, keep the result, and say what the test came to."""
        self._known.pop(request.run, None)
        with as_failures():
            log = self._open_log()
            reports, _ = await _beating(log.reports(request.run))
            result = await _beating(asyncio.to_thread(_summed, request, reports))
            did = await _beating(self._resources(request, result))
            result, concluded = await asyncio.to_thread(_concluded, request, result, did)
            await log.finish(
                KeptTest(
                    run=request.run,
                    campaign=request.plan.campaign.name if request.plan.campaign else "",
                    runbook=request.plan.spec.name,
                    at=result.started_at,
                    line=concluded.line,
                    result=result.model_dump(mode="json"),
                )
            )
        return concluded

    @activity.defn(name="record_go")
    async def record_go(self, request: GoRequest) -> None:
        """Put down beside the result what people decided."""
        with as_failures():
            await self._open_log().decided(request.run, request.go, request.by)

    def _remember(self, run: str, mark: int, totals: "Totals | None") -> None:
        self._known[run] = mark, totals
        while len(self._known) > _TESTS_REMEMBERED:
            self._known.popitem(last=False)

    def _open_log(self) -> LoadLog:
        log = self._log()
        if log is None:
            raise Unavailable("the store is not open yet")
        return log

    async def _resources(self, request: ConcludeRequest, result: LoadResult) -> dict[str, dict[str, Points]]:
        """Return what each context's resources did while the test ran, as far as the metrics tell."""
        campaign, metrics = request.plan.campaign, self._metrics
        if campaign is None or metrics is None or result.offset <= 0:
            return {}
        return {
            context: {name: await _did(metrics, spec, result) for name, spec in service.resources.items()}
            for context, service in campaign.contexts.items()
        }


def _due_in(request: LoadWatchRequest, now: float) -> float:
    """Return in how many seconds the newest figures are due; never at once after they were told."""
    if not request.seconds:
        return 0.0
    left = request.seconds - (now - request.start_at) % request.seconds
    return left if left > request.seconds / 4 else left + request.seconds


async def _did(metrics: MetricsSource, spec: Resource, result: LoadResult) -> Points:
    start, end = result.started_at, result.started_at + timedelta(seconds=result.offset)
    step = timedelta(seconds=max(1.0, result.offset / _MOST_POINTS))
    query = resolve(spec.query, side="", window=_WINDOW)
    try:
        return await metrics.points(query, start=start, end=end, step=step)
    except HoldfastError as error:
        activity.logger.warning("%s: a resource is not known: %s", result.run, error)
        return []


# Figures need numpy, which takes a quarter of a second that a worker's start does not have.


def _looked(
    spec: LoadSpec, totals: "Totals | None", reports: Sequence[KeptReport], at: float
) -> "tuple[Totals, LoadLook]":
    from activities import load_figures  # noqa: PLC0415  see above

    return load_figures.looked(spec, totals, reports, at)


def _summed(request: ConcludeRequest, reports: Sequence[KeptReport]) -> LoadResult:
    from activities import load_figures  # noqa: PLC0415  see above

    return load_figures.summed(request, reports)


def _concluded(
    request: ConcludeRequest, result: LoadResult, did: Mapping[str, Mapping[str, Points]]
) -> tuple[LoadResult, Concluded]:
    from activities import load_figures  # noqa: PLC0415  see above

    return load_figures.concluded(request, result, did)


async def _beating(work: Awaitable[T]) -> T:
    """Await what may take long, with heartbeats."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=1.0))[0]:
            activity.heartbeat()
        return task.result()
    finally:
        task.cancel()
