"""The two buttons of an open gate."""

from aiogram import F, Router
from aiogram.types import CallbackQuery

from holdfast.apps.bot import texts
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.taps import TapAnswer, Taps
from holdfast.domain.gates import Answer, Choice, Decision
from holdfast.domain.people import Person

_CHOICES = {"a": Choice.APPROVE, "r": Choice.REJECT}


def decisions_router(services: Services, taps: Taps) -> Router:
    """Route `a:<run id>:<token>` (approve) and `r:<run id>:<token>` (reject) to the run."""
    router = Router(name="decisions")

    async def decide(query: CallbackQuery, received_at: float) -> None:
        letter, _, rest = str(query.data).partition(":")
        run_id, _, token = rest.rpartition(":")

        async def act(person: Person) -> TapAnswer:
            decision = Decision(
                token=token,
                decision=_CHOICES[letter],
                by=person.name,
                channel="telegram",
                id=f"telegram:{query.id}",
            )
            reply = await services.runs.decide(run_id, decision)
            return TapAnswer(reply.answer, reply.text, alert=reply.answer is Answer.STORED)

        await taps.settle(query, received_at, act)

    router.callback_query.register(decide, F.data.regexp(r"^[ar]:.+:[^:]+$"))
    return router


def unknown_buttons_router(taps: Taps) -> Router:
    """Answer the buttons that no other router knows, such as those of an earlier version."""
    router = Router(name="unknown-buttons")

    async def act(_: Person) -> TapAnswer:
        return TapAnswer("unknown_button", texts.BUTTON_UNKNOWN_TAP)

    async def answer(query: CallbackQuery, received_at: float) -> None:
        await taps.settle(query, received_at, act)

    router.callback_query.register(answer)
    return router
