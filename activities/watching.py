"""Looking at metrics: the baseline before a stage, and the verdicts while a share is watched.

A share is watched inside one activity that may run for hours. Its heartbeats carry how far it has come, so that
another worker goes on where a dead one stopped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast.domain.errors import InvalidInput, MetricsUnavailable
from holdfast.ports.metrics import MetricsSource
from holdfast.runbook.kinds.rollout import Pace
from holdfast.verdict.baseline import affordable_step, covered_seconds, signal_baseline
from holdfast.verdict.models import judge
from holdfast.verdict.observation import Baseline, NoData, Observation, Outcome, SignalBaseline, Verdict
from holdfast.verdict.query import resolve
from holdfast.verdict.settings import Scoring

Result = TypeVar("Result")

_BEAT_SECONDS = 2.0
_WHOLE_PERCENT = 100


class BaselineRequest(BaseModel):
    """What to take a baseline of.

    Attributes:
        window_seconds: the `$window` of the queries; the same as in the watch that compares with it.
        at: the end of the history to look at; None for now.
        not_before: history from before this moment is another system's; None where all of it counts.
    """

    scoring: Scoring
    window_seconds: float
    at: datetime | None = None
    not_before: datetime | None = None


class WatchRequest(BaseModel):
    """Which share of which stage to watch, against what, and for how long.

    Attributes:
        until_rollback: guard a share that is set already while a person thinks: no settling, no end, and only
            a rollback is reported.
    """

    run_id: str
    stage: str
    share_percent: int
    scoring: Scoring
    pace: Pace
    baseline: Baseline
    until_rollback: bool = False


class WatchResult(BaseModel):
    """How the watch ended.

    Attributes:
        outcome: `continue` after the whole window; `pause` or `rollback` at once; `inconclusive` after the
            scoring's patience.
        verdict: the one that ended the watch.
    """

    outcome: Outcome
    verdict: Verdict
    verdicts_taken: int
    inconclusive_in_a_row: int
    reason: str


class WatchProgress(BaseModel):
    """How far a watch has come; travels in the heartbeats.

    Attributes:
        started_at: when the share began to be watched, by whichever worker.
    """

    started_at: datetime
    verdicts_taken: int = 0
    inconclusive_in_a_row: int = 0
    last: Verdict | None = None

    def after(self, verdict: Verdict) -> "WatchProgress":
        """Return the progress with one more verdict."""
        inconclusive = verdict.outcome is Outcome.INCONCLUSIVE
        return WatchProgress(
            started_at=self.started_at,
            verdicts_taken=self.verdicts_taken + 1,
            inconclusive_in_a_row=self.inconclusive_in_a_row + 1 if inconclusive else 0,
            last=verdict,
        )


class WatchActivities:
    """The activities that ask a metrics source.

    Args:
        metrics: where queries are answered.
        clock: the time now, aware.
        sleep: waits for that many seconds of the clock.
    """

    def __init__(
        self,
        metrics: MetricsSource,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._sleep = sleep

    @activity.defn(name="take_baseline")
    async def take_baseline(self, request: BaselineRequest) -> Baseline:
        """Summarise what the control side showed over the baseline window, or over what history there is.

        Raises:
            MetricsUnavailable: the metrics source does not answer; Temporal retries.
            ApplicationError: of type `InvalidInput`, not retried, for a query that cannot be answered.
        """
        try:
            return await self._baseline(request)
        except InvalidInput as error:
            raise _not_retried(error) from error

    @activity.defn(name="watch_share")
    async def watch_share(self, request: WatchRequest) -> WatchResult:
        """Take verdicts of a share until one ends the watch or the window is over.

        The window ends with a verdict that says `continue`: while the newest is inconclusive, the watch goes on
        until it is not, or until patience is at its end. A metrics source that is down makes verdicts
        inconclusive and is never an error.

        Raises:
            ApplicationError: of type `InvalidInput`, not retried, for a query that cannot be answered.
        """
        progress = _progress_of_a_dead_worker() or WatchProgress(started_at=self._clock())
        try:
            while True:
                await self._wait_until(_next_verdict_at(request, progress), progress)
                verdict = await _beating(self._verdict(request), progress)
                progress = progress.after(verdict)
                activity.heartbeat(progress)
                activity.logger.info(
                    "%s, stage %s: %s, %s", request.run_id, request.stage, verdict.outcome, verdict.reason
                )
                if _ended(request, progress, verdict):
                    return _result(progress, verdict)
        except InvalidInput as error:
            raise _not_retried(error) from error

    async def _baseline(self, request: BaselineRequest) -> Baseline:
        scoring, end = request.scoring, request.at or self._clock()
        window = timedelta(seconds=request.window_seconds)
        history = scoring.baseline.window
        if request.not_before is not None:
            history = max(scoring.baseline.step, min(history, end - request.not_before))
        queries = [
            (name, resolve(query, side=scoring.control_label, window=window))
            for name, metric in scoring.metrics.items()
            for query in metric.queries
        ]
        found = await asyncio.gather(*(self._signal(query, scoring, end, history) for _, query in queries))
        signals: dict[str, list[SignalBaseline]] = {name: [] for name in scoring.metrics}
        for (name, _), (signal, _) in zip(queries, found, strict=True):
            signals[name].append(signal)
        wanted = scoring.baseline.window
        spans = [span for signal, span in found if signal.mean is not None]
        return Baseline(
            taken_at=end,
            wanted_seconds=wanted.total_seconds(),
            covered_seconds=covered_seconds(spans, wanted=wanted),
            signals=signals,
        )

    async def _signal(
        self, query: str, scoring: Scoring, end: datetime, history: timedelta
    ) -> tuple[SignalBaseline, timedelta]:
        """Summarise one query's history; a short history is asked again for finer points."""
        spec = scoring.baseline
        step = affordable_step(history, spec.step)
        points = await self._points(query, end=end, span=history, step=step)
        span = len(points) * step
        finer_step = affordable_step(span, spec.step)
        if points and finer_step < step:
            finer = await self._points(query, end=end, span=span, step=finer_step)
            if len(finer) > len(points):
                points, span = finer, len(finer) * finer_step
        return signal_baseline(query, points, minimum_points=spec.minimum_points), span

    async def _points(self, query: str, *, end: datetime, span: timedelta, step: timedelta) -> list[float]:
        # Counted back from the end, so that the newest point is there however long the step is.
        return await self._metrics.series(query, start=end - span // step * step, end=end, step=step)

    async def _wait_until(self, due: datetime, progress: WatchProgress) -> None:
        while (left_seconds := (due - self._clock()).total_seconds()) > 0:
            activity.heartbeat(progress)
            await self._sleep(min(left_seconds, _BEAT_SECONDS))

    async def _verdict(self, request: WatchRequest) -> Verdict:
        at, metrics = self._clock(), request.scoring.metrics
        values: dict[str, list[float | NoData]] = {}
        trouble = ""
        try:
            for name, metric in metrics.items():
                values[name] = [await self._value(query, request, at) for query in metric.queries]
        except MetricsUnavailable as error:
            values = {name: [NoData.PROVIDER_DOWN] * len(metric.queries) for name, metric in metrics.items()}
            trouble = str(error)
        observation = Observation(at=at, share_percent=request.share_percent, values=values, trouble=trouble)
        return judge(request.scoring, request.baseline, observation)

    async def _value(self, query: str, request: WatchRequest, at: datetime) -> float | NoData:
        """Return the canary's number; the control is only asked to tell why there is none."""
        scoring, window = request.scoring, request.pace.interval
        canary = await self._metrics.instant(resolve(query, side=scoring.canary_label, window=window), at=at)
        if canary is not None:
            return canary
        if request.share_percent >= _WHOLE_PERCENT:  # nothing is left on the control: its silence is no sign
            return NoData.BOTH_SILENT
        control = await self._metrics.instant(resolve(query, side=scoring.control_label, window=window), at=at)
        return NoData.BOTH_SILENT if control is None else NoData.CANARY_SILENT


def _progress_of_a_dead_worker() -> WatchProgress | None:
    details = activity.info().heartbeat_details
    return WatchProgress.model_validate(details[0]) if details else None


def _first_verdict_at(request: WatchRequest, progress: WatchProgress) -> datetime:
    settle = timedelta(0) if request.until_rollback else request.pace.settle
    return progress.started_at + settle


def _window_ends_at(request: WatchRequest, progress: WatchProgress) -> datetime:
    return _first_verdict_at(request, progress) + request.pace.window


def _next_verdict_at(request: WatchRequest, progress: WatchProgress) -> datetime:
    if progress.last is None:
        return _first_verdict_at(request, progress)
    due, end = progress.last.at + request.pace.interval, _window_ends_at(request, progress)
    return min(due, end) if progress.last.at < end and not request.until_rollback else due


def _ended(request: WatchRequest, progress: WatchProgress, verdict: Verdict) -> bool:
    if request.until_rollback:
        return verdict.outcome is Outcome.ROLLBACK
    match verdict.outcome:
        case Outcome.CONTINUE:
            return verdict.at >= _window_ends_at(request, progress)
        case Outcome.INCONCLUSIVE:
            return progress.inconclusive_in_a_row >= request.scoring.no_data_patience
        case Outcome.PAUSE | Outcome.ROLLBACK:
            return True


def _result(progress: WatchProgress, verdict: Verdict) -> WatchResult:
    reason = verdict.reason
    if verdict.outcome is Outcome.INCONCLUSIVE:
        reason = f"{progress.inconclusive_in_a_row} verdicts in a row were inconclusive; the last: {reason}"
    if verdict.outcome is Outcome.CONTINUE:
        reason = f"{progress.verdicts_taken} verdicts, none against going on; the last: {reason}"
    return WatchResult(
        outcome=verdict.outcome,
        verdict=verdict,
        verdicts_taken=progress.verdicts_taken,
        inconclusive_in_a_row=progress.inconclusive_in_a_row,
        reason=reason,
    )


async def _beating(work: Coroutine[Any, Any, Result], progress: WatchProgress) -> Result:
    """Await the work, with heartbeats, so that a slow metrics source does not look like a dead worker."""
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait({task}, timeout=_BEAT_SECONDS))[0]:
            activity.heartbeat(progress)
        return task.result()
    finally:
        task.cancel()


def _not_retried(error: InvalidInput) -> ApplicationError:
    return ApplicationError(str(error), type="InvalidInput", non_retryable=True)
