"""Six digits from an authenticator app: setting it up, and what is done once a code was right.

A code is deleted from the chat as soon as it was read, and is never logged or passed on.
"""

import io

import segno
from aiogram import Bot, F, Router
from aiogram.enums import ChatType, ParseMode
from aiogram.filters import Command
from aiogram.types import BufferedInputFile, Message, Update

from holdfast.apps.bot import gate_texts, texts
from holdfast.apps.bot.answers import pasted
from holdfast.apps.bot.errands import TOTP_CODE, Errands, delete
from holdfast.apps.bot.refusals import refusal_words
from holdfast.apps.bot.replies import command_id, reply
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.wishes import Wish
from holdfast.domain.errors import DecisionRefused, InvalidInput
from holdfast.domain.people import Person
from holdfast.ports.audit import AuditEntry, AuditKind
from holdfast.ports.identity import CodeRefused, Intent

_ENROL = "enrol"
_QR = "qr"
_VERIFIED = "verified"
_QR_SCALE = 8


class SecondFactors:
    """The handlers of authenticator apps."""

    def __init__(self, services: Services, errands: Errands) -> None:
        self._services = services
        self._errands = errands

    def router(self) -> Router:
        """Route /enrol, and six digits in a private chat; the handlers need a known `person`."""
        router = Router(name="second-factor")
        router.message.register(self.enrol, Command("enrol", "enroll"))
        digits = F.text.regexp(r"^\s*(?:[0-9]\s*){6}$")
        router.message.register(self.code, F.chat.type == ChatType.PRIVATE, digits)
        return router

    async def enrol(self, message: Message, person: Person, bot: Bot) -> None:
        """Show a new secret as a picture, and ask for its first code."""
        if message.chat.type != ChatType.PRIVATE:
            await reply(message, texts.fill(gate_texts.PRIVATE_ONLY, command="/enrol"))
            return
        earlier = await self._errands.awaited(person, message.chat.id)
        if earlier is not None and _QR in earlier.data:
            await delete(bot, message.chat.id, int(earlier.data[_QR]))
        try:
            enrolment = await self._services.second_factor.enrol(person.name, now=self._services.now())
        except CodeRefused:
            await reply(message, texts.fill(gate_texts.ENROLLED_ALREADY, name=person.name))
            return
        picture = await message.answer_photo(
            BufferedInputFile(_png(enrolment.uri), "authenticator.png"),
            caption=texts.fill(gate_texts.ENROL_CAPTION, secret=enrolment.secret),
            parse_mode=ParseMode.HTML,
            protect_content=True,
        )
        data = {_QR: str(picture.message_id)}
        intent = await self._errands.await_(person, message.chat.id, _ENROL, data)
        until = f"{intent.expires_at.astimezone(person.zone):%H:%M %Z}"
        await reply(message, texts.fill(gate_texts.ENROL_NEXT, until=until))

    async def code(self, message: Message, person: Person, bot: Bot, event_update: Update) -> None:
        """Take six digits for what they were asked for."""
        await delete(bot, message.chat.id, message.message_id)
        intent = await self._errands.awaited(person, message.chat.id)
        digits = "".join((message.text or "").split())
        try:
            if intent is not None and intent.kind == _ENROL:
                await self._confirm(message, person, intent, digits)
            elif intent is not None and intent.kind == TOTP_CODE:
                await self._verify(person, intent, digits, event_update.update_id)
                await self._finish(message, person, intent)
            else:
                await reply(message, texts.fill(gate_texts.NO_CODE_ASKED))
        except CodeRefused as refused:
            await reply(message, texts.refusal(refusal_words(refused)))
            await self._record_refusal(person, intent, str(refused), command_id(bot, event_update))

    async def _record_refusal(self, person: Person, intent: Intent | None, text: str, key: str) -> None:
        """Put a wrong code on record; never the code."""
        wish = intent.data if intent is not None else {}
        entry = AuditEntry(
            key=f"refusal/{key}",
            at=self._services.now(),
            kind=AuditKind.REFUSAL,
            run=wish.get("run", ""),
            person=person.name,
            channel="telegram",
            text=f"authenticator code: {text}"[:1000],
        )
        await self._services.audit.append([entry])

    async def _confirm(self, message: Message, person: Person, intent: Intent, digits: str) -> None:
        factor, now = self._services.second_factor, self._services.now()
        if not await factor.enrolled(person.name):  # a repeated delivery finds it done
            await factor.confirm(person.name, digits, now=now)
        entry = AuditEntry(
            key=f"enrolment/{person.name}/{intent.expires_at.isoformat()}",
            at=now,
            kind=AuditKind.ENROLMENT,
            person=person.name,
            channel="telegram",
            text=gate_texts.AUDIT_ENROLLED.format(name=person.name),
        )
        await self._services.audit.append([entry])
        if message.bot is not None:
            await delete(message.bot, message.chat.id, int(intent.data[_QR]))
        await self._errands.forget(intent)
        await reply(message, texts.fill(gate_texts.ENROL_DONE))

    async def _verify(self, person: Person, intent: Intent, digits: str, update_id: int) -> None:
        if intent.data.get(_VERIFIED) == str(update_id):
            return  # a code is good once, and this delivery of it was found right before
        await self._services.second_factor.verify(person.name, digits, now=self._services.now())
        data = {**intent.data, _VERIFIED: str(update_id)}
        await self._services.intents.put(intent.model_copy(update={"data": data}))

    async def _finish(self, message: Message, person: Person, intent: Intent) -> None:
        wish = Wish.model_validate(intent.data)
        try:
            what, outcome = await self._errands.finish(person, wish)
        except (DecisionRefused, InvalidInput):
            await self._errands.forget(intent)
            raise
        await self._errands.forget(intent)
        if outcome.paste:
            await reply(message, pasted(outcome, wish, person, self._services.now()))
        else:
            await reply(message, texts.fill(gate_texts.DONE, what=what, text=outcome.text))


def _png(uri: str) -> bytes:
    buffer = io.BytesIO()
    segno.make(uri, error="m").save(buffer, kind="png", scale=_QR_SCALE)
    return buffer.getvalue()
