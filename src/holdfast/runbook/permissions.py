"""Who may begin what a runbook says, in one sentence for everybody else."""

from collections.abc import Sequence

from holdfast.domain.errors import DecisionRefused, UnknownName
from holdfast.domain.people import People


def check_listed(name: str, listed: Sequence[str], people: People, *, deed: str, answer: str) -> None:
    """Check that a person is one of those whom a runbook lists.

    Args:
        name: short name of the person.
        listed: roles and names.
        people: who is who.
        deed: what they may do, as in `start 'spring-sale'`.
        answer: the short code of the refusal.

    Raises:
        UnknownName: nobody has that name.
        DecisionRefused: the person is not listed; the text says who is.
    """
    person = people.named(name)
    if person is None:
        raise UnknownName("person", name, (p.name for p in people.people))
    if not person.belongs_to(listed):
        who = ", ".join(p.name for p in people.holding(listed)) or "nobody"
        raise DecisionRefused(answer, f"'{person.name}' may not {deed}; those who may: {who}. Ask one of them.")
