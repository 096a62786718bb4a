"""The buttons of an open gate and of a run: what each carries is `<letter>:<run id>:<what it is about>`."""

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from holdfast.adapters.telegram import card_texts as texts
from holdfast.adapters.telegram.wording import clip, say
from holdfast.domain.gates import Gate
from holdfast.domain.words import Act
from holdfast.i18n import understood

APPROVE, LIMIT, REJECT, CODE, EVIDENCE, ROLL_BACK = "a", "l", "r", "c", "e", "u"
ERRAND = "t"
INCIDENT, ACKNOWLEDGE, HAND_OVER, RESOLVE = "i", "k", "h", "v"
_CALLBACK_BYTES = 64
_LABEL_UNITS = 40
_ASK = "ask"


def label_of(label: str) -> str:
    """Return what stands on a button, in the reader's language where Holdfast itself chose the words."""
    return clip(understood(label), _LABEL_UNITS) or "?"


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
        *_answers(gate, run_id, gate.token, against=against),
        [_button(say(texts.EVIDENCE_BUTTON), EVIDENCE, run_id, gate.token)],
    ]


def roll_back_buttons(run_id: str) -> list[list[InlineKeyboardButton]]:
    """Return the button that asks what a rollback would undo; none where it does not fit."""
    if not run_id or not fits_buttons(run_id, _ASK):
        return []
    return [[_button(say(texts.ROLL_BACK_BUTTON), ROLL_BACK, run_id, _ASK)]]


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
            *_answers(gate, run_id, about, against=against),
            [
                _button(say(texts.CODE_BUTTON), CODE, run_id, about),
                _button(say(texts.EVIDENCE_BUTTON), EVIDENCE, run_id, about),
            ],
        ]
    if web_page:
        rows.append([InlineKeyboardButton(text=say(texts.WEB_BUTTON), url=web_page)])
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def incident_buttons(run_id: str, personal: str = "", *, owned: bool) -> InlineKeyboardMarkup | None:
    """Return the buttons of an open incident, or None where they do not fit: `i:<run id>:<letter><personal>`.

    Args:
        run_id: of the incident.
        personal: binds them to one person; empty for everybody in a group.
        owned: whether somebody has it already.
    """
    if not run_id or not fits_buttons(run_id, f"{ACKNOWLEDGE}{personal}"):
        return None

    def button(label: str, letter: str, style: str | None = None) -> InlineKeyboardButton:
        return _button(say(label), INCIDENT, run_id, f"{letter}{personal}", style=style)

    take = [] if owned else [[button(texts.ACKNOWLEDGE_BUTTON, ACKNOWLEDGE, "primary")]]
    rest = [button(texts.HAND_OVER_BUTTON, HAND_OVER), button(texts.RESOLVE_BUTTON, RESOLVE)]
    return InlineKeyboardMarkup(inline_keyboard=[*take, rest])


def errand_button(run_id: str, personal: str, label: str, *, act: Act) -> InlineKeyboardMarkup | None:
    """Return the one button of a request for a role or a task: `t:<run id>:<letter><personal>`.

    Args:
        run_id: of the run that asks.
        personal: binds it to one person and to this role or task; without it there is no button.
        label: what stands on it.
        act: its first letter tells a role from a task.
    """
    about = f"{act.value[:1]}{personal}" if personal else ""
    if not run_id or not fits_buttons(run_id, about):
        return None
    button = _button(label, ERRAND, run_id, about, style="primary")
    return InlineKeyboardMarkup(inline_keyboard=[[button]])


def _answers(gate: Gate, run_id: str, about: str, *, against: bool) -> list[list[InlineKeyboardButton]]:
    # Red while the verdict is against going on, so that no thumb finds the approval by habit.
    style = "danger" if against else None
    approve = _button(gate.approve_label, APPROVE, run_id, about, style=style)
    reject = _button(gate.reject_label, REJECT, run_id, about)
    if not gate.limit_label:
        return [[approve, reject]]
    return [[approve, _button(gate.limit_label, LIMIT, run_id, about, style=style)], [reject]]


def _button(
    label: str, letter: str, run_id: str, about: str, *, style: str | None = None
) -> InlineKeyboardButton:
    data = f"{letter}:{run_id}:{about}"
    return InlineKeyboardButton(text=label_of(label), callback_data=data, style=style)
