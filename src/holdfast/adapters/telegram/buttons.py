"""The buttons of an open gate and of a run: what each carries is `<letter>:<run id>:<what it is about>`."""

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from holdfast.adapters.telegram.wording import clip
from holdfast.domain.gates import Gate

APPROVE, REJECT, CODE, EVIDENCE, ROLL_BACK = "a", "r", "c", "e", "u"
_CALLBACK_BYTES = 64
_LABEL_UNITS = 40
_CODE_LABEL = "Code for Temporal UI / terminal"
_ROLL_BACK_LABEL = "⏪ Roll back…"
_ASK = "ask"


def label_of(label: str) -> str:
    """Return what stands on a button."""
    return clip(label, _LABEL_UNITS) or "?"


def fits_buttons(run_id: str, about: str) -> bool:
    """Whether Telegram takes buttons for this run, and what they carry can be read back."""
    return bool(about) and ":" not in about and len(f"a:{run_id}:{about}".encode()) <= _CALLBACK_BYTES


def group_buttons(gate: Gate, run_id: str, *, against: bool) -> list[list[InlineKeyboardButton]]:
    """Return the buttons for everybody in a group, row by row; none where they do not fit.

    Args:
        gate: which is open.
        run_id: of the run that asks.
        against: whether the verdict is against going on.
    """
    if not fits_buttons(run_id, gate.token):
        return []
    return [
        _answers(gate, run_id, gate.token, against=against),
        [_button("Evidence", EVIDENCE, run_id, gate.token)],
    ]


def roll_back_buttons(run_id: str) -> list[list[InlineKeyboardButton]]:
    """Return the button that asks what a rollback would undo; none where it does not fit."""
    if not run_id or not fits_buttons(run_id, _ASK):
        return []
    return [[_button(_ROLL_BACK_LABEL, ROLL_BACK, run_id, _ASK)]]


def private_buttons(
    gate: Gate, run_id: str, about: str, *, against: bool, web_page: str = ""
) -> InlineKeyboardMarkup | None:
    """Return the buttons for one person, or None where there are none.

    Args:
        gate: which is open.
        run_id: of the run that asks.
        about: what the buttons carry, bound to the person.
        against: whether the verdict is against going on.
        web_page: an address that Telegram links, or empty.
    """
    rows: list[list[InlineKeyboardButton]] = []
    if fits_buttons(run_id, about):
        rows = [
            _answers(gate, run_id, about, against=against),
            [_button(_CODE_LABEL, CODE, run_id, about), _button("Evidence", EVIDENCE, run_id, about)],
        ]
    if web_page:
        rows.append([InlineKeyboardButton(text="Answer on the web page", url=web_page)])
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def _answers(gate: Gate, run_id: str, about: str, *, against: bool) -> list[InlineKeyboardButton]:
    # Red while the verdict is against going on, so that no thumb finds the approval by habit.
    style = "danger" if against else None
    return [
        _button(gate.approve_label, APPROVE, run_id, about, style=style),
        _button(gate.reject_label, REJECT, run_id, about),
    ]


def _button(
    label: str, letter: str, run_id: str, about: str, *, style: str | None = None
) -> InlineKeyboardButton:
    data = f"{letter}:{run_id}:{about}"
    return InlineKeyboardButton(text=label_of(label), callback_data=data, style=style)
