"""A run on a terminal: the same view that the Temporal UI and the chat show."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdfast.apps.cli.campaign_views import campaign_parts, load_parts
from holdfast.apps.cli.gate_views import gate_panel
from holdfast.apps.cli.tables import moment, table
from holdfast.domain.decisions import Choice
from holdfast.domain.gates import Gate, outcome_of
from holdfast.domain.journal import JournalEntry
from holdfast.domain.view import IncidentView, RunView, StageView, VerdictView
from holdfast.ports.runs import RunLine

LEVEL_STYLES = {"green": "green", "yellow": "yellow", "red": "bold red"}


def run_list(runs: Iterable[RunLine]) -> Table:
    """Show runs, one a line."""
    rows = ((r.run_id, r.kind, r.runbook, r.status, r.started_at) for r in runs)
    return table(("run", "kind", "runbook", "state", "started"), rows)


def whole_run(view: RunView) -> RenderableType:
    """Show everything about a run: what is asked, the plan, the numbers, what was changed, what happened."""
    return Group(*_parts(view))


def _parts(view: RunView) -> Iterator[RenderableType]:
    yield Text(f"{view.run_id}: {view.title}", style="bold")
    yield Text(f"{view.state}: {view.headline}")
    pace = f", pace {view.pace}" if view.kind == "rollout" else ""
    yield Text(
        f"runbook {view.runbook} ({view.digest or 'not read yet'}){pace}, started by "
        f"{view.requested_by} at {view.started_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    if view.paused_by:
        yield Text(f"Paused by {view.paused_by}; may let it go on: {', '.join(view.may_pause) or 'nobody'}.")
    yield from _of_kind(view)
    if view.gate:
        yield gate_panel(view.gate, view.people, datetime.now(UTC))
        yield Text(how_to_answer(view.gate, view.run_id))
    if view.stages or view.kind == "rollout":
        yield table(("stage", "change", "state"), map(_stage, view.stages), title="Plan")
    if view.verdict:
        yield from verdict(view.verdict, view.baseline, view.run_id)
    if view.exposure:
        yield Text(f"Exposure, one request counted as one user: {view.exposure}.")
    if view.journal:
        yield table(("changed", "state", "note"), map(_entry, view.journal), title="Journal")
    if view.closed_gates:
        yield Text("\nDecisions", style="bold")
        yield Text("\n".join(outcome_of(gate) for gate in view.closed_gates))
    if view.log:
        yield Text("\nTimeline (UTC)", style="bold")
        yield Text("\n".join(f"{line.at:%H:%M:%S}  {line.text}" for line in view.log))


def _of_kind(view: RunView) -> Iterator[RenderableType]:
    if view.incident:
        yield Text("\n".join(_incident(view.incident, datetime.now(UTC))))
    if view.campaign:
        yield from campaign_parts(view.campaign)
    if view.load:
        yield from load_parts(view.load)


def how_to_answer(gate: Gate, run_id: str) -> str:
    """Return the commands that answer this very gate on this very evidence."""
    options = f"--as NAME --gate {gate.id} --evidence {gate.evidence}"
    limit = f"holdfast limit   {run_id} {options}\n" if Choice.LIMIT in gate.choices else ""
    return f"holdfast approve {run_id} {options}\n{limit}holdfast reject  {run_id} {options} --reason '…'\n"


def _incident(incident: IncidentView, now: datetime) -> Iterator[str]:
    if incident.tier:
        worth = f", order of {incident.value:,.0f}" if incident.value else ""
        yield f"Customer tier {incident.tier}{worth}"
    if incident.resolution:
        yield f"Resolved: {incident.resolution}"
    elif incident.owner:
        until = incident.acknowledged_until
        yield f"{incident.owner} has it" + (f", until {moment(until, now)}" if until else "")
    else:
        yield "Nobody has it yet"
    if incident.step:
        place = f"step {incident.step} of {incident.steps}, round {incident.round}"
        yield f"Called: {', '.join(incident.called) or 'nobody'} ({place})"
    if incident.next_call:
        yield f"Called next, {moment(incident.next_call, now)}: {', '.join(incident.next_called) or 'nobody'}"
    if incident.may_answer and not incident.resolution:
        yield f"May acknowledge, hand over, resolve: {', '.join(incident.may_answer)}"


def _stage(stage: StageView) -> tuple[str, str, str]:
    share = f", {stage.share_percent} %" if stage.share_percent else ""
    return stage.title, stage.change, f"{stage.state}{share}"


def _entry(entry: JournalEntry) -> tuple[str, str, str]:
    return entry.effect.title, entry.status, entry.note


def verdict(newest: VerdictView, baseline: str, run_id: str = "") -> Iterator[RenderableType]:
    """Show a verdict with its numbers; with a run's id also where to find what is behind them."""
    rows = (
        (x.metric, x.value, x.comparison, x.used, Text(x.level, style=LEVEL_STYLES.get(x.level, "")))
        for x in newest.lines
    )
    title = f"Verdict: {newest.said}, risk {newest.risk} at {newest.share_percent} %"
    compared = "compared with" if any(x.compared_with for x in newest.lines) else "baseline"
    yield table(("metric", "canary", compared, "of what is allowed", "level"), rows, title=title)
    yield Text(f"{newest.reason} (taken at {newest.at:%H:%M:%S} UTC; baseline: {baseline})")
    if newest.rests_on:
        yield Text(f"This {newest.rests_on}.")
    yield from (Text(f"Call edge: {words}") for words in newest.edges)
    if run_id:
        yield Text(f"Each number with its query: holdfast verdict explain {run_id}")
