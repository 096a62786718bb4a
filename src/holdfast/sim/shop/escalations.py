"""Escalations and who of those waiting is next."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from holdfast.sim.shop.settings import EscalationOrder
from holdfast.sim.tiers import TIERS, Tier

_RANKS: Mapping[Tier, int] = MappingProxyType({tier: rank for rank, tier in enumerate(TIERS)})


@dataclass(frozen=True, kw_only=True)
class Escalation:
    """A ticket that waits for a person.

    Attributes:
        number: of the ticket: the lead's in the CRM, or one of the shop's own.
        is_lead: whether it is in the CRM, and so can be commented on there.
        order_value: as the ticket says it.
        since: when it began to wait, on the clock of `time.monotonic`.
    """

    number: int
    customer: int
    tier: Tier
    order_value: float
    since: float
    text: str = ""
    is_lead: bool = True

    @property
    def held_bytes(self) -> int:
        """How much memory it holds while it waits."""
        return sys.getsizeof(self.text) + sys.getsizeof(self) + sys.getsizeof(self.__dict__)


def next_of(
    waiting: Iterable[Escalation], order: EscalationOrder, value_of: Callable[[Escalation], float]
) -> Escalation | None:
    """Return who is next: the longest waiting, or the highest tier, then value, then the longest waiting."""
    if order == "fifo":
        return min(waiting, key=lambda one: one.since, default=None)
    return min(waiting, key=lambda one: (_RANKS[one.tier], -value_of(one), one.since), default=None)
