"""SLOs, KPIs, resources and the load over the window, from the looks."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.adapters.reports.figures import Curve, KpiFigures, LoadFigures, SloFigures
from holdfast.adapters.reports.looks import LEVELS, Floats, KpiColumns, Looks, SloColumns, known, last, summary
from holdfast.loadgen.result import LoadResult
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.slo.spec import Kpi
from holdfast.slo.status import Level, WindowCount

Flags = npt.NDArray[np.bool_]
_BREACH, _WARNING, _UNKNOWN = (LEVELS.index(x) for x in (Level.BREACH, Level.WARNING, Level.UNKNOWN))
_POINTS: Final = 400  # of a plot's line
_BEFORE_PERCENT: Final = 5  # of the events: so few before the window leave the difference a count of the window


def slo_figures(looks: Looks, spec: CampaignSpec | None, until: datetime) -> list[SloFigures]:
    """Return each promise, those of the file first and in its order, as it stood at a moment."""
    named = [(c, s) for c, context in spec.contexts.items() for s in context.slos] if spec else []
    keys = [*(key for key in named if key in looks.slos), *(key for key in looks.slos if key not in named)]
    found = [_slo(looks, looks.slos[key], spec, until) for key in keys]
    missing = [key for key in named if key not in looks.slos]
    return found + [_unseen(spec, *key) for key in missing if spec]


def title_of(spec: CampaignSpec | None, context: str) -> str:
    """Return what people call a context."""
    known_context = spec.contexts.get(context) if spec else None
    return known_context.title if known_context else context


def _unseen(spec: CampaignSpec, context: str, name: str) -> SloFigures:
    slo = spec.contexts[context].slos[name]
    return SloFigures(
        context=context,
        title=title_of(spec, context),
        slo=name,
        promise=slo.promise,
        objective_percent=slo.objective_percent,
        journey=slo.journey,
        period=slo.period,
        unknown_percent=100.0,
    )


def _slo(looks: Looks, columns: SloColumns, spec: CampaignSpec | None, until: datetime) -> SloFigures:
    first, level, minutes = columns.first, np.asarray(columns.level), looks.minutes
    burn = np.asarray(columns.burn)
    context = spec.contexts.get(first.context) if spec else None
    promised = context.slos.get(first.slo) if context else None
    figures = SloFigures(
        context=first.context,
        title=title_of(spec, first.context),
        slo=first.slo,
        promise=first.promise,
        objective_percent=first.objective_percent,
        journey=first.journey,
        period_left_percent=last(columns.left),
        period=promised.period if promised else None,
        worst_burn=summary(known(burn), np.max),
        worst_at=looks.at(int(np.nanargmax(burn))) if known(burn).size else None,
        breach_minutes=float(minutes[level == _BREACH].sum()),
        warning_minutes=float(minutes[level == _WARNING].sum()),
        looks=int(np.isfinite(level).sum()),
        unknown_percent=_percent((level == _UNKNOWN) | ~np.isfinite(level)),
    )
    return figures.model_copy(update=_in_the_window(columns, minutes, first.objective_percent, until))


def _in_the_window(
    columns: SloColumns, minutes: Floats, objective: float, until: datetime
) -> dict[str, object]:
    """Return what the window came to: as the watch counted it last, else as well as it can be told."""
    events, bad_events, at = last(columns.counted), last(columns.counted_bad), last(columns.counted_at)
    if events and bad_events is not None:
        seen = None if at is None else datetime.fromtimestamp(at, UTC)
        count = WindowCount.of(int(events), int(bad_events), objective, at=seen)
        left = count.budget_left_percent
        return {
            "sli_percent": count.sli_percent,
            "basis": "counted",
            "events": float(count.events),
            "bad_events": float(count.bad_events),
            "held": count.kept,
            "counted_until": count.stopped_at(until),
            "budget_used_percent": 100 - left,
            "budget_left_percent": left,
        }
    sli, basis, events, bad = _sli(columns, minutes, objective)
    used = None if sli is None else 100 * (100 - sli) / (100 - objective)
    return {
        "sli_percent": sli,
        "basis": basis,
        "events": events,
        "bad_events": bad,
        "budget_used_percent": used,
        "budget_left_percent": None if used is None else 100 - used,
    }


def _sli(
    columns: SloColumns, minutes: Floats, objective: float
) -> tuple[float | None, str, float | None, float | None]:
    """Return the SLI where the watch did not count, how it is known, and the events where they can be told.

    The events of a look are those of the SLO's whole period, which rolls: their difference counts the window
    only where there were next to none before it and their number never falls.
    """
    events, bad = known(columns.events), known(columns.bad)
    if events.size > 1 and bad.size == events.size:
        counted, failed = float(events[-1] - events[0]), float(bad[-1] - bad[0])
        rises = bool((np.diff(events) >= 0).all() and (np.diff(bad) >= 0).all())
        if rises and counted > 0 and failed <= counted and 100 * events[0] <= _BEFORE_PERCENT * events[-1]:
            return 100 * (1 - failed / counted), "counted", counted, failed
    recent = np.asarray(columns.recent)
    there = np.isfinite(recent)
    weight = float(minutes[there].sum())
    if weight <= 0:
        return None, "", None, None
    burn = float((recent[there] * minutes[there]).sum()) / weight
    return min(max(0.0, 100 - burn * (100 - objective)), 100.0), "burn", None, None


def _percent(flags: Flags) -> float:
    return 100 * float(flags.mean()) if flags.size else 0.0


def slow_looks(looks: Looks, context: str) -> Flags:
    """Say of each look whether the context was slow: an SLO burned, or a KPI that is no resource was off."""
    slow = np.zeros(len(looks), dtype=np.bool_)
    for (name, _), columns in looks.slos.items():
        if name == context:
            level = np.asarray(columns.level)
            slow |= (level == _BREACH) | (level == _WARNING)
    for (name, _), kpi in looks.kpis.items():
        if name == context and not known(kpi.used).size:
            slow |= np.asarray(kpi.level) == _WARNING
    return slow


def kpi_figures(looks: Looks, spec: CampaignSpec | None) -> list[KpiFigures]:
    """Return each KPI and resource that was seen."""
    return [_kpi(looks, columns, spec) for columns in looks.kpis.values()]


def _kpi(looks: Looks, columns: KpiColumns, spec: CampaignSpec | None) -> KpiFigures:
    first, value = columns.first, np.asarray(columns.value)
    context = spec.contexts.get(first.context) if spec else None
    kpi = context.kpis.get(first.name) if context else None
    there, used = known(value), np.asarray(columns.used)
    slow = slow_looks(looks, first.context)
    falls = bool(kpi and kpi.bad_when == "falling")
    percentiles = [float(p) for p in np.percentile(there, (50, 95, 99))] if there.size else [None] * 3
    worst = (int(np.nanargmin(value) if falls else np.nanargmax(value))) if there.size else None
    return KpiFigures(
        context=first.context,
        title=title_of(spec, first.context),
        name=first.name,
        label=first.title or first.name,
        unit=first.unit,
        resource=bool(known(used).size or (context and first.name in context.resources)),
        looks=int(there.size),
        p50=percentiles[0],
        p95=percentiles[1],
        p99=percentiles[2],
        worst=None if worst is None else float(value[worst]),
        worst_at=None if worst is None else looks.at(worst),
        baseline=summary(known(columns.baseline), np.median),
        slow=summary(known(value[slow]), np.mean),
        used_percent=summary(known(used), np.max),
        slow_used_percent=summary(known(used[slow]), np.mean),
        well_used_percent=summary(known(used[~slow]), np.mean),
        deviating_minutes=float(looks.minutes[np.asarray(columns.level) == _WARNING].sum()),
    )


# --- load ----------------------------------------------------------------------------------------------------


def load_figures(looks: Looks, spec: CampaignSpec | None, result: LoadResult | None) -> LoadFigures:
    """Return the load that came; a session makes as many requests as it did in the load test."""
    rates = _throughputs(looks, spec)
    made = {f.name: f.due for f in result.figures if f.kind == "context"} if result else {}
    tested = [context for context in rates if made.get(context)]
    sessions = result.planned - result.lost if result else 0
    a_session = sum(made[c] for c in tested) / sessions if tested and sessions > 0 else None
    chosen = tested if a_session else list(rates)
    total = _sum([rates[context] for context in chosen], len(looks))
    there = known(total)
    peak = int(np.nanargmax(total)) if there.size else None
    plan = spec.load_test.peak if spec else None
    return LoadFigures(
        expected_peak=plan.expected_peak if plan else None,
        safety_factor=plan.safety_factor if plan else 1.0,
        requests_a_session=a_session,
        contexts=chosen,
        peak=None if peak is None else float(total[peak]),
        peak_at=None if peak is None else looks.at(peak),
        mean=summary(there, np.mean),
        peak_sessions=float(total[peak]) / a_session if peak is not None and a_session else None,
        curve=curve("throughput", looks, total, unit="/s") if there.size else None,
    )


def load_at(load: LoadFigures, at: datetime) -> float | None:
    """Return the load in sessions a second at the newest point up to a moment."""
    if load.curve is None or not load.requests_a_session:
        return None
    before = [value for when, value in load.curve.points if when <= at and value is not None]
    return before[-1] / load.requests_a_session if before else None


def _throughputs(looks: Looks, spec: CampaignSpec | None) -> dict[str, Floats]:
    """Return each context's requests a second: a KPI in `/s` of which less is bad, best `throughput`."""
    found: dict[str, Floats] = {}
    for name, context in (spec.contexts if spec else {}).items():
        fitting = [kpi for kpi, of in context.kpis.items() if _is_throughput(of) and (name, kpi) in looks.kpis]
        if fitting:
            chosen = "throughput" if "throughput" in fitting else fitting[0]
            found[name] = np.asarray(looks.kpis[name, chosen].value)
    return found


