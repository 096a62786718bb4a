"""The run's one message, written for a tired person at 3 a.m.

What happens and what is asked stands first; numbers, history and identifiers follow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from aiogram.utils.formatting import Bold, Code, ExpandableBlockQuote, Italic, Pre, Text, TextLink

from holdfast.adapters.telegram.tables import verdict_block
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip, units
from holdfast.domain.gates import Choice, Gate, GateState, outcome_of
from holdfast.domain.journal import EntryStatus, JournalEntry
from holdfast.domain.view import RunState, RunView, StageState, StageView

_STATE_EMOJI = {
    RunState.PREPARING: "🕓",
    RunState.CHECKING: "🔎",
    RunState.WAITING: "✋",
    RunState.CHANGING: "🔧",
    RunState.WATCHING: "👀",
    RunState.ROLLING_BACK: "⏪",
    RunState.PROMOTED: "✅",
    RunState.ROLLED_BACK: "↩️",
    RunState.STOPPED: "⏹️",
    RunState.FAILED: "❌",
}
_CALLBACK_LETTERS = {Choice.APPROVE: "a", Choice.REJECT: "r"}
_CALLBACK_BYTES = 64
_LABEL_UNITS = 40


@dataclass(frozen=True)
class Card:
    """A rendered message.

    Attributes:
        html: for `parse_mode="HTML"`, everything from the view escaped.
        plain: the same words without marks, for a chat that refuses the marks.
        keyboard: the two answers while a gate is open, else None.
    """

    html: str
    plain: str
    keyboard: InlineKeyboardMarkup | None


@dataclass(frozen=True)
class _Detail:
    """How much of a view is shown; each following level says less."""

    log_lines: int = 4
    verdict_rows: int = 12
    stages: int = 20
    text_units: int = 900


_DETAILS = (
    _Detail(),
    _Detail(log_lines=2),
    _Detail(log_lines=0),
    _Detail(log_lines=0, verdict_rows=6),
    _Detail(log_lines=0, verdict_rows=3),
    _Detail(log_lines=0, verdict_rows=0, stages=10, text_units=400),
    _Detail(log_lines=0, verdict_rows=0, stages=5, text_units=120),
)


def render(view: RunView, *, notice: str = "") -> Card:
    """Render the view in as much detail as one message takes.

    Args:
        view: what to show.
        notice: a line to stand above everything else.
    """
    keyboard = _keyboard(view)
    for detail in _DETAILS:
        text = _text(view, detail, notice=notice, answerable=keyboard is not None)
        plain, _ = text.render()
        if units(plain) <= MESSAGE_LIMIT:
            break
    else:
        raise AssertionError("the least detailed card is bounded by its limits")
    return Card(html=text.as_html(), plain=plain, keyboard=keyboard)


def render_view(view: RunView, notice: str) -> tuple[str, InlineKeyboardMarkup | None]:
    """Return HTML and buttons of the card, for others that show runs on Telegram."""
    card = render(view, notice=notice)
    return card.html, card.keyboard


def _text(view: RunView, detail: _Detail, *, notice: str, answerable: bool) -> Text:
    gate = _open_gate(view)
    blocks = [
        _top(view, detail, notice),
        _question(gate, detail, answerable=answerable) if gate else _last_decision(view, detail),
        _plan(view.stages, detail),
        verdict_block(view.verdict, rows=detail.verdict_rows, reason_units=detail.text_units),
        _undone(view.journal),
        _log(view, detail),
        _foot(view),
    ]
    return _joined([block for block in blocks if block])


def _joined(blocks: list[list[Text]]) -> Text:
    nodes: list[Text | str] = [""]
    for block in blocks:
        for number, line in enumerate(block):
            # Around tables and quotations Telegram leaves space by itself.
            nodes += ["\n" if number or isinstance(nodes[-1], Pre | ExpandableBlockQuote) else "\n\n", line]
    return Text(*nodes[2:])


def _marked(mark: type[Text], text: str) -> Text:
    # aiogram lets an empty mark at the beginning swallow the whole text.
    return mark(text) if text else Text()


def _open_gate(view: RunView) -> Gate | None:
    return view.gate if view.gate and view.gate.state is GateState.OPEN else None


def _top(view: RunView, detail: _Detail, notice: str) -> list[Text]:
    lines: list[Text] = [Italic(clip(notice, 200))] if notice.strip() else []
    state = f"{_STATE_EMOJI[view.state]} {view.state.upper()}"
    lines.append(Text(Bold(state), " · ", clip(view.title, 120)))
    return [*lines, Text(clip(view.headline, detail.text_units))] if view.headline else lines


def _question(gate: Gate, detail: _Detail, *, answerable: bool) -> list[Text]:
    limit = detail.text_units
    lines = [
        Text("❓ ", _marked(Bold, clip(gate.question, limit))),
        Text("👍 ", Bold(_label(gate.approve_label)), " → ", clip(gate.if_approved, limit)),
        Text("👎 ", Bold(_label(gate.reject_label)), " → ", clip(gate.if_rejected, limit)),
        Text("💤 ", Bold("Nobody answers"), " → ", clip(gate.if_nothing, limit)),
        Text("👤 ", clip(_who_may_answer(gate), max(limit // 3, 100))),
    ]
    if not answerable:
        lines.append(Text("Too long for buttons here: answer in the Temporal UI or on the command line."))
    return lines


def _label(label: str) -> str:
    return clip(label, _LABEL_UNITS) or "?"


def _who_may_answer(gate: Gate) -> str:
    who = ", ".join(gate.approvers)
    if gate.quorum == 1:
        return f"May answer: {who}"
    approved = ", ".join(d.by for d in gate.decisions if d.decision is Choice.APPROVE) or "nobody yet"
    return f"Needs {gate.quorum} approvals, approved: {approved}. May answer: {who}"


def _last_decision(view: RunView, detail: _Detail) -> list[Text]:
    if not view.closed_gates:
        return []
    return [Text("🗳️ Last decision: ", clip(outcome_of(view.closed_gates[-1]), detail.text_units))]


def _plan(stages: list[StageView], detail: _Detail) -> list[Text]:
    first = max(0, _current(stages) - detail.stages // 2)
    shown = stages[first : first + detail.stages]
    lines = [_stage(s) for s in shown]
    if len(shown) < len(stages):
        lines.append(Text(f"(stages {first + 1}–{first + len(shown)} of {len(stages)})"))
    return lines


def _current(stages: list[StageView]) -> int:
    return next((i for i, s in enumerate(stages) if s.state is StageState.CURRENT), 0)


def _stage(stage: StageView) -> Text:
    share = f" · {stage.share_percent} %" if stage.share_percent else ""
    told_by_mark = stage.state in {StageState.AHEAD, StageState.CURRENT}
    state = "" if told_by_mark else f" · {stage.state}"
    title = clip(stage.title or stage.name, 100)
    shown = _marked(Bold if stage.state is StageState.CURRENT else Text, title)
    return Text(f"{stage.state.mark} ", shown, state, share)


def _undone(journal: list[JournalEntry]) -> list[Text]:
    marks = {EntryStatus.REVERTED: "↩️ Undone: ", EntryStatus.DRIFTED: "⚠️ Not undone, changed by others: "}
    undone = [e for e in journal if e.status in marks]
    lines = [Text(marks[e.status], clip(f"{e.effect.title} {e.note}", 120)) for e in undone[-4:]]
    if len(undone) > len(lines):
        lines.insert(0, Text(f"({len(undone) - len(lines)} earlier ones are in the Temporal UI)"))
    return lines


def _log(view: RunView, detail: _Detail) -> list[Text]:
    newest = view.log[-detail.log_lines :] if detail.log_lines else []
    lines = [f"{line.at:%H:%M:%S} {clip(line.text, 200)}" for line in reversed(newest)]
    return [ExpandableBlockQuote("\n".join(lines))] if lines else []


def _foot(view: RunView) -> list[Text]:
    run = Text(
        Code(clip(view.run_id, 100) or "?"), f" · started by {clip(view.requested_by, 40)} · times in UTC"
    )
    return [run, *_page(view.ui_url)]


def _page(url: str) -> Iterator[Text]:
    """Link the run's page; an address that Telegram would not link is shown to be copied."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host:
        return
    if "." in host or ":" in host:
        # aiogram writes the address into the attribute as it is.
        yield Text(TextLink("Open in the Temporal UI", url=escape(url)))
    elif units(url) <= 200:  # noqa: PLR2004  the address is shown whole or not at all
        yield Text("Temporal UI: ", Code(url))


def _keyboard(view: RunView) -> InlineKeyboardMarkup | None:
    gate = _open_gate(view)
    if gate is None:
        return None
    labels = {Choice.APPROVE: gate.approve_label, Choice.REJECT: gate.reject_label}
    data = {choice: f"{letter}:{view.run_id}:{gate.token}" for choice, letter in _CALLBACK_LETTERS.items()}
    if ":" in gate.token or any(len(d.encode()) > _CALLBACK_BYTES for d in data.values()):
        return None
    buttons = [
        InlineKeyboardButton(text=_label(labels[choice]), callback_data=data[choice], style=style)
        for choice, style in zip(Choice, _styles(view), strict=True)
    ]
    return InlineKeyboardMarkup(inline_keyboard=[buttons])


def _styles(view: RunView) -> tuple[str | None, str | None]:
    """Colour the approval red while the verdict is against going on, so that no thumb finds it by habit."""
    against = view.verdict is not None and view.verdict.outcome != "continue"
    return ("danger", None) if against else (None, None)
