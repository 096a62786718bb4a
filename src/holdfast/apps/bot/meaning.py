"""Which incident somebody means, and whether that person has anything to say to it."""

from typing import Final

from holdfast.apps.bot import incident_texts as texts
from holdfast.apps.bot.picking import Picker
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.texts import say
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused, EngineUnavailable, InvalidInput
from holdfast.domain.people import Person
from holdfast.domain.view import RunView
from holdfast.i18n import translate

_PREFIX: Final = "incident-"


class Meaning:
    """Reads what was typed after a command about an incident."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._picker = Picker(services)

    async def incident(self, typed: str, *, usage: str) -> tuple[str, str]:
        """Return the run and the rest of the words; the run may be left out where only one is open.

        Raises:
            InvalidInput: none or several are open, and none is named.
        """
        first, _, rest = typed.strip().partition(" ")
        if first.lower().startswith(_PREFIX):
            return first.lower(), rest.strip()
        runs = [run.line.run_id for run in await self._picker.open("incident")]
        if first.lower() in runs:
            return first.lower(), rest.strip()
        if len(runs) == 1:
            return runs[0], typed.strip()
        raise InvalidInput(
            say(texts.WHICH, known=", ".join(runs), usage=say(usage)) if runs else say(texts.NONE)
        )

    async def answerable(self, person: Person, run: str) -> RunView | None:
        """Return the incident; None where nobody can show it, and the run itself will have to judge.

        Raises:
            DecisionRefused: it is over, it is none, or it is not this person's to answer.
        """
        try:
            view = await self._services.runs.view(run)
        except EngineUnavailable:
            return None
        if view.state.ended:
            ended = say(texts.ENDED, run=run, state=translate(view.state.value))
            raise DecisionRefused(Answer.ALREADY_DECIDED, ended)
        if view.incident is None:
            raise DecisionRefused("no_incident", say(texts.NO_INCIDENT, run=run))
        if person.name not in view.incident.may_answer:
            names = ", ".join(view.incident.may_answer) or say(texts.NOBODY)
            refused = say(texts.NOT_YOU, person=person.title, run=run, names=names)
            raise DecisionRefused("may_not_answer", refused)
        return view


def refuse_others(services: Services, person: Person, run: str, personal: str) -> None:
    """Return when a button is this person's, or everybody's.

    Raises:
        DecisionRefused: it is somebody else's, or of an earlier key.
    """
    if not personal or personal in services.keyring.buttons(run, "incident", "", person.name):
        return
    for other in services.people().people:
        if personal in services.keyring.buttons(run, "incident", "", other.name):
            raise DecisionRefused("others_button", say(texts.OTHERS_BUTTON_TAP, title=other.title, run=run))
    raise DecisionRefused("outdated_button", say(texts.OUTDATED_BUTTON_TAP, run=run))