def _is_throughput(kpi: Kpi) -> bool:
    return kpi.unit.startswith("/s") and kpi.bad_when == "falling"


def _sum(columns: Sequence[Floats], length: int) -> Floats:
    """Add up what is there; a look without any number has none."""
    if not columns:
        return np.full(length, np.nan)
    stacked = np.stack(columns)
    total = np.nansum(stacked, axis=0)
    return np.where(np.isfinite(stacked).any(axis=0), total, np.nan)


# --- lines of plots ------------------------------------------------------------------------------------------


def curve(
    name: str, looks: Looks, values: Floats, *, unit: str = "", context: str = "", low: bool = False
) -> Curve:
    """Thin a column out to a plot's line: of each stretch its highest value, or its lowest, stays."""
    size = len(values)
    parts = np.array_split(np.arange(size), min(_POINTS, max(size, 1)))
    points: list[tuple[datetime, float | None]] = []
    for part in parts:
        if not part.size:
            continue
        there = part[np.isfinite(values[part])]
        if not there.size:
            points.append((looks.at(int(part[0])), None))
            continue
        index = int(there[np.argmin(values[there]) if low else np.argmax(values[there])])
        points.append((looks.at(index), float(values[index])))
    return Curve(name=name, context=context, unit=unit, points=points)


