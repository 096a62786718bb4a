"""/ack, /note, /resolve, and the buttons of incidents: who has it, what is known, that it is over."""

from dataclasses import dataclass
from typing import Final

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message, Update

from holdfast.apps.bot import incident_texts as texts
from holdfast.apps.bot.decisions import tapped
from holdfast.apps.bot.handovers import Handovers
from holdfast.apps.bot.meaning import Meaning, refuse_others
from holdfast.apps.bot.picking import Listed, Picker, picked, which
from holdfast.apps.bot.questions import YES, Question, Questions, Said, Settled
from holdfast.apps.bot.replies import command_id, reply
from holdfast.apps.bot.run_words import LONGEST_REASON, RunWords
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.taps import TapAnswer, Taps
from holdfast.apps.bot.texts import fill, first_lines, say
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused, InvalidInput
from holdfast.domain.people import Person
from holdfast.domain.view import RunView
from holdfast.domain.words import Act
from holdfast.i18n import translate, understood
from holdfast.i18n.times import on_clock, span

ACKNOWLEDGE: Final = "k"
RESOLVE: Final = "v"
HAND_OVER: Final = "h"
_RESOLVE: Final = "resolve"
_ACK: Final = "ack"
_IN_GROUP: Final = "-"
_LABEL = 40
_MOST_BUTTONS = 20


@dataclass(frozen=True)
class IncidentButton:
    """A button of an incident's messages.

    Attributes:
        letter: what is wanted.
        personal: binds it to one person; empty in a group, where the run decides who may.
    """

    run: str
    letter: str
    personal: str


def incident_button(data: str) -> IncidentButton | None:
    """Read `i:<run id>:<letter><button>`; None where it is none."""
    prefix, _, rest = data.partition(":")
    run, _, about = rest.rpartition(":")
    letter, personal = about[:1], about[1:]
    if prefix != "i" or not run or letter not in {ACKNOWLEDGE, RESOLVE, HAND_OVER}:
        return None
    return IncidentButton(run, letter, "" if personal == _IN_GROUP else personal)


