"""What the queries of a file give at one moment, for the canary and for the control beside it."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from holdfast.domain.errors import InvalidInput, MetricsUnavailable
from holdfast.ports.metrics import Labelled, MetricsSource
from holdfast.verdict.observation import EdgeSample, NoData, Observation
from holdfast.verdict.query import resolve
from holdfast.verdict.settings import EdgeQueries, Metric, Scoring

T = TypeVar("T")
# (caller, callee) and, of one of them, the member of the side that reported it; "" where a side is one series.
Pair = tuple[str, str]
Place = tuple[str, str, str]

_WHOLE_PERCENT = 100
# Few enough that a watch does not take the database away from the people who look at it meanwhile.
_AT_ONCE: Final = 8


class Observer:
    """Asks the canary and the control the same queries for the same moment."""

    def __init__(self, metrics: MetricsSource) -> None:
        """Ask this source."""
        self._metrics = metrics

    async def observe(
        self, scoring: Scoring, *, share_percent: int, at: datetime, interval: timedelta
    ) -> Observation:
        """Return what was seen; when the source does not answer any one query, nothing was.

        Args:
            scoring: the queries.
            share_percent: at 100 nothing is left on the control, so it is not asked: its silence is no sign.
            at: the moment.
            interval: the `$window` of the queries, and the time over which requests and calls are counted.

        Raises:
            InvalidInput: a query cannot be answered.
        """
        moment = _Moment(scoring, share_percent < _WHOLE_PERCENT, at, interval)
        try:
            numbers = await self._numbers(moment)
            series = await self._series(moment)
        except MetricsUnavailable as error:
            return _blind(scoring, share_percent=share_percent, at=at, trouble=str(error))
        requests = [_requests(moment, numbers, side) for side in (scoring.canary_label, scoring.control_label)]
        return Observation(
            at=at,
            share_percent=share_percent,
            values={name: _values(metric, moment, numbers) for name, metric in scoring.metrics.items()},
            control=_control(moment, numbers),
            canary_requests=requests[0],
            control_requests=requests[1],
            edges=_edges(scoring.edges, moment, series) if scoring.edges else [],
        )

    async def _numbers(self, moment: "_Moment") -> dict[str, float | None]:
        queries = [query for metric in moment.scoring.metrics.values() for query in metric.queries]
        queries += [moment.scoring.traffic] if moment.scoring.traffic else []
        asked = moment.resolved(queries)
        found = await gathered(partial(self._metrics.instant, query, at=moment.at) for query in asked)
        return dict(zip(asked, found, strict=True))

    async def _series(self, moment: "_Moment") -> dict[str, list[Labelled]]:
        edges = moment.scoring.edges
        queries = [query for query in (edges.error_percent, edges.calls) if query] if edges else []
        asked = moment.resolved(queries)
        found = await gathered(partial(self._metrics.vector, query, at=moment.at) for query in asked)
        return dict(zip(asked, found, strict=True))


async def gathered(work: Iterable[Callable[[], Awaitable[T]]], *, at_once: int = _AT_ONCE) -> list[T]:
    """Do all of it, at most so many at once, and return the results in order; the first error ends the rest."""
    room = asyncio.Semaphore(at_once)

    async def in_turn(one: Callable[[], Awaitable[T]]) -> T:
        async with room:
            return await one()

    tasks = [asyncio.create_task(in_turn(one)) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


@dataclass(frozen=True)
class _Moment:
    """When, and of which sides, queries are asked."""

    scoring: Scoring
    with_control: bool
    at: datetime
    interval: timedelta

    def canary(self, query: str) -> str:
        return resolve(query, side=self.scoring.canary_label, window=self.interval)

    def control(self, query: str) -> str:
        return resolve(query, side=self.scoring.control_label, window=self.interval)

    def resolved(self, queries: Iterable[str]) -> list[str]:
        """Return what has to be asked, each once, the canary's before the control's."""
        sides = (self.canary, self.control) if self.with_control else (self.canary,)
        return list(dict.fromkeys(side(query) for query in queries for side in sides))


def _blind(scoring: Scoring, *, share_percent: int, at: datetime, trouble: str) -> Observation:
    down: dict[str, list[float | NoData]] = {
        name: [NoData.PROVIDER_DOWN] * len(metric.queries) for name, metric in scoring.metrics.items()
    }
    control = down if share_percent < _WHOLE_PERCENT else {}
    return Observation(at=at, share_percent=share_percent, values=down, control=control, trouble=trouble)


def _values(metric: Metric, moment: _Moment, numbers: Mapping[str, float | None]) -> list[float | NoData]:
    values: list[float | NoData] = []
    for query in metric.queries:
        canary, control = numbers[moment.canary(query)], numbers.get(moment.control(query))
        silent = NoData.BOTH_SILENT if control is None else NoData.CANARY_SILENT
        values.append(silent if canary is None else canary)
    return values


def _control(moment: _Moment, numbers: Mapping[str, float | None]) -> dict[str, list[float | NoData]]:
    if not moment.with_control:
        return {}
    found: dict[str, list[float | NoData]] = {}
    for name, metric in moment.scoring.metrics.items():
        its = [numbers[moment.control(query)] for query in metric.queries]
        found[name] = [NoData.BOTH_SILENT if number is None else number for number in its]
    return found


def _requests(moment: _Moment, numbers: Mapping[str, float | None], side: str) -> float | None:
    """Return a side's requests in the interval; None where that is not known."""
    if moment.scoring.traffic is None:
        return None
    asked = resolve(moment.scoring.traffic, side=side, window=moment.interval)
    a_second = numbers.get(asked) if moment.with_control or side == moment.scoring.canary_label else None
    return None if a_second is None else a_second * moment.interval.total_seconds()


