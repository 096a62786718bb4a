"""What the messages of campaigns and load tests say beside what all runs say."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from aiogram.utils.formatting import Bold, Text

from holdfast.adapters.telegram import campaign_texts as texts
from holdfast.adapters.telegram.layout import marked
from holdfast.adapters.telegram.wording import clip, say
from holdfast.domain.campaign import (
    BreachLine,
    CampaignView,
    ContextLine,
    Go,
    LoadLine,
    LoadView,
    Phase,
    RoleLine,
    TestLine,
    TestVerdict,
)
from holdfast.domain.view import RunView
from holdfast.i18n import understood
from holdfast.i18n.times import on_clock

_LEVELS = {"ok": "✅", "warning": "⚠️", "breach": "❌"}
_TESTS = {
    TestVerdict.PASSED: texts.TEST_PASSED,
    TestVerdict.FAILED: texts.TEST_FAILED,
    TestVerdict.VOID: texts.TEST_VOID,
    TestVerdict.STOPPED: texts.TEST_STOPPED,
    TestVerdict.SKIPPED: texts.TEST_SKIPPED,
}
_DECIDED = {Go.GO: texts.DECIDED_GO, Go.NO_GO: texts.DECIDED_NO_GO, Go.LIMITS: texts.DECIDED_LIMITS}
_TELLING_PERCENT = 0.05
_MOST_BREACHES = 4
_LINE = 200  # a promise as the client reads it, and its figures behind it


def campaign_block(campaign: CampaignView, zone: tzinfo, *, limit: int) -> list[Text]:
    """Return the window, what is broken, how the contexts stand, tests, roles and tasks; the worst first."""
    parts = (
        _window(campaign, zone, limit),
        _breaches(campaign.breaches, zone),
        _contexts(campaign),
        _tests(campaign, limit),
        _people(campaign, zone),
    )
    return [line for part in parts for line in part]


def load_block(load: LoadView, view: RunView, *, limit: int) -> list[Text]:
    """Return how far a load test is, its newest figures, and what did not hold."""
    return list(_load(load, view, limit))


def _window(campaign: CampaignView, zone: tzinfo, limit: int) -> Iterator[Text]:
    opens, closes = _at(campaign.opens, zone), _at(campaign.closes, zone)
    yield Text(say(texts.FOR, client=clip(campaign.client, 80), opens=opens, closes=closes))
    if campaign.frozen:
        yield Text(say(texts.FROZEN))
    if campaign.limits:
        yield Text(clip(say(texts.LIMITS, limits=campaign.limits), limit))
    if campaign.silent:
        yield marked(Bold, say(texts.BLIND))
    if campaign.report:
        yield Text(clip(say(texts.REPORT, where=campaign.report), limit))


def _breaches(breaches: list[BreachLine], zone: tzinfo) -> Iterator[Text]:
    still = [breach for breach in breaches if breach.ended is None]
    for breach in still[-_MOST_BREACHES:]:
        yield marked(Bold, say(texts.BREACH_OPEN, title=clip(breach.title, 60), at=_at(breach.began, zone)))
        if breach.journey:
            yield Text(say(texts.BREACH_JOURNEY, journey=clip(breach.journey, 80)))
        if breach.incident:
            yield Text(say(texts.BREACH_INCIDENT, run=breach.incident))
    if len(still) < len(breaches):
        yield Text(say(texts.BREACHES_OVER, n=len(breaches) - len(still)))


def _contexts(campaign: CampaignView) -> Iterator[Text]:
    for context in campaign.contexts:
        yield Text(_context(context))
        if context.level in {"breach", "warning"}:
            yield from (Text("   ", clip(understood(line), _LINE)) for line in context.lines[:3])


def _context(context: ContextLine) -> str:
    mark, title = _LEVELS.get(context.level, "▫️"), clip(context.title, 60)
    left = context.budget_left_percent
    if left is None:
        return say(texts.CONTEXT, mark=mark, title=title)
    if left <= 0 and context.level == "ok":
        mark = _LEVELS["warning"]  # well at this moment, and nothing may go wrong any more
    return say(texts.CONTEXT_BUDGET, mark=mark, title=title, left=f"{max(0.0, left):.0f}")


def _tests(campaign: CampaignView, limit: int) -> Iterator[Text]:
    if campaign.test_running:
        yield Text(say(texts.TEST_RUNS, run=campaign.test_running))
    if campaign.tests and campaign.phase is not Phase.OPEN:
        yield from _test(campaign.tests[-1], limit)


def _test(test: TestLine, limit: int) -> Iterator[Text]:
    yield Text(clip(say(_TESTS[test.verdict], said=understood(test.said)), limit))
    if test.saturates:
        yield Text("   ↳ ", clip(understood(test.saturates), limit))
    if test.go is not None:
        yield Text(say(_DECIDED[test.go], name=test.decided_by))


def _people(campaign: CampaignView, zone: tzinfo) -> Iterator[Text]:
    if campaign.phase in {Phase.ANALYSIS, Phase.CLOSED}:
        return
    yield from (_role(role) for role in campaign.roles)
    if not campaign.tasks:
        return
    waiting = sorted((task for task in campaign.tasks if task.done_at is None), key=lambda task: task.due)
    done = len(campaign.tasks) - len(waiting)
    yield Text(say(texts.TASKS, n=done, m=len(campaign.tasks)))
    for task in waiting[:3]:
        name, title = task.person or task.owner, clip(task.title, 120)
        if task.overdue:
            yield Text(say(texts.TASK_OVERDUE, title=title, name=name))
        else:
            yield Text(say(texts.TASK_NEXT, title=title, name=name, at=_at(task.due, zone)))


def _role(role: RoleLine) -> Text:
    title = clip(role.title, 60)
    if role.person:
        return Text(say(texts.ROLE, title=title, name=role.person))
    if role.asked:
        return Text(say(texts.ROLE_OPEN, title=title, names=", ".join(role.asked)))
    return Text(say(texts.ROLE_NOBODY, title=title))


def _load(load: LoadView, view: RunView, limit: int) -> Iterator[Text]:
    if load.lasts_seconds and not view.state.ended:
        share = min(100, round(100 * load.offset_seconds / load.lasts_seconds))
        yield Text(
            say(
                texts.PROGRESS,
                share=share,
                rate=f"{load.rate:g}",
                highest=f"{load.highest:g}",
                shards=load.shards,
            )
        )
    yield from (Text(_line(line)) for line in load.lines[:8])
    if load.result is None:  # which says the same
        yield from (Text(clip(say(texts.BROKEN, said=understood(said)), 200)) for said in load.broken[:5])
    if load.late_percent >= _TELLING_PERCENT:
        yield Text(say(texts.LATE, share=f"{load.late_percent:.1f}"))
    if load.lost:
        yield Text(say(texts.LOST, n=load.lost))
    if load.stopped_by:
        yield Text(say(texts.STOPPED_BY, name=load.stopped_by))
    if load.result is not None:
        yield from _test(load.result, limit)
    elif not view.state.ended:
        yield Text(say(texts.STOP, run=view.run_id))


def _line(line: LoadLine) -> str:
    name = line.name if line.name not in {"all", "*"} else say(texts.ALL)
    values = {"name": name, "rate": f"{line.due_per_s:.1f}", "errors": f"{line.errors_percent:.2f}"}
    if line.p95 is None:
        return say(texts.LOAD_LINE_SILENT, **values)
    return say(texts.LOAD_LINE, value=f"{line.p95 * 1000:.0f} ms", **values)


def _at(at: datetime, zone: tzinfo) -> str:
    return on_clock(f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC", zone)
