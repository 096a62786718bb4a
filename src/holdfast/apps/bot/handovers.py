"""/handover: an incident, or a turn of duty with the incidents that go along, to somebody else."""

from typing import Final

from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message, Update

from holdfast.apps.bot import handover_texts as texts
from holdfast.apps.bot.meaning import Meaning
from holdfast.apps.bot.on_call import Turns
from holdfast.apps.bot.paging import Paging
from holdfast.apps.bot.questions import YES, Question, Questions, Said, Settled
from holdfast.apps.bot.replies import command_id, reply
from holdfast.apps.bot.run_words import LONGEST_REASON, RunWords
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.shelf import meant_by
from holdfast.apps.bot.texts import fill, say
from holdfast.apps.bot.times import Words
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused, InvalidInput, UnknownName
from holdfast.domain.ids import digest_of
from holdfast.domain.people import Person
from holdfast.domain.view import RunView
from holdfast.domain.words import Act
from holdfast.i18n import understood

_KIND: Final = "handover"
_MOST_PEOPLE: Final = 12


class Handovers:
    """The handlers of handing over."""

    def __init__(self, services: Services, questions: Questions) -> None:
        self._services = services
        self._questions = questions
        self._words = RunWords(services)
        self._meaning = Meaning(services)
        self._paging = Paging(services)
        self._turns = Turns(services, questions)
        questions.answers(_KIND, self.answered)

    def commands(self) -> Router:
        """Route the command; the handler needs a known `person`."""
        router = Router(name="handovers")
        router.message.register(self.hand_over, Command("handover"))
        return router

    async def hand_over(
        self, message: Message, command: CommandObject, person: Person, bot: Bot, event_update: Update
    ) -> None:
        """Hand over an incident, if one is named; else the present turn of duty."""
        words, key = Words(command.args or ""), command_id(bot, event_update)
        first = words.next().lower().removeprefix("@")
        if not first:
            await reply(message, fill(texts.USAGE))
        elif (to := self._services.people().named(first)) is not None:
            _check_other(person, to)
            await self._turns.ask(message, person, to, words, key=key)
        else:
            await self._incident(message, person, first, words, key)

    async def ask_whom(self, message: Message, person: Person, run: str, *, key: str) -> None:
        """Ask to whom this incident shall be handed over."""
        view = await self._meaning.answerable(person, run)
        await self._questions.ask(person, message, _KIND, await self._whom(person, view, run, key))

    async def answered(self, person: Person, data: dict[str, str], said: Said) -> Question | Settled:
        """Hand it over."""
        run = data["run"]
        to = data["to"] if said.answer == YES else meant_by(said.answer, data["people"].split())
        answer = await self._words.say(
            person, run, Act.HAND_OVER, key=data["id"], to=to, reason=data.get("note", "")
        )
        text = understood(answer.text)
        html = fill(texts.HANDED_OVER, person=person.title, to=self._title(to), run=run, text=text)
        return Settled(label=answer.answer, tap=text, html=html, alert=answer.answer is Answer.STORED)

    async def _incident(self, message: Message, person: Person, run: str, words: Words, key: str) -> None:
        name, note = words.next().removeprefix("@"), words.rest()
        if len(note) > LONGEST_REASON:
            raise InvalidInput(say(texts.NOTE_LENGTH, most=LONGEST_REASON, length=len(note)))
        view = await self._view(person, run)
        if not name:
            await self._questions.ask(person, message, _KIND, await self._whom(person, view, run, key))
            return
        people = self._services.people()
        to = people.named(name)
        if to is None:
            raise UnknownName("name", name, [p.name for p in people.people if p.name != person.name])
        _check_other(person, to)
        data = {"id": key, "run": run, "to": to.name, "note": note}
        await self._questions.ask(person, message, _KIND, self._confirmation(view, to, data))

    async def _view(self, person: Person, run: str) -> RunView | None:
        try:
            return await self._meaning.answerable(person, run)
        except UnknownName as unknown:
            # It may have been meant as a name, so both tables are named.
            names = ", ".join(p.name for p in self._services.people().people if p.name != person.name)
            raise InvalidInput(say(texts.NEITHER, word=run, names=names, reason=unknown)) from None

    def _confirmation(self, view: RunView | None, to: Person, data: dict[str, str]) -> Question:
        title = view.title if view else say(texts.UNSEEN_TITLE)
        html = fill(texts.QUESTION, title=title, run=data["run"], to=to.title)
        if data["note"]:
            html += "\n" + fill(texts.NOTE, note=data["note"])
        return Question(id=data["id"], html=html, options=((YES, say(texts.BUTTON)),), data=data)

    async def _whom(self, person: Person, view: RunView | None, run: str, key: str) -> Question:
        people, on_duty = self._services.people(), await self._paging.on_duty()
        may = view.incident.may_answer if view and view.incident else []
        names = [n for n in dict.fromkeys([*on_duty, *may]) if n != person.name]
        listed = [p for n in names if (p := people.named(n))][:_MOST_PEOPLE]
        if not listed:
            raise DecisionRefused("nobody_else", say(texts.NOBODY_ELSE, run=run))
        return Question(
            id=key,
            html=fill(texts.WHOM, title=view.title if view else say(texts.UNSEEN_TITLE), run=run),
            options=tuple(
                (digest_of(p.name), say(texts.ON_DUTY_BUTTON, name=p.title) if p.name in on_duty else p.title)
                for p in listed
            ),
            data={"id": key, "run": run, "people": " ".join(p.name for p in listed)},
        )

    def _title(self, name: str) -> str:
        person = self._services.people().named(name)
        return person.title if person else name


def _check_other(person: Person, to: Person) -> None:
    if to.name == person.name:
        raise InvalidInput(say(texts.NOT_YOURSELF, name=to.name))
