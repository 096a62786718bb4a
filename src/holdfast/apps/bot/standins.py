"""Somebody stands in at all gates of a person, from date to date."""

from holdfast.apps.bot import gate_texts as texts
from holdfast.apps.bot.refusals import refusal_words
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.texts import say
from holdfast.apps.bot.times import shown
from holdfast.apps.bot.wishes import Wish
from holdfast.domain.decisions import Handover
from holdfast.domain.errors import DecisionRefused, EngineUnavailable, InvalidInput
from holdfast.domain.gates import Delegation
from holdfast.domain.people import Person
from holdfast.domain.proofs import CODE_GOOD_FOR
from holdfast.i18n import plural, understood
from holdfast.ports.audit import AuditEntry, AuditKind
from holdfast.ports.runs import WaitingGate

_CHANNEL = "telegram"


class StandIns:
    """Adds and ends standing delegations."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def add(self, person: Person, wish: Wish, proofs: tuple[str, ...]) -> str:
        """Remember the delegation, hand over what is open if it holds now, and say what became of it."""
        if wish.since is None or wish.until is None:
            raise InvalidInput(say(texts.DATES_MISSING, name=wish.to))
        delegation = Delegation(by=person.name, to=wish.to, since=wish.since, until=wish.until)
        await self._services.delegations.add(delegation, key=wish.id)
        said = {"name": person.name, "to": wish.to, "since": wish.since, "until": wish.until}
        await self._record(person, wish.id, texts.AUDIT_STANDING.format(**said))
        zone = person.zone
        remembered = say(
            texts.STANDING_OF, to=wish.to, since=shown(wish.since, zone), until=shown(wish.until, zone)
        )
        return "\n".join([remembered, *await self._open_gates(person, wish, delegation, proofs)])

    async def end(self, person: Person, key: str) -> int:
        """End all of them; how many there were."""
        count = await self._services.delegations.end(person.name, now=self._services.now())
        if count:
            await self._record(person, key, texts.AUDIT_ENDED.format(name=person.name, count=count))
        return count

    async def _open_gates(
        self, person: Person, wish: Wish, delegation: Delegation, proofs: tuple[str, ...]
    ) -> list[str]:
        try:
            waiting = await self._services.runs.waiting(person.name)
        except EngineUnavailable:
            return [say(texts.STANDING_NOT_REACHED, to=wish.to)]
        if not delegation.active(self._services.now()):
            return [_later(len(waiting), wish.to)] if waiting else []
        return [await self._hand_over(person, wish, gate, proofs) for gate in waiting]

    async def _hand_over(
        self, person: Person, wish: Wish, waiting: WaitingGate, proofs: tuple[str, ...]
    ) -> str:
        gate, run = waiting.gate, waiting.run_id
        said = Handover(
            gate=gate.id,
            by=person.name,
            evidence=gate.evidence,
            channel=_CHANNEL,
            id=f"{wish.id}/{run}/{gate.id}",
            expires_at=self._services.now() + CODE_GOOD_FOR,
            proofs=proofs,
            to=wish.to,
            until=wish.until,
        )
        code = self._services.keyring.signed(said, run=run, execution=gate.execution).code
        try:
            reply = await self._services.runs.hand_over(run, said.model_copy(update={"code": code}))
        except DecisionRefused as refused:
            return say(texts.NOT_HANDED_OVER, gate=gate.id, run=run, text=refusal_words(refused))
        except EngineUnavailable:
            return say(texts.STANDING_NOT_REACHED, to=wish.to)
        return say(texts.HANDED_OVER, gate=gate.id, run=run, text=understood(reply.text))

    async def _record(self, person: Person, key: str, text: str) -> None:
        entry = AuditEntry(
            key=f"standing/{key}",
            at=self._services.now(),
            kind=AuditKind.DELEGATION,
            person=person.name,
            channel=_CHANNEL,
            text=text,
        )
        await self._services.audit.append([entry])


def _later(count: int, to: str) -> str:
    return plural(texts.STANDING_LATER_ONE, texts.STANDING_LATER_MANY, count).format(count=count, to=to)
