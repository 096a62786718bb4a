"""/pause and /resume: a rollout waits where it is, and goes on."""

from typing import Final

from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message, Update

from holdfast.apps.bot import pausing_texts as texts
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
from holdfast.domain.view import RunState, RunView
from holdfast.domain.words import Act
from holdfast.i18n import translate, understood

_KIND: Final = "pause"


class Pausing:
    """The handlers of both commands."""

    def __init__(self, services: Services, questions: Questions) -> None:
        self._services = services
        self._questions = questions
        self._words = RunWords(services)
        self._picker = Picker(services)
        questions.answers(_KIND, self.answered)

    def commands(self) -> Router:
        """Route the commands; the handlers need a known `person`."""
        router = Router(name="pausing")
        router.message.register(self.ask, Command("pause", "resume"))
        return router

    async def ask(
        self, message: Message, command: CommandObject, person: Person, bot: Bot, event_update: Update
    ) -> None:
        """Show what it means, and ask; without a run, ask first which."""
        words, act = Words(command.args or ""), Act(command.command)
        run, reason = words.next().lower(), words.rest()
        if len(reason) > LONGEST_REASON:
            raise InvalidInput(say(texts.REASON_LENGTH, most=LONGEST_REASON, length=len(reason)))
        asked = {"id": command_id(bot, event_update), "act": act.value, "run": run, "reason": reason}
        question = await (self._confirmation(person, asked) if run else self._which(person, asked))
        if question is None:
            await reply(message, fill(texts.NONE_TO_PAUSE if act is Act.PAUSE else texts.NONE_TO_RESUME))
            return
        await self._questions.ask(person, message, _KIND, question)

    async def answered(self, person: Person, data: dict[str, str], said: Said) -> Question | Settled:
        """Say it to the run."""
        if said.answer != YES:
            return await self._confirmation(person, {**data, "run": picked(data, said.answer)})
        act = Act(data["act"])
        reply = await self._words.say(person, data["run"], act, key=data["id"], reason=data["reason"])
        text = understood(reply.text)
        done = texts.PAUSED if act is Act.PAUSE else texts.RESUMED
        html = fill(done, person=person.title, run=data["run"], text=text)
        return Settled(label=reply.answer, tap=text, html=html, alert=reply.answer is Answer.STORED)

    async def _which(self, person: Person, asked: dict[str, str]) -> Question | None:
        """Ask which run, of those that this person may pause or resume; the only one needs no question."""
        pausing = asked["act"] == Act.PAUSE
        runs = [
            run
            for run in await self._picker.open("rollout")
            if run.view and person.name in run.view.may_pause and pausing != _is_paused(run.view)
        ]
        if len(runs) == 1:
            return await self._confirmation(person, {**asked, "run": runs[0].line.run_id})
        html = fill(texts.WHICH_TO_PAUSE if pausing else texts.WHICH_TO_RESUME)
        return which(runs, question=asked["id"], html=html, data=asked, step=True) if runs else None

    async def _confirmation(self, person: Person, asked: dict[str, str]) -> Question:
        run, act = asked["run"], Act(asked["act"])
        view = await self._view(person, run, act)
        title = view.title if view else say(texts.UNSEEN_TITLE)
        state = translate(view.state.value) if view else say(texts.UNSEEN_STATE)
        template = texts.PAUSE_QUESTION if act is Act.PAUSE else texts.RESUME_QUESTION
        html = fill(template, title=title, run=run, state=state)
        if asked["reason"]:
            html += "\n" + fill(texts.REASON, reason=asked["reason"])
        label = texts.PAUSE_BUTTON if act is Act.PAUSE else texts.RESUME_BUTTON
        return Question(id=asked["id"], html=html, options=((YES, say(label)),), data=asked)

    async def _view(self, person: Person, run: str, act: Act) -> RunView | None:
        """Return the run; None where nobody can show it, and the run itself will have to judge.

        Raises:
            DecisionRefused: there is nothing to ask this person.
        """
        try:
            view = await self._services.runs.view(run)
        except EngineUnavailable:
            return None
        if view.state.ended:
            raise DecisionRefused(
                Answer.ALREADY_DECIDED, say(texts.ENDED, run=run, state=translate(view.state.value))
            )
        if person.name not in view.may_pause:
            names = ", ".join(view.may_pause) or say(texts.NOBODY)
            raise DecisionRefused(
                "may_not_pause", say(texts.NOT_YOU, person=person.title, run=run, names=names)
            )
        if act is Act.PAUSE and _is_paused(view):
            already = say(texts.PAUSED_ALREADY, run=run, name=view.paused_by or "?")
            raise DecisionRefused(Answer.ALREADY_DECIDED, already)
        if act is Act.RESUME and not _is_paused(view):
            raise DecisionRefused(Answer.ALREADY_DECIDED, say(texts.NOT_PAUSED, run=run))
        return view


def _is_paused(view: RunView) -> bool:
    return bool(view.paused_by) or view.state is RunState.PAUSED
