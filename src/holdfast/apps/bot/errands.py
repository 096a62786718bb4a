"""From a wish to its outcome: does it at once, or asks in a message for the reason or code that is missing."""

from contextlib import suppress
from datetime import timedelta
from typing import Final

from aiogram import Bot
from aiogram.enums import ChatType, ParseMode
from aiogram.exceptions import AiogramError, TelegramBadRequest, TelegramForbiddenError
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, Message

from holdfast.apps.bot import gate_texts as texts
from holdfast.apps.bot.clerk import Case, Clerk, Outcome, described
from holdfast.apps.bot.replies import reply
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.texts import fill, say
from holdfast.apps.bot.wishes import Wish
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.ids import digest_of
from holdfast.domain.people import Person
from holdfast.ports.identity import Intent

REASON: Final = "reason"
TOTP_CODE: Final = "totp"
PATIENCE: Final = timedelta(minutes=10)
_REASONS_A_ROW = 2


class Errands:
    """Begins and finishes what people want."""

    def __init__(self, services: Services, clerk: Clerk) -> None:
        self._services = services
        self._clerk = clerk

    async def begin(self, person: Person, wish: Wish, *, bot: Bot, at: Message | None) -> Outcome:
        """Do it, or ask for what is missing.

        Args:
            person: who was recognised.
            wish: what is wanted.
            bot: writes the question.
            at: the message that was tapped or written; a question goes there where no private chat is open.

        Raises:
            DecisionRefused: it does not count; the text says why.
        """
        case = await self._clerk.case(person, wish)
        lacks_code = await self._clerk.needs_code(case)
        if not (wish.needs_reason or lacks_code) or self._clerk.objection(case):
            # What cannot count is passed on as well: the run gives the true answer, and has it on record.
            try:
                return await self._clerk.carry_out(case, totp=False)
            except DecisionRefused as refused:
                if refused.answer not in {Answer.REASON_NEEDED, Answer.CODE_NEEDED}:
                    raise
        if wish.needs_reason:
            return await self._ask_reason(case, bot, at)
        return await self._ask_code(case, bot)

    async def finish(self, person: Person, wish: Wish) -> tuple[str, Outcome]:
        """Do it after a code of the authenticator app was checked; what it was, and its outcome."""
        case = await self._clerk.case(person, wish)
        return described(case), await self._clerk.carry_out(case, totp=True)

    async def awaited(self, person: Person, chat: int) -> Intent | None:
        """Return what this person has begun there; it stays begun."""
        return await self._services.intents.peek(person.name, str(chat), now=self._services.now())

    async def forget(self, intent: Intent) -> None:
        """Forget what is finished, unless another question has taken its place."""
        intents, now = self._services.intents, self._services.now()
        there = await intents.peek(intent.person, intent.chat, now=now)
        if there is not None and there.kind == intent.kind:
            await intents.take(intent.person, intent.chat, now=now)

    async def await_(self, person: Person, chat: int, kind: str, data: dict[str, str]) -> Intent:
        """Remember what is awaited from this person there."""
        until = self._services.now() + PATIENCE
        intent = Intent(person=person.name, chat=str(chat), kind=kind, data=data, expires_at=until)
        await self._services.intents.put(intent)
        return intent

    async def _ask_code(self, case: Case, bot: Bot) -> Outcome:
        person = case.person
        if not await self._services.second_factor.enrolled(person.name):
            raise DecisionRefused(Answer.CODE_NEEDED, say(texts.ENROL_FIRST))
        intent = await self.await_(person, private_chat(person), TOTP_CODE, case.wish.data())
        question = fill(texts.ASK_CODE, what=described(case), until=_clock(intent, person))
        if not await tell_privately(bot, person, question):
            await self.forget(intent)
            raise DecisionRefused(Answer.CODE_NEEDED, say(texts.WRITE_ME_FIRST))
        text = say(texts.CODE_ASKED_TAP, gate=case.gate.id) if case.gate else say(texts.CODE_ASKED_FOR_ALL_TAP)
        return Outcome(label="code_asked", text=text, asked=True)

    async def _ask_reason(self, case: Case, bot: Bot, at: Message | None) -> Outcome:
        person, keyboard = case.person, _quick_reasons(case.wish)
        intent = await self.await_(person, private_chat(person), REASON, case.wish.data())
        fields = {"what": described(case), "until": _clock(intent, person)}
        if await tell_privately(bot, person, fill(texts.ASK_REASON, **fields), keyboard):
            here = at is not None and at.chat.type == ChatType.PRIVATE
            text = say(texts.REASON_ASKED_HERE_TAP if here else texts.REASON_ASKED_TAP)
            return Outcome(label="reason_asked", text=text, asked=True, alert=not here)
        await self.forget(intent)
        if at is None:
            raise DecisionRefused(Answer.REASON_NEEDED, say(texts.WRITE_ME_FIRST))
        await self.await_(person, at.chat.id, REASON, case.wish.data())
        question = fill(texts.ASK_REASON_HERE, id=private_chat(person), title=person.title, **fields)
        await reply(at, question, keyboard)
        return Outcome(label="reason_asked", text=say(texts.REASON_ASKED_HERE_TAP), asked=True, alert=False)


def private_chat(person: Person) -> int:
    """Return the id of the private chat with a person who was recognised by the sender's id."""
    if person.telegram_id is None:
        raise TypeError(f"{person.name} was recognised without a Telegram id")
    return person.telegram_id


def question_key(wish_id: str) -> str:
    """Return the short name of a question, so that the buttons of an earlier one cannot answer a later one."""
    return digest_of(wish_id)


async def tell_privately(
    bot: Bot, person: Person, html: str, keyboard: InlineKeyboardMarkup | None = None
) -> bool:
    """Write to the private chat; False when the person has not opened it."""
    try:
        await bot.send_message(private_chat(person), html, parse_mode=ParseMode.HTML, reply_markup=keyboard)
    except TelegramForbiddenError:
        return False
    except TelegramBadRequest as refused:
        if "chat not found" in refused.message.lower():
            return False
        raise
    return True


async def delete(bot: Bot, chat: int, message_id: int) -> None:
    """Delete a message if that can be done; not after two days, and not twice."""
    with suppress(AiogramError):
        await bot.delete_message(chat, message_id)


def _clock(intent: Intent, person: Person) -> str:
    return f"{intent.expires_at.astimezone(person.zone):%H:%M %Z}"


def _quick_reasons(wish: Wish) -> InlineKeyboardMarkup:
    buttons = [
        InlineKeyboardButton(text=say(reason), callback_data=f"q:{question_key(wish.id)}:{number}")
        for number, reason in enumerate(texts.QUICK_REASONS)
    ]
    rows = [buttons[i : i + _REASONS_A_ROW] for i in range(0, len(buttons), _REASONS_A_ROW)]
    return InlineKeyboardMarkup(inline_keyboard=rows)
