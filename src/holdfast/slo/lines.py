"""How contexts stand, in lines short enough for a chat."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from holdfast.domain.campaign import ContextLine
from holdfast.domain.shares import share_said
from holdfast.slo.sentences import quantity
from holdfast.slo.spec import ServiceContext
from holdfast.slo.status import KpiStatus, Level, Moment, SloStatus

_MARKS: Mapping[Level, str] = {Level.OK: "✅", Level.WARNING: "⚠️", Level.BREACH: "❌", Level.UNKNOWN: "▫️"}


def context_lines(contexts: Mapping[str, ServiceContext], moment: Moment) -> list[ContextLine]:
    """Return one line for each context, in file order, the promises first."""
    return [_line(name, context, moment) for name, context in contexts.items()]


def _line(name: str, context: ServiceContext, moment: Moment) -> ContextLine:
    slos = [status for status in moment.slos if status.context == name]
    kpis = [status for status in moment.kpis if status.context == name]
    budgets = [status.budget_left_percent for status in slos if status.budget_left_percent is not None]
    return ContextLine(
        name=name,
        title=context.title,
        level=moment.level_of(name),
        lines=[*(_promise(status, moment.at) for status in slos), *_numbers(kpis)],
        budget_left_percent=min(budgets, default=None),
    )


def _promise(status: SloStatus, at: datetime) -> str:
    left = status.budget_left_percent
    budget = f", {max(0.0, left):.0f} % of the budget is left" if left is not None else ""
    return f"{_MARKS[status.level]} {status.promise}{budget}{_in_the_window(status, at)}"


def _in_the_window(status: SloStatus, at: datetime) -> str:
    count = status.window
    if count is None:
        return ""
    share = share_said(count.sli_percent, status.objective_percent, kept=count.kept)
    stopped = count.stopped_at(at)
    until = f" (counted until {stopped.astimezone(UTC):%Y-%m-%d %H:%M} UTC)" if stopped else ""
    return f", {share} % in the window{until}"


def _numbers(kpis: list[KpiStatus]) -> Iterator[str]:
    shown = [_number(status) for status in kpis if status.value is not None]
    if shown:
        yield " · ".join(shown)


def _number(status: KpiStatus) -> str:
    text = f"{status.title or status.name} {quantity(status.value or 0.0, status.unit)}"
    if status.level is Level.WARNING and status.baseline is not None:
        return f"⚠️ {text} (usual {status.baseline:.3g})"
    if status.used_percent is not None:
        return f"{text} ({status.used_percent:.0f} %)"
    return text
