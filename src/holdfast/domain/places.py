"""Whether one more approval has a place among the slots of a gate: each vote fills one, and none is wasted."""

from datetime import datetime
from typing import Final

from pydantic import BaseModel

from holdfast.domain.decisions import Decision
from holdfast.domain.gates import Gate
from holdfast.domain.signoff import Slot, match

ESCALATION: Final = "escalation"


class Standing(BaseModel):
    """In whose place somebody answers.

    Attributes:
        actor: the person who answers.
        principal: the approver whose vote it is; the actor for an own vote.
        how: empty for an own vote, else `delegation`, `deputy` or `escalation`.
    """

    actor: str
    principal: str
    how: str = ""


def placed(standing: Standing, gate: Gate) -> bool:
    """Whether one more approval by this standing has a place, and leaves one for everybody still needed."""
    return asked_now(standing, gate) and _leaves_enough(standing, gate)


def asked_now(standing: Standing, gate: Gate) -> bool:
    """Whether one more approval by this standing has a place beside those that were given."""
    voters, steps = _voters(gate, standing)
    if standing.principal in {v.principal for v in voters[:-1]}:
        return False
    return match([_fillable(v, gate, s) for v, s in zip(voters, steps, strict=True)], len(gate.slots))


def _voters(gate: Gate, new: Standing | None) -> tuple[list[Standing], list[int]]:
    """Return the approvals, with one more if there is one, and the steps for which they were given."""
    given = [Standing(actor=d.by, principal=principal_of(d), how=d.how) for d in gate.approvals]
    steps = [d.step for d in gate.approvals]
    return (given, steps) if new is None else ([*given, new], [*steps, gate.step])


def _leaves_enough(standing: Standing, gate: Gate) -> bool:
    """Whether what could be completed still can: by approvers alone, else with the help of later tiers."""
    for helpers in ([], called_later(gate)):
        if _can_be_completed(gate, None, helpers):
            return _can_be_completed(gate, standing, helpers)
    return True


def _can_be_completed(gate: Gate, new: Standing | None, helpers: list[str]) -> bool:
    """Whether people who have not answered can fill what is left, each in his own name.

    If one matching covers all votes and another all slots, there is one that covers both (Mendelsohn and
    Dulmage, "Some generalizations of the problem of distinct representatives", 1958).
    """
    voters, steps = _voters(gate, new)
    used = {v.actor for v in voters} | {v.principal for v in voters}
    others = [Standing(actor=n, principal=n) for n in holders(gate) if n not in used and n not in helpers]
    others += [Standing(actor=n, principal=n, how=ESCALATION) for n in helpers if n not in used]
    fillers = [_fillable(v, gate, s) for v, s in zip(voters, steps, strict=True)]
    fillers += [_fillable(other, gate, None) for other in others]
    slots = range(len(gate.slots))
    by_slot = [frozenset(n for n, fills in enumerate(fillers) if slot in fills) for slot in slots]
    return match(by_slot, len(fillers))


def _fillable(standing: Standing, gate: Gate, step: int | None) -> frozenset[int]:
    return frozenset(
        number
        for number, slot in enumerate(gate.slots)
        if (step is None or not gate.ordered or slot.step == step) and fits(standing, slot)
    )


def fits(standing: Standing, slot: Slot) -> bool:
    """Whether the slot takes this vote: of its holders, or of whoever is called later."""
    return standing.how == ESCALATION or standing.principal in slot.holders


def parallel_step(standing: Standing, gate: Gate) -> int:
    """Return the first step that wants this vote; which one it fills is only known when all are given."""
    steps = [slot.step for slot in gate.slots if fits(standing, slot)]
    return next((s for s in steps if len(gate.votes_in(s)) < len(gate.slots_of(s))), steps[0])


def principal_of(decision: Decision) -> str:
    """Return whose vote a decision was."""
    return decision.on_behalf_of or decision.by


def holders(gate: Gate) -> list[str]:
    """Return everybody who has a slot, in order."""
    return list(dict.fromkeys(holder for slot in gate.slots for holder in slot.holders))


def called_later(gate: Gate, now: datetime | None = None) -> list[str]:
    """Return who is called later, by that moment if there is one; never who started the run."""
    tiers = (tier for tier in gate.tiers if now is None or tier.at <= now)
    return list(dict.fromkeys(name for tier in tiers for name in tier.names if name != gate.excluded))
