"""A tap on a button gets exactly one true answer, in time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import structlog
from aiogram.enums import ParseMode
from aiogram.exceptions import AiogramError, TelegramBadRequest, TelegramForbiddenError
from aiogram.types import CallbackQuery, Message

from holdfast.apps.bot import intake_texts, texts
from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.refusals import refusal_words
from holdfast.apps.bot.replies import reply
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.strangers import Strangers, record_refusal
from holdfast.apps.bot.tickets import Postponed, TapState, ticket
from holdfast.domain.errors import DecisionRefused, EngineUnavailable, InvalidInput, Unavailable
from holdfast.domain.people import Person
from holdfast.i18n.times import on_clock
from holdfast.ports.audit import AuditEntry, AuditKind

MAY_NOT_ROLL_BACK: Final = "may_not_roll_back"
_STRANGER: Final = "stranger"
_RECORDED_HERE = {"others_button", MAY_NOT_ROLL_BACK}
_PATIENCE_SECONDS = 0.7  # for the answer to be there within a second of the tap
_TAPS_BY_STRANGERS_A_MINUTE = 60
_OUTCOME_LENGTH = 3000
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TapAnswer:
    """What a person is told about a tap.

    Attributes:
        label: for the metrics.
        alert: a window that must be closed, instead of a line that fades.
    """

    label: str
    text: str
    alert: bool = True


Act = Callable[[Person], Awaitable[TapAnswer]]


class Taps:
    """Finds out who tapped, does what the button says, and tells the person what became of it."""

    def __init__(self, services: Services, metrics: BotMetrics) -> None:
        self._services = services
        self._metrics = metrics
        self._strangers = Strangers(
            metrics.strangers_ignored, each_seconds=0, a_minute=_TAPS_BY_STRANGERS_A_MINUTE
        )

    async def settle(self, query: CallbackQuery, received_at: float, act: Act) -> None:
        """Do what the tap asks for, if the person is known, and answer it.

        The tap is answered within a second. What takes longer, or has to wait for Temporal, is told by a
        message where the button is.

        Args:
            query: the tap.
            received_at: `time.monotonic()` of its arrival.
            act: is given the person; its refusals become answers. It may be called again under the same tap.

        Raises:
            Postponed: Temporal does not answer; the tap is kept, and settled when it is handled again.
        """
        person = self._person(query)
        if person is None and not self._strangers.may_be_answered(query.from_user.id):
            return
        async with _Answering(query, received_at, self._metrics) as answering:
            try:
                answer = await self._outcome(query, person, act)
            except (EngineUnavailable, TimeoutError) as down:
                slow = isinstance(down, TimeoutError)
                self._metrics.taps.labels("engine_slow" if slow else "engine_down").inc()
                raise Postponed(told=await self._kept(answering, person, slow=slow), slow=slow) from None
            self._metrics.taps.labels(answer.label).inc()
            if isinstance(person, Person):
                answer = replace(answer, text=on_clock(answer.text, person.zone))
            await answering.tell(answer)
        await self._record(query, answer)

    def _person(self, query: CallbackQuery) -> Person | InvalidInput | None:
        try:
            return self._services.people().on_telegram(query.from_user.id)
        except InvalidInput as unreadable:
            return unreadable

    async def _outcome(self, query: CallbackQuery, person: Person | InvalidInput | None, act: Act) -> TapAnswer:
        if person is None:
            return TapAnswer(_STRANGER, texts.say(texts.STRANGER_TAP, id=query.from_user.id))
        if isinstance(person, InvalidInput):
            return TapAnswer("invalid", refusal_words(person))
        try:
            async with asyncio.timeout(self._services.answer_within.total_seconds()):
                return await act(person)
        except EngineUnavailable:
            raise
        except Unavailable:
            return TapAnswer("store_down", texts.say(texts.STORE_DOWN_TAP))
        except DecisionRefused as refused:
            return TapAnswer(refused.answer, refusal_words(refused))
        except InvalidInput as invalid:
            return TapAnswer("invalid", refusal_words(invalid))

    async def _kept(self, answering: "_Answering", person: Person | InvalidInput | None, *, slow: bool) -> bool:
        """Say that the tap is kept, if it is; whether the person knows."""
        here, now = ticket(), self._services.now()
        if here is None or here.until is None or here.until <= now or not isinstance(person, Person):
            return False
        template = intake_texts.KEPT_SLOW_TAP if slow else intake_texts.KEPT_TAP
        return await answering.answer(texts.say(template, until=clock(here.until, person)), alert=True)

    async def _record(self, query: CallbackQuery, answer: TapAnswer) -> None:
        """Put on record what no run hears of: taps by strangers (one an hour), and on what is for others."""
        now, who = self._services.now(), query.from_user.id
        if answer.label == _STRANGER:
            await record_refusal(self._services, who, "a tap", told=answer.text)
        elif answer.label in _RECORDED_HERE:
            entry = AuditEntry(
                key=f"refusal/telegram/{answer.label}/{query.id}",
                at=now,
                kind=AuditKind.REFUSAL,
                channel="telegram",
                text=f"a tap by Telegram id {who} was refused: {answer.text}"[:1000],
                data={"answer": answer.label, "telegram_id": who},
            )
            with suppress(Unavailable):
                await self._services.audit.append([entry])


class _Answering:
    """The one answer that Telegram takes to a tap, and the messages once it is given.

    Within its block a tap that has no answer after a moment is told to wait.
    """

    def __init__(self, query: CallbackQuery, received_at: float, metrics: BotMetrics) -> None:
        self._query = query
        self._received_at = received_at
        self._metrics = metrics
        here = ticket()
        self._tap = here.tap if here is not None else TapState()
        self._promise: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if not self._tap.answered:
            self._promise = asyncio.create_task(self._tell_to_wait())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop_waiting()

    async def tell(self, answer: TapAnswer) -> None:
        """Say what became of the tap: as its answer, or as a message where that is too late."""
        if not await self.answer(texts.tap_answer(answer.text), alert=answer.alert):
            await write_where_tapped(self._query, answer.text)
        self._metrics.tap_outcome_seconds.observe(self._waited())

    async def answer(self, text: str, *, alert: bool) -> bool:
        """Give the one answer; False when it was given before, or Telegram takes none any more."""
        await self._stop_waiting()
        return not self._tap.answered and await self._give(text, alert=alert)

    async def _give(self, text: str, *, alert: bool) -> bool:
        try:
            await self._query.answer(text, show_alert=alert)
        except TelegramBadRequest as late:
            # Too late to show it, after a restart say; what the tap did stands, and a message tells it.
            _log.warning("bot_tap_not_answered", reason=late.message)
            self._tap.answered = True
            return False
        self._tap.answered = True
        self._metrics.tap_seconds.observe(self._waited())
        return True

    async def _tell_to_wait(self) -> None:
        await asyncio.sleep(max(0.0, _PATIENCE_SECONDS - self._waited()))
        self._tap.answered = True  # from here on there is no other answer
        try:
            await self._give(texts.say(intake_texts.WAIT_TAP), alert=False)
        except AiogramError as error:
            _log.warning("bot_tap_not_answered", reason=type(error).__name__)

    async def _stop_waiting(self) -> None:
        promise, self._promise = self._promise, None
        if promise is None:
            return
        if not self._tap.answered:
            promise.cancel()
        await asyncio.wait({promise})

    def _waited(self) -> float:
        return time.monotonic() - self._received_at


async def write_where_tapped(query: CallbackQuery, text: str) -> None:
    """Write to the person below the button, by name where others read it too; in private where it is gone."""
    who, shortened = query.from_user, text[:_OUTCOME_LENGTH]
    message = query.message
    if isinstance(message, Message) and message.chat.id != who.id:
        await reply(
            message, texts.fill(intake_texts.OUTCOME_FOR, id=who.id, name=who.full_name, text=shortened)
        )
    elif isinstance(message, Message):
        await reply(message, texts.fill("{text}", text=shortened))
    elif query.bot is not None:
        html = texts.fill("{text}", text=shortened)
        try:
            await query.bot.send_message(who.id, html, parse_mode=ParseMode.HTML)
        except (TelegramBadRequest, TelegramForbiddenError) as unreachable:
            _log.warning("bot_tap_outcome_not_told", reason=unreachable.message)


def clock(at: datetime, person: Person) -> str:
    """Return the time of day as the person's clock shows it."""
    return f"{at.astimezone(person.zone):%H:%M %Z}"