class Incidents:
    """The handlers of incidents."""

    def __init__(self, services: Services, questions: Questions, taps: Taps, handovers: Handovers) -> None:
        self._services = services
        self._questions = questions
        self._taps = taps
        self._handovers = handovers
        self._words = RunWords(services)
        self._picker = Picker(services)
        self._meaning = Meaning(services)
        questions.answers(_RESOLVE, self.resolved)
        questions.answers(_ACK, self.picked)

    def commands(self) -> Router:
        """Route the commands; the handlers need a known `person`."""
        router = Router(name="incidents")
        router.message.register(self.acknowledge, Command("ack"))
        router.message.register(self.note, Command("note"))
        router.message.register(self.resolve, Command("resolve"))
        return router

    def buttons(self) -> Router:
        """Route `i:<run id>:<letter><button>`."""
        router = Router(name="incident-buttons")
        router.callback_query.register(self.tapped, F.data.startswith("i:"))
        return router

    async def list_open(self, message: Message, person: Person) -> None:
        """Show the open incidents with a button each, and how to open another one."""
        _ = person
        runs = await self._picker.open("incident")
        lines = [self._line(run) for run in runs]
        buttons = [_opening(run) for run in runs[:_MOST_BUTTONS]]
        head = fill(texts.OPEN_ONES if runs else texts.NONE_OPEN)
        html = "\n\n".join([head, *([first_lines(lines)] if lines else []), fill(texts.HOW_TO_OPEN)])
        await reply(message, html, InlineKeyboardMarkup(inline_keyboard=buttons) if buttons else None)

    async def acknowledge(
        self, message: Message, command: CommandObject, person: Person, bot: Bot, event_update: Update
    ) -> None:
        """Take the named incident, or the only one; with several ask which."""
        key, run = command_id(bot, event_update), (command.args or "").strip().lower()
        if not run:
            runs = await self._picker.open("incident")
            if not runs:
                await reply(message, fill(texts.NONE_OPEN))
                return
            if len(runs) > 1:
                question = which(runs, question=key, html=fill(texts.WHICH_TO_TAKE), data={"id": key})
                await self._questions.ask(person, message, _ACK, question)
                return
            run = runs[0].line.run_id
        said = await self._words.say(person, run, Act.ACKNOWLEDGE, key=key)
        await reply(message, fill(texts.DONE, run=run, text=on_clock(understood(said.text), person.zone)))

    async def picked(self, person: Person, data: dict[str, str], said: Said) -> Question | Settled:
        """Take the incident that was chosen."""
        run = picked(data, said.answer)
        answer = await self._words.say(person, run, Act.ACKNOWLEDGE, key=data["id"])
        text = on_clock(understood(answer.text), person.zone)
        return Settled(label=answer.answer, tap=text, html=fill(texts.DONE, run=run, text=text))

    async def note(
        self, message: Message, command: CommandObject, person: Person, bot: Bot, event_update: Update
    ) -> None:
        """Write something into the timeline."""
        run, text = await self._meaning.incident(command.args or "", usage=texts.NOTE_USAGE)
        if not text:
            raise InvalidInput(say(texts.NOTE_USAGE))
        _check_length(text)
        key = command_id(bot, event_update)
        said = await self._words.say(person, run, Act.NOTE, key=key, reason=text)
        await reply(message, fill(texts.DONE, run=run, text=understood(said.text)))

    async def resolve(
        self, message: Message, command: CommandObject, person: Person, bot: Bot, event_update: Update
    ) -> None:
        """Show what it means, and ask whether; without a reason, ask why."""
        run, why = await self._meaning.incident(command.args or "", usage=texts.RESOLVE_USAGE)
        _check_length(why)
        asked = {"id": command_id(bot, event_update), "run": run, "reason": why}
        await self._questions.ask(person, message, _RESOLVE, await self._resolution(person, asked))

    async def resolved(self, person: Person, data: dict[str, str], said: Said) -> Question | Settled:
        """Say to the run that it is over."""
        reason = said.text or data["reason"]
        if said.answer.isdigit():
            reason = texts.QUICK_RESOLUTIONS[int(said.answer)]
        answer = await self._words.say(person, data["run"], Act.RESOLVE, key=data["id"], reason=reason)
        text = understood(answer.text)
        html = fill(texts.RESOLVED, person=person.title, run=data["run"], reason=translate(reason), text=text)
        return Settled(label=answer.answer, tap=text, html=html, alert=answer.answer is Answer.STORED)

    async def tapped(self, query: CallbackQuery, received_at: float) -> None:
        """Take it, resolve it, or hand it over; a personal button is its owner's only."""
        button = incident_button(str(query.data))

        async def act(person: Person) -> TapAnswer:
            if button is None:
                raise DecisionRefused("unknown_button", say(texts.UNKNOWN_BUTTON_TAP))
            refuse_others(self._services, person, button.run, button.personal)
            return await self._act(person, button, tapped(query), f"telegram:{query.id}")

        await self._taps.settle(query, received_at, act)

    async def _act(
        self, person: Person, button: IncidentButton, message: Message | None, key: str
    ) -> TapAnswer:
        if button.letter == ACKNOWLEDGE:
            said = await self._words.say(person, button.run, Act.ACKNOWLEDGE, key=key)
            return TapAnswer(said.answer, understood(said.text), alert=said.answer is Answer.STORED)
        if message is None:
            raise DecisionRefused("too_old", say(texts.TOO_OLD_TAP, run=button.run))
        if button.letter == HAND_OVER:
            await self._handovers.ask_whom(message, person, button.run, key=key)
            return TapAnswer("handover_asked", say(texts.WHOM_TAP), alert=False)
        question = await self._resolution(person, {"id": key, "run": button.run, "reason": ""})
        await self._questions.ask(person, message, _RESOLVE, question)
        return TapAnswer("resolution_asked", say(texts.WHY_TAP), alert=False)

    async def _resolution(self, person: Person, asked: dict[str, str]) -> Question:
        view = await self._meaning.answerable(person, asked["run"])
        title = view.title if view else say(texts.UNSEEN_TITLE)
        if asked["reason"]:
            html = fill(texts.RESOLVE_QUESTION, title=title, run=asked["run"], reason=asked["reason"])
            options = ((YES, say(texts.RESOLVE_BUTTON)),)
            return Question(id=asked["id"], html=html, options=options, data=asked)
        html = fill(texts.WHY_QUESTION, title=title, run=asked["run"])
        quick = tuple((str(n), say(reason)) for n, reason in enumerate(texts.QUICK_RESOLUTIONS))
        return Question(id=asked["id"], html=html, options=quick, data=asked, takes_text=True)

    def _line(self, run: Listed) -> str:
        since = span(self._services.now() - run.view.started_at) if run.view else run.line.started_at
        fields = {"title": run.title or run.line.runbook, "run": run.line.run_id, "since": since}
        incident = run.view.incident if run.view else None
        if incident is None:
            return fill(texts.OPEN_LINE, state=translate(run.state), **fields)
        if not incident.owner:
            return fill(texts.UNTAKEN_LINE, **fields)
        return fill(texts.TAKEN_LINE, owner=_title(run.view, incident.owner), **fields)


def _title(view: RunView | None, name: str) -> str:
    person = view.people.named(name) if view else None
    return person.title if person else name


def _opening(run: Listed) -> list[InlineKeyboardButton]:
    label = (run.title or run.line.run_id)[:_LABEL]
    return [InlineKeyboardButton(text=label, callback_data=f"o:{run.line.run_id}")]


def _check_length(text: str) -> None:
    if len(text) > LONGEST_REASON:
        raise InvalidInput(say(texts.TEXT_LENGTH, most=LONGEST_REASON, length=len(text)))
