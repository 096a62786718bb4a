"""/loadstop: a load test ends at once, after one question."""

from typing import Final

from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message, Update

from holdfast.apps.bot import tasking_texts as texts
from holdfast.apps.bot.picking import Picker, picked, which
from holdfast.apps.bot.questions import YES, Question, Questions, Said, Settled
from holdfast.apps.bot.replies import command_id, reply
from holdfast.apps.bot.run_words import LONGEST_REASON, RunWords
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.texts import fill, say
from holdfast.apps.bot.times import Words
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused, EngineUnavailable, InvalidInput
from holdfast.domain.people import Person
from holdfast.domain.view import RunView
from holdfast.domain.words import Act
from holdfast.i18n import translate, understood

_KIND: Final = "loadstop"


class LoadStops:
    """The handlers of the command."""

    def __init__(self, services: Services, questions: Questions) -> None:
        self._services = services
        self._questions = questions
        self._words = RunWords(services)
        self._picker = Picker(services)
        questions.answers(_KIND, self.answered)

    def commands(self) -> Router:
        """Route the command; its handler needs a known `person`."""
        router = Router(name="load-stops")
        router.message.register(self.ask, Command("loadstop"))
        return router

    async def ask(
        self, message: Message, command: CommandObject, person: Person, bot: Bot, event_update: Update
    ) -> None:
        """Show what it means, and ask; without a run, ask first which."""
        words = Words(command.args or "")
        run, reason = words.next().lower(), words.rest()
        if len(reason) > LONGEST_REASON:
            raise InvalidInput(say(texts.REASON_LENGTH, most=LONGEST_REASON, length=len(reason)))
        asked = {"id": command_id(bot, event_update), "run": run, "reason": reason}
        question = await (self._confirmation(person, asked) if run else self._which(person, asked))
        if question is None:
            await reply(message, fill(texts.NONE_TO_STOP))
            return
        await self._questions.ask(person, message, _KIND, question)

    async def answered(self, person: Person, data: dict[str, str], said: Said) -> Question | Settled:
        """Say it to the run."""
        if said.answer != YES:
            return await self._confirmation(person, {**data, "run": picked(data, said.answer)})
        reply = await self._words.say(person, data["run"], Act.STOP, key=data["id"], reason=data["reason"])
        text = understood(reply.text)
        html = fill(texts.STOPPED, person=person.title, run=data["run"], text=text)
        return Settled(label=reply.answer, tap=text, html=html, alert=reply.answer is Answer.STORED)

    async def _which(self, person: Person, asked: dict[str, str]) -> Question | None:
        """Ask which test, of those that this person may stop; the only one needs no question."""
        runs = [
            run
            for run in await self._picker.open("load")
            if run.view and run.view.load and person.name in run.view.load.may_stop
        ]
        if len(runs) == 1:
            return await self._confirmation(person, {**asked, "run": runs[0].line.run_id})
        html = fill(texts.WHICH_TO_STOP)
        return which(runs, question=asked["id"], html=html, data=asked, step=True) if runs else None

    async def _confirmation(self, person: Person, asked: dict[str, str]) -> Question:
        run = asked["run"]
        view = await self._view(person, run)
        title = view.title if view else say(texts.UNSEEN_TITLE)
        state = understood(view.headline or view.state.value) if view else say(texts.UNSEEN_STATE)
        html = fill(texts.STOP_QUESTION, title=title, run=run, state=state)
        return Question(id=asked["id"], html=html, options=((YES, say(texts.STOP_BUTTON)),), data=asked)

    async def _view(self, person: Person, run: str) -> RunView | None:
        """Return the test; None where nobody can show it, and the run itself will have to judge.

        Raises:
            DecisionRefused: there is nothing to ask this person.
            InvalidInput: it is no load test.
        """
        try:
            view = await self._services.runs.view(run)
        except EngineUnavailable:
            return None
        if view.load is None:
            raise InvalidInput(say(texts.NOT_A_LOAD_TEST, run=run))
        if view.state.ended:
            ended = say(texts.ENDED, run=run, state=translate(view.state.value))
            raise DecisionRefused(Answer.ALREADY_DECIDED, ended)
        if person.name not in view.load.may_stop:
            names = ", ".join(view.load.may_stop) or say(texts.NOBODY)
            raise DecisionRefused("may_not_stop", say(texts.NOT_YOU, person=person.title, run=run, names=names))
        return view
