"""What the watch has to ask the metrics database at one moment, as plain data.

All of it is raw PromQL of the campaign's file: it works where none of our rules are installed. Per SLO and
window the good (or bad) events and all events are asked apart. That reads each series once, as one query for
their ratio would, and gives the number of events as well.

The period's two questions read weeks of samples. They are one query each, marked by `Question.costly`: a
database that cannot answer them in time makes the budget unknown, never the rest, and whoever asks may do so
less often.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from string import Template
from typing import Final

from holdfast.slo.spec import ServiceContext, Slo

_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms"))
# A Prometheus reads about an hour of a busy histogram in milliseconds, and a week of it in seconds.
COSTLY_FROM: Final = timedelta(days=7)


@dataclass(frozen=True)
class Question:
    """One query with a single number for an answer.

    Attributes:
        key: under which `evaluate` looks for the answer.
        query: PromQL, ready to be asked.
        window: how far back it reads.
    """

    key: str
    query: str
    window: timedelta

    @property
    def costly(self) -> bool:
        """Whether it reads a week or more."""
        return self.window >= COSTLY_FROM


def questions(contexts: Mapping[str, ServiceContext], *, window: timedelta) -> list[Question]:
    """Return everything to ask at one moment, each key once, in file order.

    Args:
        contexts: by name.
        window: `$window` of KPIs and resources; SLOs have windows of their own.
    """
    asked: dict[str, Question] = {}
    for name, context in contexts.items():
        for question in _of_context(name, context, window):
            asked.setdefault(question.key, question)
    return list(asked.values())


def baseline_questions(contexts: Mapping[str, ServiceContext], *, window: timedelta) -> list[Question]:
    """Return the KPIs whose past is worth asking for; the keys are those of `questions`."""
    return [
        question
        for name, context in contexts.items()
        for question in _kpis(name, context, window)
        if context.kpis[question.key.rpartition("/")[2]].bad_when != "never"
    ]


def window_questions(contexts: Mapping[str, ServiceContext], *, window: timedelta) -> list[Question]:
    """Return what counts each promise's events since a campaign's window opened.

    A rate times its window is a number of events. `rate` counts from the first to the last sample in the
    window and stretches that to both ends. So the number is off by how far the traffic at the ends, less than
    a scrape each, differs from the mean: in an hour with a scrape each 15 s by a percent at most where it
    doubles. All series are stretched alike, so the share of bad events is exact but for those at the ends.
    What a counter held at its first sample, and what it gained between the last scrape and a restart, is in
    no rate.

    Args:
        contexts: by name.
        window: since it opened, whole seconds.
    """
    return [
        question
        for name, context in contexts.items()
        for slo_name, slo in context.slos.items()
        for question in _over(name, slo_name, slo, window)
    ]


def by_query(asked: Iterable[Question]) -> dict[str, list[Question]]:
    """Group questions by their query, so that contexts that share a resource ask for it once."""
    found: dict[str, list[Question]] = {}
    for question in asked:
        found.setdefault(question.query, []).append(question)
    return found


def windows_of(slo: Slo) -> list[timedelta]:
    """Return the windows of all alerts, each once, the shortest first."""
    return sorted({window for alert in slo.alerts for window in (alert.long, alert.short)})


def part_key(context: str, slo: str, window: timedelta) -> str:
    """Return the key of the good or bad events a second over a window."""
    return f"{context}/slo/{slo}/part/{promql(window)}"


def total_key(context: str, slo: str, window: timedelta) -> str:
    """Return the key of all events a second over a window."""
    return f"{context}/slo/{slo}/total/{promql(window)}"


def kpi_key(context: str, kpi: str) -> str:
    """Return the key of a KPI."""
    return f"{context}/kpi/{kpi}"


def resource_key(context: str, resource: str) -> str:
    """Return the key of a resource."""
    return f"{context}/resource/{resource}"


def is_of_promise(question: Question) -> bool:
    """Whether a promise is judged by its answer; KPIs and resources call nobody."""
    return question.key.split("/", 2)[1] == "slo"


def over(query: str, window: timedelta) -> str:
    """Put a duration for `$window`; any other `$` stays as it is."""
    return Template(query).safe_substitute(window=promql(window))


def promql(window: timedelta) -> str:
    """Write a duration as Prometheus does: `5m`, `1h30m`, `30d`; at least a millisecond."""
    left = max(1, round(window / timedelta(milliseconds=1)))
    text = ""
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text


def bad_share_query(slo: Slo, window: timedelta) -> str:
    """Return one query for the share of bad events over a window, from 0 to 1; no series without events.

    Rates are extrapolated to the window's ends, so the good ones can pass all of them by a trace.
    """
    total = over(slo.total, window)
    if slo.bad is not None:
        return f"clamp((\n{over(slo.bad, window)}\n) / ((\n{total}\n) > 0), 0, 1)"
    return f"clamp(1 - (\n{over(slo.good or '', window)}\n) / ((\n{total}\n) > 0), 0, 1)"


def _of_context(name: str, context: ServiceContext, window: timedelta) -> Iterator[Question]:
    for slo_name, slo in context.slos.items():
        yield from _of_slo(name, slo_name, slo)
    yield from _kpis(name, context, window)
    for resource, spec in context.resources.items():
        yield Question(resource_key(name, resource), over(spec.query, window), window)


def _of_slo(context: str, name: str, slo: Slo) -> Iterator[Question]:
    for window in (*windows_of(slo), slo.period):
        yield from _over(context, name, slo, window)


def _over(context: str, name: str, slo: Slo, window: timedelta) -> Iterator[Question]:
    part = slo.good if slo.bad is None else slo.bad
    yield Question(part_key(context, name, window), over(part or "", window), window)
    yield Question(total_key(context, name, window), over(slo.total, window), window)


def _kpis(name: str, context: ServiceContext, window: timedelta) -> Iterator[Question]:
    for kpi, spec in context.kpis.items():
        yield Question(kpi_key(name, kpi), over(spec.query, window), window)
