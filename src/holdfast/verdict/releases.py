"""Past canary releases, and the settings by which they are judged unless a file says otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from holdfast.verdict.baseline import covered_seconds, signal_baseline
from holdfast.verdict.observation import Baseline, NoData, Observation, SignalBaseline
from holdfast.verdict.scores import Label
from holdfast.verdict.settings import Metric, Scoring, Threshold


@dataclass(frozen=True)
class Release:
    """One service of one canary release, minute by minute.

    Attributes:
        id: names it, usually `case/service`.
        case: what was released together; the same minutes belong to all its releases.
        day: the date, as it was written; releases of a day are held out together.
        label: what people found afterwards; None while nobody has said.
        fault: what kind of fault; empty for a good one.
        replicas: how many members the service has.
        started_at: when the first member of the canary was started.
        observed_minutes: how long only that first step was out.
        baseline: of the control, before `started_at`.
        observations: one a minute after `started_at`, oldest first, none later than `observed_minutes`.
    """

    id: str
    case: str
    day: str
    service: str
    label: Label | None
    fault: str
    replicas: int
    started_at: datetime
    observed_minutes: float
    baseline: Baseline
    observations: list[Observation]


ERROR_PERCENT: Final = "error_percent"
LATENCY_MS: Final = "latency_ms"
CALL_PRESENCE: Final = "call_presence"
CPU_PERCENT: Final = "cpu_percent"
MEMORY_PERCENT: Final = "memory_percent"

# The queries say which columns a number comes from; nobody asks them of a database.
RELEASE_SCORING: Final = Scoring(
    model="attributed",
    shadow=("weighted", "judge", "weighted-seed"),
    metrics={
        ERROR_PERCENT: Metric(
            weight_percent=30,
            query="100 - success_rate_pct of what $side serves",
            unit="%",
            threshold=Threshold(sigmas=3, points=5),
            veto="rollback",
            no_data="ignore",
            by_edges=True,
        ),
        # Members of one service differ by half in latency, and a cold one by more.
        LATENCY_MS: Metric(
            weight_percent=30,
            query="latency_ms of what $side serves",
            unit="ms",
            threshold=Threshold(sigmas=3, at_least_percent=100, points=20),
            no_data="ignore",
        ),
        CALL_PRESENCE: Metric(
            weight_percent=20,
            query="inbound edges with a success_rate_pct, of each member of $side",
            unit="edges",
            bad_when="falling",
            threshold=Threshold(sigmas=3, at_least_percent=50),
            no_data="pause",
            by_edges=True,
        ),
        CPU_PERCENT: Metric(
            weight_percent=10,
            query="cpu_pct of $side",
            unit="%",
            threshold=Threshold(sigmas=3, at_least_percent=50, points=10),
            worst_level="yellow",
            no_data="ignore",
        ),
        MEMORY_PERCENT: Metric(
            weight_percent=10,
            query="memory_pct of $side",
            unit="%",
            threshold=Threshold(sigmas=3, at_least_percent=50, points=5),
            worst_level="yellow",
            no_data="ignore",
        ),
    },
)
RELEASE_METRICS: Final = tuple(RELEASE_SCORING.metrics)

_RECENT_POINTS: Final = 240

Points = Mapping[datetime, float]
"""What one query gave: finite numbers by their time, oldest first."""


def summarised(query: str, points: Points, *, minimum_points: int) -> SignalBaseline:
    """Summarise what the control showed before the change; only counted below `minimum_points`."""
    numbers = list(points.values())
    signal = signal_baseline(query, numbers, minimum_points=minimum_points)
    if signal.mean is None:
        return signal
    days = len({at.date() for at in points})
    return signal.model_copy(update={"days": days, "recent": numbers[-_RECENT_POINTS:]})


@dataclass(frozen=True)
class PastQuery:
    """One query of one metric over a past window.

    Attributes:
        query: as it was asked of the control.
        before: the control's points before the window.
        canary, control: by the number of the minute, from 0.
    """

    query: str
    before: Points
    canary: Mapping[int, float]
    control: Mapping[int, float]


@dataclass(frozen=True)
class PastWindow:
    """What a metrics database keeps of a release.

    Attributes:
        name: of the release it is made into.
        times: of the minutes that are judged, oldest first.
        interval: from one to the next.
        metrics: one entry a query, in file order.
        step: distance of the points before the window.
        canary_requests, control_requests: in each minute, by its number.
    """

    name: str
    service: str
    started_at: datetime
    times: Sequence[datetime]
    interval: timedelta
    share_percent: int
    metrics: Mapping[str, Sequence[PastQuery]]
    step: timedelta
    canary_requests: Mapping[int, float]
    control_requests: Mapping[int, float]


def release_of(past: PastWindow, scoring: Scoring, label: Label | None) -> Release:
    """Make a release of a past window; its edges are not known there."""
    minimum = scoring.baseline.minimum_points
    signals = {
        name: [summarised(q.query, q.before, minimum_points=minimum) for q in queries]
        for name, queries in past.metrics.items()
    }
    spans = [s.points * past.step for entries in signals.values() for s in entries if s.mean is not None]
    wanted = scoring.baseline.window
    return Release(
        id=past.name,
        case=past.name,
        day=f"{past.started_at:%Y-%m-%d}",
        service=past.service,
        label=label,
        fault="",
        replicas=1,
        started_at=past.started_at,
        observed_minutes=len(past.times) * past.interval / timedelta(minutes=1),
        baseline=Baseline(
            taken_at=past.started_at,
            wanted_seconds=wanted.total_seconds(),
            covered_seconds=covered_seconds(spans, wanted=wanted),
            signals=signals,
        ),
        observations=[_observation(past, minute, at) for minute, at in enumerate(past.times)],
    )


def _observation(past: PastWindow, minute: int, at: datetime) -> Observation:
    return Observation(
        at=at,
        share_percent=past.share_percent,
        values={name: [_canary(q, minute) for q in queries] for name, queries in past.metrics.items()},
        control={
            name: [q.control.get(minute, NoData.BOTH_SILENT) for q in queries]
            for name, queries in past.metrics.items()
        },
        canary_requests=past.canary_requests.get(minute),
        control_requests=past.control_requests.get(minute),
    )


def _canary(query: PastQuery, minute: int) -> float | NoData:
    silent = NoData.CANARY_SILENT if minute in query.control else NoData.BOTH_SILENT
    return query.canary.get(minute, silent)
