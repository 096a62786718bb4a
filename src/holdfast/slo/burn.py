"""How fast an error budget burns, after chapter 5 of Google's SRE workbook ("Alerting on SLOs").

A burn rate of 1 spends exactly the whole budget in the period. Shares are of all events, from 0 to 1.
"""

from datetime import timedelta

from holdfast.slo.budget import budget_of
from holdfast.slo.spec import BurnAlert, Slo


def burn_rate(bad_share: float, budget: float) -> float:
    """Return how many times faster than allowed the budget burns.

    Args:
        bad_share: share of the events that were bad.
        budget: share that may be bad, above 0.
    """
    return bad_share / budget


def alert_factor(budget_percent: float, *, window: timedelta, period: timedelta) -> float:
    """Return the burn rate that spends so many percent of the period's budget in one window.

    It is budget share × period / window: 2 % in one hour of 30 days is 14.4.
    """
    return budget_percent / 100 * (period / window)


def budget_spent_percent(rate: float, *, window: timedelta, period: timedelta) -> float:
    """Return how much of the period's budget a burn rate spends in a window: rate × window / period."""
    return 100 * rate * (window / period)


def time_to_exhaustion(rate: float, *, period: timedelta, left_percent: float = 100) -> timedelta | None:
    """Return after how long nothing is left of the budget: period × what is left / rate.

    Args:
        rate: the burn rate, if it stays so.
        period: of the budget.
        left_percent: of the budget; nothing is left at 0 and below.

    Returns:
        None where it is never spent, or not within what a duration can hold.
    """
    if left_percent <= 0:
        return timedelta(0)
    return _scaled(period, left_percent / 100, rate)


def time_to_detect(bad_share: float, *, budget: float, factor: float, window: timedelta) -> timedelta | None:
    """Return how long so many bad events must go on, after none, until a window burns at an edge.

    It is budget / bad share × window × factor. A total outage of a 99.9 % promise reaches 14.4 over one hour
    after 51.84 s.

    Returns:
        None where it never does: the share is not above the edge.
    """
    if bad_share <= factor * budget:
        return None
    return _scaled(window, factor * budget, bad_share)


def edge(slo: Slo, alert: BurnAlert) -> float:
    """Return the share of bad events above which a window of the alert burns; above 1 it never does."""
    return alert.factor(slo.period) * budget_of(slo)


def can_fire(slo: Slo, alert: BurnAlert) -> bool:
    """Whether a total outage would be enough; it is not where a promise allows many bad events."""
    return edge(slo, alert) < 1


def outage_until_alert(slo: Slo, alert: BurnAlert) -> timedelta | None:
    """Return how long a total outage takes until both windows of the alert burn; None where they never do.

    Both windows have the same edge, so the long one is the later. Scrapes and evaluations come on top.
    """
    budget, factor = budget_of(slo), alert.factor(slo.period)
    return time_to_detect(1.0, budget=budget, factor=factor, window=alert.long)


def _scaled(span: timedelta, by: float, over: float) -> timedelta | None:
    """Return span × by / over; None where that is endless."""
    if over <= 0:
        return None
    try:
        return timedelta(seconds=span.total_seconds() * by / over)
    except (OverflowError, ValueError):
        return None
