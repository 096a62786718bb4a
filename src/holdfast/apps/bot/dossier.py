"""A gate in full: what is asked, by when, and everything that an answer rests on."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from holdfast.apps.bot import gate_texts as texts
from holdfast.apps.bot.texts import fill, first_lines, say
from holdfast.apps.bot.times import in_words, shown
from holdfast.domain.decisions import Choice
from holdfast.domain.gates import Gate, who_said
from holdfast.domain.people import People, Person
from holdfast.domain.signoff import Lapse
from holdfast.domain.standing import waiting_for
from holdfast.domain.view import MetricLine, RunView, StageView, VerdictView
from holdfast.i18n import understood

_LEVELS = {"green": "🟢", "yellow": "🟡", "red": "🔴"}
_MARKS = {Choice.APPROVE: "👍", Choice.LIMIT: "🚧", Choice.REJECT: "👎"}
_WORST_FIRST = ("red", "yellow", "", "green")
_LONGEST = 3900  # of the 4096 that a message takes
_BLOCK = 900
_FACTS = 1500
_MOST_METRICS = 8
_PHONE_COLUMNS = 36


def dossier(view: RunView, gate: Gate, *, person: Person, people: People, now: datetime) -> str:
    """Return the whole gate as HTML of at most 4096 characters, the most important first."""
    zone = person.zone
    head = {"gate": gate.id, "run_title": understood(view.title), "run": view.run_id}
    blocks = [
        _facts(gate),
        fill(texts.GATE_HEAD, question=understood(gate.question), **head),
        _answers(gate),
        _time(gate, person, now),
        _policy(gate, people, now),
        _diff(gate),
        _verdict(view.verdict, person, view.run_id),
        _said(gate, person),
        _plan(view.stages),
        fill(texts.GATE_AGAIN, why=understood(gate.again_because)) if gate.again_because else "",
        fill(texts.GATE_STALE, until=shown(gate.stale_at, zone)) if gate.stale_at else "",
    ]
    return _fitting([block for block in blocks if block])


def _facts(gate: Gate) -> str:
    return first_lines([fill("▪️ {fact}", fact=understood(fact)) for fact in gate.facts], length=_FACTS)


def _answers(gate: Gate) -> str:
    lines = [
        fill(
            texts.GATE_ANSWER,
            mark=_MARKS[choice],
            label=understood(gate.label(choice)),
            follows=understood(gate.consequence(choice)),
        )
        for choice in gate.choices
    ]
    return "\n".join([*lines, fill(texts.GATE_UNANSWERED, follows=understood(gate.if_nothing))])


def _fitting(blocks: list[str]) -> str:
    shown_blocks: list[str] = []
    for block in blocks:
        if len("\n\n".join([*shown_blocks, block])) > _LONGEST:
            return "\n\n".join([*shown_blocks, fill(texts.SHORTENED)])
        shown_blocks.append(block)
    return "\n\n".join(shown_blocks)


def deadline_in_words(gate: Gate, person: Person, now: datetime) -> str:
    """Say by when an answer is wanted on the person's clock, and what it means when none comes."""
    if gate.deadline is None:
        return say(texts.NO_DEADLINE)
    until = shown(gate.deadline, person.zone)
    if gate.deadline <= now:
        held = Lapse.HOLD if gate.overdue else gate.on_deadline
        return say(texts.OVERDUE, until=until, lapse=say(texts.LAPSES[held]))
    left = in_words(gate.deadline - now)
    return say(texts.DEADLINE, until=until, left=left, lapse=say(texts.LAPSES[gate.on_deadline]))


def missing_in_words(gate: Gate, names: Iterable[str]) -> str:
    """Say how many approvals are missing, and who could give them."""
    listed = ", ".join(names) or say(texts.NOBODY)
    return say(texts.MISSING, missing=gate.missing, needed=gate.needed, names=listed)


def age_in_words(gate: Gate, now: datetime) -> str:
    """Say how long the gate has been open."""
    return in_words(max(timedelta(0), now - gate.opened_at))


def _time(gate: Gate, person: Person, now: datetime) -> str:
    text = fill(texts.GATE_TIME, age=age_in_words(gate, now), deadline=deadline_in_words(gate, person, now))
    return f"{text}\n{fill(texts.GATE_MFA)}" if gate.mfa else text


