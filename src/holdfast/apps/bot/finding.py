"""Which gate a button or a typed name means."""

from dataclasses import dataclass

from holdfast.apps.bot import gate_texts as texts
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.texts import say
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused, InvalidInput, UnknownName
from holdfast.domain.gates import Gate, GateState
from holdfast.domain.people import Person
from holdfast.domain.view import RunView
from holdfast.ports.runs import WaitingGate

_MOST_GATES = 500
_MOST_NAMED = 10


@dataclass(frozen=True)
class Found:
    """A run, and the gate of it that is meant; None where nothing is asked."""

    view: RunView
    gate: Gate | None


class Finder:
    """Finds gates."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def button(self, run: str, gate: Gate, person: Person) -> str:
        """Return what this person's own buttons at this gate carry."""
        return self._services.keyring.button(run, gate.token, gate.evidence, person.name)

    def is_personal(self, button: str) -> bool:
        """Whether it has the form of somebody's own button, which nobody can check without seeing the gate."""
        return len(button) == len(self._services.keyring.button("", "", "", ""))

    def of_button(self, view: RunView, button: str, person: Person) -> Gate:
        """Return the gate, open or closed, to which a button belongs.

        Raises:
            DecisionRefused: it is another person's, or of no gate of this run.
        """
        gates = [*([view.gate] if view.gate else []), *reversed(view.closed_gates)]
        for gate in gates:
            if button == gate.token or button in self._buttons(view.run_id, gate, person):
                return gate
        for gate in gates:
            for other in self._services.people().people:
                if button in self._buttons(view.run_id, gate, other):
                    text = say(texts.OTHERS_BUTTON_TAP, title=other.title, gate=gate.id)
                    raise DecisionRefused("others_button", text)
        raise DecisionRefused("outdated_button", say(texts.OUTDATED_BUTTON_TAP))

    def _buttons(self, run: str, gate: Gate, person: Person) -> list[str]:
        return self._services.keyring.buttons(run, gate.token, gate.evidence, person.name)

    def of_id(self, view: RunView, gate_id: str) -> Gate:
        """Return the newest gate of this id, open or closed.

        Raises:
            UnknownName: this run has asked no such thing.
        """
        gates = [*view.closed_gates, *([view.gate] if view.gate else [])]
        found = next((g for g in reversed(gates) if g.id == gate_id), None)
        if found is None:
            raise UnknownName("gate", gate_id, [g.id for g in gates])
        return found

    async def named(self, name: str, person: Person) -> Found:
        """Return what somebody means by the id of a gate, of a run, or by nothing where only one gate waits.

        Raises:
            InvalidInput: nothing or several things are meant; lists what there is.
        """
        wanted = name.strip().lower()
        if not wanted:
            return await self._only_one(person)
        waiting = await self._services.runs.waiting(limit=_MOST_GATES)
        meant = [w for w in waiting if wanted in {w.gate.id, w.run_id, f"{w.run_id}/{w.gate.id}"}]
        if len(meant) > 1:
            runs = ", ".join(w.run_id for w in meant[:_MOST_NAMED])
            raise InvalidInput(say(texts.SEVERAL_GATES, name=wanted, runs=runs))
        if meant:
            return _open(await self._services.runs.view(meant[0].run_id))
        try:
            return _open(await self._services.runs.view(wanted))
        except UnknownName:
            raise UnknownName("gate or run", wanted, _known(waiting)) from None

    async def open_gate(self, name: str, person: Person) -> tuple[RunView, Gate]:
        """Return the same where only an open gate will do.

        Raises:
            InvalidInput: as above.
            DecisionRefused: nothing is asked in that run.
        """
        found = await self.named(name, person)
        if found.gate is None:
            text = say(texts.NO_OPEN_GATE_PLAIN, run=found.view.run_id)
            raise DecisionRefused(Answer.NOT_THE_OPEN_GATE, text)
        return found.view, found.gate

    async def _only_one(self, person: Person) -> Found:
        mine = await self._services.runs.waiting(person.name)
        if len(mine) != 1:
            known = ", ".join(_known(mine))
            raise InvalidInput(say(texts.WHICH_GATE, known=known) if known else say(texts.NO_GATE_TO_MEAN))
        return _open(await self._services.runs.view(mine[0].run_id))


def _open(view: RunView) -> Found:
    return Found(view, view.gate if view.gate and view.gate.state is GateState.OPEN else None)


def _known(waiting: list[WaitingGate]) -> list[str]:
    return [f"{w.run_id}/{w.gate.id}" for w in waiting[:_MOST_NAMED]]
