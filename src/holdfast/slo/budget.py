"""Error budgets: how much may go wrong in a period, and how much of that is left.

Definitions are those of Google's SRE workbook, chapters 2 and 5. The period rolls: it is always the newest
30 days, or what a file says.
"""

from datetime import timedelta
from typing import Final

from holdfast.slo.spec import Slo

# 100 − 99.9 is 0.0999999999999943 in binary; a budget is never meant more exactly than this.
_DIGITS: Final = 9


def tidy(value: float) -> float:
    """Return a number without the dust of binary fractions, at nine significant digits."""
    return float(f"{value:.{_DIGITS}g}")


def budget_of(slo: Slo) -> float:
    """Return the share of events that may be bad, above 0: 0.001 for 99.9 %."""
    return tidy(slo.budget)


def bad_events_allowed(events: float, budget: float) -> float:
    """Return how many of so many events may be bad."""
    return events * budget


def outage_allowed(period: timedelta, budget: float) -> timedelta:
    """Return how long everything may fail at even traffic: 43 min 12 s of 30 days for 99.9 %."""
    return period * budget


def left_percent(bad_share: float, budget: float) -> float:
    """Return how much of the budget is left: 100 × (1 − bad share / budget); below 0 it is overspent.

    Args:
        bad_share: share of the period's events that were bad.
        budget: share that may be bad, above 0.
    """
    return 100 * (1 - bad_share / budget)
