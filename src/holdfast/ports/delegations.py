from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from holdfast.domain.gates import Delegation


class StandingDelegations(Protocol):
    """All gates of a person handed over from date to date; looked up when a gate is opened.

    All methods raise `Unavailable` when the store does not answer.
    """

    async def add(self, delegation: Delegation, *, key: str) -> None:
        """Remember a delegation, once a key.

        Raises:
            InvalidInput: it has no beginning or no end, ends before it begins, makes a circle with others of
                that time, or a chain longer than `holdfast.domain.standing.LONGEST_CHAIN`; the text says which.
        """
        ...

    async def active_after(self, now: datetime) -> Sequence[Delegation]:
        """Return those that hold now or later, oldest first."""
        ...

    async def end(self, by: str, *, now: datetime) -> int:
        """End all delegations of this person that hold now or later; return how many."""
        ...
