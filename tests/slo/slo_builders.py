"""SLOs and answers for tests."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.slo.queries import part_key, total_key, windows_of
from holdfast.slo.spec import BurnAlert, ServiceContext, Slo

AT = datetime(2026, 12, 11, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def slo(**more: Any) -> Slo:
    """Return a promise of 99.9 % over 30 days, as in the workbook's example."""
    said: dict[str, Any] = {
        "promise": "99.9 % of orders are completed within 5 s",
        "objective_percent": 99.9,
        "bad": 'sum(rate(requests_total{status="500"}[$window]))',
        "total": "sum(rate(requests_total[$window]))",
    }
    return Slo.model_validate(said | more)


def alert(long: timedelta, short: timedelta, percent: float, severity: str = "page") -> BurnAlert:
    return BurnAlert(long=long, short=short, budget_percent=percent, severity=severity)


def context(**more: Any) -> ServiceContext:
    return ServiceContext.model_validate({"title": "Checkout", "slos": {"orders": slo()}} | more)


def answered(
    bad_share: float | Mapping[timedelta, float], *, rate: float = 10.0, of: Slo | None = None
) -> dict[str, float | None]:
    """Return the answers of `checkout/orders` with these shares of bad events, of all windows or of some."""
    promise = of or slo()
    answers: dict[str, float | None] = {}
    for window in {*windows_of(promise), promise.period}:
        share = bad_share if isinstance(bad_share, float) else bad_share.get(window, 0.0)
        answers[total_key("checkout", "orders", window)] = rate
        bad = rate * share
        answers[part_key("checkout", "orders", window)] = bad if promise.bad is not None else rate - bad
    return answers
