"""Looking at metrics: the baseline before a stage, and the verdicts while a share is watched.

A share is watched inside one activity that may run for hours. Its heartbeats carry how far it has come, so that
another worker goes on where a dead one stopped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.baselines import BaselineRequest, BaselineTaker
from activities.observing import Observer
from activities.watches import (
    WatchProgress,
    WatchRequest,
    WatchResult,
    ended,
    next_verdict_at,
    result,
    would_stop,
)
from holdfast.domain.errors import InvalidInput
from holdfast.ports.metrics import MetricsSource
from holdfast.ports.verdicts import KeptVerdict, VerdictLog
from holdfast.verdict.models import judge, memory_of
from holdfast.verdict.observation import Baseline, Observation, Verdict
from holdfast.verdict.query import resolve

__all__ = ["BaselineRequest", "WatchActivities", "WatchProgress", "WatchRequest", "WatchResult"]

Result = TypeVar("Result")

_BEAT_SECONDS = 2.0
# The log of verdicts is worth this much of a verdict's time, and no more.
_LOG_SECONDS = 2.0
# Of a log that is down, verdicts wait for it up to this many: about two hours of four models.
_MOST_UNKEPT = 500
# Where others are rolled out, they were judged within this many intervals.
_BESIDE_INTERVALS = 3


class WatchActivities:
    """The activities that ask a metrics source.

    Args:
        metrics: where queries are answered.
        log: gives the log of verdicts, or None while there is none; without it the watch goes on.
        clock: the time now, aware.
        sleep: waits for that many seconds of the clock.
    """

    def __init__(
        self,
        metrics: MetricsSource,
        *,
        log: Callable[[], VerdictLog | None] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._baselines = BaselineTaker(metrics)
        self._observer = Observer(metrics)
        self._log = log
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
            return await self._baselines.take(request, now=self._clock())
        except InvalidInput as error:
            raise _not_retried(error) from error

    @activity.defn(name="watch_share")
    async def watch_share(self, request: WatchRequest) -> WatchResult:
        """Take verdicts of a share until one ends the watch or the window is over.

        The window ends with a verdict that says `continue`: while the newest is inconclusive, the watch goes on
        until it is not, or until patience is at its end. It goes on, too, while what is seen would stop the
        rollout if it lasted: no share is raised on a minute that is bad and only not yet bad enough. A metrics
        source that is down makes verdicts inconclusive and is never an error.

        Raises:
            ApplicationError: of type `InvalidInput`, not retried, for a query that cannot be answered.
        """
        first = WatchProgress(started_at=self._clock(), observations=request.seen)
        progress = _progress_of_a_dead_worker() or first
        if progress.last and progress.last.outcome.stops and ended(request, progress, progress.last):
            return result(progress, progress.last)  # the dead worker could not tell any more
        keeper, carried = _Keeper(self._log, request), progress
        try:
            while True:
                await self._wait_until(next_verdict_at(request, progress), carried)
                observations = await _beating(self._observations(request, progress), carried)
                verdict = _judged(request, observations)
                progress = progress.after(verdict, observations, request.pace)
                carried = progress.carried()
                activity.heartbeat(carried)
                activity.logger.info(
                    "%s, stage %s: %s, %s", request.run_id, request.stage, verdict.outcome, verdict.reason
                )
                verdicts = {request.scoring.model: verdict, **_shadows(request, observations)}
                await _beating(keeper.keep(_rows(request, progress, verdicts)), carried)
                if ended(request, progress, verdict) and not would_stop(request, progress, verdict):
                    return result(progress, verdict)
        except InvalidInput as error:
            raise _not_retried(error) from error

    async def _wait_until(self, due: datetime, progress: WatchProgress) -> None:
        while (left_seconds := (due - self._clock()).total_seconds()) > 0:
            activity.heartbeat(progress)
            await self._sleep(min(left_seconds, _BEAT_SECONDS))

    async def _observations(self, request: WatchRequest, progress: WatchProgress) -> list[Observation]:
        """Return what the models remember, and what is seen now as the newest."""
        at, pace, memory = self._clock(), request.pace, memory_of(request.scoring)
        # To the models, one observation is one interval: those from before a long outage would mislead them.
        remembered = [o for o in progress.observations if o.at >= at - 2 * memory * pace.interval]
        seen, beside = await asyncio.gather(
            self._observer.observe(
                request.scoring, share_percent=request.share_percent, at=at, interval=pace.interval
            ),
            self._beside(request, since=at - _BESIDE_INTERVALS * pace.interval),
        )
        newest = seen.model_copy(update={"concurrent": beside})
        return [*remembered, newest][-memory:]

    async def _beside(self, request: WatchRequest, *, since: datetime) -> list[str]:
        """Return what else is being rolled out; nothing where the log does not tell."""
        log = self._log()
        if log is None:
            return []
        try:
            async with asyncio.timeout(_LOG_SECONDS):
                return await log.watched_beside(request.run_id, since=since)
        except Exception as error:  # noqa: BLE001  whatever ails the log, the canary is watched
            _warn(request, "what else is being rolled out is not known", error)
            return []


class _Keeper:
    """Puts the verdicts of one watch into the log; those of a time when it was down later, if it comes back."""

    def __init__(self, log: Callable[[], VerdictLog | None], request: WatchRequest) -> None:
        self._log = log
        self._request = request
        self._unkept: list[KeptVerdict] = []

    async def keep(self, verdicts: Sequence[KeptVerdict]) -> None:
        self._unkept = [*self._unkept, *verdicts][-_MOST_UNKEPT:]
        log = self._log()
        if log is None:
            return
        try:
            async with asyncio.timeout(_LOG_SECONDS):
                await log.keep(self._unkept)
        except Exception as error:  # noqa: BLE001  whatever ails the log, the canary is watched
            _warn(self._request, f"{len(self._unkept)} verdicts are not kept yet", error)
        else:
            self._unkept = []


def _judged(request: WatchRequest, observations: Sequence[Observation]) -> Verdict:
    """Return the deciding verdict, each reading with its query."""
    verdict = judge(request.scoring, request.baseline, observations)
    side, window = request.scoring.canary_label, request.pace.interval
    readings = [
        reading.model_copy(update={"query": resolve(reading.query, side=side, window=window)})
        for reading in verdict.readings
    ]
    return verdict.model_copy(update={"readings": readings})


def _shadows(request: WatchRequest, observations: Sequence[Observation]) -> dict[str, Verdict]:
    """Return what the shadows say; one that fails says nothing."""
    verdicts: dict[str, Verdict] = {}
    for name in request.scoring.shadow:
        try:
            verdicts[name] = judge(request.scoring, request.baseline, observations, model=name)
        except Exception as error:  # noqa: BLE001  a shadow decides nothing, so it must not end anything either
            _warn(request, f"the shadow {name} could not judge", error)
    return verdicts


def _rows(request: WatchRequest, progress: WatchProgress, verdicts: Mapping[str, Verdict]) -> list[KeptVerdict]:
    scoring = request.scoring
    return [
        KeptVerdict(
            run_id=request.run_id,
            runbook=request.runbook,
            service=scoring.edges.service if scoring.edges else "",
            stage=request.stage,
            share_percent=request.share_percent,
            model=model,
            deciding=model == scoring.model,
            at=verdict.at,
            watch_started_at=progress.started_at,
            outcome=verdict.outcome,
            risk_percent=verdict.risk_percent,
            reason=verdict.reason,
        )
        for model, verdict in verdicts.items()
    ]


def _warn(request: WatchRequest, what: str, error: Exception) -> None:
    activity.logger.warning("%s, stage %s: %s: %r", request.run_id, request.stage, what, error)


def _progress_of_a_dead_worker() -> WatchProgress | None:
    details = activity.info().heartbeat_details
    return WatchProgress.model_validate(details[0]) if details else None


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
