"""A question to one person in one chat: shown with buttons, remembered over restarts, answered once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aiogram import Bot, F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.enums import ChatType, ParseMode
from aiogram.exceptions import AiogramError
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message

from holdfast.apps.bot import question_texts as texts
from holdfast.apps.bot.decisions import tapped
from holdfast.apps.bot.errands import question_key, tell_privately
from holdfast.apps.bot.refusals import refusal_words
from holdfast.apps.bot.replies import reply, sender_of, show_instead
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.taps import TapAnswer, Taps
from holdfast.apps.bot.texts import fill, refusal, say
from holdfast.apps.bot.tickets import ticket
from holdfast.domain.errors import DecisionRefused, InvalidInput, Unavailable
from holdfast.domain.people import Person
from holdfast.ports.identity import Intent

PATIENCE: Final = timedelta(minutes=5)
YES: Final = "yes"
NO: Final = "no"
LONGEST_TEXT: Final = 1000
_AWAITED: Final = "question"  # what is kept where the next message of a chat is looked for
_SAID: Final = "-said"
_KEY: Final = "-key"
_KIND: Final = "-kind"
_LABEL = 40
_NARROW = 14


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked.

    Attributes:
        id: of the update that led to it; the same for a repeated delivery.
        html: says what will happen.
        options: answers and what stands on their buttons. An answer with a dot is one step to the next
            question; any other one is final, and the first one counts. `no` is added.
        data: what the asker needs to go on; kept over restarts.
        takes_text: whether the person's next message is an answer as well.
    """

    id: str
    html: str
    options: tuple[tuple[str, str], ...]
    data: dict[str, str]
    takes_text: bool = False


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What became of it.

    Attributes:
        label: for the metrics.
        tap: plain, for the tap.
        html: for the message.
        alert: worth a window that must be closed.
        tell: HTML for the private chats of others whom it concerns.
    """

    label: str
    tap: str
    html: str
    alert: bool = False
    tell: tuple[tuple[Person, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer: by a button, or by a text."""

    answer: str = ""
    text: str = ""


Answered = Callable[[Person, dict[str, str], Said], Awaitable[Question | Settled]]
"""Goes on after an answer; may be called again with the same one, so its effects must be idempotent."""


