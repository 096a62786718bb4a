"""/gates and /gate: what waits for an answer, and what an answer rests on."""

import asyncio
from contextlib import suppress

from aiogram import F, Router
from aiogram.exceptions import TelegramBadRequest
from aiogram.filters import Command, CommandObject
from aiogram.types import (
    BufferedInputFile,
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
)

from holdfast.apps.bot import gate_texts as texts
from holdfast.apps.bot.decisions import CHOICES, button_parts, tapped
from holdfast.apps.bot.dossier import age_in_words, deadline_in_words, dossier, missing_in_words
from holdfast.apps.bot.finding import Finder
from holdfast.apps.bot.replies import reply
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.taps import TapAnswer, Taps
from holdfast.apps.bot.texts import fill, first_lines, say
from holdfast.domain.gates import Gate, GateState, outcome_of
from holdfast.domain.people import Person
from holdfast.domain.view import MessageRef, RunView
from holdfast.i18n import understood
from holdfast.ports.notices import NoticeKind, SentNotice
from holdfast.ports.runs import WaitingGate

_CALLBACK_BYTES = 64
_LABEL = 40
_MOST_BUTTONS = 20


class Gates:
    """The handlers that read gates."""

    def __init__(self, services: Services, finder: Finder, taps: Taps) -> None:
        self._services = services
        self._finder = finder
        self._taps = taps

    def commands(self) -> Router:
        """Route the commands; their handlers need a known `person`."""
        router = Router(name="gates")
        router.message.register(self.list_gates, Command("gates"))
        router.message.register(self.show_gate, Command("gate"))
        return router

    def buttons(self) -> Router:
        """Route `e:<run id>:<button>`."""
        router = Router(name="gate-buttons")
        router.callback_query.register(self.tapped, F.data.regexp(r"^e:.+:[^:]+$"))
        return router

    async def list_gates(self, message: Message, person: Person) -> None:
        """List what waits for this person, the longest waiting first."""
        waiting = await self._services.runs.waiting(person.name)
        lines = [self._line(gate, person) for gate in waiting]
        text = first_lines(lines, separator="\n\n") or fill(texts.NOTHING_WAITS)
        await reply(message, text, self._opening(waiting, person))

    async def show_gate(self, message: Message, command: CommandObject, person: Person) -> None:
        """Show the named gate, or the only one that waits for this person."""
        if not (command.args or "").strip() and len(await self._services.runs.waiting(person.name)) != 1:
            await self.list_gates(message, person)
            return
        found = await self._finder.named(command.args or "", person)
        if found.gate is None:
            await reply(message, _nothing_asked(found.view))
            return
        await self._show(message, found.view, found.gate, person)

    async def tapped(self, query: CallbackQuery, received_at: float) -> None:
        """Show the gate of a button, where the button is."""
        _, run, button = button_parts(query)

        async def act(person: Person) -> TapAnswer:
            message = tapped(query)
            view = await self._services.runs.view(run)
            gate = self._finder.of_button(view, button, person)
            if gate.state is not GateState.OPEN or message is None:
                return TapAnswer("closed_gate", understood(outcome_of(gate)))
            await self._show(message, view, gate, person)
            return TapAnswer("evidence", say(texts.EVIDENCE_SHOWN_TAP), alert=False)

        await self._taps.settle(query, received_at, act)

    async def _show(self, message: Message, view: RunView, gate: Gate, person: Person) -> None:
        html = dossier(view, gate, person=person, people=self._services.people(), now=self._services.now())
        keyboard = self._keyboard(view, gate, person)
        chart = await asyncio.to_thread(self._services.render_chart, view)
        if chart:
            await _show_chart(message, chart)
        shown = await reply(message, html, keyboard)
        if keyboard is not None:
            await self._remember(shown, view.run_id, gate, person)

    async def _remember(self, shown: Message, run: str, gate: Gate, person: Person) -> None:
        """Note where buttons of this gate are, so that they go when it is closed."""
        place = MessageRef(chat=str(shown.chat.id), message_id=str(shown.message_id))
        key = f"{run}/{gate.id}/shown/{place.chat}/{place.message_id}"
        notice = SentNotice(
            key=key,
            run=run,
            gate=gate.id,
            person=person.name,
            channel="telegram",
            kind=NoticeKind.REQUEST,
            at=self._services.now(),
        )
        await self._services.notices.begin(notice)
        await self._services.notices.finish(key, state="sent", message=place)

    def _line(self, waiting: WaitingGate, person: Person) -> str:
        gate, now = waiting.gate, self._services.now()
        return fill(
            texts.WAITS,
            title=understood(gate.title),
            gate=gate.id,
            run=waiting.run_id,
            run_title=understood(waiting.title),
            age=age_in_words(gate, now),
            deadline=deadline_in_words(gate, person, now),
            missing=missing_in_words(gate, waiting.waiting),
        )

    def _opening(self, waiting: list[WaitingGate], person: Person) -> InlineKeyboardMarkup | None:
        rows = [
            [button]
            for w in waiting[:_MOST_BUTTONS]
            if (button := self._button("e", say(texts.OPEN_BUTTON, gate=w.gate.id), w.run_id, w.gate, person))
        ]
        return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None

    def _keyboard(self, view: RunView, gate: Gate, person: Person) -> InlineKeyboardMarkup | None:
        forward = ["a", "l"] if gate.limit_label else ["a", "r"]
        rows = [forward, *([["r"]] if gate.limit_label else []), ["c"]]
        made = [[self._button(le, _label(le, gate), view.run_id, gate, person) for le in row] for row in rows]
        buttons = [[button for button in row if button is not None] for row in made]
        return InlineKeyboardMarkup(inline_keyboard=buttons) if all(buttons) else None

    def _button(
        self, letter: str, label: str, run: str, gate: Gate, person: Person
    ) -> InlineKeyboardButton | None:
        """Return a button for this person only; None when the run's id is too long for one."""
        data = f"{letter}:{run}:{self._finder.button(run, gate, person)}"
        if len(data.encode()) > _CALLBACK_BYTES:
            return None
        return InlineKeyboardButton(text=label[:_LABEL] or "?", callback_data=data)


def _label(letter: str, gate: Gate) -> str:
    return understood(gate.label(CHOICES[letter])) if letter in CHOICES else say(texts.CODE_BUTTON)


async def _show_chart(message: Message, chart: bytes) -> None:
    """Send the picture; where Telegram does not take it, the words still come."""
    with suppress(TelegramBadRequest):
        await message.answer_photo(BufferedInputFile(chart, "numbers.png"))


def _nothing_asked(view: RunView) -> str:
    text = fill(texts.NO_OPEN_GATE, run=view.run_id, headline=understood(view.headline))
    if not view.closed_gates:
        return text
    return f"{text}\n\n{fill(texts.LAST_OUTCOME, outcome=understood(outcome_of(view.closed_gates[-1])))}"