# --- call edges ---------------------------------------------------------------------------------------------


@dataclass
class _Side:
    """What one side reported of one edge, by member."""

    ratios: dict[str, float | None] = field(default_factory=dict[str, float | None])
    calls: dict[str, float] = field(default_factory=dict[str, float])

    def members(self) -> list[float | None]:
        """Return percents of failed calls, None for who called in vain; who did not call is left out."""
        if not self.ratios and not self.calls:
            return []
        if "" in self.ratios or "" in self.calls:  # a query without members cannot be matched to one with them
            silent = bool(self.calls) and not any(self.calls.values())
            return [] if silent else list(self.ratios.values()) or [None]
        members = sorted({*self.ratios, *self.calls})
        return [self.ratios.get(member) for member in members if self.calls.get(member) != 0]


def at_place(labels: Mapping[str, str], edges: EdgeQueries) -> Place | None:
    """Return which edge, and member, a series is of; None where the judged system is at neither end."""
    caller, callee = labels.get(edges.caller_label, ""), labels.get(edges.callee_label, "")
    if edges.service not in {caller, callee}:
        return None
    return caller, callee, labels.get(edges.member_label, "") if edges.member_label else ""


def _edges(edges: EdgeQueries, moment: _Moment, series: Mapping[str, list[Labelled]]) -> list[EdgeSample]:
    canary = _reported(edges, moment.canary, series)
    control = _reported(edges, moment.control, series if moment.with_control else {})
    samples = [
        EdgeSample(
            caller=caller,
            callee=callee,
            inbound=callee == edges.service,
            canary=canary[caller, callee].members(),
            control=control[caller, callee].members(),
            canary_calls=_calls(edges, canary[caller, callee], moment),
            control_calls=_calls(edges, control[caller, callee], moment) if moment.with_control else None,
        )
        for caller, callee in sorted({*canary, *control})
    ]
    return [sample for sample in samples if sample.canary or sample.control]


def _reported(
    edges: EdgeQueries, asked: Callable[[str], str], series: Mapping[str, list[Labelled]]
) -> defaultdict[Pair, _Side]:
    sides: defaultdict[Pair, _Side] = defaultdict(_Side)
    for (caller, callee, member), ratio in _by_place(edges, asked(edges.error_percent), series).items():
        sides[caller, callee].ratios[member] = ratio
    if edges.calls:
        for (caller, callee, member), calls in _by_place(edges, asked(edges.calls), series).items():
            sides[caller, callee].calls[member] = calls or 0.0
    return sides


def _by_place(
    edges: EdgeQueries, query: str, series: Mapping[str, list[Labelled]]
) -> dict[Place, float | None]:
    found: dict[Place, float | None] = {}
    for one in series.get(query, []):
        place = at_place(one.labels, edges)
        if place is not None and place in found:
            raise InvalidInput(
                f"query '{query}' gives several series for {place[0]} → {place[1]}: aggregate them with "
                f"sum by ({', '.join(_names(edges))}) (…)"
            )
        if place is not None:
            found[place] = one.value
    return found


def _names(edges: EdgeQueries) -> list[str]:
    return [name for name in (edges.caller_label, edges.callee_label, edges.member_label) if name]


def _calls(edges: EdgeQueries, side: _Side, moment: _Moment) -> float | None:
    """Return the calls in the interval; where they are measured and there is no series, there were none."""
    return sum(side.calls.values()) * moment.interval.total_seconds() if edges.calls else None
