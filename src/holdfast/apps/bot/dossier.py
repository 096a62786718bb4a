"""A gate in full: what is asked, by when, and everything that an answer rests on."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from holdfast.apps.bot import gate_texts as texts
from holdfast.apps.bot.texts import fill, first_lines
from holdfast.apps.bot.times import in_words, shown
from holdfast.domain.decisions import Choice
from holdfast.domain.gates import Gate, who_said
from holdfast.domain.people import People, Person
from holdfast.domain.signoff import Lapse
from holdfast.domain.standing import waiting_for
from holdfast.domain.view import MetricLine, RunView, StageView, VerdictView

_LEVELS = {"green": "🟢", "yellow": "🟡", "red": "🔴"}
_WORST_FIRST = ("red", "yellow", "", "green")
_LONGEST = 3900  # of the 4096 that a message takes
_BLOCK = 900
_MOST_METRICS = 8
_PHONE_COLUMNS = 36
_EXPLAIN = "🔎 The query behind each number: <code>holdfast verdict explain {run}</code>"


def dossier(view: RunView, gate: Gate, *, person: Person, people: People, now: datetime) -> str:
    """Return the whole gate as HTML of at most 4096 characters, the most important first."""
    zone = person.zone
    head = {"question": gate.question, "gate": gate.id, "run_title": view.title, "run": view.run_id}
    blocks = [
        fill(texts.GATE_HEAD, **head),
        fill(texts.GATE_ANSWERS, **gate.model_dump(include={*_ANSWERS})),
        _time(gate, person, now),
        _policy(gate, people, now),
        _diff(gate),
        _verdict(view.verdict, person, view.run_id),
        _said(gate, person),
        _plan(view.stages),
        fill(texts.GATE_AGAIN, why=gate.again_because) if gate.again_because else "",
        fill(texts.GATE_STALE, until=shown(gate.stale_at, zone)) if gate.stale_at else "",
    ]
    return _fitting([block for block in blocks if block])


_ANSWERS = ("approve_label", "if_approved", "reject_label", "if_rejected", "if_nothing")


def _fitting(blocks: list[str]) -> str:
    shown_blocks: list[str] = []
    for block in blocks:
        if len("\n\n".join([*shown_blocks, block])) > _LONGEST:
            return "\n\n".join([*shown_blocks, texts.SHORTENED])
        shown_blocks.append(block)
    return "\n\n".join(shown_blocks)


def deadline_in_words(gate: Gate, person: Person, now: datetime) -> str:
    """Say by when an answer is wanted on the person's clock, and what it means when none comes."""
    if gate.deadline is None:
        return texts.NO_DEADLINE
    until, lapse = shown(gate.deadline, person.zone), texts.LAPSES[gate.on_deadline]
    if gate.deadline <= now:
        return texts.OVERDUE.format(until=until, lapse=texts.LAPSES[Lapse.HOLD] if gate.overdue else lapse)
    return texts.DEADLINE.format(until=until, left=in_words(gate.deadline - now), lapse=lapse)


def missing_in_words(gate: Gate, names: Iterable[str]) -> str:
    """Say how many approvals are missing, and who could give them."""
    listed = ", ".join(names) or "nobody"
    return texts.MISSING.format(missing=gate.missing, needed=gate.needed, names=listed)


def age_in_words(gate: Gate, now: datetime) -> str:
    """Say how long the gate has been open."""
    return in_words(max(timedelta(0), now - gate.opened_at))


def _time(gate: Gate, person: Person, now: datetime) -> str:
    text = fill(texts.GATE_TIME, age=age_in_words(gate, now), deadline=deadline_in_words(gate, person, now))
    return f"{text}\n{texts.GATE_MFA}" if gate.mfa else text


def _policy(gate: Gate, people: People, now: datetime) -> str:
    lines = [fill(texts.POLICY, missing=missing_in_words(gate, waiting_for(gate, people, now)))]
    for step in sorted({slot.step for slot in gate.slots}):
        slots, given = gate.slots_of(step), gate.votes_in(step)
        mark = "✅" if len(given) >= len(slots) else "▶️" if step == gate.step or not gate.ordered else "▫️"
        labels = ", ".join(
            f"{n} × {label}" if n > 1 else label for label, n in _counted(s.label for s in slots)
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
    return texts.DIFF.format(table=fill("{rows}", rows=first_lines(_aligned(rows), length=_BLOCK)))


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
        outcome=verdict.said,
        risk=verdict.risk,
        share=verdict.share_percent,
        at=shown(verdict.at, person.zone),
        reason=verdict.reason,
    )
    table = fill(texts.VERDICT_LINES, lines=_metrics(verdict)) if verdict.lines else ""
    return "\n".join(part for part in (head, *_beside(verdict), table, fill(_EXPLAIN, run=run_id)) if part)


def _beside(verdict: VerdictView) -> Iterable[str]:
    if verdict.basis:
        yield fill("{basis}.", basis=verdict.basis)
    if verdict.thresholds:
        yield fill("Risk: {thresholds}.", thresholds=verdict.thresholds)
    if verdict.edges:
        yield first_lines([fill("🔗 {words}", words=words) for words in verdict.edges], length=_BLOCK)


def _metrics(verdict: VerdictView) -> str:
    worst = sorted(verdict.lines, key=lambda line: _WORST_FIRST.index(_level(line)))
    lines = [_metric(line) for line in worst[:_MOST_METRICS]]
    if hidden := len(worst) - len(lines):
        lines.append(f"… and {hidden} more")
    return first_lines(lines, length=_BLOCK)


def _level(line: MetricLine) -> str:
    level = line.level.lower()
    return level if level in _LEVELS else ""


def _metric(line: MetricLine) -> str:
    mark = _LEVELS.get(_level(line), "⚪")
    if not line.compared_with and line.baseline != "–":  # kept before it was known what this is
        return f"{mark} {line.metric}\n   {line.value}, usual {line.baseline}, used {line.used}"
    against = f" vs {line.comparison}" if line.compared_with else ""
    used = f"used {line.used}" if _level(line) and line.used != "–" else line.level
    return f"{mark} {line.metric}: {used}\n   {line.value}{against}"


def _said(gate: Gate, person: Person) -> str:
    lines: list[str] = []
    for decision in gate.decisions:
        mark = "👍" if decision.decision is Choice.APPROVE else "👎"
        at = f"{shown(decision.at, person.zone)}: " if decision.at else ""
        said = who_said(decision.model_copy(update={"at": None}))
        lines.append(fill("{mark} {at}{said}", mark=mark, at=at, said=said))
    return first_lines([texts.SAID, *lines], length=_BLOCK) if lines else ""


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
    return first_lines([texts.PLAN, *lines], length=_BLOCK) if lines else ""
