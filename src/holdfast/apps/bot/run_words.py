"""Signs what a recognised person says to a run, and passes it on."""

from typing import Final

from holdfast.apps.bot.clerk import TELEGRAM
from holdfast.apps.bot.services import Services
from holdfast.domain.decisions import DecisionReply
from holdfast.domain.pasting import said_in_person
from holdfast.domain.people import Person
from holdfast.domain.words import Act, Word

LONGEST_REASON: Final = 1000


class RunWords:
    """Says things to runs; what counts is decided by the run alone."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def say(
        self, person: Person, run: str, act: Act, *, key: str, to: str = "", reason: str = ""
    ) -> DecisionReply:
        """Say it; the same `key` counts once.

        No code of the authenticator app is asked for: waiting, and taking an incident, are the safe direction.

        Raises:
            DecisionRefused: it does not count; the text says why.
            UnknownName: there is no such run.
        """
        services = self._services
        word = Word(
            act=act,
            by=person.name,
            to=to,
            reason=reason,
            channel=TELEGRAM,
            id=key,
            proofs=(TELEGRAM,),
        )
        signed = said_in_person(services.keyring, run, word, now=services.now())
        return await services.runs.say(run, signed)
