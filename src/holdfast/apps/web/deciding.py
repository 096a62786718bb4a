"""Takes an answer: recognises the person, signs, passes it to the run, and says truly what became of it."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final
from weakref import WeakValueDictionary

import structlog

from holdfast.apps.web.forms import Fields
from holdfast.apps.web.pages import Pages
from holdfast.apps.web.pins import GOOD_FOR, Pins
from holdfast.apps.web.services import WebServices
from holdfast.apps.web.sheet import Proof, gate_of
from holdfast.apps.web.words import moment, veiled
from holdfast.domain import standing
from holdfast.domain.decisions import ROLLBACK, Answer, Choice, Decision, DecisionReply, parse_decision
from holdfast.domain.errors import (
    ChatUnavailable,
    DecisionRefused,
    EngineUnavailable,
    InvalidInput,
    Unavailable,
)
from holdfast.domain.gates import GateState
from holdfast.domain.links import LinkClaim
from holdfast.domain.people import Person
from holdfast.domain.proofs import CODE_GOOD_FOR, TOTP
from holdfast.domain.view import RunView
from holdfast.ports.audit import AuditEntry, AuditKind
from holdfast.ports.identity import CodeRefused
from holdfast.ports.notices import PrivateChannel

_LINK: Final = "web-link"
_PIN: Final = "email-pin"
PROOFS: Final = {Proof.TOTP: (_LINK, TOTP), Proof.PIN: (_LINK, _PIN)}
_PIN_MAIL: Final = (
    "This PIN confirms {what} of run {run} on the web page. It is good until {until}, "
    "once, and for nothing else. Nobody will ever ask you for it. If you did not have it sent, somebody else "
    "has your link: tell an admin."
)
_PIN_FOR_GATE: Final = "your answer to gate '{gate}'"
_PIN_FOR_ROLLBACK: Final = "your rollback"
_NO_CODE: Final = (
    "Paste the approval code that the bot sends you in your private chat (/gates): it says who you are."
)
_SET_BACK: Final = "This run was set back after your link was made. Use the link in the newest message."
LONGEST_REASON: Final = 1000
_REPLIES_KEPT: Final = 1000
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Deciding:
    """Takes what people send from their page."""

    def __init__(self, services: WebServices, pages: Pages) -> None:
        """Take answers with these services."""
        self._services = services
        self._pages = pages
        self._pins = Pins(services.keyring, services.intents)
        self._replies: OrderedDict[str, DecisionReply] = OrderedDict()
        self._turns: WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = WeakValueDictionary()

    async def answer(self, claim: LinkClaim, fields: Fields) -> DecisionReply:
        """Pass an answer to the run, one at a time; a form that is sent twice gets its first answer.

        Raises:
            DecisionRefused: it does not count, and why.
            Unavailable: nothing was recorded.
        """
        return await self.once(claim, fields, lambda: self._decide(claim, fields))

    async def once(
        self, claim: LinkClaim, fields: Fields, act: Callable[[], Awaitable[DecisionReply]]
    ) -> DecisionReply:
        """Do what a form says, one of a person at a time; a form that is sent twice gets its first answer."""
        async with self._turn(claim):
            earlier = self._replies.get(fields.form)
            if earlier is not None:
                return earlier
            reply = await act()
            self._replies[fields.form] = reply
            while len(self._replies) > _REPLIES_KEPT:
                self._replies.popitem(last=False)
            return reply

    async def send_pin(self, claim: LinkClaim) -> str:
        """Send the person a PIN, and say where it went.

        Raises:
            DecisionRefused: this person is recognised by other means, or a PIN has just been sent.
            ChatUnavailable: nothing was sent.
            DeliveryUncertain: it may have been sent.
            InvalidInput: the address cannot be written to.
        """
        async with self._turn(claim):
            person, email = await self._to_be_sent(claim)
            now = self._services.now()
            try:
                pin = await self._pins.issue(claim, now=now)
            except CodeRefused as refused:
                raise DecisionRefused(Answer.NOT_PROVEN, str(refused)) from None
            until = moment(now + GOOD_FOR, person.zone)
            try:
                what = _PIN_FOR_ROLLBACK if claim.gate == ROLLBACK else _PIN_FOR_GATE.format(gate=claim.gate)
                await email.say(person, _PIN_MAIL.format(what=what, run=claim.run, until=until), paste=pin)
            except (ChatUnavailable, InvalidInput):
                await self._pins.withdraw(claim, now=now)
                raise
            await self.note(
                claim, AuditKind.CODE, f"pin-{now:%Y%m%dT%H%M%S}", f"{person.name} had a PIN sent by e-mail"
            )
        return f"A PIN is on its way to {veiled(person.email)}. It is good until {until}."

    async def _to_be_sent(self, claim: LinkClaim) -> tuple[Person, PrivateChannel]:
        """Return to whom a PIN goes, and how, where a PIN is what this person is recognised by."""
        person, email = self._pages.person_of(claim), self._services.email
        gate = gate_of(await self._pages.view(claim), claim)
        if email is None or await self._pages.proof_of(person, gate) is not Proof.PIN:
            raise DecisionRefused(Answer.CODE_NEEDED, "You are not recognised by a PIN here; see the form.")
        return person, email

    async def _decide(self, claim: LinkClaim, fields: Fields) -> DecisionReply:
        person = self._pages.person_of(claim)
        choice = _choice(fields)
        try:
            view: RunView | None = await self._pages.view(claim)
        except EngineUnavailable:
            view = None  # no worker is up, perhaps; the answer can still be stored
        try:
            decision = await self._proven(claim, fields, person, choice, view)
        except DecisionRefused as refused:
            await self.note(
                claim,
                AuditKind.REFUSAL,
                fields.form,
                f"{person.name} said {choice}: {refused}",
                answer=refused.answer,
            )
            raise
        return await self._services.runs.decide(claim.run, decision)

    async def _proven(
        self, claim: LinkClaim, fields: Fields, person: Person, choice: Choice, view: RunView | None
    ) -> Decision:
        """Return the signed decision; whatever can be refused without using up a code is refused first."""
        if len(fields.reason) > LONGEST_REASON:
            raise DecisionRefused(Answer.UNREADABLE, f"The reason is longer than {LONGEST_REASON} characters.")
        gate = gate_of(view, claim) if view is not None else None
        if gate is not None and gate.state is GateState.OPEN and gate.execution != claim.execution:
            raise DecisionRefused(Answer.SUPERSEDED, _SET_BACK)
        if fields.pasted:
            return _pasted(claim, fields, choice)
        proof = await self._pages.proof_of(person, gate)
        decision = Decision(
            gate=claim.gate,
            decision=choice,
            by=person.name,
            evidence=fields.evidence,
            reason=fields.reason,
            channel="web",
            id=f"web:{fields.form}",
            proofs=PROOFS.get(proof, ()),
        )
        if view is not None:
            standing.check(
                decision, view.gate, closed=view.closed_gates, people=view.people, now=self._services.now()
            )
        await self.check_code(claim, proof, fields.code)
        return self._signed(decision, claim)

    async def check_code(self, claim: LinkClaim, proof: Proof, code: str) -> None:
        """Check, and use up, the code that this person had to give.

        Raises:
            DecisionRefused: it is wrong, or there is none that could be checked.
        """
        now = self._services.now()
        if proof not in PROOFS:
            raise DecisionRefused(Answer.NOT_PROVEN, _NO_CODE)
        try:
            if proof is Proof.TOTP:
                await self._services.second_factor.verify(claim.person, "".join(code.split()), now=now)
            else:
                await self._pins.verify(claim, code, now=now)
        except CodeRefused as refused:
            raise DecisionRefused(Answer.NOT_PROVEN, str(refused)) from None

    def _signed(self, decision: Decision, claim: LinkClaim) -> Decision:
        until = (self._services.now() + CODE_GOOD_FOR).replace(microsecond=0)
        dated = decision.model_copy(update={"expires_at": until})
        code = self._services.keyring.signed(dated, run=claim.run, execution=claim.execution).code
        return dated.model_copy(update={"code": code})

    async def note(self, claim: LinkClaim, kind: AuditKind, mark: str, text: str, *, answer: str = "") -> None:
        """Put on record what never reaches the run; a record that does not answer stops nobody."""
        entry = AuditEntry(
            key=f"{claim.run}/{claim.gate}/web/{claim.person}/{mark}",
            at=self._services.now(),
            kind=kind,
            run=claim.run,
            gate=claim.gate,
            person=claim.person,
            channel="web",
            text=text,
            data={"answer": answer} if answer else {},
        )
        try:
            await self._services.audit.append([entry])
        except Unavailable as error:
            _log.warning("web entry not on record", kind=kind, run=claim.run, why=str(error))

    def _turn(self, claim: LinkClaim) -> asyncio.Lock:
        return self._turns.setdefault((claim.run, claim.gate, claim.person), asyncio.Lock())


def _choice(fields: Fields) -> Choice:
    try:
        return Choice(fields.say)
    except ValueError:
        raise DecisionRefused(Answer.UNREADABLE, "Press one of the buttons to answer.") from None


def whole(pasted: str) -> Any:
    """Return the JSON that was pasted.

    Raises:
        DecisionRefused: it is none.
    """
    try:
        return json.loads(pasted)
    except (ValueError, RecursionError):
        raise DecisionRefused(
            Answer.UNREADABLE,
            "What you pasted is not whole: it begins with { and ends with }. Paste all of it.",
        ) from None


def _pasted(claim: LinkClaim, fields: Fields, choice: Choice) -> Decision:
    """Return a decision that was signed elsewhere, as it is; it has to say what the person pressed here."""
    decision = parse_decision(whole(fields.pasted))
    said = (decision.gate, decision.by, decision.decision)
    if said != (claim.gate, claim.person, choice):
        raise DecisionRefused(
            Answer.NOT_PROVEN,
            f"What you pasted says '{decision.decision}' by {decision.by} to gate '{decision.gate}', but you "
            f"pressed '{choice}' as {claim.person} at gate '{claim.gate}'. Have a code for that sent (/gates).",
        )
    reason = fields.reason or decision.reason
    return decision.model_copy(update={"channel": "web-code", "id": f"web:{fields.form}", "reason": reason})
