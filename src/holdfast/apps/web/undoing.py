"""Takes a rollback from a person's page: the same proofs as an answer, whether or not a gate is open."""

from holdfast.apps.web.deciding import LONGEST_REASON, PROOFS, Deciding, whole
from holdfast.apps.web.forms import ROLL_BACK_PIN, Fields
from holdfast.apps.web.pages import Pages
from holdfast.apps.web.services import WebServices
from holdfast.domain.decisions import ROLLBACK, Answer, DecisionReply, RollBack, parse
from holdfast.domain.errors import DecisionRefused, EngineUnavailable
from holdfast.domain.links import LinkClaim
from holdfast.domain.people import Person
from holdfast.domain.rollback import asked_in_person
from holdfast.domain.undoing import check_roll_back
from holdfast.domain.view import RunView
from holdfast.ports.audit import AuditKind


class RollingBack:
    """Takes what people send from the form for a rollback."""

    def __init__(self, services: WebServices, pages: Pages, deciding: Deciding) -> None:
        """Take it with these; the codes are checked by `deciding`."""
        self._services = services
        self._pages = pages
        self._deciding = deciding

    async def take(self, claim: LinkClaim, fields: Fields) -> str:
        """Do what the form says, and say what became of it.

        Raises:
            DecisionRefused: it does not count, and why.
            Unavailable: nothing was recorded.
        """
        about = claim.model_copy(update={"gate": ROLLBACK})  # a PIN for this is for no gate, and the reverse
        if fields.say == ROLL_BACK_PIN:
            return await self._deciding.send_pin(about)
        reply = await self._deciding.once(about, fields, lambda: self._roll_back(about, fields))
        return reply.text

    async def _roll_back(self, about: LinkClaim, fields: Fields) -> DecisionReply:
        person = self._pages.person_of(about)
        try:
            request = await self._proven(about, fields, person)
        except DecisionRefused as refused:
            said = f"{person.name} asked for a rollback: {refused}"
            await self._deciding.note(about, AuditKind.REFUSAL, fields.form, said, answer=refused.answer)
            raise
        return await self._services.runs.roll_back(about.run, request)

    async def _proven(self, about: LinkClaim, fields: Fields, person: Person) -> RollBack:
        """Return the signed request; whatever can be refused without using up a code is refused first."""
        if len(fields.reason) > LONGEST_REASON:
            raise DecisionRefused(Answer.UNREADABLE, f"The reason is longer than {LONGEST_REASON} characters.")
        view = await self._view(about)
        if view is not None:
            check_roll_back(RollBack(by=person.name, to=fields.stays), view)
        if fields.pasted:
            return _pasted(about, fields)
        proof = await self._pages.proof_of(person, None)
        await self._deciding.check_code(about, proof, fields.code)
        said = RollBack(
            by=person.name,
            to=fields.stays,
            reason=fields.reason,
            channel="web",
            id=f"web:{fields.form}",
            proofs=PROOFS[proof],
        )
        return asked_in_person(self._services.keyring, about.run, said, now=self._services.now())

    async def _view(self, about: LinkClaim) -> RunView | None:
        try:
            return await self._pages.view(about)
        except EngineUnavailable:
            return None  # no worker is up, perhaps; the request can still be stored


def _pasted(about: LinkClaim, fields: Fields) -> RollBack:
    """Return a request that was signed elsewhere, as it is; it has to say what the person chose here."""
    request = parse(RollBack, whole(fields.pasted))
    if (request.gate, request.by, request.to) != (ROLLBACK, about.person, fields.stays):
        chosen = f"{ROLLBACK} {fields.stays}".rstrip()
        raise DecisionRefused(
            Answer.NOT_PROVEN,
            f"What you pasted says '{request.action}' by {request.by}, but as {about.person} you chose "
            f"'{chosen}'. Have a code for that sent: /code {about.run} {chosen}",
        )
    reason = fields.reason or request.reason
    return request.model_copy(update={"channel": "web-code", "id": f"web:{fields.form}", "reason": reason})
