"""Puts `releases.json` and `minutes.csv` together: observations of both sides, and the baseline before."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from holdfast.adapters.releases.minutes import CaseRows, Edge, read_minutes
from holdfast.adapters.releases.records import RELEASES_FILE, ReleaseRecord, read_records
from holdfast.adapters.releases.sides import MINUTE_SECONDS, Member, mean_of, median_of, minutes_of_pod
from holdfast.domain.errors import InvalidInput
from holdfast.verdict.observation import (
    Baseline,
    EdgeBaseline,
    EdgeSample,
    NoData,
    Observation,
    SignalBaseline,
)
from holdfast.verdict.releases import (
    CALL_PRESENCE,
    CPU_PERCENT,
    ERROR_PERCENT,
    LATENCY_MS,
    MEMORY_PERCENT,
    RELEASE_SCORING,
    Release,
    summarised,
)

_QUERIES: Final = {
    ERROR_PERCENT: "100 - success_rate_pct of the stable pods, median",
    LATENCY_MS: "latency_ms of the stable pods, median",
    CALL_PRESENCE: "inbound edges with a success_rate_pct of the stable pods, median",
    CPU_PERCENT: "cpu_pct of the stable pods, median",
    MEMORY_PERCENT: "memory_pct of the stable pods, median",
}
_MINIMUM_POINTS: Final = RELEASE_SCORING.baseline.minimum_points

_Side = Sequence[Member]  # the members that reported anything in one minute


def read_releases(directory: Path) -> list[Release]:
    """Read a folder of past releases: `releases.json`, and `minutes.csv` or `minutes.csv.gz`.

    Raises:
        InvalidInput: a file is missing or wrong; the text names file, line or record, and field.
    """
    records = read_records(directory)
    cases = read_minutes(directory)
    releases: list[Release] = []
    for number, record in enumerate(records, start=1):
        where = f"{directory / RELEASES_FILE}: record {number} ({record.id})"
        rows = cases.get(record.case)
        if rows is None:
            raise InvalidInput(f"{where}: case: no row of the minutes belongs to case '{record.case}'")
        beside = [other for other in records if other.case == record.case and other is not record]
        releases.append(_release(_Watched(record, rows), beside, where))
    return releases


@dataclass(frozen=True)
class _Watched:
    """One release with the minutes of its two sides."""

    record: ReleaseRecord
    rows: CaseRows

    @cached_property
    def canary(self) -> dict[int, list[Member]]:
        return self._side(self.record.canary_pods)

    @cached_property
    def control(self) -> dict[int, list[Member]]:
        return self._side(pod for pod in self.rows.pods if self.record.is_control(pod))

    @cached_property
    def minutes(self) -> dict[int, float]:
        """Each minute in which any service of the case reported, with its distance from the first step."""
        stamps = (at for edges in self.rows.pods.values() for rows in edges.values() for at, _ in rows)
        minutes = sorted({round((at - self.rows.earliest) / MINUTE_SECONDS) for at in stamps})
        return {minute: (self.at(minute) - self.record.started_at).total_seconds() / 60 for minute in minutes}

    def at(self, minute: int) -> datetime:
        return datetime.fromtimestamp(self.rows.earliest + MINUTE_SECONDS * minute, UTC)

    def _side(self, pods: Iterable[str]) -> dict[int, list[Member]]:
        side: dict[int, list[Member]] = {}
        for pod in pods:
            for minute, member in minutes_of_pod(self.rows, pod, self.record.service).items():
                side.setdefault(minute, []).append(member)
        return side


def _release(watched: _Watched, beside: Sequence[ReleaseRecord], where: str) -> Release:
    record = watched.record
    if not watched.control:
        raise InvalidInput(
            f"{where}: service: no pod of the minutes is a control of '{record.service}': "
            f"name them in control_pods, or '{record.service}-v1-…'"
        )
    observed = [m for m, after in watched.minutes.items() if 0 < after <= record.observed_minutes]
    if not observed:
        raise InvalidInput(f"{where}: first_step_at: no row of its case is of the minutes after it")
    concurrent = sorted({o.service for o in beside if _overlaps(record, o)} - {record.service})
    return Release(
        id=record.id,
        case=record.case,
        day=record.day,
        service=record.service,
        label=record.label,
        fault=record.fault or "",
        replicas=record.replicas,
        started_at=record.started_at,
        observed_minutes=record.observed_minutes,
        baseline=_baseline(watched),
        observations=[_observation(watched, minute, concurrent) for minute in observed],
    )


def _overlaps(record: ReleaseRecord, other: ReleaseRecord) -> bool:
    """Whether the other release's first step goes out before this one's observed time ends."""
    after = (other.started_at - record.started_at).total_seconds() / 60
    return -other.observed_minutes <= after <= record.observed_minutes


def _observation(watched: _Watched, minute: int, concurrent: list[str]) -> Observation:
    record, canary, control = watched.record, watched.canary.get(minute, []), watched.control.get(minute, [])
    values: dict[str, list[float | NoData]] = {}
    controls: dict[str, list[float | NoData]] = {}
    for metric in _QUERIES:
        ours, theirs = mean_of(canary, metric), median_of(control, metric)
        silent = NoData.BOTH_SILENT if theirs is None else NoData.CANARY_SILENT
        values[metric] = [silent if ours is None else ours]
        controls[metric] = [NoData.BOTH_SILENT if theirs is None else theirs]
    return Observation(
        at=watched.at(minute),
        share_percent=_share_percent(record),
        values=values,
        control=controls,
        edges=_edges(record.service, canary, control),
        concurrent=concurrent,
    )


def _share_percent(record: ReleaseRecord) -> int:
    """Take every member for an equal part of the traffic."""
    return max(1, min(100, round(100 * len(record.canary_pods) / record.replicas)))


def _edges(service: str, canary: _Side, control: _Side) -> list[EdgeSample]:
    edges = sorted({edge for member in (*canary, *control) for edge in member.errors})
    return [
        EdgeSample(
            caller=edge[0],
            callee=edge[1],
            inbound=edge[1] == service,
            canary=[member.errors[edge] for member in canary if edge in member.errors],
            control=[member.errors[edge] for member in control if edge in member.errors],
        )
        for edge in edges
    ]


def _baseline(watched: _Watched) -> Baseline:
    before = [m for m, after in watched.minutes.items() if after <= 0]
    history = {minute: watched.control[minute] for minute in before if minute in watched.control}
    return Baseline(
        taken_at=watched.record.started_at,
        wanted_seconds=float(MINUTE_SECONDS * len(before)),
        covered_seconds=float(MINUTE_SECONDS * len(history)),
        signals={metric: [_signal(metric, watched, history)] for metric in _QUERIES},
        edges=_edge_baselines(history),
    )


def _signal(metric: str, watched: _Watched, history: Mapping[int, _Side]) -> SignalBaseline:
    numbers = {watched.at(minute): median_of(side, metric) for minute, side in history.items()}
    points = {at: number for at, number in numbers.items() if number is not None}
    return summarised(_QUERIES[metric], points, minimum_points=_MINIMUM_POINTS)


def _edge_baselines(history: Mapping[int, _Side]) -> list[EdgeBaseline]:
    errors: dict[Edge, list[float]] = {}
    for side in history.values():
        for member in side:
            for edge, error in member.errors.items():
                if error is not None:
                    errors.setdefault(edge, []).append(error)
    return [
        EdgeBaseline(
            caller=caller,
            callee=callee,
            mean_error_percent=statistics.fmean(points),
            worst_error_percent=max(points),
            points=len(points),
        )
        for (caller, callee), points in sorted(errors.items())
    ]
