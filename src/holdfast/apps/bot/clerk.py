"""Signs what a recognised person wants done, and does it."""

from dataclasses import dataclass
from typing import Final, TypeVar

from holdfast.apps.bot import gate_texts as texts
from holdfast.apps.bot.finding import Finder
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.standins import StandIns
from holdfast.apps.bot.texts import say
from holdfast.apps.bot.times import shown
from holdfast.apps.bot.wishes import What, Wish
from holdfast.domain import standing
from holdfast.domain.decisions import Answer, Choice, Decision, Extension, Handover, RollBack, Signed
from holdfast.domain.errors import DecisionRefused, EngineUnavailable
from holdfast.domain.gates import Gate
from holdfast.domain.pasting import paste_for
from holdfast.domain.people import Person
from holdfast.domain.proofs import CODE_GOOD_FOR, TOTP
from holdfast.domain.rollback import asked_in_person
from holdfast.domain.view import RunView
from holdfast.i18n import understood
from holdfast.ports.audit import AuditEntry, AuditKind

TELEGRAM: Final = "telegram"
CODE: Final = "code"
_SUPPOSED_REASON = "a reason is asked for next"
_S = TypeVar("_S", bound=Signed)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What somebody wants, and the gate as it is now; no gate where it cannot be read, or all are meant."""

    person: Person
    wish: Wish
    view: RunView | None = None
    gate: Gate | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a wish, for the person.

    Attributes:
        label: for the metrics.
        text: plain.
        paste: JSON to copy, for the private chat only.
        asked: something was asked in another message, and nothing is done yet.
        alert: worth a window that must be closed.
    """

    label: str
    text: str
    paste: str = ""
    asked: bool = False
    alert: bool = True


