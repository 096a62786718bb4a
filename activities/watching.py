"""Looking at metrics: the baseline before a stage, and the verdicts while a share is watched.

A share is watched inside one activity that may run for hours. Its heartbeats carry how far it has come, so that
another worker goes on where a dead one stopped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, Field
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.baselines import BaselineRequest, BaselineTaker
from activities.observing import Observer
from holdfast.domain.errors import InvalidInput
from holdfast.ports.metrics import MetricsSource
from holdfast.ports.verdicts import KeptVerdict, VerdictLog
from holdfast.runbook.kinds.rollout import Pace
from holdfast.verdict.models import judge, memory_of
from holdfast.verdict.observation import Baseline, Observation, Outcome, Verdict
from holdfast.verdict.query import resolve
from holdfast.verdict.settings import Scoring

__all__ = ["BaselineRequest", "WatchActivities", "WatchProgress", "WatchRequest", "WatchResult"]

Result = TypeVar("Result")

_BEAT_SECONDS = 2.0
# The log of verdicts is worth this much of a verdict's time, and no more.
_LOG_SECONDS = 2.0
# Of a log that is down, verdicts wait for it up to this many: about two hours of four models.
_MOST_UNKEPT = 500
# Where others are rolled out, they were judged within this many intervals.
_BESIDE_INTERVALS = 3
# A heartbeat carries the newest observations that fit into this many bytes of JSON, beside the newest verdict
# (a few kB). One observation of ten queries is about 1 kB, and each call edge of a few members about 0.2 kB.
# The server warns at 512 kB and refuses 2 MB.
_CARRIED_BYTES = 256_000


class WatchRequest(BaseModel):
    """Which share of which stage to watch, against what, and for how long.

    Attributes:
        runbook: its name, for the log of verdicts.
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
    runbook: str = ""


class WatchResult(BaseModel):
    """How the watch ended.

    Attributes:
        outcome: `continue` after the whole window; `pause` or `rollback` at once; `inconclusive` after the
            scoring's patience.
        verdict: the one that ended the watch.
        requests_seen: of the canary, in the intervals before the verdicts; None where nobody counted them.
        bad_requests: those of them in intervals with a stopping verdict, and those since the last verdict that
            said continue; None likewise.
    """

    outcome: Outcome
    verdict: Verdict
    verdicts_taken: int
    inconclusive_in_a_row: int
    reason: str
    requests_seen: float | None = None
    bad_requests: float | None = None


class WatchProgress(BaseModel):
    """How far a watch has come; travels in the heartbeats.

    Attributes:
        started_at: when the share began to be watched, by whichever worker.
        observations: the newest, oldest first: what the models remember.
        requests_seen: see `WatchResult`.
        requests_stopped: those in intervals with a stopping verdict.
        requests_unproven: those in intervals without a conclusion, since the last verdict that said continue.
    """

    started_at: datetime
    verdicts_taken: int = 0
    inconclusive_in_a_row: int = 0
    last: Verdict | None = None
    observations: list[Observation] = Field(default_factory=list[Observation])
    requests_seen: float | None = None
    requests_stopped: float = 0
    requests_unproven: float = 0

    def after(self, verdict: Verdict, observations: Sequence[Observation], pace: Pace) -> "WatchProgress":
        """Return the progress with one more verdict, which was made of these observations."""
        inconclusive = self.inconclusive_in_a_row
        if verdict.outcome is not Outcome.INCONCLUSIVE:
            inconclusive = 0
        elif not verdict.warming:
            inconclusive += 1
        progress = {
            "verdicts_taken": self.verdicts_taken + 1,
            "inconclusive_in_a_row": inconclusive,
            "last": verdict,
            "observations": list(observations),
        }
        return self.model_copy(update=progress | self._counted(verdict, observations[-1], pace))

    def carried(self) -> "WatchProgress":
        """Return what a heartbeat carries: all of it, but no more observations than fit."""
        left, fitting = _CARRIED_BYTES, 0
        for observation in reversed(self.observations):
            left -= len(observation.model_dump_json().encode())
            if left < 0:
                break
            fitting += 1
        newest = self.observations[len(self.observations) - fitting :]
        return self.model_copy(update={"observations": newest})

    @property
    def bad_requests(self) -> float | None:
        """See `WatchResult`."""
        return None if self.requests_seen is None else self.requests_stopped + self.requests_unproven

    def _counted(self, verdict: Verdict, newest: Observation, pace: Pace) -> dict[str, float]:
        """Return what changes in the numbers of requests."""
        if newest.canary_requests is None:
            return {}
        # The last verdict of a window may come sooner than an interval after the one before it.
        since_last = (verdict.at - self.last.at) / pace.interval if self.last else 1.0
        requests = newest.canary_requests * min(1.0, max(0.0, since_last))
        unproven = self.requests_unproven + (requests if verdict.outcome is Outcome.INCONCLUSIVE else 0)
        return {
            "requests_seen": (self.requests_seen or 0) + requests,
            "requests_stopped": self.requests_stopped + (requests if verdict.outcome.stops else 0),
            "requests_unproven": 0 if verdict.outcome is Outcome.CONTINUE else unproven,
        }


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
        until it is not, or until patience is at its end. A metrics source that is down makes verdicts
        inconclusive and is never an error.

        Raises:
            ApplicationError: of type `InvalidInput`, not retried, for a query that cannot be answered.
        """
        progress = _progress_of_a_dead_worker() or WatchProgress(started_at=self._clock())
        if progress.last and progress.last.outcome.stops and _ended(request, progress, progress.last):
            return _result(progress, progress.last)  # the dead worker could not tell any more
        keeper, carried = _Keeper(self._log, request), progress
        try:
            while True:
                await self._wait_until(_next_verdict_at(request, progress), carried)
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
                if _ended(request, progress, verdict):
                    return _result(progress, verdict)
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
        requests_seen=progress.requests_seen,
        bad_requests=progress.bad_requests,
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
