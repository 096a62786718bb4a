"""Everything the bot says, in one place, so that a catalogue of another language can take its place.

Texts with marks are HTML and are filled by `fill`, which escapes; answers to taps are plain and are filled by
`say`. A text is translated when it is filled, never when it is defined.
"""

import textwrap
from html import escape

from holdfast.i18n import translate

_TAP_ANSWER_LENGTH = 190  # Telegram allows 200, in which an emoji may count twice
_MESSAGE_LENGTH = 3500  # Telegram allows 4096
_LINE_LENGTH = 500

HELLO = "👋 <b>Hello {title}.</b> Holdfast runs incident runbooks, and asks you for decisions here."
STRANGER = (
    "You are not known to Holdfast, so I cannot do that for you. Your Telegram id is <code>{id}</code>: "
    "ask an admin to add it to people.yaml."
)
STRANGER_TAP = "You are not known to Holdfast (Telegram id {id}). Ask an admin to add you to people.yaml."
NOT_AS_YOURSELF = (
    "You write as a chat, not as yourself, so I cannot know who you are. "
    "Switch “Remain anonymous” off, or write to me in a private chat."
)
WHOAMI_KNOWN = (
    "You are <b>{title}</b> (<code>{name}</code>), Telegram id <code>{id}</code>. Roles: {roles}. "
    "This chat's id is <code>{chat}</code>."
)
WHOAMI_STRANGER = (
    "Your Telegram id is <code>{id}</code>. Holdfast does not know you yet: "
    "ask an admin to add this id to people.yaml. This chat's id is <code>{chat}</code>."
)

NO_RUNS = "There are no runs yet. /runbooks shows what can be started."
RUN_LINE = "<b>{title}</b>\n<code>{run_id}</code> · {kind} · {status} · {started_at}"
RUN_COPY = "A copy made at {at}; the run's own message is kept up to date."
RUN_SHOWN_TAP = "Here it is."
MORE = "… and {count} more"
NO_ROLES = "none"

ENGINE_DOWN = "⚠️ Temporal does not answer: nothing was started or changed. Try again in a minute."
ENGINE_SLOW = "⚠️ Temporal does not answer in time. Look at /runs before you try again."
STORE_DOWN = (
    "⚠️ Holdfast's database does not answer, so I can neither remember nor record anything. "
    "Nothing was changed; try again in a minute."
)
STORE_DOWN_TAP = "Holdfast's database does not answer: your decision was NOT recorded. Tap again in a minute."
BUTTON_UNKNOWN_TAP = "I do not understand this button. Send /run for one that works."
BROKEN = "⚠️ I could not handle that, and the error is in my log. /runs shows where things stand."
BROKEN_TAP = (
    "I could not handle that tap, and the error is in my log. Look at the message before you tap again."
)
REFUSED = "⛔ {reason}"


def fill(template: str, **values: object) -> str:
    """Put the values into an HTML text in the reader's language, each escaped."""
    escaped = {name: escape(str(value), quote=False) for name, value in values.items()}
    return translate(template).format(**escaped)


def say(template: str, **values: object) -> str:
    """Put the values into a plain text in the reader's language."""
    return translate(template).format(**values)


def tap_answer(text: str) -> str:
    """Shorten a plain text, between words, to what Telegram shows as the answer to a tap."""
    return textwrap.shorten(text, width=_TAP_ANSWER_LENGTH, placeholder=" …")


def first_lines(lines: list[str], *, separator: str = "\n", length: int = _MESSAGE_LENGTH) -> str:
    """Join as many of the finished lines as `length` takes, and say when some are missing."""
    shown: list[str] = []
    for line in lines:
        if len(separator.join([*shown, line])) > length:
            shown.append(say(MORE, count=len(lines) - len(shown)))
            break
        shown.append(line)
    return separator.join(shown)


def refusal(reason: str) -> str:
    """Say as HTML why something was not done; a long reason is shortened at whole lines."""
    lines = [textwrap.shorten(line, width=_LINE_LENGTH, placeholder=" …") for line in reason.splitlines()]
    return fill(REFUSED, reason=first_lines(lines, length=_MESSAGE_LENGTH // 2))
