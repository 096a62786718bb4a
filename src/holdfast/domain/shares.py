"""Shares of good events as people read them: the digits never say otherwise than the judgement."""

from decimal import ROUND_FLOOR, Decimal
from typing import Final

_DECIMALS: Final = 2
_ALL: Final = 100


def share_said(percent: float, objective_percent: float, *, kept: bool) -> str:
    """Write a share of good events in percent, without the sign: `99.95`, `82.6`.

    It is rounded down, to two decimals or to as many as the objective has. A promise that is not kept reads
    as less than its objective, one that is kept never does, and 100 means all.

    Args:
        percent: from 0 to 100.
        objective_percent: what is promised.
        kept: whether the share is enough.
    """
    objective = Decimal(f"{objective_percent:.9g}")
    step = Decimal(1).scaleb(-max(_DECIMALS, -int(objective.as_tuple().exponent)))
    share = Decimal(repr(min(max(percent, 0.0), float(_ALL)))).quantize(step, rounding=ROUND_FLOOR)
    if kept:
        share = max(share, objective)
    elif share >= objective:
        share = objective.quantize(step, rounding=ROUND_FLOOR) - step
    text = f"{share:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
