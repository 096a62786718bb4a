"""From rows to minutes: what each member of a service showed, and the two sides compared."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.adapters.releases.minutes import CaseRows, Edge, Sample
from holdfast.verdict.releases import CALL_PRESENCE, CPU_PERCENT, ERROR_PERCENT, LATENCY_MS, MEMORY_PERCENT

MINUTE_SECONDS: Final = 60


@dataclass(frozen=True)
class Member:
    """One pod in one minute.

    Attributes:
        errors: for each of its edges the percent of calls that failed; None where it reported no ratio.
        numbers: by metric, as far as the pod has one.
    """

    errors: dict[Edge, float | None]
    numbers: dict[str, float]


def minutes_of_pod(case: CaseRows, pod: str, service: str) -> dict[int, Member]:
    """Put a pod of a service into minutes since the case's earliest row, rounded: clocks differ by a second."""
    rows: dict[int, dict[Edge, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for edge, samples in case.pods.get(pod, {}).items():
        if service in edge:
            for at, sample in samples:
                rows[round((at - case.earliest) / MINUTE_SECONDS)][edge].append(sample)
    return {minute: _member(service, rows[minute]) for minute in sorted(rows)}


def _member(service: str, rows: Mapping[Edge, Sequence[Sample]]) -> Member:
    errors = {edge: _error_percent(samples) for edge, samples in rows.items()}
    everything = [sample for samples in rows.values() for sample in samples]
    # What a pod serves is what it is judged by as a whole; its calls to others are judged as edges.
    inbound = [edge for edge in rows if edge[1] == service]
    numbers = {
        ERROR_PERCENT: _mean(errors[edge] for edge in inbound),
        LATENCY_MS: _mean(_mean(s.latency_ms for s in rows[edge]) for edge in inbound),
        CALL_PRESENCE: float(sum(errors[edge] is not None for edge in inbound)),
        CPU_PERCENT: _mean(s.cpu_percent for s in everything),
        MEMORY_PERCENT: _mean(s.memory_percent for s in everything),
    }
    return Member(errors, {name: number for name, number in numbers.items() if number is not None})


def _error_percent(samples: Iterable[Sample]) -> float | None:
    success = _mean(sample.success_percent for sample in samples)
    return None if success is None else 100 - success


def mean_of(members: Iterable[Member], metric: str) -> float | None:
    """Return the mean of the members that have a number of this metric; None without any."""
    return _mean(member.numbers.get(metric) for member in members)


def median_of(members: Iterable[Member], metric: str) -> float | None:
    """Return the median likewise: one odd member of many says little about the control."""
    return _of(statistics.median, (member.numbers.get(metric) for member in members))


def _mean(values: Iterable[float | None]) -> float | None:
    return _of(statistics.fmean, values)


def _of(summary: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return summary(known) if known else None
