"""What the page of a campaign's or a load test's run says in the Temporal UI, as Markdown."""

import json
from collections.abc import Iterator
from datetime import datetime

from holdfast.domain.campaign import CampaignView, ContextLine, LoadLine, LoadView, RoleLine, TaskLine
from holdfast.domain.view import RunView
from holdfast.domain.words import Act

_LEVELS = {"ok": "🟢", "warning": "🟡", "breach": "🔴", "unknown": "⚪"}
_NEWEST = 5


def campaign_details(campaign: CampaignView, view: RunView) -> list[str]:
    """Return the parts of a campaign's page: where it stands, who has what to do, and how to say so."""
    return [
        _head(view),
        "\n".join(f"- {line}" for line in _standing(campaign)),
        *_contexts(campaign),
        *_tests(campaign),
        *_breaches(campaign),
        *_roles(campaign),
        *_tasks(campaign),
        *([] if view.state.ended else [_how(campaign)]),
    ]


def load_details(load: LoadView, view: RunView) -> list[str]:
    """Return the parts of a load test's page: how far it is, what it measures, and how to stop it."""
    return [_head(view), "\n".join(f"- {line}" for line in _progress(load)), *_lines(load), *_stop(load, view)]


def _head(view: RunView) -> str:
    return (
        f"### {view.title}\nRunbook `{view.runbook}` ({view.digest or 'not read yet'}), "
        f"started by {view.requested_by} at {_at(view.started_at)}"
    )


def _standing(campaign: CampaignView) -> Iterator[str]:
    client = f"**Client**: {campaign.client}; " if campaign.client else ""
    yield f"{client}**Phase**: {campaign.phase}"
    yield f"**Window**: {_at(campaign.opens)} to {_at(campaign.closes)}"
    if campaign.frozen:
        yield "**Frozen**: rollouts that are not fixes are refused"
    if campaign.limits:
        yield f"**Limits**: {campaign.limits}"
    if campaign.silent:
        yield f"**Nothing is known**: {campaign.silent}"
    elif campaign.looked_at:
        yield f"**Looked at**: {_at(campaign.looked_at)}"
    if campaign.test_running:
        yield f"**Load test under way**: `{campaign.test_running}`"
    if campaign.report:
        yield f"**Report**: {campaign.report}"


def _contexts(campaign: CampaignView) -> list[str]:
    rows = [
        f"| {_LEVELS.get(c.level, '⚪')} | {c.title} | {'; '.join(c.lines)} | {_percent(c)} |"
        for c in campaign.contexts
    ]
    return [_table("Contexts", ("", "context", "now", "budget left"), rows)] if rows else []


def _tests(campaign: CampaignView) -> list[str]:
    lines = [
        f"- {_at(test.at)} `{test.run}`: **{test.verdict}** {test.said}"
        + (f" → {test.go}, {test.decided_by}" if test.go else "")
        for test in reversed(campaign.tests[-_NEWEST:])
    ]
    return ["### Load tests\n" + "\n".join(lines)] if lines else []


def _breaches(campaign: CampaignView) -> list[str]:
    lines = [
        f"- **{breach.number}** {breach.title or breach.context}: {breach.said or ', '.join(breach.slos)}; "
        f"{_at(breach.began)} to {_at(breach.ended) if breach.ended else 'now'}"
        + (f", incident `{breach.incident}`" if breach.incident else "")
        for breach in reversed(campaign.breaches[-_NEWEST:])
    ]
    return ["### Breaches\n" + "\n".join(lines)] if lines else []


def _roles(campaign: CampaignView) -> list[str]:
    rows = [f"| `{role.name}` | {role.title} | {_holder(role)} |" for role in campaign.roles]
    return [_table("Roles", ("role", "what", "who"), rows)] if rows else []


def _holder(role: RoleLine) -> str:
    if role.person:
        return f"✅ {role.person}"
    asked = f"asked: {', '.join(role.asked)}" if role.asked else "nobody was asked yet"
    return f"⏳ {asked}" + (f"; the next one at {_at(role.next_at)}" if role.next_at else "")


