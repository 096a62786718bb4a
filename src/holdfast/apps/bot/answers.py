"""Outcomes and refusals in the words of the person who reads them."""

from datetime import datetime

from holdfast.apps.bot import gate_texts
from holdfast.apps.bot.clerk import Outcome
from holdfast.apps.bot.texts import fill
from holdfast.apps.bot.times import shown
from holdfast.apps.bot.wishes import Wish
from holdfast.domain.people import Person
from holdfast.domain.proofs import CODE_GOOD_FOR
from holdfast.i18n import understood


def pasted(outcome: Outcome, wish: Wish, person: Person, now: datetime) -> str:
    """Return, as HTML for the private chat, the JSON to copy and how to use it."""
    return fill(
        gate_texts.PASTE,
        what=f"{wish.run}: {understood(wish.choice.said)}",
        paste=outcome.paste,
        until=shown(now + CODE_GOOD_FOR, person.zone),
        run=wish.run,
        choice=wish.choice,
        name=person.name,
    )
