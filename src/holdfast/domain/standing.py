"""Who may answer a gate, for whom, and whether it counts: approvers, delegates, deputies, later tiers."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from holdfast.domain.decisions import Answer, Choice, CodeRequest, Decision, Extension, Handover
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.gates import Delegation, Gate, check_open
from holdfast.domain.people import People
from holdfast.domain.places import (
    ESCALATION,
    Standing,
    asked_now,
    called_later,
    fits,
    holders,
    parallel_step,
    placed,
    principal_of,
)
from holdfast.domain.proofs import TOTP

LONGEST_CHAIN: Final = 3
VETO: Final = "veto"


def check(
    decision: Decision, gate: Gate | None, *, closed: list[Gate], people: People, now: datetime
) -> Decision:
    """Check a decision against the gate that is open now, and return it with whose vote it is; changes nothing.

    Args:
        decision: what arrived.
        gate: the gate that is open, or None.
        closed: gates that were open earlier in this run, to tell "already decided" from "never heard of".
        people: who is who, as of the start of the run.
        now: the moment of deciding.

    Raises:
        DecisionRefused: why it does not count, in words for the person who took it.
    """
    vote = check_vote(decision, gate, closed=closed, people=people, now=now)
    asked = check_open(decision, gate, closed=closed, now=now)
    if decision.decision is Choice.REJECT and not decision.reason.strip():
        raise DecisionRefused(
            Answer.REASON_NEEDED,
            f"To say '{Choice.REJECT}' give a reason: others have to know what to change.",
        )
    if asked.mfa and TOTP not in decision.proofs:
        raise DecisionRefused(
            Answer.CODE_NEEDED,
            f"Gate '{asked.id}' needs a code of your authenticator app: answer in your private chat with the "
            "bot or on the web page; for the Temporal UI and the command line the bot then gives you the JSON.",
        )
    return vote


def check_vote(
    decision: Decision, gate: Gate | None, *, closed: list[Gate], people: People, now: datetime
) -> Decision:
    """Check only whose vote it is and what was seen, all that runs of the first version asked; see `check`."""
    gate = check_open(decision, gate, closed=closed, now=now)
    _check_has_not_answered(decision.by, gate)
    vote = counted(decision, gate, people, now)
    check_choice(decision.decision, gate)
    _check_evidence(decision, gate, now)
    return vote


def check_choice(choice: Choice, gate: Gate) -> None:
    """Check that the gate takes this answer.

    Raises:
        DecisionRefused: it does not; the text lists those that it takes.
    """
    if choice not in gate.choices:
        known = ", ".join(gate.choices)
        raise DecisionRefused(
            Answer.UNREADABLE,
            f"Gate '{gate.id}' does not take the answer '{choice.said}'. Choose from: {known}.",
        )


def _check_has_not_answered(name: str, gate: Gate) -> None:
    earlier = next((d for d in gate.decisions if d.by == name), None)
    if earlier is not None:
        raise DecisionRefused(
            Answer.ALREADY_DECIDED,
            f"You have already said '{earlier.decision.said}' to gate '{gate.id}'; "
            f"it waits for {gate.missing} more approval(s) from others.",
        )


def _check_evidence(decision: Decision, gate: Gate, now: datetime) -> None:
    if decision.evidence and decision.evidence != gate.evidence:
        raise DecisionRefused(
            Answer.EVIDENCE_OUT_OF_DATE,
            f"You answered on evidence {decision.evidence}, but it is {gate.evidence} now. Look again first.",
        )
    # What was true when somebody looked may be weeks old: sign-offs wait for months here.
    if gate.stale_at is not None and now >= gate.stale_at:
        raise DecisionRefused(
            Answer.EVIDENCE_OUT_OF_DATE,
            f"The evidence is older than the runbook allows (since {gate.stale_at:%Y-%m-%d %H:%M} UTC). "
            "It is being taken anew, and you are asked again.",
        )


def counted(decision: Decision, gate: Gate, people: People, now: datetime) -> Decision:
    """Return the decision with whose vote it is, and for which step.

    Raises:
        DecisionRefused: it is nobody's vote, or not one that is wanted now.
    """
    if decision.decision is Choice.REJECT and decision.by in gate.veto and decision.by != gate.excluded:
        return decision.model_copy(update={"on_behalf_of": "", "how": VETO, "step": gate.step})
    able = list(standings(decision.by, gate, people, now))
    if not able:
        raise DecisionRefused(Answer.NOT_AN_APPROVER, _not_an_approver(decision.by, gate, people, now))
    wanted = asked_now if decision.decision is Choice.REJECT else placed
    standing = next((s for s in able if wanted(s, gate)), None)
    if standing is None:
        raise DecisionRefused(Answer.NOT_YOUR_TURN, _not_your_turn(able, gate, people, now))
    behalf = standing.principal if standing.principal != decision.by else ""
    step = gate.step if gate.ordered else parallel_step(standing, gate)
    return decision.model_copy(update={"on_behalf_of": behalf, "how": standing.how, "step": step})


def standings(name: str, gate: Gate, people: People, now: datetime) -> Iterator[Standing]:
    """Yield in whose place this person may answer, the own vote first; nothing for whoever may not answer."""
    if people.named(name) is None or name == gate.excluded:
        return
    approvers = holders(gate)
    if name in approvers:
        yield Standing(actor=name, principal=name)
    for holder in approvers:
        how = dict(acting_for(holder, gate, people, now)).get(name)
        if how:
            yield Standing(actor=name, principal=holder, how=how)
    called = called_later(gate, now)
    if name in called:
        yield Standing(actor=name, principal=name, how=ESCALATION)
    for other in called:
        if name in dict(acting_for(other, gate, people, now)):
            yield Standing(actor=name, principal=other, how=ESCALATION)


def acting_for(holder: str, gate: Gate, people: People, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield who may answer in this person's place and why, nearest first, each once; chains are bounded."""
    seen, reached = {holder}, [(holder, "")]
    for _ in range(LONGEST_CHAIN):
        found: list[tuple[str, str]] = []
        for name, first_step in reached:
            for to, how in _passed_on(name, gate, people, now):
                if to not in seen and to != gate.excluded and people.named(to) is not None:
                    seen.add(to)
                    found.append((to, first_step or how))
        yield from found
        reached = found