def _tasks(campaign: CampaignView) -> list[str]:
    ordered = sorted(campaign.tasks, key=lambda task: (task.done_at is not None, task.due))
    rows = [f"| `{task.id}` | {task.title} | {task.person or task.owner} | {_due(task)} |" for task in ordered]
    return [_table("Tasks", ("task", "what", "whose", "until"), rows)] if rows else []


def _due(task: TaskLine) -> str:
    if task.done_at is not None:
        return f"✅ {task.done_by}, {_at(task.done_at)}"
    return f"{'⌛ overdue, ' if task.overdue else '☐ '}{_at(task.due)}"


def _how(campaign: CampaignView) -> str:
    role = next((r.name for r in campaign.roles if not r.person), "commander")
    task = next((t.id for t in campaign.tasks if t.done_at is None), "its-name")
    acts: dict[str, dict[str, str]] = {
        "I take a role": {"gate": Act.ACCEPT, "to": role},
        "A task is done": {"gate": Act.DONE, "to": task},
        "Run the load test now": {"gate": Act.TEST},
        "Note": {"gate": Act.NOTE, "reason": "what is to be noted"},
    }
    return _to_say(acts, "`accept`, `done`, `test` or `note`")


def _progress(load: LoadView) -> Iterator[str]:
    yield f"**Phase**: {load.phase or 'not begun'}, {load.offset_seconds:.0f} of {load.lasts_seconds:.0f} s"
    yield f"**Rate**: {load.rate:g} of at most {load.highest:g} sessions/s, by {load.shards} generators"
    if load.late_percent:
        yield f"**Late by the generator's fault**: {load.late_percent:.2f} % of the requests"
    if load.lost:
        yield f"**Made by nobody**: {load.lost} requests, because a generator died"
    if load.client:
        yield f"**Client**: {load.client}"
    yield from (f"**Does not hold**: {broken}" for broken in load.broken)
    if load.stopped_by:
        yield f"**Stopped by**: {load.stopped_by}"
    if load.result:
        yield f"**Result**: {load.result.verdict}. {load.result.said}"


def _lines(load: LoadView) -> list[str]:
    rows = [_row(line) for line in load.lines]
    return (
        [_table("Newest seconds", ("", "due/s", "answered/s", "errors", "p50", "p95", "p99"), rows)]
        if rows
        else []
    )


def _row(line: LoadLine) -> str:
    times = " | ".join(_ms(value) for value in (line.p50, line.p95, line.p99))
    rates = f"{line.due_per_s:g} | {line.answered_per_s:g} | {line.errors_percent:.2f} %"
    return f"| {line.name} | {rates} | {times} |"


def _stop(load: LoadView, view: RunView) -> list[str]:
    if view.state.ended or not load.may_stop:
        return []
    said = _to_say({f"Stop it ({', '.join(load.may_stop)})": {"gate": Act.STOP}}, "`stop`")
    return [f"{said} On a command line: `holdfast stop {view.run_id} --as NAME`"]


def _to_say(acts: dict[str, dict[str, str]], updates: str) -> str:
    asked = "\n".join(
        f"- {name}: `{json.dumps({'by': 'your-name'} | fields)}`" for name, fields in acts.items()
    )
    return (
        "**How to answer on this page**\n\n"
        "**1.** *More Actions* → *Send an Update* → `send_code`. Paste one of these with your own name:\n\n"
        f"{asked}\n\n"
        f"**2.** *More Actions* → *Send an Update* → {updates}. Paste the whole JSON from the bot, submit. "
        "**While no worker is up**: *Send a Signal* of the same name."
    )


def _table(title: str, columns: tuple[str, ...], rows: list[str]) -> str:
    return "\n".join([f"### {title}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *rows])


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.0f} ms"


def _percent(context: ContextLine) -> str:
    left = context.budget_left_percent
    return "–" if left is None else f"{left:.0f} %"
