"""/code and its button: a signed answer to carry to the Temporal UI or a terminal."""

from typing import Final

from aiogram import Bot, F, Router
from aiogram.enums import ChatType
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message, Update

from holdfast.apps.bot import gate_texts
from holdfast.apps.bot.answers import pasted
from holdfast.apps.bot.decisions import button_parts, tap_answer, tapped
from holdfast.apps.bot.errands import Errands, tell_privately
from holdfast.apps.bot.finding import Finder
from holdfast.apps.bot.replies import command_id, reply
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.taps import TapAnswer, Taps
from holdfast.apps.bot.texts import fill, say
from holdfast.apps.bot.times import Words
from holdfast.apps.bot.wishes import What, Wish
from holdfast.domain.decisions import ROLLBACK, Choice, CodeRequest
from holdfast.domain.errors import InvalidInput
from holdfast.domain.people import Person
from holdfast.i18n import understood

# As people type it in other languages than the commands'.
_SAID: Final = {
    "одобрить": "approve",
    "да": "approve",
    "отклонить": "reject",
    "нет": "reject",
    "limits": "limit",
    "ограничить": "limit",
    "ограничения": "limit",
    "откат": ROLLBACK,
}


class Codes:
    """The handlers of approval codes."""

    def __init__(self, services: Services, errands: Errands, finder: Finder, taps: Taps) -> None:
        self._services = services
        self._errands = errands
        self._finder = finder
        self._taps = taps

    def commands(self) -> Router:
        """Route /code; the handler needs a known `person`."""
        router = Router(name="codes")
        router.message.register(self.code, Command("code"))
        return router

    def buttons(self) -> Router:
        """Route `c:<run id>:<button>`."""
        router = Router(name="code-buttons")
        router.callback_query.register(self.tapped, F.data.regexp(r"^c:.+:[^:]+$"))
        return router

    async def code(
        self, message: Message, command: CommandObject, person: Person, bot: Bot, event_update: Update
    ) -> None:
        """Show the JSON, after a code of the authenticator app where the gate needs one."""
        if message.chat.type != ChatType.PRIVATE:
            await reply(message, fill(gate_texts.PRIVATE_ONLY, command="/code"))
            return
        words = Words(command.args or "")
        name, choice = words.next(), words.next()
        if _SAID.get(choice.lower(), choice.lower()) == ROLLBACK:
            await self._for_rollback(message, name, person, to=words.next().lower())
            return
        view, gate = await self._finder.open_gate(name, person)
        wish = Wish(
            what=What.CODE,
            id=command_id(bot, event_update),
            run=view.run_id,
            gate=gate.id,
            choice=_choice(choice),
            reason=words.rest(),
        )
        outcome = await self._errands.begin(person, wish, bot=bot, at=message)
        if outcome.paste:
            await reply(message, pasted(outcome, wish, person, self._services.now()))

    async def _for_rollback(self, message: Message, name: str, person: Person, *, to: str) -> None:
        """Have the run itself send the JSON: it may have no open gate from which one could be signed here."""
        view = (await self._finder.named(name, person)).view
        request = CodeRequest(by=person.name, gate=ROLLBACK, to=to)
        sent = await self._services.runs.send_code(view.run_id, request)
        await reply(message, fill("{text}", text=understood(sent.text)))

    async def tapped(self, query: CallbackQuery, received_at: float, bot: Bot) -> None:
        """Do the same for an approval, always in the private chat."""
        _, run, button = button_parts(query)
        wish = Wish(what=What.CODE, id=f"telegram:{query.id}", run=run, button=button)

        async def act(person: Person) -> TapAnswer:
            outcome = await self._errands.begin(person, wish, bot=bot, at=tapped(query))
            if outcome.paste:
                html = pasted(outcome, wish, person, self._services.now())
                if not await tell_privately(bot, person, html):
                    return TapAnswer("code_not_told", say(gate_texts.WRITE_ME_FIRST))
            return tap_answer(outcome)

        await self._taps.settle(query, received_at, act)


def _choice(word: str) -> Choice:
    if not word:
        return Choice.APPROVE
    try:
        return Choice(_SAID.get(word.lower(), word.lower()))
    except ValueError:
        raise InvalidInput(say(gate_texts.CODE_CHOICE, word=word)) from None
