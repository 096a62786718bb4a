"""What a watch of a share is asked, how far it has come, how it ends: its data and the edges of its window."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from holdfast.runbook.kinds.rollout import Pace
from holdfast.verdict.models import judge
from holdfast.verdict.observation import Baseline, Observation, Outcome, Verdict
from holdfast.verdict.settings import Scoring

# Verdicts after which a person is asked, while a guard watches.
_ASKS = (Outcome.PAUSE, Outcome.INCONCLUSIVE)
# A heartbeat carries the newest observations that fit into this many bytes of JSON, beside the newest verdict
# (a few kB). One observation of ten queries is about 1 kB, and each call edge of a few members about 0.2 kB.
# The server warns at 512 kB and refuses 2 MB.
_CARRIED_BYTES = 256_000
# What a watch hands on to its guard stands in the run's history, twice.
_HANDED_ON_BYTES = 32_000


class WatchRequest(BaseModel):
    """Which share of which stage to watch, against what, and for how long.

    Attributes:
        runbook: its name, for the log of verdicts.
        until_rollback: guard a share that is set already while a person thinks: no settling, no end, and only
            a rollback is reported.
        seen: what the watch before the guard has seen last, oldest first: nothing has to turn bad twice.
    """

    run_id: str
    stage: str
    share_percent: int
    scoring: Scoring
    pace: Pace
    baseline: Baseline
    until_rollback: bool = False
    runbook: str = ""
    seen: list[Observation] = Field(default_factory=list[Observation])


class WatchResult(BaseModel):
    """How the watch ended.

    Attributes:
        outcome: `continue` after the whole window; `pause` or `rollback` at once; `inconclusive` after the
            scoring's patience.
        verdict: the one that ended the watch.
        requests_seen: of the canary, in the intervals before the verdicts; None where nobody counted them.
        bad_requests: those of them in intervals with a stopping verdict, and those since the last verdict that
            said continue; None likewise.
        seen: the newest observations, for the guard that may follow; none after a verdict that ends the stage.
    """

    outcome: Outcome
    verdict: Verdict
    verdicts_taken: int
    inconclusive_in_a_row: int
    reason: str
    requests_seen: float | None = None
    bad_requests: float | None = None
    seen: list[Observation] = Field(default_factory=list[Observation])


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
        return self.model_copy(update={"observations": _fitting(self.observations, _CARRIED_BYTES)})

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


def _first_verdict_at(request: WatchRequest, progress: WatchProgress) -> datetime:
    if request.until_rollback:
        # The same minute must not count twice.
        return request.seen[-1].at + request.pace.interval if request.seen else progress.started_at
    return progress.started_at + request.pace.settle


def _window_ends_at(request: WatchRequest, progress: WatchProgress) -> datetime:
    return _first_verdict_at(request, progress) + request.pace.window


def next_verdict_at(request: WatchRequest, progress: WatchProgress) -> datetime:
    """Return when the next verdict is due: the last one of a window at its very end."""
    if progress.last is None:
        return _first_verdict_at(request, progress)
    due, end = progress.last.at + request.pace.interval, _window_ends_at(request, progress)
    return min(due, end) if progress.last.at < end and not request.until_rollback else due


def ended(request: WatchRequest, progress: WatchProgress, verdict: Verdict) -> bool:
    """Whether a verdict ends the watch by what it says and when; see also `would_stop`."""
    if request.until_rollback:
        return verdict.outcome is Outcome.ROLLBACK
    match verdict.outcome:
        case Outcome.CONTINUE:
            return verdict.at >= _window_ends_at(request, progress)
        case Outcome.INCONCLUSIVE:
            return progress.inconclusive_in_a_row >= request.scoring.no_data_patience
        case Outcome.PAUSE | Outcome.ROLLBACK:
            return True


def would_stop(request: WatchRequest, progress: WatchProgress, verdict: Verdict) -> bool:
    """Whether a verdict that lets the rollout go on would not, if what it was made of lasted."""
    scoring = request.scoring
    if verdict.outcome is not Outcome.CONTINUE or scoring.model == "judge":
        return False
    each = (m.detector.hysteresis if m.detector else scoring.hysteresis for m in scoring.metrics.values())
    newest, more = progress.observations[-1], max(hysteresis.bad for hysteresis in each) - 1
    lasting = [
        newest.model_copy(update={"at": newest.at + n * request.pace.interval}) for n in range(1, more + 1)
    ]
    if not lasting:
        return False
    return judge(scoring, request.baseline, [*progress.observations, *lasting]).outcome.stops


def _fitting(observations: Sequence[Observation], size_bytes: int) -> list[Observation]:
    """Return the newest observations that fit into this many bytes of JSON."""
    left, fitting = size_bytes, 0
    for observation in reversed(observations):
        left -= len(observation.model_dump_json().encode())
        if left < 0:
            break
        fitting += 1
    return list(observations[len(observations) - fitting :])


def result(progress: WatchProgress, verdict: Verdict) -> WatchResult:
    """Return how the watch has ended, with this verdict."""
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
        seen=_fitting(progress.observations, _HANDED_ON_BYTES) if verdict.outcome in _ASKS else [],
    )
