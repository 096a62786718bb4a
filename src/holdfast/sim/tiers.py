"""Who the client's customers are: the CRM and the traffic must agree on it, as they would about real people."""

from typing import Literal, get_args

Tier = Literal["gold", "silver", "bronze"]
TIERS: tuple[Tier, ...] = get_args(Tier)
CUSTOMERS = 2000

_GOLD_OF_TEN = 1
_SILVER_OF_TEN = 3
_VALUES: dict[Tier, tuple[int, int]] = {"gold": (2000, 9000), "silver": (500, 2500), "bronze": (20, 600)}


def tier_of(customer: int) -> Tier:
    """Every tenth customer by number: one gold, two silver, seven bronze."""
    digit = customer % 10
    if digit < _GOLD_OF_TEN:
        return "gold"
    return "silver" if digit < _SILVER_OF_TEN else "bronze"


def usual_order_value(customer: int) -> float:
    """What this customer's orders are about worth, in the shop's currency; spread within the tier."""
    low, high = _VALUES[tier_of(customer)]
    return float(low + (customer * 7919) % (high - low))