def _passed_on(name: str, gate: Gate, people: People, now: datetime) -> Iterator[tuple[str, str]]:
    for delegation in gate.delegations:
        if delegation.by == name and delegation.active(now):
            yield delegation.to, "delegation"
    person = people.named(name)
    overdue = any(tier.deputies and tier.at <= now for tier in gate.tiers)
    if person is not None and person.deputy and (overdue or person.is_away(now)):
        yield person.deputy, "deputy"


def waiting_for(gate: Gate, people: People, now: datetime) -> tuple[str, ...]:
    """Return who could approve now, in the order of the file: approvers, and those who stand for them."""
    answered = {d.by for d in gate.decisions}
    return tuple(
        p.name
        for p in people.people
        if p.name not in answered and any(placed(s, gate) for s in standings(p.name, gate, people, now))
    )


def may_say(request: CodeRequest, gate: Gate, people: People, now: datetime) -> bool:
    """Whether a code for this would be of any use to the person: who may not answer needs none."""
    if request.until is not None and not request.to:
        return request.by in gate.extenders
    vetoes = request.decision is Choice.REJECT and request.by in gate.veto and request.by != gate.excluded
    return vetoes or any(True for _ in standings(request.by, gate, people, now))


def check_extension(
    extension: Extension, gate: Gate | None, *, closed: list[Gate], people: People, now: datetime
) -> None:
    """Check that this person may move the deadline there.

    Raises:
        DecisionRefused: why not.
    """
    gate = check_open(extension, gate, closed=closed, now=now)
    if extension.by not in gate.extenders or people.named(extension.by) is None:
        raise DecisionRefused(
            Answer.NOT_AN_APPROVER,
            f"'{extension.by}' may not move the deadline of gate '{gate.id}'; {', '.join(gate.extenders)} may.",
        )
    if gate.deadline is None:
        raise DecisionRefused(
            Answer.UNREADABLE, f"Gate '{gate.id}' has no deadline to move: it waits for as long as it takes."
        )
    if extension.until <= max(now, gate.deadline):
        raise DecisionRefused(
            Answer.UNREADABLE,
            f"until: {extension.until:%Y-%m-%d %H:%M} UTC is not later than the deadline, "
            f"{gate.deadline:%Y-%m-%d %H:%M} UTC, and now.",
        )
    _check_second_factor(extension, gate)


def check_handover(
    handover: Handover, gate: Gate | None, *, closed: list[Gate], people: People, now: datetime
) -> None:
    """Check that this person may hand the gate over to that one: no strangers, no circles, no long chains.

    Raises:
        DecisionRefused: why not.
    """
    gate = check_open(handover, gate, closed=closed, now=now)
    able = list(standings(handover.by, gate, people, now))
    if not able:
        raise DecisionRefused(
            Answer.NOT_AN_APPROVER, _not_an_approver(handover.by, gate, people, now) + " Nothing to hand over."
        )
    _check_has_not_answered(handover.by, gate)
    given = {principal_of(d) for d in gate.approvals}
    free = [s.principal for s in able if s.principal not in given]
    if not free:
        raise DecisionRefused(Answer.NOT_YOUR_TURN, _not_your_turn(able, gate, people, now))
    _check_receiver(handover, gate, people, now)
    _check_chain(handover, gate, now)
    _check_reaches(handover, free, gate, people, now)
    _check_second_factor(handover, gate)


