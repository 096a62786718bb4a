"""/rollback and its button: what would be undone, and whether it shall be."""

import textwrap
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Final

from aiogram import Bot, F, Router
from aiogram.enums import ParseMode
from aiogram.exceptions import AiogramError
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message, Update

from holdfast.apps.bot import gate_texts
from holdfast.apps.bot import rollback_texts as texts
from holdfast.apps.bot.clerk import Clerk, Outcome
from holdfast.apps.bot.decisions import button_parts, tap_answer, tapped
from holdfast.apps.bot.errands import private_chat, question_key, tell_privately
from holdfast.apps.bot.refusals import refusal_words
from holdfast.apps.bot.replies import command_id, reply
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.taps import MAY_NOT_ROLL_BACK, TapAnswer, Taps
from holdfast.apps.bot.texts import fill, first_lines, say
from holdfast.apps.bot.times import Words
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused, EngineUnavailable, InvalidInput
from holdfast.domain.people import Person
from holdfast.domain.rollback import may_stay, undoing
from holdfast.domain.undoing import would_be_undone
from holdfast.domain.view import RunState, RunView, StageView
from holdfast.i18n import understood
from holdfast.ports.identity import Intent

PATIENCE: Final = timedelta(minutes=2)
_KIND: Final = "rollback"
_EVERYTHING, _ONLY, _CANCEL = "all", "one", "no"
_LABEL = 40
_LINE = 200
_LIST = 2500
_LONGEST_REASON = 1000


class Rollbacks:
    """The handlers of rollbacks."""

    def __init__(self, services: Services, clerk: Clerk, taps: Taps) -> None:
        self._services = services
        self._clerk = clerk
        self._taps = taps

    def commands(self) -> Router:
        """Route /rollback; the handler needs a known `person`."""
        router = Router(name="rollbacks")
        router.message.register(self.ask, Command("rollback"))
        return router

    def buttons(self) -> Router:
        """Route `u:<run id>:ask`, the button of a run's message, and `k:<question>:<answer>`."""
        router = Router(name="rollback-buttons")
        router.callback_query.register(self.ask_tapped, F.data.regexp(r"^u:.+:[^:]+$"))
        router.callback_query.register(self.answered, F.data.regexp(r"^k:[^:]+:(all|one|no)$"))
        return router

    async def ask(
        self, message: Message, command: CommandObject, person: Person, bot: Bot, event_update: Update
    ) -> None:
        """Show what would be undone, and ask."""
        words = Words(command.args or "")
        run, reason = words.next().lower(), words.rest()
        if not run:
            await reply(message, fill(texts.USAGE))
            return
        if len(reason) > _LONGEST_REASON:
            raise InvalidInput(say(gate_texts.REASON_LENGTH, length=len(reason)))
        view = await self._view(run, person)
        asked = {"id": command_id(bot, event_update), "run": run, "reason": reason}
        await reply(message, *await self._question(person, message.chat.id, view, asked))

    async def ask_tapped(self, query: CallbackQuery, received_at: float, bot: Bot) -> None:
        """Do the same where the button is, for all to see; in private where that message is too old."""
        _, run, _ = button_parts(query)

        async def act(person: Person) -> TapAnswer:
            view, message = await self._view(run, person), tapped(query)
            chat = message.chat.id if message else private_chat(person)
            asked = {"id": f"telegram:{query.id}", "run": run, "reason": ""}
            question = await self._question(person, chat, view, asked)
            if message is not None:
                await reply(message, *question)
                return TapAnswer("rollback_asked", say(texts.ASKED_TAP), alert=False)
            if not await tell_privately(bot, person, *question):
                return TapAnswer("rollback_not_asked", say(gate_texts.WRITE_ME_FIRST))
            return TapAnswer("rollback_asked", say(texts.ASKED_PRIVATELY_TAP), alert=False)

        await self._taps.settle(query, received_at, act)

    async def answered(self, query: CallbackQuery, received_at: float) -> None:
        """Roll back, or not; only whoever was asked can say so, and only for a while."""
        _, key, answer = button_parts(query)

        async def act(person: Person) -> TapAnswer:
            message = tapped(query)
            intent = await self._pending(person, message, key)
            if intent is None:
                return await self._not_pending(message)
            if answer == _CANCEL:
                await self._services.intents.take(person.name, intent.chat, now=self._services.now())
                await _close(message, fill(texts.CANCELLED, person=person.title))
                return TapAnswer("rollback_cancelled", say(texts.CANCELLED_TAP), alert=False)
            return tap_answer(await self._confirmed(person, intent, answer, message))

        await self._taps.settle(query, received_at, act)

    async def _confirmed(self, person: Person, intent: Intent, answer: str, message: Message | None) -> Outcome:
        """Pass it on. The question stays pending, so that a second tap gets the first one's answer."""
        asked = intent.data
        what = asked["label"] if answer == _ONLY else say(texts.EVERYTHING_BUTTON)
        try:
            outcome = await self._clerk.roll_back(
                person,
                asked["run"],
                to=asked["to"] if answer == _ONLY else "",
                reason=asked["reason"],
                key=f"{asked['id']}/{answer}",
            )
        except DecisionRefused as refused:
            await _close(
                message, fill(texts.CLOSED, person=person.title, what=what, text=refusal_words(refused))
            )
            raise
        await _close(message, fill(texts.CLOSED, person=person.title, what=what, text=outcome.text))
        return outcome

    async def _view(self, run: str, person: Person) -> RunView | None:
        """Return the run; None where nobody can show it, and the run itself will have to judge.

        Raises:
            DecisionRefused: there is nothing to ask this person.
        """
        try:
            view = await self._services.runs.view(run)
        except EngineUnavailable:
            return None
        if view.state.ended:
            ended = say(texts.ENDED, run=run, state=understood(view.state), name=person.name)
            raise DecisionRefused(Answer.ALREADY_DECIDED, ended)
        if person.name not in view.may_roll_back:
            names = ", ".join(view.may_roll_back) or say(texts.NOBODY)
            said = say(texts.NOT_YOU, person=person.title, run=run, names=names)
            raise DecisionRefused(MAY_NOT_ROLL_BACK, said)
        if view.state is RunState.ROLLING_BACK:
            said = say(texts.ROLLING_BACK, run=run, headline=understood(view.headline))
            raise DecisionRefused(Answer.ALREADY_DECIDED, said)
        if not would_be_undone(view):
            said = say(texts.NOTHING, run=run, state=understood(view.state))
            raise DecisionRefused(Answer.NOTHING_TO_UNDO, said)
        return view

    async def _question(
        self, person: Person, chat: int, view: RunView | None, asked: dict[str, str]
    ) -> tuple[str, InlineKeyboardMarkup]:
        """Remember what is asked, and return the question with its buttons.

        What would stay is fixed here: the run may be at another stage when it is confirmed.
        """
        if view is not None and (stays := next(iter(may_stay(view)), None)):
            asked = asked | {"to": stays.name, "label": _only(would_be_undone(view, stays.name))}
        intent = Intent(
            person=person.name,
            chat=_place(chat),
            kind=_KIND,
            data=asked,
            expires_at=self._services.now() + PATIENCE,
        )
        await self._services.intents.put(intent)
        title = understood(view.title) if view else say(texts.UNSEEN_TITLE)
        run = intent.data["run"]
        head = fill(texts.QUESTION, id=private_chat(person), person=person.title, title=title, run=run)
        body = first_lines(list(_would_be(view, intent)), length=_LIST) if view else fill(texts.UNSEEN)
        until = f"{intent.expires_at.astimezone(person.zone):%H:%M:%S %Z}"
        return f"{head}{body}\n\n{fill(texts.UNTIL, until=until)}", _keyboard(intent)

    async def _pending(self, person: Person, message: Message | None, key: str) -> Intent | None:
        """Return the question to which a button belongs, if it is this person's and still open."""
        if message is None:
            return None
        place, now = _place(message.chat.id), self._services.now()
        intent = await self._services.intents.peek(person.name, place, now=now)
        return intent if intent is not None and question_key(intent.data["id"]) == key else None

    async def _not_pending(self, message: Message | None) -> TapAnswer:
        if message is not None and self._services.now() < message.date + PATIENCE:
            return TapAnswer("others_question", say(texts.OTHERS_TAP))
        await _close(message, fill(texts.EXPIRED))
        return TapAnswer("rollback_expired", say(texts.EXPIRED_TAP))


