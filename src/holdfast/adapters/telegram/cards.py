"""The run's one message, written for a tired person at 3 a.m.

What happens and what is asked stands first; numbers, history and identifiers follow.
"""

from dataclasses import dataclass
from datetime import UTC, tzinfo

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from aiogram.utils.formatting import Bold, Text

from holdfast.adapters.telegram import card_texts as texts
from holdfast.adapters.telegram import questions
from holdfast.adapters.telegram.buttons import group_buttons, roll_back_buttons
from holdfast.adapters.telegram.campaign_cards import campaign_block, load_block
from holdfast.adapters.telegram.incident_cards import render_incident
from holdfast.adapters.telegram.layout import Card, joined, marked
from holdfast.adapters.telegram.run_parts import foot, timeline, top
from holdfast.adapters.telegram.tables import verdict_block
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip, say, units
from holdfast.domain.gates import Gate, GateState, outcome_of
from holdfast.domain.journal import EntryStatus, JournalEntry
from holdfast.domain.rollback import may_be_undone
from holdfast.domain.view import RunView, StageState, StageView
from holdfast.i18n import understood

_UNDONE_LINES = 6


@dataclass(frozen=True)
class _Detail:
    """How much of a view is shown; each following level says less."""

    log_lines: int = 4
    verdict_rows: int = 12
    stages: int = 20
    text_units: int = 900
    names: int = 6
    settings: int = 8
    kind_lines: int = 40


_DETAILS = (
    _Detail(),
    _Detail(log_lines=2),
    _Detail(log_lines=0),
    _Detail(log_lines=0, verdict_rows=6, kind_lines=20),
    _Detail(log_lines=0, verdict_rows=3, kind_lines=10),
    _Detail(log_lines=0, verdict_rows=0, stages=10, text_units=400, names=3, settings=4, kind_lines=4),
    _Detail(log_lines=0, verdict_rows=0, stages=5, text_units=120, names=1, settings=1, kind_lines=1),
)


def render(view: RunView, *, notice: str = "", zone: tzinfo = UTC) -> Card:
    """Render the view in as much detail as one message takes, in the language that is spoken.

    Args:
        view: what to show.
        notice: a line to stand above everything else.
        zone: whose clock times are told on.
    """
    if view.incident is not None:
        return render_incident(view, view.incident, notice=notice, zone=zone)
    answers = _answers(view)
    rows = [*answers, *(roll_back_buttons(view.run_id) if may_be_undone(view) else [])]
    for detail in _DETAILS:
        text = _text(view, detail, zone, notice=notice, answerable=bool(answers))
        plain, _ = text.render()
        if units(plain) <= MESSAGE_LIMIT:
            break
    else:
        raise AssertionError("the least detailed card is bounded by its limits")
    keyboard = InlineKeyboardMarkup(inline_keyboard=rows) if rows else None
    return Card(html=text.as_html(), plain=plain, keyboard=keyboard)


def render_view(view: RunView, notice: str, zone: tzinfo = UTC) -> tuple[str, InlineKeyboardMarkup | None]:
    """Return HTML and buttons of the card, for others that show runs on Telegram."""
    card = render(view, notice=notice, zone=zone)
    return card.html, card.keyboard


def _text(view: RunView, detail: _Detail, zone: tzinfo, *, notice: str, answerable: bool) -> Text:
    gate = _open_gate(view)
    verdict = verdict_block(view.verdict, rows=detail.verdict_rows, reason_units=detail.text_units, zone=zone)
    blocks = [
        top(view, notice, limit=detail.text_units),
        _question(gate, detail, zone, answerable=answerable) if gate else _last_decision(view, detail),
        _of_kind(view, detail, zone),
        _plan(view.stages, detail),
        verdict,
        _undone(view.journal),
        _exposure(view),
        timeline(view, zone, lines=detail.log_lines),
        foot(view, zone, texts.STARTED_BY),
    ]
    return joined([block for block in blocks if block])


def _of_kind(view: RunView, detail: _Detail, zone: tzinfo) -> list[Text]:
    if view.campaign is not None:
        return campaign_block(view.campaign, zone, limit=detail.text_units)[: detail.kind_lines]
    if view.load is not None:
        return load_block(view.load, view, limit=detail.text_units)[: detail.kind_lines]
    return []


def _open_gate(view: RunView) -> Gate | None:
    return view.gate if view.gate and view.gate.state is GateState.OPEN else None


def _question(gate: Gate, detail: _Detail, zone: tzinfo, *, answerable: bool) -> list[Text]:
    limit = detail.text_units
    lines = [
        *questions.question(gate, limit),
        questions.deadline(gate, zone),
        questions.sign_off(gate, limit),
        *list(questions.approvals(gate, limit))[-detail.names :],
        *list(questions.stand_ins(gate, zone))[: detail.names],
        *questions.settings(gate, detail.settings),
    ]
    if gate.mfa:
        lines.append(Text(say(texts.MFA)))
    if not answerable:
        lines.append(Text(say(texts.NO_BUTTONS)))
    return lines


def _last_decision(view: RunView, detail: _Detail) -> list[Text]:
    if not view.closed_gates:
        return []
    return [
        Text(say(texts.LAST_DECISION), clip(understood(outcome_of(view.closed_gates[-1])), detail.text_units))
    ]


def _plan(stages: list[StageView], detail: _Detail) -> list[Text]:
    first = max(0, _current(stages) - detail.stages // 2)
    shown = stages[first : first + detail.stages]
    lines = [_stage(s) for s in shown]
    if len(shown) < len(stages):
        lines.append(Text(say(texts.STAGES_SHOWN, first=first + 1, last=first + len(shown), count=len(stages))))
    return lines


def _current(stages: list[StageView]) -> int:
    return next((i for i, s in enumerate(stages) if s.state is StageState.CURRENT), 0)


def _stage(stage: StageView) -> Text:
    share = f" · {stage.share_percent} %" if stage.share_percent else ""
    told_by_mark = stage.state in {StageState.AHEAD, StageState.CURRENT}
    state = "" if told_by_mark else f" · {say(texts.STAGE_STATES[stage.state])}"
    title = clip(stage.title or stage.name, 100)
    shown = marked(Bold if stage.state is StageState.CURRENT else Text, title)
    return Text(f"{stage.state.mark} ", shown, state, share)


def _undone(journal: list[JournalEntry]) -> list[Text]:
    marks = {
        EntryStatus.REVERTED: texts.UNDONE,
        EntryStatus.DRIFTED: texts.DRIFTED,
        EntryStatus.LEFT: texts.LEFT,
    }
    undone = [e for e in reversed(journal) if e.status in marks]  # in the order in which they are undone
    lines = [
        Text(say(marks[e.status]), clip(f"{understood(e.back)} {understood(e.note)}".rstrip(), 160))
        for e in undone[-_UNDONE_LINES:]
    ]
    if len(undone) > len(lines):
        lines.insert(0, Text(say(texts.UNDONE_BEFORE, count=len(undone) - len(lines))))
    return lines


def _exposure(view: RunView) -> list[Text]:
    """Say whom the canary met, once it is over; while it is out the verdict matters more."""
    return [Text("👥 ", clip(understood(view.exposure), 200))] if view.exposure and view.state.ended else []


def _answers(view: RunView) -> list[list[InlineKeyboardButton]]:
    gate = _open_gate(view)
    if gate is None:
        return []
    against = view.verdict is not None and view.verdict.outcome != "continue"
    return group_buttons(gate, view.run_id, against=against)