def _check_receiver(handover: Handover, gate: Gate, people: People, now: datetime) -> None:
    impossible = {handover.by, gate.excluded, *(d.by for d in gate.decisions)}
    known = [p.name for p in people.people if p.name not in impossible]
    if handover.to not in known:
        raise DecisionRefused(
            Answer.UNREADABLE,
            f"to: '{handover.to}' cannot answer this gate for you. Choose from: {', '.join(known)}.",
        )
    if handover.until is not None and handover.until <= now:
        raise DecisionRefused(
            Answer.UNREADABLE, f"until: {handover.until:%Y-%m-%d %H:%M} UTC has passed already."
        )


def _check_chain(handover: Handover, gate: Gate, now: datetime) -> None:
    lasting = [(d.by, d.to) for d in gate.delegations if d.until is None or now < d.until]
    before = max(_chains(handover.by, [(to, by) for by, to in lasting]), key=len)
    after = list(_chains(handover.to, lasting))
    if any(handover.by in chain for chain in after):
        raise _circle(handover.to)
    if len(before) + 1 + max(map(len, after)) > LONGEST_CHAIN:
        raise _too_far(before[-1] if before else handover.by)


def _check_reaches(
    handover: Handover, principals: list[str], gate: Gate, people: People, now: datetime
) -> None:
    """Check that the other person could really answer: deputies make a chain longer, too."""
    more = Delegation(by=handover.by, to=handover.to, since=now, until=handover.until)
    then = gate.model_copy(update={"delegations": [*gate.delegations, more]})
    if not any(handover.to in dict(acting_for(p, then, people, now)) for p in principals):
        raise _circle(handover.to) if handover.to in principals else _too_far(principals[0])


def _circle(name: str) -> DecisionRefused:
    return DecisionRefused(
        Answer.UNREADABLE,
        f"to: you stand for {name} at this gate, directly or through others; that would be a circle.",
    )


def _too_far(first: str) -> DecisionRefused:
    return DecisionRefused(
        Answer.UNREADABLE,
        f"to: a gate is handed on {LONGEST_CHAIN} times at most. Ask {first} to name somebody directly.",
    )


def _chains(start: str, edges: list[tuple[str, str]], seen: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every way along the edges, the empty one too, as far as ways may be long at all."""
    yield ()
    if len(seen) < LONGEST_CHAIN:
        for begin, end in edges:
            if begin == start and end not in {start, *seen}:
                yield from ((end, *rest) for rest in _chains(end, edges, (*seen, start)))


def _check_second_factor(said: Extension | Handover, gate: Gate) -> None:
    if gate.mfa and TOTP not in said.proofs:
        raise DecisionRefused(
            Answer.CODE_NEEDED, f"Gate '{gate.id}' needs a code of your authenticator app for this as well."
        )


def _not_an_approver(name: str, gate: Gate, people: People, now: datetime) -> str:
    if name == gate.excluded and people.named(name) is not None:
        why = "started this run, and who asks does not approve"
    else:
        why = f"is not an approver of gate '{gate.id}'"
    return f"'{name}' {why}. Approvers: {_able(gate, people, now)}."


def _able(gate: Gate, people: People, now: datetime) -> str:
    return ", ".join(waiting_for(gate, people, now)) or ", ".join(gate.approvers)


def _not_your_turn(able: list[Standing], gate: Gate, people: People, now: datetime) -> str:
    used = {principal_of(d): d for d in gate.approvals}
    spent = next((used[s.principal] for s in able if s.principal in used), None)
    if spent is not None:
        return (
            f"{spent.by} has already answered gate '{gate.id}' for {principal_of(spent)}; that vote is given."
        )
    mine = [slot.step for slot in gate.slots if any(fits(s, slot) for s in able)]
    waits = f"it waits for {_able(gate, people, now)} now"
    if gate.ordered and mine and min(mine) > gate.step:
        return f"Gate '{gate.id}' asks you in step {min(mine) + 1}; {waits}."
    if mine and max(mine) > gate.step:
        later = "is needed in a later step, where nobody could replace you"
        return f"Your approval of gate '{gate.id}' {later}; {waits}."
    return f"Gate '{gate.id}' has the approvals that you could give; {waits}."
