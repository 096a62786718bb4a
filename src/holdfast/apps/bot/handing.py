"""/extend and /delegate: more time for a gate, and somebody else to answer it."""

from aiogram import Bot, Router
from aiogram.enums import ChatType
from aiogram.filters import Command, CommandObject
from aiogram.types import Message, Update

from holdfast.apps.bot import gate_texts as texts
from holdfast.apps.bot.errands import Errands
from holdfast.apps.bot.finding import Finder
from holdfast.apps.bot.replies import command_id, reply
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.standins import StandIns
from holdfast.apps.bot.texts import fill, say
from holdfast.apps.bot.times import Words
from holdfast.apps.bot.wishes import What, Wish
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.people import Person
from holdfast.i18n import plural


class Handing:
    """The handlers of deadlines and delegations."""

    def __init__(self, services: Services, errands: Errands, finder: Finder) -> None:
        self._services = services
        self._errands = errands
        self._finder = finder
        self._stand_ins = StandIns(services)

    def commands(self) -> Router:
        """Route the commands; the handlers need a known `person`."""
        router = Router(name="handing")
        router.message.register(self.extend, Command("extend"))
        router.message.register(self.delegate, Command("delegate"))
        return router

    async def extend(
        self, message: Message, command: CommandObject, person: Person, bot: Bot, event_update: Update
    ) -> None:
        """Move the deadline of a gate."""
        words = Words(command.args or "")
        name, usage = words.next(), say(texts.EXTEND_USAGE, zone=person.time_zone)
        if not name:
            await reply(message, fill("{usage}", usage=usage))
            return
        view, gate = await self._finder.open_gate(name, person)
        now = self._services.now()
        base = max(now, gate.deadline) if gate.deadline else now
        until = words.moment(say(texts.UNTIL), zone=person.zone, now=now, base=base)
        if until is None:
            raise InvalidInput(say(texts.UNTIL_MISSING, usage=usage))
        wish = Wish(
            what=What.EXTEND,
            id=command_id(bot, event_update),
            run=view.run_id,
            gate=gate.id,
            until=until,
            reason=words.rest(),
        )
        await self._do(message, person, wish, bot)

    async def delegate(
        self, message: Message, command: CommandObject, person: Person, bot: Bot, event_update: Update
    ) -> None:
        """Hand over one gate, or all; alone it teaches how."""
        words, key = Words(command.args or ""), command_id(bot, event_update)
        match words.next().lower():
            case "":
                usage = say(texts.DELEGATE_USAGE, zone=person.time_zone)
                await reply(message, fill("{usage}", usage=usage))
            case "off" | "выкл":
                count = await self._stand_ins.end(person, key)
                await reply(message, _ended(count))
            case "all" | "все":
                await self._do(message, person, self._stand_in(words, person, key), bot)
            case name:
                await self._do(message, person, await self._handover(name, words, person, key), bot)

    def _stand_in(self, words: Words, person: Person, key: str) -> Wish:
        to, now = self._somebody_else(words, person), self._services.now()
        since = words.moment(say(texts.FROM), zone=person.zone, now=now, begins=True)
        until = words.moment(say(texts.UNTIL), zone=person.zone, now=now, base=since)
        if since is None or until is None:
            raise InvalidInput(say(texts.DATES_MISSING, name=to))
        self._check_end(words, person)
        return Wish(what=What.STAND_IN, id=key, to=to, since=since, until=until)

    async def _handover(self, name: str, words: Words, person: Person, key: str) -> Wish:
        view, gate = await self._finder.open_gate(name, person)
        to = self._somebody_else(words, person)
        until = words.moment(say(texts.UNTIL), zone=person.zone, now=self._services.now())
        self._check_end(words, person)
        return Wish(what=What.HAND_OVER, id=key, run=view.run_id, gate=gate.id, to=to, until=until)

    def _somebody_else(self, words: Words, person: Person) -> str:
        name, people = words.next(), self._services.people()
        if not name:
            usage = say(texts.DELEGATE_USAGE, zone=person.time_zone)
            raise InvalidInput(say(texts.NAME_MISSING, usage=usage))
        found = people.named(name.removeprefix("@"))
        if found is None:
            raise UnknownName("name", name, [p.name for p in people.people if p.name != person.name])
        if found.name == person.name:
            raise InvalidInput(say(texts.NOT_YOURSELF, name=found.name))
        return found.name

    def _check_end(self, words: Words, person: Person) -> None:
        if rest := words.rest():
            usage = say(texts.DELEGATE_USAGE, zone=person.time_zone)
            raise InvalidInput(say(texts.TOO_MUCH, word=rest, usage=usage))

    async def _do(self, message: Message, person: Person, wish: Wish, bot: Bot) -> None:
        outcome = await self._errands.begin(person, wish, bot=bot, at=message)
        if not outcome.asked or message.chat.type != ChatType.PRIVATE:
            await reply(message, fill("{text}", text=outcome.text))


def _ended(count: int) -> str:
    """Say how many standing delegations were taken back."""
    if not count:
        return fill(texts.NONE_TO_END)
    return plural(texts.ENDED_ONE, texts.ENDED_MANY, count).format(count=count)
