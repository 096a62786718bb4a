"""What campaigns and load tests show of themselves, as lines and tables for a terminal."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import RenderableType
from rich.text import Text

from holdfast.apps.cli.tables import moment, table
from holdfast.domain.campaign import BreachLine, CampaignView, LoadLine, LoadView, RoleLine, TaskLine, TestLine

_LEVEL_STYLES = {"ok": "green", "warning": "yellow", "breach": "red"}


def campaign_parts(campaign: CampaignView) -> Iterator[RenderableType]:
    """Yield how a campaign stands."""
    now = datetime.now(UTC)
    yield Text("\n".join(_standing(campaign, now)))
    for context in campaign.contexts:
        style = _LEVEL_STYLES.get(context.level, "")
        lines = (f"\n  {line}" for line in context.lines)
        yield Text.assemble((f"{context.title}: {context.level}", style), *lines)
    if campaign.breaches:
        rows = (_breach(breach, now) for breach in campaign.breaches)
        yield table(("no.", "context", "began", "over", "incident"), rows, title="Breaches")
    if campaign.tests:
        yield table(
            ("at", "load test", "verdict", "decided", "what it says"),
            (_test(test, now) for test in campaign.tests),
            title="Load tests",
        )
    if campaign.roles:
        yield table(("role", "what", "who"), (_role(role) for role in campaign.roles), title="Roles")
    if campaign.tasks:
        tasks = (_task(task, now) for task in campaign.tasks)
        yield table(("task", "what", "who", "until", "done"), tasks, title="Checklist")


def load_parts(load: LoadView) -> Iterator[RenderableType]:
    """Yield how a load test stands."""
    of = f", for the campaign {load.campaign}" if load.campaign else ""
    yield Text(
        f"{load.offset_seconds:.0f} of {load.lasts_seconds:.0f} s, {load.rate:g} sessions/s now, at most "
        f"{load.highest:g}, {load.shards} generator(s){of}"
    )
    if load.lines:
        yield table(
            ("", "due/s", "answered/s", "errors %", "p50 ms", "p95 ms", "p99 ms"),
            (_figures(line) for line in load.lines),
            title="Newest seconds",
        )
    if load.late_percent:
        yield Text(f"Late by the generator's own fault: {load.late_percent:.2f} % (above 1 % all is void)")
    if load.lost:
        yield Text(f"Lost with a generator that died: {load.lost} requests")
    for said in load.broken:
        yield Text(f"Did not hold: {said}", style="red")
    if load.result is not None:
        yield Text(f"Result: {load.result.verdict}. {load.result.said}")


def _standing(campaign: CampaignView, now: datetime) -> Iterator[str]:
    opens, closes = moment(campaign.opens, now), moment(campaign.closes, now)
    yield f"For {campaign.client}: window {opens} to {closes}; phase: {campaign.phase}"
    if campaign.frozen:
        yield "Planned rollouts are refused, fixes go on"
    if campaign.limits:
        yield f"Goes with limits: {campaign.limits}"
    if campaign.test_running:
        yield f"A load test runs: {campaign.test_running}"
    if campaign.silent:
        yield f"The metrics do not answer: {campaign.silent}"
    if campaign.report:
        yield f"Report: {campaign.report}"


def _breach(breach: BreachLine, now: datetime) -> tuple[str, ...]:
    over = moment(breach.ended, now) if breach.ended else "not over"
    return str(breach.number), breach.title, moment(breach.began, now), over, breach.incident


def _test(test: TestLine, now: datetime) -> tuple[str, ...]:
    decided = f"{test.go} ({test.decided_by})" if test.go else ""
    return moment(test.at, now), test.run, test.verdict, decided, test.said


def _role(role: RoleLine) -> tuple[str, ...]:
    asked = f"asked: {', '.join(role.asked)}" if role.asked else "nobody was asked yet"
    return role.name, role.title, role.person or asked


def _task(task: TaskLine, now: datetime) -> tuple[str, ...]:
    done = f"{task.done_by}, {moment(task.done_at, now)}" if task.done_at else "overdue" if task.overdue else ""
    return task.id, task.title, task.person or task.owner, moment(task.due, now), done


def _figures(line: LoadLine) -> tuple[str, ...]:
    latencies = (line.p50, line.p95, line.p99)
    return (
        line.name,
        f"{line.due_per_s:.1f}",
        f"{line.answered_per_s:.1f}",
        f"{line.errors_percent:.2f}",
        *("–" if seconds is None else f"{seconds * 1000:.0f}" for seconds in latencies),
    )
