"""A tap on a button gets exactly one true answer, in time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import CallbackQuery

from holdfast.apps.bot import texts
from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.services import Services
from holdfast.domain.errors import DecisionRefused, EngineUnavailable, InvalidInput, Unavailable
from holdfast.domain.people import Person
from holdfast.ports.audit import AuditEntry, AuditKind

MAY_NOT_ROLL_BACK: Final = "may_not_roll_back"
_RECORDED_HERE = {"stranger", "others_button", MAY_NOT_ROLL_BACK}
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

    async def settle(self, query: CallbackQuery, received_at: float, act: Act) -> None:
        """Do what the tap asks for, if the person is known, and answer it.

        Args:
            query: the tap.
            received_at: `time.monotonic()` of its arrival.
            act: is given the person; its refusals become answers.
        """
        answer = await self._outcome(query, act)
        self._metrics.taps.labels(answer.label).inc()
        await self._tell(query, answer)
        self._metrics.tap_seconds.observe(time.monotonic() - received_at)
        await self._record(query, answer)

    async def _outcome(self, query: CallbackQuery, act: Act) -> TapAnswer:
        try:
            return await self._acted(query, act)
        except EngineUnavailable:
            return TapAnswer("engine_down", texts.ENGINE_DOWN_TAP)
        except Unavailable:
            return TapAnswer("store_down", texts.STORE_DOWN_TAP)
        except TimeoutError:
            return TapAnswer("engine_slow", texts.ENGINE_SLOW_TAP)
        except DecisionRefused as refused:
            return TapAnswer(refused.answer, str(refused))
        except InvalidInput as invalid:
            return TapAnswer("invalid", str(invalid))

    async def _acted(self, query: CallbackQuery, act: Act) -> TapAnswer:
        person = self._services.people().on_telegram(query.from_user.id)
        if person is None:
            return TapAnswer("stranger", texts.STRANGER_TAP.format(id=query.from_user.id))
        async with asyncio.timeout(self._services.answer_within.total_seconds()):
            return await act(person)

    async def _record(self, query: CallbackQuery, answer: TapAnswer) -> None:
        """Put on record what no run hears of: taps by strangers (one an hour), and on what is for others."""
        if answer.label not in _RECORDED_HERE:
            return
        now, who = self._services.now(), query.from_user.id
        occasion = f"{who}/{now:%Y-%m-%dT%H}" if answer.label == "stranger" else query.id
        entry = AuditEntry(
            key=f"refusal/telegram/{answer.label}/{occasion}",
            at=now,
            kind=AuditKind.REFUSAL,
            channel="telegram",
            text=f"a tap by Telegram id {who} was refused: {answer.text}"[:1000],
            data={"answer": answer.label, "telegram_id": who},
        )
        with suppress(Unavailable):
            await self._services.audit.append([entry])

    async def _tell(self, query: CallbackQuery, answer: TapAnswer) -> None:
        try:
            await query.answer(texts.tap_answer(answer.text), show_alert=answer.alert)
        except TelegramBadRequest as late:
            # Too late to show it, after a restart say; what the tap did stands, and the card tells it.
            _log.warning("bot_tap_not_answered", answer=answer.label, reason=late.message)
