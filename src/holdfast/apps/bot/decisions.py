"""The buttons of an open gate: approve, go on with limits, reject."""

from aiogram import Bot, F, Router
from aiogram.types import CallbackQuery, Message

from holdfast.apps.bot import texts
from holdfast.apps.bot.clerk import Outcome
from holdfast.apps.bot.errands import Errands
from holdfast.apps.bot.taps import TapAnswer, Taps
from holdfast.apps.bot.texts import say
from holdfast.apps.bot.wishes import What, Wish
from holdfast.domain.decisions import Choice
from holdfast.domain.people import Person

CHOICES = {"a": Choice.APPROVE, "l": Choice.LIMIT, "r": Choice.REJECT}


def decisions_router(errands: Errands, taps: Taps) -> Router:
    """Route `a:<run id>:<button>` (approve), `l:…` (go on with limits) and `r:…` (reject) to the run."""
    router = Router(name="decisions")

    async def decide(query: CallbackQuery, received_at: float, bot: Bot) -> None:
        letter, run, button = button_parts(query)
        wish = Wish(what=What.DECIDE, id=f"telegram:{query.id}", run=run, button=button, choice=CHOICES[letter])

        async def act(person: Person) -> TapAnswer:
            return tap_answer(await errands.begin(person, wish, bot=bot, at=tapped(query)))

        await taps.settle(query, received_at, act)

    router.callback_query.register(decide, F.data.regexp(r"^[alr]:.+:[^:]+$"))
    return router


def button_parts(query: CallbackQuery) -> tuple[str, str, str]:
    """Return letter, run id and button of a gate's callback data."""
    letter, _, rest = str(query.data).partition(":")
    run, _, button = rest.rpartition(":")
    return letter, run, button


def tapped(query: CallbackQuery) -> Message | None:
    """Return the message whose button was tapped; None when it is too old to be seen."""
    return query.message if isinstance(query.message, Message) else None


def tap_answer(outcome: Outcome) -> TapAnswer:
    """Return what a tap is told."""
    return TapAnswer(outcome.label, outcome.text, alert=outcome.alert)


def unknown_buttons_router(taps: Taps) -> Router:
    """Answer the buttons that no other router knows, such as those of an earlier version."""
    router = Router(name="unknown-buttons")

    async def act(_: Person) -> TapAnswer:
        return TapAnswer("unknown_button", say(texts.BUTTON_UNKNOWN_TAP))

    async def answer(query: CallbackQuery, received_at: float) -> None:
        await taps.settle(query, received_at, act)

    router.callback_query.register(answer)
    return router
