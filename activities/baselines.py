"""The baseline: what the control side showed over the time before a stage."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from pydantic import BaseModel

from activities.observing import Pair, at_place, gathered
from holdfast.ports.metrics import MetricsSource
from holdfast.verdict.baseline import (
    MOST_POINTS,
    Point,
    affordable_step,
    covered_seconds,
    dated_baseline,
    edge_baseline,
    points_wanted,
)
from holdfast.verdict.detector_settings import Detector, Seasonal
from holdfast.verdict.observation import Baseline, EdgeBaseline, SignalBaseline
from holdfast.verdict.query import resolve
from holdfast.verdict.settings import BaselineSpec, Scoring

# A profile of the week wants points in each of its hours: four weeks of minutes are nine questions.
_SEASONAL_QUESTIONS: Final = 9
# A stage waits for it: less than the 20 questions that Prometheus answers at once.
_AT_ONCE: Final = 16
# Edges have many series; a mean and a worst of these many points of each are enough.
_EDGE_POINTS: Final = 1_000


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


class BaselineTaker:
    """Asks the control side for its history."""

    def __init__(self, metrics: MetricsSource) -> None:
        """Ask this source."""
        self._metrics = metrics

    async def take(self, request: BaselineRequest, *, now: datetime) -> Baseline:
        """Summarise the history up to `request.at`, or up to `now`.

        Raises:
            MetricsUnavailable: the metrics source does not answer.
            InvalidInput: a query cannot be answered.
        """
        scoring, end = request.scoring, request.at or now
        spec, interval = scoring.baseline, timedelta(seconds=request.window_seconds)
        history = spec.window
        if request.not_before is not None:
            history = max(spec.step, min(history, end - request.not_before))
        before = _Span(spec, end, history, interval)
        signals = asyncio.create_task(self._signals(scoring, before))
        edges = asyncio.create_task(self._edges(scoring, before))
        # The healthy past counts however often the system was changed since.
        healthy = asyncio.create_task(self._past(scoring, end=end, interval=interval))
        try:
            baseline, of_edges, past = await asyncio.gather(signals, edges, healthy)
        finally:
            for task in (signals, edges, healthy):
                task.cancel()
        return baseline.model_copy(update={"edges": of_edges, "past": past})

    async def _past(self, scoring: Scoring, *, end: datetime, interval: timedelta) -> Baseline | None:
        if scoring.sick is None:
            return None
        spec = scoring.sick.past
        return await self._signals(scoring, _Span(spec, end, spec.window, interval))

    async def _signals(self, scoring: Scoring, span: "_Span") -> Baseline:
        queries = [
            (name, resolve(query, side=scoring.control_label, window=span.interval), metric.detector)
            for name, metric in scoring.metrics.items()
            for query in metric.queries
        ]
        found = await gathered(
            (
                partial(self._signal, query, span, detector, points_wanted(scoring, detector))
                for _, query, detector in queries
            ),
            at_once=_AT_ONCE,
        )
        signals: dict[str, list[SignalBaseline]] = {name: [] for name in scoring.metrics}
        for (name, _, _), (signal, _) in zip(queries, found, strict=True):
            signals[name].append(signal)
        covered = [length for signal, length in found if signal.mean is not None]
        return Baseline(
            taken_at=span.end,
            wanted_seconds=span.spec.window.total_seconds(),
            covered_seconds=covered_seconds(covered, wanted=span.spec.window),
            signals=signals,
        )

    async def _signal(
        self, query: str, span: "_Span", detector: Detector | None, wanted: int
    ) -> tuple[SignalBaseline, timedelta]:
        """Summarise one query's history with the newest points `wanted`, and say how long it is."""
        seasonal = isinstance(detector, Seasonal)
        points, length = await self._history(query, span, questions=_SEASONAL_QUESTIONS if seasonal else 1)
        signal = dated_baseline(
            query, points, at=span.end, minimum_points=span.spec.minimum_points, by_hour=seasonal
        )
        wanted = min(wanted, span.length // span.interval)
        if not points or not wanted:
            return signal, length
        # A detector takes each value for one interval, so these lie as far apart as the watch's will.
        newest = await self._points(query, end=span.end, span=(wanted - 1) * span.interval, step=span.interval)
        return signal.model_copy(update={"recent": [value for _, value in newest]}), length

    async def _history(self, query: str, span: "_Span", *, questions: int) -> tuple[list[Point], timedelta]:
        """Return points and how much time they stand for; a short history is asked again for finer points."""
        most = questions * MOST_POINTS
        step = affordable_step(span.length, span.spec.step, most_points=most)
        points = await self._points(query, end=span.end, span=span.length, step=step)
        length = len(points) * step
        finer_step = affordable_step(length, span.spec.step, most_points=most)
        if points and finer_step < step:
            finer = await self._points(query, end=span.end, span=length, step=finer_step)
            if len(finer) > len(points):
                return finer, len(finer) * finer_step
        return points, length

    async def _points(self, query: str, *, end: datetime, span: timedelta, step: timedelta) -> list[Point]:
        """Ask for points, counted back from the end, so that the newest is there however long the step is."""
        found: list[Point] = []
        first, most = end - span // step * step, MOST_POINTS - 1  # of one more, the source would widen the step
        while True:
            last = min(end, first + most * step)
            found += await self._metrics.points(query, start=first, end=last, step=step)
            if last >= end:
                return found
            first = last + step

    async def _edges(self, scoring: Scoring, span: "_Span") -> list[EdgeBaseline]:
        """Summarise how the control's call edges failed, of each over all its members."""
        if scoring.edges is None:
            return []
        step = affordable_step(span.length, span.spec.step, most_points=_EDGE_POINTS)
        series = await self._metrics.matrix(
            resolve(scoring.edges.error_percent, side=scoring.control_label, window=span.interval),
            start=span.end - span.length // step * step,
            end=span.end,
            step=step,
        )
        found: dict[Pair, list[float]] = defaultdict(list)
        for one in series:
            place = at_place(one.labels, scoring.edges)
            if place is not None:
                found[place[0], place[1]] += one.numbers
        return [edge_baseline(*pair, numbers) for pair, numbers in sorted(found.items()) if numbers]


@dataclass(frozen=True)
class _Span:
    """The history to look at: `length` before `end`, which may be less than the window of `spec`."""

    spec: BaselineSpec
    end: datetime
    length: timedelta
    interval: timedelta