def _policy(gate: Gate, people: People, now: datetime) -> str:
    lines = [fill(texts.POLICY, missing=missing_in_words(gate, waiting_for(gate, people, now)))]
    for step in sorted({slot.step for slot in gate.slots}):
        slots, given = gate.slots_of(step), gate.votes_in(step)
        mark = "✅" if len(given) >= len(slots) else "▶️" if step == gate.step or not gate.ordered else "▫️"
        labels = ", ".join(
            f"{n} × {understood(label)}" if n > 1 else understood(label)
            for label, n in _counted(s.label for s in slots)
        )
        lines.append(fill(texts.POLICY_STEP, mark=mark, number=step + 1, labels=labels))
    if gate.veto:
        lines.append(fill(texts.POLICY_VETO, names=", ".join(gate.veto)))
    return first_lines(lines, length=_BLOCK)


def _counted(labels: Iterable[str]) -> list[tuple[str, int]]:
    listed = list(labels)
    return [(label, listed.count(label)) for label in dict.fromkeys(listed)]


def _diff(gate: Gate) -> str:
    rows = [row for row in gate.basis.diff() if row[1] != row[2]] if gate.basis else []
    if not rows:
        return ""
    return fill(texts.DIFF, table=first_lines(_aligned(rows), length=_BLOCK))


def _aligned(rows: list[tuple[str, str, str]]) -> list[str]:
    """Align name, before and after; where they are too wide for a phone, the values go below their name."""
    cells = [(name, before or "–", after or "–") for name, before, after in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(3)]
    if sum(widths) + len("  →  ") <= _PHONE_COLUMNS:
        return [f"{n.ljust(widths[0])} {b.rjust(widths[1])} → {a}" for n, b, a in cells]
    return [f"{n}\n  {b} → {a}" for n, b, a in cells]


def _verdict(verdict: VerdictView | None, person: Person, run_id: str) -> str:
    if verdict is None:
        return ""
    head = fill(
        texts.VERDICT,
        outcome=understood(verdict.said),
        risk=understood(verdict.risk),
        share=verdict.share_percent,
        at=shown(verdict.at, person.zone),
        reason=understood(verdict.reason),
    )
    table = fill(texts.VERDICT_LINES, lines=_metrics(verdict)) if verdict.lines else ""
    return "\n".join(part for part in (head, *_beside(verdict), table, fill(texts.EXPLAIN, run=run_id)) if part)


def _beside(verdict: VerdictView) -> Iterable[str]:
    if verdict.basis:
        yield fill("{basis}.", basis=understood(verdict.basis))
    if verdict.thresholds:
        yield fill(texts.THRESHOLDS, thresholds=understood(verdict.thresholds))
    if verdict.edges:
        yield first_lines(
            [fill("🔗 {words}", words=understood(words)) for words in verdict.edges], length=_BLOCK
        )


def _metrics(verdict: VerdictView) -> str:
    worst = sorted(verdict.lines, key=lambda line: _WORST_FIRST.index(_level(line)))
    lines = [_metric(line) for line in worst[:_MOST_METRICS]]
    if hidden := len(worst) - len(lines):
        lines.append(say(texts.MORE, count=hidden))
    return first_lines(lines, length=_BLOCK)


def _level(line: MetricLine) -> str:
    level = line.level.lower()
    return level if level in _LEVELS else ""


def _metric(line: MetricLine) -> str:
    mark = _LEVELS.get(_level(line), "⚪")
    if not line.compared_with and line.baseline != "–":  # kept before it was known what this is
        plain = {"mark": mark, "metric": line.metric, "value": line.value, "used": line.used}
        return say(texts.METRIC_BEFORE, **plain, baseline=line.baseline)
    known = _level(line) and line.used != "–"
    used = say(texts.METRIC_USED, used=understood(line.used)) if known else understood(line.level)
    head = f"{mark} {line.metric}: {used}\n   {understood(line.value)}"
    if not line.compared_with:
        return head
    compared = {"baseline": understood(line.baseline), "compared": understood(line.compared_with)}
    return f"{head} {say(texts.METRIC_AGAINST, **compared)}"


def _said(gate: Gate, person: Person) -> str:
    lines: list[str] = []
    for decision in gate.decisions:
        mark = _MARKS[decision.decision]
        at = f"{shown(decision.at, person.zone)}: " if decision.at else ""
        said = who_said(decision.model_copy(update={"at": None}))
        lines.append(fill("{mark} {at}{said}", mark=mark, at=at, said=understood(said)))
    return first_lines([fill(texts.SAID), *lines], length=_BLOCK) if lines else ""


def _plan(stages: list[StageView]) -> str:
    lines = [
        fill(
            texts.PLAN_LINE,
            mark=stage.state.mark,
            title=stage.title or stage.name,
            share=f" · {stage.share_percent} %" if stage.share_percent else "",
        )
        for stage in stages
    ]
    return first_lines([fill(texts.PLAN), *lines], length=_BLOCK) if lines else ""
