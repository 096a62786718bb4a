"""Everything the bot says, in one place, so that a catalogue of another language can take its place.

Texts with marks are HTML and are filled by `fill`, which escapes; answers to taps are plain and are filled by
`str.format`.
"""

import textwrap
from html import escape

_TAP_ANSWER_LENGTH = 190  # Telegram allows 200, in which an emoji may count twice
_MESSAGE_LENGTH = 3500  # Telegram allows 4096
_LINE_LENGTH = 500

COMMANDS = {
    "rollout": "Start a rollout: /rollout [runbook] [pace=NAME]",
    "runs": "The newest runs",
    "run": "Show a run: /run [id], the newest without id",
    "runbooks": "What can be started",
    "gates": "What waits for your answer",
    "gate": "A question and what it rests on: /gate [gate or run]",
    "rollback": "Undo what a run did: /rollback RUN [reason]",
    "code": "An answer to carry to the Temporal UI: /code GATE [approve|reject|rollback]",
    "extend": "More time: /extend GATE +7d [reason]",
    "delegate": "Somebody answers for you: /delegate GATE NAME",
    "enrol": "Set up your authenticator app",
    "whoami": "Who you are to Holdfast",
    "help": "What the commands do",
}

HELLO = "Hello {title}. Holdfast runs incident runbooks and asks you for decisions here.\n\n{help}"
HELP = (
    "/rollout [runbook] [pace=NAME] – start a rollout\n"
    "/runs – the newest runs\n"
    "/run [id] – show a run; without id the newest\n"
    "/runbooks – what can be started\n"
    "/rollback RUN [reason] – undo what a run did, at any time; shows first what, and asks\n\n"
    "/gates – what waits for your answer\n"
    "/gate [gate or run] – one question and what it rests on\n"
    "/extend GATE UNTIL [reason] – give it more time\n"
    "/delegate GATE NAME – let somebody answer for you; /delegate alone explains the rest\n"
    "/code GATE [approve|reject] – an answer to paste into the Temporal UI or a terminal (private chat)\n"
    "/code RUN rollback [STAGE] – the same for a rollback; STAGE is the last one that stays\n"
    "/enrol – set up your authenticator app (private chat)\n\n"
    "/whoami – who you are to Holdfast\n\n"
    "Each run has one message, which is kept up to date. When a decision is asked, it has two buttons; "
    "a tap is answered with what became of it."
)
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

RUNBOOK = "<b>{title}</b>\n<code>{name}</code> · paces: {paces}\n{summary}"
RUNBOOK_INVALID = "⚠️ <code>{name}</code> cannot be read: {reason}"
NO_RUNBOOKS = "There is no runbook that can be started. They are YAML files in the runbooks folder."
WHICH_RUNBOOK = "Which runbook shall be started, at pace <code>{pace}</code>? One tap starts it."
WRONG_ARGUMENTS = "/rollout takes a runbook's name and pace=NAME; '{word}' is one too many"
STALE = (
    "you asked for this {minutes} minutes ago, when I could not answer. "
    "Look at /runs, and send it again if you still want it"
)
STARTED = (
    "🚀 <b>Started: {title}</b>\n{summary}\n\n{stages}\n\n"
    "Each stage is checked, waits for its sign-off, and is then watched share by share; what goes wrong is "
    "undone.\n\nRun <code>{run_id}</code>, pace {pace}. Its own message follows and is kept up to date."
)
STAGE = "{number}. {title} – {shares}, sign-off: {approvers}"
EVERYBODY = "everybody at once"
NO_RETURN = ", with a point of no return"
ALREADY_STARTED = "Run <code>{run_id}</code> is there already: this request has started it before. See /runs."
STARTED_TAP = "Started: {run_id}"
ALREADY_STARTED_TAP = "This list has already started {run_id}. Send /rollout for another run."
OUTDATED_LIST_TAP = "That runbook or pace is not there any more. Send /rollout for a new list."

NO_RUNS = "There are no runs yet. /rollout starts one."
RUN_LINE = "<code>{run_id}</code> {runbook} · {status} · {started_at}"
RUN_COPY = "A copy made at {at:%H:%M:%S} UTC; the run's own message is kept up to date."

ENGINE_DOWN = "⚠️ Temporal does not answer: nothing was started or changed. Try again in a minute."
ENGINE_SLOW = "⚠️ Temporal does not answer in time. Look at /runs before you try again."
ENGINE_DOWN_TAP = "Temporal does not answer: your decision was NOT recorded. Tap again in a minute."
ENGINE_SLOW_TAP = (
    "Temporal does not answer in time: your decision may or may not be recorded. "
    "Look at the message, or tap again: one person's decision counts once."
)
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
    """Put the values into an HTML text, each escaped."""
    return template.format(**{name: escape(str(value), quote=False) for name, value in values.items()})


def tap_answer(text: str) -> str:
    """Shorten a plain text, between words, to what Telegram shows as the answer to a tap."""
    return textwrap.shorten(text, width=_TAP_ANSWER_LENGTH, placeholder=" …")


def first_lines(lines: list[str], *, separator: str = "\n", length: int = _MESSAGE_LENGTH) -> str:
    """Join as many of the finished lines as `length` takes, and say when some are missing."""
    shown: list[str] = []
    for line in lines:
        if len(separator.join([*shown, line])) > length:
            shown.append(f"… and {len(lines) - len(shown)} more")
            break
        shown.append(line)
    return separator.join(shown)


def refusal(reason: str) -> str:
    """Say as HTML why something was not done; a long reason is shortened at whole lines."""
    lines = [textwrap.shorten(line, width=_LINE_LENGTH, placeholder=" …") for line in reason.splitlines()]
    return fill(REFUSED, reason=first_lines(lines, length=_MESSAGE_LENGTH // 2))
