"""Approval codes on their way to a person: what each is good for, and the words that go with it."""

from datetime import datetime
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel
from temporalio import activity

from holdfast.domain.decisions import ROLLBACK, Choice, Decision, Extension, Handover, RollBack, Signed
from holdfast.domain.gates import Gate
from holdfast.domain.people import Person
from holdfast.domain.words import Act, Word
from holdfast.ports.audit import AuditEntry, AuditKind

PRIVATE_CHAT: Final = "telegram"


class CodeDelivery(BaseModel):
    """An approval code that a person is to get in the private chat.

    Attributes:
        run_id, execution: of the run that asks.
        gate: the open gate; None for a rollback or a word, which are said whether or not one is open.
        person: whose code it is.
        decision: what it is good for, where it is no extension, hand-over or rollback.
        reason: put into the JSON to paste.
        until: alone, the new deadline of an extension; with `to`, the end of a hand-over.
        to: to whom the gate, or an incident, is to be handed over; of a rollback the stage that stays, empty:
            none.
        act: of a word; empty for everything else.
    """

    run_id: str
    execution: str
    gate: Gate | None = None
    person: Person
    decision: Choice = Choice.APPROVE
    reason: str = ""
    until: AwareDatetime | None = None
    to: str = ""
    act: Act | None = None

    def said(self) -> Signed:
        """Return what the person wants to say, not signed yet."""
        common: dict[str, Any] = {
            "gate": self.about,
            "by": self.person.name,
            "evidence": self.gate.evidence if self.gate else "",
            "reason": self.reason,
            "proofs": ("code",),
        }
        if self.act is not None:
            return Word(act=self.act, to=self.to, **common)
        if self.gate is None:
            return RollBack(to=self.to, **common)
        if self.to:
            return Handover(to=self.to, until=self.until, **common)
        if self.until is not None:
            return Extension(until=self.until, **common)
        return Decision(decision=self.decision, **common)

    @property
    def about(self) -> str:
        """What the code is for: the gate's id, `rollback`, or the act of a word."""
        if self.act is not None:
            return self.act
        return self.gate.id if self.gate else ROLLBACK

    @property
    def update(self) -> str:
        """The name of the update that takes it."""
        if self.act is not None:
            return self.act
        if self.gate is None:
            return "roll_back"
        if self.to:
            return "delegate"
        return "decide" if self.until is None else "extend"


def code_entry(delivery: CodeDelivery, now: datetime) -> AuditEntry:
    """Return what the record says of a code; never the code itself."""
    info = activity.info()
    return AuditEntry(
        key=f"{delivery.run_id}/{delivery.about}/code/{info.workflow_run_id}/{info.activity_id}",
        at=now,
        kind=AuditKind.CODE,
        run=delivery.run_id,
        gate=delivery.about,
        person=delivery.person.name,
        channel=PRIVATE_CHAT,
        text=f"a code for '{delivery.said().action}' was issued to the private chat of {delivery.person.name}",
        data={"evidence": delivery.said().evidence, "action": delivery.said().action},
    )


def about_code(delivery: CodeDelivery, until: datetime) -> str:
    """Return the words under which the person gets the JSON to paste."""
    zone = delivery.person.zone
    missing = delivery.update == "decide" and delivery.decision is Choice.REJECT and not delivery.reason
    return (
        f"Your code to {_what(delivery)}, good until "
        f"{until.astimezone(zone):%H:%M} ({zone.key}). Paste all of it as the input of the update "
        f"'{delivery.update}' in "
        "the Temporal UI. Keep it to yourself: whoever has it can answer as you."
        + (' Write your reason between the quotes of "reason" first.' if missing else "")
    )


def short(person: Person) -> str:
    """Return a person's name without the role in brackets."""
    return person.title.partition(" (")[0]


def _what(delivery: CodeDelivery) -> str:
    """Name what the code is good for: nobody may paste one thing and mean another."""
    if delivery.act is not None:
        if delivery.act is Act.ACCEPT:
            return f"accept the role '{delivery.to}' of {delivery.run_id}"
        if delivery.act is Act.DONE:
            return f"tick off '{delivery.to}' of {delivery.run_id}"
        whom = f" to {delivery.to}" if delivery.to else ""
        return f"say '{delivery.act}'{whom} to {delivery.run_id}"
    if delivery.gate is None:
        stays = f"what {delivery.run_id} did after stage '{delivery.to}'"
        return f"roll back {stays if delivery.to else f'everything that {delivery.run_id} did'}"
    verbs = {"delegate": f"hand over to {delivery.to}", "extend": "move the deadline of"}
    verb = verbs.get(delivery.update, str(delivery.decision))
    if verb == Choice.LIMIT:
        return f"{Choice.LIMIT.said} at gate '{delivery.about}' of {delivery.run_id}"
    return f"{verb} gate '{delivery.about}' of {delivery.run_id}"


def command_for(delivery: CodeDelivery) -> str:
    """Return what the person types to the bot, which asks for the authenticator code and goes on from there."""
    until = f"{delivery.until:%Y-%m-%dT%H:%M%z}" if delivery.until else ""
    if delivery.to:
        return f"/delegate {delivery.run_id} {delivery.to} {until}".rstrip()
    return f"/extend {delivery.run_id} {until}" if until else f"/code {delivery.run_id} {delivery.decision}"