class Questions:
    """Asks, and passes the answers on; a person has one open question a chat."""

    def __init__(self, services: Services, taps: Taps) -> None:
        self._services = services
        self._taps = taps
        self._askers: dict[str, Answered] = {}
        self._looking = asyncio.Lock()

    def answers(self, kind: str, answered: Answered) -> None:
        """Pass the answers to questions of this kind on to `answered`."""
        self._askers[kind] = answered

    def buttons(self) -> Router:
        """Route `y:<question>:<person>:<answer>`."""
        router = Router(name="question-buttons")
        router.callback_query.register(self.tapped, F.data.regexp(r"^y:[0-9a-f]+:[^:]+:[^:]+$"))
        return router

    def private(self) -> Router:
        """Route what known people write in private chats while an answer is awaited."""
        router = Router(name="question-texts-private")
        router.message.register(self.written, F.chat.type == ChatType.PRIVATE, F.text)
        return router

    def in_groups(self) -> Router:
        """Route replies to the bot in groups."""
        router = Router(name="question-texts-groups")
        to_bot = F.reply_to_message.from_user.is_bot
        router.message.register(self.replied, F.chat.type != ChatType.PRIVATE, to_bot, F.text)
        return router

    async def ask(self, person: Person, at: Message, kind: str, question: Question) -> None:
        """Ask in answer to a message."""
        await self._remember(person, at.chat.id, kind, question)
        await reply(at, self._html(person, at, question), _keyboard(person, question))

    async def tapped(self, query: CallbackQuery, received_at: float, bot: Bot) -> None:
        """Take the button as the answer."""
        _, key, name, answer = str(query.data).split(":")

        async def act(person: Person) -> TapAnswer:
            message = tapped(query)
            if name != person.name:
                raise DecisionRefused("others_button", say(texts.OTHERS_TAP, title=self._title(name)))
            intent = await self._pending(person, message, key, answer)
            if intent is None or message is None:
                await _close(message, fill(texts.EXPIRED))
                return TapAnswer("question_expired", say(texts.EXPIRED_TAP))
            if intent.data.get(_SAID, answer) == NO:
                await _close(message, fill(texts.CANCELLED, person=person.title))
                return TapAnswer("cancelled", say(texts.CANCELLED_TAP), alert=False)
            return await self._on(person, intent, message, intent.data.get(_SAID, answer), bot)

        await self._taps.settle(query, received_at, act)

    async def written(self, message: Message, person: Person, bot: Bot) -> None:
        """Take the message as the answer; leave it to others when none is awaited."""
        text, chat = (message.text or "").strip(), message.chat.id
        awaited = await self._peek(person, str(chat))
        if awaited is None or awaited.kind != _AWAITED or text.startswith("/"):
            raise SkipHandler
        if len(text) > LONGEST_TEXT:
            raise InvalidInput(say(texts.TOO_LONG, most=LONGEST_TEXT, length=len(text)))
        intent = await self._peek(person, _place(chat))
        if intent is None or intent.data[_KEY] != awaited.data[_KEY]:
            raise SkipHandler
        step = await self._askers[intent.data[_KIND]](person, intent.data, Said(text=text))
        if isinstance(step, Question):
            await self.ask(person, message, intent.data[_KIND], step)
        else:
            await self._mark(intent, YES)  # a button tapped later gets what became of this
            await reply(message, step.html + await _told(bot, step))
        await self._stop_listening(person, chat, step)

    async def replied(self, message: Message, bot: Bot) -> None:
        """Do the same for a reply in a group."""
        person = sender_of(message, self._services.people())
        if person is None:
            raise SkipHandler
        await self.written(message, person, bot)

    async def _on(self, person: Person, intent: Intent, message: Message, answer: str, bot: Bot) -> TapAnswer:
        kind = intent.data[_KIND]
        try:
            step = await self._askers[kind](person, intent.data, Said(answer=answer))
        except Unavailable:
            # Nothing was done, so the person may still think otherwise.
            await self._services.intents.put(_without(intent, _SAID))
            raise
        except (DecisionRefused, InvalidInput) as refused:
            await _close(message, refusal(refusal_words(refused)))
            raise
        if isinstance(step, Settled):
            await _close(message, step.html + await _told(bot, step))
            return TapAnswer(step.label, step.tap, alert=step.alert)
        await self._remember(person, message.chat.id, kind, step)
        await show_instead(message, self._html(person, message, step), _keyboard(person, step))
        return TapAnswer("asked_on", say(texts.ASKED_ON_TAP), alert=False)

    async def _remember(self, person: Person, chat: int, kind: str, question: Question) -> None:
        key, until = question_key(question.id), self._services.now() + PATIENCE
        data = {**question.data, _KEY: key, _KIND: kind}
        common = {"person": person.name, "expires_at": until}
        intents = self._services.intents
        await intents.put(Intent.model_validate({**common, "chat": _place(chat), "kind": "ask", "data": data}))
        if question.takes_text:
            awaited = {**common, "chat": str(chat), "kind": _AWAITED, "data": {_KEY: key}}
            await intents.put(Intent.model_validate(awaited))

    async def _pending(self, person: Person, message: Message | None, key: str, answer: str) -> Intent | None:
        """Return the question of a button, with the answer that counts; None when it is not open any more."""
        if message is None:
            return None
        async with self._looking:  # the second of two quick taps must not look while the first has it in hand
            intent = await self._peek(person, _place(message.chat.id))
            if intent is None or intent.data[_KEY] != key:
                return None
            return intent if "." in answer else await self._mark(intent, answer)

    async def _mark(self, intent: Intent, answer: str) -> Intent:
        """Note the final answer: later taps, and the same one delivered again, get what became of the first."""
        if _SAID in intent.data:
            return intent
        marked = intent.model_copy(update={"data": {**intent.data, _SAID: answer}})
        await self._services.intents.put(marked)
        return marked

    async def _peek(self, person: Person, place: str) -> Intent | None:
        return await self._services.intents.peek(person.name, place, now=self._heard_at())

    def _heard_at(self) -> datetime:
        """Return when the answer came: one that was kept for Temporal counts as of then."""
        here = ticket()
        return here.kept.received_at if here else self._services.now()

    async def _stop_listening(self, person: Person, chat: int, step: Question | Settled) -> None:
        if isinstance(step, Question) and step.takes_text:
            return
        await self._services.intents.take(person.name, str(chat), now=self._services.now())

    def _title(self, name: str) -> str:
        person = self._services.people().named(name)
        return person.title if person else name

    def _html(self, person: Person, at: Message, question: Question) -> str:
        until = f"{(self._services.now() + PATIENCE).astimezone(person.zone):%H:%M %Z}"
        in_private = at.chat.type == ChatType.PRIVATE
        last = texts.UNTIL
        if question.takes_text:
            last = texts.WRITE_UNTIL if in_private else texts.REPLY_UNTIL
        asked = fill(last, until=until, id=person.telegram_id, person=person.title)
        return f"{question.html}\n\n{asked}"


def _place(chat: int) -> str:
    """Return where a question is remembered: beside a reason or a code that the chat may await as well."""
    return f"ask:{chat}"


def _without(intent: Intent, name: str) -> Intent:
    return intent.model_copy(update={"data": {k: v for k, v in intent.data.items() if k != name}})


def _keyboard(person: Person, question: Question) -> InlineKeyboardMarkup:
    """Return the buttons, two narrow ones a row."""
    key = question_key(question.id)
    rows: list[list[InlineKeyboardButton]] = []
    for answer, label in (*question.options, (NO, say(texts.CANCEL_BUTTON))):
        style = "primary" if answer == YES else None
        data = f"y:{key}:{person.name}:{answer}"
        button = InlineKeyboardButton(text=label[:_LABEL] or "?", callback_data=data, style=style)
        beside = rows and len(rows[-1]) == 1 and len(label) <= _NARROW and len(rows[-1][0].text) <= _NARROW
        if beside:
            rows[-1].append(button)
        else:
            rows.append([button])
    return InlineKeyboardMarkup(inline_keyboard=rows)


async def _told(bot: Bot, step: Settled) -> str:
    """Tell the others; say as HTML whom that did not reach."""
    unreached = [
        p.title for p, html in step.tell if p.telegram_id is None or not await tell_privately(bot, p, html)
    ]
    return "\n" + fill(texts.NOT_TOLD, names=", ".join(unreached)) if unreached else ""


async def _close(message: Message | None, html: str) -> None:
    """Take the buttons off the question, and say in it what became of it."""
    if message is None:
        return
    with suppress(AiogramError):
        await message.edit_text(f"{_asked(message)}\n\n{html}", parse_mode=ParseMode.HTML)


def _asked(message: Message) -> str:
    """Return the question without its last paragraph, which says how to answer it."""
    return message.html_text.rpartition("\n\n")[0] or message.html_text
