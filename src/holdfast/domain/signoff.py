"""The policy of a gate as a runbook writes it: who must approve, by when, and what if nobody answers.

The short form `{approvers: [sre-lead], quorum: 2}` is the same as `{steps: [{any: 2, of: [sre-lead]}]}`.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from holdfast.domain.people import People
from holdfast.domain.strict import Duration, Strict

DEPUTIES: Final = "deputies"


class Lapse(StrEnum):
    """What a deadline that passes without an answer means."""

    HOLD = "hold"
    REJECT = "reject"
    ROLLBACK = "rollback"
    PROCEED = "proceed"


class Step(Strict):
    """One step of a sign-off; roles, groups and names are those of `people.yaml`.

    Attributes:
        any: how many different people out of `of` must approve.
        of: who may; whoever holds one of the roles, is in one of the groups, or is named.
        all_of: each of these must approve: one holder of each role, every member of each group, each person.
    """

    any: int = Field(default=1, ge=1)
    of: tuple[str, ...] = ()
    all_of: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.of) == bool(self.all_of):
            raise ValueError("a step has either 'of' (with 'any: k') or 'all_of'")
        if self.all_of and self.any != 1:
            raise ValueError("'any' belongs to 'of'; with 'all_of' everybody listed must approve")
        return self

    @property
    def listed(self) -> tuple[str, ...]:
        """Everything that the step names."""
        return self.of or self.all_of


class Deadline(Strict):
    """By when an answer is wanted, and what it means when none came.

    Attributes:
        after: counted from the moment of asking.
        then: `hold` keeps asking, `reject`, `rollback` (also what the run has promoted before) or `proceed`.
        warn_before: when the people who have not answered are warned.
    """

    after: Duration
    then: Lapse = Lapse.HOLD
    warn_before: tuple[Duration, ...] = ()

    @model_validator(mode="after")
    def _warnings_come_after_the_question(self) -> Self:
        if any(w >= self.after for w in self.warn_before):
            raise ValueError("warn_before must be shorter than after")
        return self


class Reminders(Strict):
    """The ladder of reminders of everybody who has not answered.

    Attributes:
        after: the first ones, counted from the moment of asking.
        then_every: for ever after the last of `after`; not given means that the ladder ends.
        in_working_hours: whether a reminder waits for the person's working hours.
    """

    after: tuple[Duration, ...] = ()
    then_every: Duration | None = None
    in_working_hours: bool = True

    @model_validator(mode="after")
    def _climbs(self) -> Self:
        if list(self.after) != sorted(set(self.after)):
            raise ValueError("after must rise, e.g. [4h, 1d, 3d]")
        if self.then_every is not None and self.then_every < timedelta(seconds=1):
            raise ValueError("then_every must be at least a second")
        return self


class Escalation(Strict):
    """Who may answer too when an answer is overdue, and is called.

    Attributes:
        after: counted from the moment of asking.
        to: `deputies` (of those who have not answered), or roles, groups and names of the next tier.
    """

    after: Duration
    to: Literal["deputies"] | Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def listed(self) -> tuple[str, ...]:
        """The roles, groups and names of the tier; nothing for deputies."""
        return () if isinstance(self.to, str) else self.to


class SignOff(Strict):
    """Whose approval is needed, and everything about waiting for it.

    Attributes:
        approvers: short form of one step: any `quorum` of these.
        quorum: how many different approvers must approve.
        steps: the long form.
        order: whether a step is asked after the one before (`in_order`), or all at once (`in_parallel`).
        veto: who may reject at any time without being an approver.
        requester_may_approve: whether the person who started the run counts too.
        mfa: whether each decision needs a code of the person's authenticator app; not given: what the target's
            environment asks for, `required` in production.
        deadline: without one the gate waits for as long as it takes.
        remind: when people are reminded; only asked once if not given.
        escalate: who may answer too when it takes too long, tier by tier.
        escalate_every: after the last tier all tiers are called again this often; not given means once.
        evidence_max_age: an approval rests on numbers; when they are older the approvals are void and all are
            asked again on new numbers.
        may_extend: who may move the deadline; not given: the approvers.
    """

    approvers: tuple[str, ...] = ()
    quorum: int = Field(default=1, ge=1)
    steps: tuple[Step, ...] = ()
    order: Literal["in_order", "in_parallel"] = "in_order"
    veto: tuple[str, ...] = ()
    requester_may_approve: bool = False
    mfa: Literal["required", "off"] | None = None
    deadline: Deadline | None = None
    remind: Reminders = Reminders()
    escalate: tuple[Escalation, ...] = ()
    escalate_every: Duration | None = None
    evidence_max_age: Duration | None = None
    may_extend: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _says_who_in_one_way(self) -> Self:
        if bool(self.approvers) == bool(self.steps):
            raise ValueError("a gate has either 'approvers' (with 'quorum') or 'steps'")
        if self.steps and self.quorum != 1:
            raise ValueError("'quorum' belongs to 'approvers'; a step says 'any: 2'")
        afters = [e.after for e in self.escalate]
        if afters != sorted(set(afters)):
            raise ValueError("escalate must rise: each tier later than the one before")
        return self

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """The steps, also when they were written in the short form."""
        return self.steps or (Step(any=self.quorum, of=self.approvers),)

    @property
    def listed(self) -> tuple[str, ...]:
        """Everybody the policy names, without vetoes and later tiers."""
        return tuple(dict.fromkeys(name for step in self.all_steps for name in step.listed))

    def describe(self) -> str:
        """Say in a few words who must approve, e.g. `2 of sre-lead, then all of client-cto, security`."""
        joint = ", then " if self.order == "in_order" else ", and "
        return joint.join(_describe(step) for step in self.all_steps)


def _describe(step: Step) -> str:
    if step.all_of:
        names = ", ".join(step.all_of)
        return names if len(step.all_of) == 1 else f"all of {names}"
    names = ", ".join(step.of)
    return f"{step.any} of {names}" if step.any > 1 or len(step.of) > 1 else names


class Slot(Strict):
    """One approval that is needed: any one of the holders gives it.

    Attributes:
        step: the number of the step, from 0.
        holders: short names of those who may.
        label: what the file calls them.
    """

    step: int
    holders: tuple[str, ...]
    label: str


def slots_of(policy: SignOff, people: People, *, requester: str = "") -> tuple[Slot, ...]:
    """Return the approvals that a policy needs from these people; the requester holds none unless allowed."""
    excluded = "" if policy.requester_may_approve else requester
    return tuple(
        Slot(step=number, holders=tuple(n for n in holders if n != excluded), label=label)
        for number, step in enumerate(policy.all_steps)
        for holders, label in _needed(step, people)
    )


def _needed(step: Step, people: People) -> list[tuple[tuple[str, ...], str]]:
    if step.of:
        union = tuple(p.name for p in people.holding(step.of))
        return [(union, ", ".join(step.of))] * step.any
    needed: list[tuple[tuple[str, ...], str]] = []
    for listed in step.all_of:
        members = [p for p in people.people if listed in p.groups]
        if members:
            needed += [((p.name,), f"{p.name} of {listed}") for p in members]
        else:
            needed.append((tuple(p.name for p in people.holding([listed])), listed))
    return needed


def match(approvals: list[frozenset[int]], slots: int) -> bool:
    """Whether each approval can stand for a slot of its own, by augmenting paths.

    Args:
        approvals: for each approval the numbers of the slots that it could fill.
        slots: how many slots there are.

    Kuhn, "The Hungarian method for the assignment problem" (1955), without weights.
    """
    taken: dict[int, int] = {}

    def place(approval: int, tried: set[int]) -> bool:
        for slot in sorted(approvals[approval] - tried):
            tried.add(slot)
            if slot not in taken or place(taken[slot], tried):
                taken[slot] = approval
                return True
        return False

    return len(approvals) <= slots and all(place(a, set()) for a in range(len(approvals)))


def can_be_met(slots: tuple[Slot, ...]) -> bool:
    """Whether there are enough different people to fill every slot."""
    everybody = sorted({name for slot in slots for name in slot.holders})
    index = {name: number for number, name in enumerate(everybody)}
    wanted = [frozenset(index[n] for n in slot.holders) for slot in slots]
    return match(wanted, len(everybody))
