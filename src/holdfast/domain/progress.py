"""How far the sign-off of a gate has come, and what waiting for it means, in words for every channel."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from holdfast.domain.decisions import Choice, Decision
from holdfast.domain.gates import Delegation, Gate, Tier
from holdfast.domain.signoff import Lapse, Slot, match

_DONE, _ASKED, _LATER = "✅", "⏳", "▫️"
_CLOCK_WITH_SECONDS = timedelta(hours=1)
_AFTER_THE_DEADLINE = {
    Lapse.HOLD: "after that it is overdue and goes on waiting",
    Lapse.REJECT: "after that it counts as rejected",
    Lapse.ROLLBACK: "after that it counts as rejected, and what this run has promoted is rolled back",
    Lapse.PROCEED: "after that it counts as approved and the run goes on",
}


@dataclass(frozen=True)
class Seats:
    """Approvals of one kind that a step needs.

    Attributes:
        step: the number of the step, from 0.
        label: what the runbook calls those who may give them; empty where it says nothing.
        needed: how many there must be.
        votes: those that were given.
        able: short names of the holders who could still give one.
    """

    step: int
    label: str
    needed: int
    votes: tuple[Decision, ...]
    able: tuple[str, ...]

    @property
    def missing(self) -> int:
        """How many more there must be."""
        return self.needed - len(self.votes)


def seats_of(gate: Gate) -> list[Seats]:
    """Return the approvals that a gate needs, step by step, and who has given them."""
    slots = gate.slots or (Slot(step=0, holders=gate.approvers, label=""),) * gate.quorum
    placed = _placed(gate, slots)
    used = {name for d in gate.decisions for name in (d.by, d.on_behalf_of)}
    kinds: dict[Slot, list[int]] = {}
    for number, slot in enumerate(slots):
        kinds.setdefault(slot, []).append(number)
    return [
        Seats(
            step=slot.step,
            label=slot.label,
            needed=len(numbers),
            votes=tuple(placed[n] for n in numbers if n in placed),
            able=tuple(name for name in slot.holders if name not in used),
        )
        for slot, numbers in kinds.items()
    ]


def _placed(gate: Gate, slots: tuple[Slot, ...]) -> dict[int, Decision]:
    """Give every approval a slot of its own, so that the later ones still find theirs."""
    votes = gate.approvals
    fits = [_fitting(vote, gate, slots) for vote in votes]
    free = set(range(len(slots)))
    placed: dict[int, Decision] = {}
    for index, vote in enumerate(votes):
        for slot in sorted(fits[index] & free):
            left = free - {slot}
            if match([fit & left for fit in fits[index + 1 :]], len(slots)):
                placed[slot], free = vote, left
                break
    return placed


def _fitting(vote: Decision, gate: Gate, slots: tuple[Slot, ...]) -> frozenset[int]:
    whose = vote.on_behalf_of or vote.by
    return frozenset(
        number
        for number, slot in enumerate(slots)
        if (not gate.ordered or slot.step == vote.step) and (vote.how == "escalation" or whose in slot.holders)
    )


def sign_off(gate: Gate) -> str:
    """Say who has approved and who is waited for, e.g. `✅ sre-lead: boris · ⏳ client-cto: vera`."""
    return " · ".join(_seats(seats, later=gate.ordered and seats.step > gate.step) for seats in seats_of(gate))


def _seats(seats: Seats, *, later: bool) -> str:
    mark = _LATER if later else _ASKED if seats.missing else _DONE
    return f"{mark} {': '.join(part for part in (_what(seats), _who(seats)) if part)}"


def _what(seats: Seats) -> str:
    if seats.needed > 1:
        return f"{seats.needed} of {seats.label}" if seats.label else f"{seats.needed} approvals"
    return seats.label


def _who(seats: Seats) -> str:
    given = ", ".join(_voter(vote) for vote in seats.votes)
    if not seats.missing:
        return "" if given == _named_by(seats) else given
    if seats.votes:
        return f"{given}; {seats.missing} more of {', '.join(seats.able) or 'those who stand in'}"
    able = (", " if seats.needed > 1 else " or ").join(seats.able) or "those who stand in"
    return "" if able == _named_by(seats) else able


def _named_by(seats: Seats) -> str:
    """Return the person whom the label names already, as in `vera` or `vera of client-board`."""
    return seats.label.partition(" of ")[0]


def _voter(vote: Decision) -> str:
    limits = " with limits" if vote.decision is Choice.LIMIT else ""
    if vote.on_behalf_of and vote.on_behalf_of != vote.by:
        return f"{vote.by} for {vote.on_behalf_of} ({vote.how}){limits}"
    return f"{vote.by} ({vote.how}){limits}" if vote.how else f"{vote.by}{limits}"


def missing(gate: Gate) -> str:
    """Say how many approvals are missing, e.g. `2 of 3 approvals are missing`."""
    if gate.needed == 1:
        return "one approval is needed"
    return f"{gate.missing} of {gate.needed} approvals {'is' if gate.missing == 1 else 'are'} missing"


def moment(at: datetime, gate: Gate, zone: tzinfo = UTC) -> str:
    """Write a moment of a gate's life on a person's own clock, with seconds where it is about seconds.

    Examples: `Mon 23 Nov 2026, 11:00 Europe/Berlin (10:00 UTC)`, `2026-11-23 10:00 UTC`.
    """
    clock = "%H:%M:%S" if abs(at - gate.opened_at) < _CLOCK_WITH_SECONDS else "%H:%M"
    utc, local = at.astimezone(UTC), at.astimezone(zone)
    if local.utcoffset() == utc.utcoffset():
        return f"{utc:%Y-%m-%d} {utc.strftime(clock)} UTC"
    other_day = "" if local.date() == utc.date() else f"{utc.day} {utc:%b} "
    utc_text = f"{other_day}{utc.strftime(clock)} UTC"
    return f"{local:%a} {local.day} {local:%b %Y}, {local.strftime(clock)} {zone} ({utc_text})"


def deadline(gate: Gate, zone: tzinfo = UTC) -> str:
    """Say until when the gate is open, and what its deadline means."""
    if gate.deadline is None:
        return "No deadline: it waits for as long as it takes."
    at = moment(gate.deadline, gate, zone)
    if gate.overdue:
        return f"Overdue since {at}; it stays open and goes on waiting."
    return f"Open until {at}; {_AFTER_THE_DEADLINE[gate.on_deadline]}."


def freshness(gate: Gate, zone: tzinfo = UTC) -> str:
    """Say what the question rests on, and how long that counts."""
    text = f"Evidence {gate.evidence}"
    if gate.basis is not None:
        text = f"{text}, taken {moment(gate.basis.taken_at, gate, zone)}"
    if gate.stale_at is not None:
        until = moment(gate.stale_at, gate, zone)
        text = f"{text}, good until {until}; after that you are asked again on new numbers"
    return f"{text}."


def settings(gate: Gate) -> list[str]:
    """Return what would be changed, a line a setting, e.g. `pool_size: 8 → 64`."""
    if gate.basis is None:
        return []
    known = bool(gate.basis.target)  # a question about a canary does not look at what was there before
    return [_setting(name, before, after, known=known) for name, before, after in gate.basis.diff()]


def _setting(name: str, before: str, after: str, *, known: bool) -> str:
    if not known:
        return f"{name}: {after}"
    if before == after:
        return f"{name}: {before} (stays)"
    return f"{name}: {before or 'not set'} → {after or 'not set'}"


def stand_ins(gate: Gate, zone: tzinfo = UTC) -> Iterator[str]:
    """Yield who may answer besides the approvers, a sentence each."""
    for delegation in gate.delegations:
        yield _handed_over(delegation, gate, zone)
    for tier in gate.tiers:
        yield f"From {moment(tier.at, gate, zone)} on also: {_tier(tier)}."
    if gate.veto:
        yield f"May reject without being an approver: {', '.join(gate.veto)}."


def _handed_over(delegation: Delegation, gate: Gate, zone: tzinfo) -> str:
    since = delegation.since if delegation.since and delegation.since > gate.opened_at else None
    start = f" from {moment(since, gate, zone)}" if since else ""
    end = f" until {moment(delegation.until, gate, zone)}" if delegation.until else ""
    return f"{delegation.to} may answer for {delegation.by}{start}{end}."


def _tier(tier: Tier) -> str:
    deputies = ["the deputies of those who have not answered"] if tier.deputies else []
    return ", ".join([*tier.names, *deputies]) or "nobody"