def _place(chat: int) -> str:
    """Return where the question is remembered: beside a reason or a code that the chat may await as well."""
    return f"{_KIND}:{chat}"


def _would_be(view: RunView, intent: Intent) -> Iterator[str]:
    everything = undoing(view)
    yield fill(texts.UNDONE)
    for stage in everything.undone:
        yield _line(texts.UNDONE_STAGE, title=_title(stage))
    for way in everything.ways:
        yield _line(texts.UNDONE_LINE, back=understood(way))
    if everything.schemas:
        yield _line(texts.SCHEMA, systems=", ".join(everything.schemas))
    if everything.lasting:
        yield fill(texts.LASTING)
    for title in everything.lasting:
        yield _line(texts.LASTING_LINE, title=understood(title))
    if "to" in intent.data:
        names = ", ".join(_title(stage) for stage in undoing(view, intent.data["to"]).stays)
        yield _line(texts.STAYS, label=intent.data["label"], names=names)


def _line(template: str, **values: str) -> str:
    return fill(template, **{n: textwrap.shorten(v, width=_LINE, placeholder=" …") for n, v in values.items()})


def _title(stage: StageView) -> str:
    return stage.title or stage.name


def _only(stages: list[StageView]) -> str:
    titles = ", ".join(map(_title, stages))
    return textwrap.shorten(say(texts.ONLY_BUTTON, title=titles), width=_LABEL, placeholder="…")


def _keyboard(intent: Intent) -> InlineKeyboardMarkup:
    answers = {_EVERYTHING: say(texts.EVERYTHING_BUTTON)}
    if "to" in intent.data:
        answers[_ONLY] = intent.data["label"]
    answers[_CANCEL] = say(texts.CANCEL_BUTTON)
    key = question_key(intent.data["id"])
    rows = [
        [InlineKeyboardButton(text=label, callback_data=f"k:{key}:{answer}")]
        for answer, label in answers.items()
    ]
    return InlineKeyboardMarkup(inline_keyboard=rows)


async def _close(message: Message | None, html: str) -> None:
    """Take the buttons off the question, and say in it what became of it."""
    if message is None:
        return
    with suppress(AiogramError):
        await message.edit_text(f"{message.html_text}\n\n{html}", parse_mode=ParseMode.HTML)
