"""The run's one message, written for a tired person at 3 a.m.

What happens and what is asked stands first; numbers, history and identifiers follow.
"""

from dataclasses import dataclass

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from aiogram.utils.formatting import Bold, Code, ExpandableBlockQuote, Italic, Text

from holdfast.adapters.telegram import questions
from holdfast.adapters.telegram.buttons import group_buttons, roll_back_buttons
from holdfast.adapters.telegram.layout import Card, joined, link, marked
from holdfast.adapters.telegram.tables import verdict_block
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip, units
from holdfast.domain.gates import Gate, GateState, outcome_of
from holdfast.domain.journal import EntryStatus, JournalEntry
from holdfast.domain.rollback import may_be_undone
from holdfast.domain.view import RunState, RunView, StageState, StageView

_UNDONE_LINES = 6
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


@dataclass(frozen=True)
class _Detail:
    """How much of a view is shown; each following level says less."""

    log_lines: int = 4
    verdict_rows: int = 12
    stages: int = 20
    text_units: int = 900
    names: int = 6
    settings: int = 8


_DETAILS = (
    _Detail(),
    _Detail(log_lines=2),
    _Detail(log_lines=0),
    _Detail(log_lines=0, verdict_rows=6),
    _Detail(log_lines=0, verdict_rows=3),
    _Detail(log_lines=0, verdict_rows=0, stages=10, text_units=400, names=3, settings=4),
    _Detail(log_lines=0, verdict_rows=0, stages=5, text_units=120, names=1, settings=1),
)


def render(view: RunView, *, notice: str = "") -> Card:
    """Render the view in as much detail as one message takes.

    Args:
        view: what to show.
        notice: a line to stand above everything else.
    """
    answers = _answers(view)
    rows = [*answers, *(roll_back_buttons(view.run_id) if may_be_undone(view) else [])]
    for detail in _DETAILS:
        text = _text(view, detail, notice=notice, answerable=bool(answers))
        plain, _ = text.render()
        if units(plain) <= MESSAGE_LIMIT:
            break
    else:
        raise AssertionError("the least detailed card is bounded by its limits")
    keyboard = InlineKeyboardMarkup(inline_keyboard=rows) if rows else None
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
        _exposure(view),
        _log(view, detail),
        _foot(view),
    ]
    return joined([block for block in blocks if block])


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
        *questions.question(gate, limit),
        questions.deadline(gate),
        questions.sign_off(gate, limit),
        *list(questions.approvals(gate, limit))[-detail.names :],
        *list(questions.stand_ins(gate))[: detail.names],
        *questions.settings(gate, detail.settings),
    ]
    if gate.mfa:
        lines.append(Text("🔐 Each answer needs a code of your authenticator app; it is asked in private."))
    if not answerable:
        lines.append(Text("Too long for buttons here: answer in the Temporal UI or on the command line."))
    return lines


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
    shown = marked(Bold if stage.state is StageState.CURRENT else Text, title)
    return Text(f"{stage.state.mark} ", shown, state, share)


def _undone(journal: list[JournalEntry]) -> list[Text]:
    marks = {
        EntryStatus.REVERTED: "↩️ Undone: ",
        EntryStatus.DRIFTED: "⚠️ Not undone, changed by others: ",
        EntryStatus.LEFT: "⚠️ Not undone: ",
    }
    undone = [e for e in reversed(journal) if e.status in marks]  # in the order in which they are undone
    lines = [Text(marks[e.status], clip(f"{e.back} {e.note}".rstrip(), 160)) for e in undone[-_UNDONE_LINES:]]
    if len(undone) > len(lines):
        lines.insert(0, Text(f"↩️ Undone before: {len(undone) - len(lines)} more, see the Temporal UI"))
    return lines


def _exposure(view: RunView) -> list[Text]:
    """Say whom the canary met, once it is over; while it is out the verdict matters more."""
    return [Text("👥 ", clip(view.exposure, 200))] if view.exposure and view.state.ended else []


def _log(view: RunView, detail: _Detail) -> list[Text]:
    newest = view.log[-detail.log_lines :] if detail.log_lines else []
    lines = [f"{line.at:%H:%M:%S} {clip(line.text, 200)}" for line in reversed(newest)]
    return [ExpandableBlockQuote("\n".join(lines))] if lines else []


def _foot(view: RunView) -> list[Text]:
    run = Text(
        Code(clip(view.run_id, 100) or "?"), f" · started by {clip(view.requested_by, 40)} · times in UTC"
    )
    return [run, *link("Open in the Temporal UI", view.ui_url, name="Temporal UI")]


def _answers(view: RunView) -> list[list[InlineKeyboardButton]]:
    gate = _open_gate(view)
    if gate is None:
        return []
    against = view.verdict is not None and view.verdict.outcome != "continue"
    return group_buttons(gate, view.run_id, against=against)
