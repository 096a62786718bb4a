"""Why not: the reason of a rejection, by one tap or in the person's own words."""

from contextlib import suppress

from aiogram import Bot, F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.enums import ChatType, ParseMode
from aiogram.exceptions import AiogramError
from aiogram.types import CallbackQuery, Message

from holdfast.apps.bot import gate_texts
from holdfast.apps.bot.clerk import Outcome
from holdfast.apps.bot.decisions import button_parts, tap_answer, tapped
from holdfast.apps.bot.errands import REASON, Errands, question_key
from holdfast.apps.bot.replies import reply, sender_of
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.taps import TapAnswer, Taps
from holdfast.apps.bot.texts import fill, say
from holdfast.apps.bot.wishes import Wish
from holdfast.domain.errors import DecisionRefused, InvalidInput
from holdfast.domain.people import Person
from holdfast.ports.identity import Intent

_LONGEST = 1000


class Reasons:
    """The handlers of reasons."""

    def __init__(self, services: Services, errands: Errands, taps: Taps) -> None:
        self._services = services
        self._errands = errands
        self._taps = taps

    def private(self) -> Router:
        """Route what known people write in private chats while a reason is awaited."""
        router = Router(name="reasons-private")
        router.message.register(self.written, F.chat.type == ChatType.PRIVATE, F.text)
        return router

    def in_groups(self) -> Router:
        """Route replies to the bot in groups; those of strangers are none of its business."""
        router = Router(name="reasons-groups")
        to_bot = F.reply_to_message.from_user.is_bot
        router.message.register(self.replied, F.chat.type != ChatType.PRIVATE, to_bot, F.text)
        return router

    def buttons(self) -> Router:
        """Route `q:<question>:<number>`."""
        router = Router(name="quick-reasons")
        router.callback_query.register(self.tapped, F.data.regexp(r"^q:[^:]+:\d$"))
        return router

    async def written(self, message: Message, person: Person, bot: Bot) -> None:
        """Take the message as the reason that was asked for; leave it to others when none was."""
        intent = await self._errands.awaited(person, message.chat.id)
        text = (message.text or "").strip()
        if intent is None or intent.kind != REASON or text.startswith("/"):
            raise SkipHandler
        if len(text) > _LONGEST:
            raise InvalidInput(say(gate_texts.REASON_LENGTH, length=len(text)))
        outcome = await self._finish(person, intent, text, bot, message)
        if not outcome.asked:
            await reply(message, fill("{text}", text=outcome.text))

    async def replied(self, message: Message, bot: Bot) -> None:
        """Do the same for a reply in a group."""
        person = sender_of(message, self._services.people())
        if person is None:
            raise SkipHandler
        if "".join((message.text or "").split()).isdigit():
            await reply(message, fill(gate_texts.NO_CODES_HERE))  # nor may it become a reason that all can read
            return
        await self.written(message, person, bot)

    async def tapped(self, query: CallbackQuery, received_at: float, bot: Bot) -> None:
        """Take the button as the reason; it belongs to one question of one person."""
        _, key, number = button_parts(query)

        async def act(person: Person) -> TapAnswer:
            message = tapped(query)
            intent = await self._errands.awaited(person, message.chat.id) if message else None
            is_this = intent is not None and intent.kind == REASON and question_key(intent.data["id"]) == key
            if intent is None or not is_this:
                return TapAnswer("outdated_question", say(gate_texts.OTHERS_QUESTION_TAP))
            outcome = await self._finish(person, intent, gate_texts.QUICK_REASONS[int(number)], bot, message)
            if message is not None:
                await _close(message, outcome)
            return tap_answer(outcome)

        await self._taps.settle(query, received_at, act)

    async def _finish(
        self, person: Person, intent: Intent, reason: str, bot: Bot, at: Message | None
    ) -> Outcome:
        wish = Wish.model_validate(intent.data).model_copy(update={"reason": reason})
        try:
            outcome = await self._errands.begin(person, wish, bot=bot, at=at)
        except DecisionRefused:
            await self._errands.forget(intent)
            raise
        await self._errands.forget(intent)
        return outcome


async def _close(message: Message, outcome: Outcome) -> None:
    """Take the buttons off the question, and say in it what became of it."""
    text = fill("{question}\n\n<b>{text}</b>", question=message.text or "", text=outcome.text)
    with suppress(AiogramError):
        await message.edit_text(text, parse_mode=ParseMode.HTML)