class Clerk:
    """Does what people want; what a gate accepts is decided by the run alone."""

    def __init__(self, services: Services, finder: Finder) -> None:
        self._services = services
        self._finder = finder
        self._stand_ins = StandIns(services)

    async def case(self, person: Person, wish: Wish) -> Case:
        """Look up the gate that is meant.

        Raises:
            DecisionRefused: the button is another person's, outdated, or cannot be checked now.
        """
        if wish.what is What.STAND_IN:
            return Case(person=person, wish=wish)
        try:
            view = await self._services.runs.view(wish.run)
        except EngineUnavailable:
            if wish.what is not What.DECIDE:
                raise
            return self._unseen(person, wish)
        if wish.button:
            gate = self._finder.of_button(view, wish.button, person)
        else:
            gate = self._finder.of_id(view, wish.gate)
        return Case(person=person, wish=wish, view=view, gate=gate)

    def _unseen(self, person: Person, wish: Wish) -> Case:
        """Let the group's button through: the run knows it by itself, and a decision can be stored for it."""
        if wish.button and not self._finder.is_personal(wish.button):
            return Case(person=person, wish=wish)
        raise DecisionRefused("unreadable_run", say(texts.UNREADABLE_RUN_TAP))

    async def needs_code(self, case: Case) -> bool:
        """Whether a code of the authenticator app has to be asked for first."""
        if case.wish.what is What.STAND_IN:
            return await self._services.second_factor.enrolled(case.person.name)
        return case.gate is not None and case.gate.mfa

    def objection(self, case: Case) -> DecisionRefused | None:
        """Return why it would not count even with a reason and a code, as far as can be seen from here."""
        if case.view is None or case.gate is None:
            return None
        closed, now, people = case.view.closed_gates, self._services.now(), self._services.people()
        try:
            match self._said(case, case.gate, (TELEGRAM, TOTP)):
                case Extension() as said:
                    standing.check_extension(said, case.view.gate, closed=closed, people=people, now=now)
                case Handover() as said:
                    standing.check_handover(said, case.view.gate, closed=closed, people=people, now=now)
                case Decision() as said:
                    supposed = said.model_copy(update={"reason": said.reason or _SUPPOSED_REASON})
                    standing.check(supposed, case.view.gate, closed=closed, people=people, now=now)
        except DecisionRefused as refusal:
            return refusal
        return None

    async def carry_out(self, case: Case, *, totp: bool) -> Outcome:
        """Do it.

        Args:
            case: what, and at which gate.
            totp: whether a code of the authenticator app was checked.

        Raises:
            DecisionRefused: it does not count; the text says why.
        """
        factor = (TOTP,) if totp else ()
        if case.wish.what is What.STAND_IN:
            text = await self._stand_ins.add(case.person, case.wish, (TELEGRAM, *factor))
            return Outcome(label="standing", text=text)
        if case.gate is None:
            return await self._leave(case, (TELEGRAM, *factor))
        if case.wish.what is What.CODE:
            return await self._hand_out(case, case.gate, (CODE, *factor))
        return await self._send(case, case.gate, (TELEGRAM, *factor))

    async def roll_back(self, person: Person, run: str, *, to: str, reason: str, key: str) -> Outcome:
        """Ask a run to undo what it did after the stage `to`; empty: everything. The same `key` counts once.

        No code of the authenticator app is asked for: to undo is the safe direction.

        Raises:
            DecisionRefused: it does not count; the text says why.
        """
        said = RollBack(by=person.name, to=to, reason=reason, channel=TELEGRAM, id=key, proofs=(TELEGRAM,))
        signed = asked_in_person(self._services.keyring, run, said, now=self._services.now())
        reply = await self._services.runs.roll_back(run, signed)
        return Outcome(label=reply.answer, text=understood(reply.text), alert=reply.answer is Answer.STORED)

    async def _send(self, case: Case, gate: Gate, proofs: tuple[str, ...]) -> Outcome:
        runs, run, said = self._services.runs, case.wish.run, self._said(case, gate, proofs)
        if isinstance(said, Extension):
            reply = await runs.extend(run, self._signed(said, run, gate.execution))
        elif isinstance(said, Handover):
            reply = await runs.hand_over(run, self._signed(said, run, gate.execution))
        else:
            reply = await runs.decide(run, self._signed(said, run, gate.execution))
        return Outcome(label=reply.answer, text=understood(reply.text), alert=reply.answer is Answer.STORED)

    async def _leave(self, case: Case, proofs: tuple[str, ...]) -> Outcome:
        wish = case.wish
        decision = Decision(
            token=wish.button,
            decision=wish.choice,
            by=case.person.name,
            reason=wish.reason,
            channel=TELEGRAM,
            id=wish.id,
            expires_at=self._services.now() + CODE_GOOD_FOR,
            proofs=proofs,
        )
        reply = await self._services.runs.decide(wish.run, self._signed(decision, wish.run, ""))
        stored = reply.answer is Answer.STORED
        text = say(texts.STORED_UNSEEN) if stored else understood(reply.text)
        return Outcome(label=reply.answer, text=text, alert=stored)

    async def _hand_out(self, case: Case, gate: Gate, proofs: tuple[str, ...]) -> Outcome:
        wish, name, now = case.wish, case.person.name, self._services.now()
        if objection := self.objection(case):
            raise objection
        entry = AuditEntry(
            key=f"code/{wish.id}",
            at=now,
            kind=AuditKind.CODE,
            run=wish.run,
            gate=gate.id,
            person=name,
            channel=TELEGRAM,
            text=_on_record(wish.choice).format(name=name, choice=wish.choice, gate=gate.id),
            data={"proofs": list(proofs), "evidence": gate.evidence, "choice": str(wish.choice)},
        )
        await self._services.audit.append([entry])
        keyring = self._services.keyring
        paste = paste_for(
            keyring, wish.run, gate, name, wish.choice, reason=wish.reason, proofs=proofs, now=now
        )
        return Outcome(label="code", text=say(texts.PASTE_SENT_TAP), paste=paste)

    def _said(self, case: Case, gate: Gate, proofs: tuple[str, ...]) -> Decision | Extension | Handover:
        wish = case.wish
        common = {
            "gate": gate.id,
            "by": case.person.name,
            "evidence": gate.evidence,
            "reason": wish.reason,
            "channel": TELEGRAM,
            "id": wish.id,
            "expires_at": self._services.now() + CODE_GOOD_FOR,
            "proofs": proofs,
        }
        match wish.what:
            case What.EXTEND:
                return Extension.model_validate({**common, "until": wish.until})
            case What.HAND_OVER:
                return Handover.model_validate({**common, "to": wish.to, "until": wish.until})
            case _:
                return Decision.model_validate({**common, "decision": wish.choice})

    def _signed(self, said: _S, run: str, execution: str) -> _S:
        code = self._services.keyring.signed(said, run=run, execution=execution).code
        return said.model_copy(update={"code": code})


def _on_record(choice: Choice) -> str:
    return texts.AUDIT_LIMIT_CODE if choice is Choice.LIMIT else texts.AUDIT_CODE


def described(case: Case) -> str:
    """Say what is wanted, so that nobody confirms one thing and means another."""
    wish, zone = case.wish, case.person.zone
    until = shown(wish.until, zone) if wish.until else ""
    if wish.what is What.STAND_IN:
        since = shown(wish.since, zone) if wish.since else ""
        return say(texts.WHAT_STANDING, to=wish.to, since=since, until=until)
    choice = understood(wish.choice.said)
    if case.gate is None:
        return say(texts.WHAT_DECISION_UNSEEN, choice=choice, run=wish.run)
    templates = {
        What.DECIDE: texts.WHAT_DECISION,
        What.EXTEND: texts.WHAT_EXTENSION,
        What.HAND_OVER: texts.WHAT_HANDOVER,
        What.CODE: texts.WHAT_LIMIT_CODE if wish.choice is Choice.LIMIT else texts.WHAT_CODE,
    }
    gate = case.gate
    label = understood(gate.label(wish.choice))
    if label.casefold() == choice.casefold():
        templates[What.DECIDE] = texts.WHAT_DECISION_AS_SAID
    fields = {"choice": choice, "label": label, "gate": gate.id, "title": understood(gate.title), "to": wish.to}
    return say(templates[wish.what], **fields, until=until)