def budget_curves(looks: Looks, slos: Sequence[SloFigures], opens: datetime) -> list[Curve]:
    """Return what was left of each budget of the window that the watch counted, over time.

    The budget is that of all its events in the end. So it is whole as the window opens, falls with each bad
    event, and ends at the figure of the table.
    """
    found: list[Curve] = []
    for figures in slos:
        columns = looks.slos.get((figures.context, figures.slo))
        if columns is None or figures.held is None or not figures.events:
            continue
        allowed = figures.events * (100 - figures.objective_percent) / 100
        left = 100 * (1 - np.asarray(columns.counted_bad) / allowed)
        line = curve(figures.slo, looks, left, unit="%", context=figures.title, low=True)
        begins = next((n for n, (_, value) in enumerate(line.points) if value is not None), 0)
        points = [(opens, 100.0), *line.points[begins:]]
        found.append(line.model_copy(update={"points": points}))
    return found


def period_budget_curves(looks: Looks, slos: Sequence[SloFigures]) -> list[Curve]:
    """Return what was left of the period's budget of each SLO that the watch did not count."""
    columns = [
        (f, np.asarray(looks.slos[f.context, f.slo].left))
        for f in slos
        if (f.context, f.slo) in looks.slos and f.held is None
    ]
    return [
        curve(figures.slo, looks, left, unit="%", context=figures.title, low=True)
        for figures, left in columns
        if known(left).size
    ]


def latency_curves(looks: Looks, kpis: Sequence[KpiFigures]) -> list[Curve]:
    """Return each context's first KPI in seconds over time."""
    chosen: dict[str, KpiFigures] = {}
    for kpi in kpis:
        if kpi.unit in {"s", "ms"} and not kpi.resource and kpi.looks:
            chosen.setdefault(kpi.context, kpi)
    return [
        curve(k.label, looks, np.asarray(looks.kpis[k.context, k.name].value), unit=k.unit, context=k.title)
        for k in chosen.values()
    ]
