"""What a file says of a bounded context: what is measured, what is promised, and when that is in danger."""

from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from holdfast.domain.strict import Duration, Strict

ContextName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
SloName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,47}$")]
Severity = Literal["page", "ticket"]


class BurnAlert(Strict):
    """One alert on the burn rate: both windows must burn faster than it allows.

    Attributes:
        long: how much must have been burnt; the long window.
        short: whether it still burns; the short window, usually a twelfth of the long one.
        budget_percent: of the period's error budget that is gone when the long window burns at the edge.
        severity: whether somebody is called, or it can wait for a working day.
    """

    long: Duration
    short: Duration
    budget_percent: float = Field(gt=0, le=100)
    severity: Severity = "page"

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Self:
        if self.short >= self.long:
            raise ValueError("'short' must be shorter than 'long'")
        return self

    def factor(self, period: timedelta) -> float:
        """Return the burn rate at its edge: budget share times period by window (SRE workbook, chapter 5)."""
        return self.budget_percent / 100 * (period / self.long)


# Google SRE workbook, chapter 5, table 5-8 and the text below it: for 30 days these are 14.4, 6, 3 and 1.
WORKBOOK_ALERTS: Final = (
    BurnAlert(long=timedelta(hours=1), short=timedelta(minutes=5), budget_percent=2, severity="page"),
    BurnAlert(long=timedelta(hours=6), short=timedelta(minutes=30), budget_percent=5, severity="page"),
    BurnAlert(long=timedelta(days=1), short=timedelta(hours=2), budget_percent=10, severity="ticket"),
    BurnAlert(long=timedelta(days=3), short=timedelta(hours=6), budget_percent=10, severity="ticket"),
)


class Slo(Strict):
    """A promise about one SLI, the share of events that are good.

    Attributes:
        promise: the promise in plain words, as the client reads it.
        objective_percent: how many of the events must be good.
        period: over which the error budget counts; it rolls.
        good, bad: events a second that are good, or that are not; one of both. PromQL with `$window`.
        total: all events a second; PromQL with `$window`.
        journey: what a customer cannot do while it is broken, e.g. `submit a ticket`.
        alerts: when the budget burns too fast.
        minimum_events: in an alert's short window, below which nothing is concluded from it.
    """

    promise: str = Field(min_length=1, max_length=200)
    objective_percent: float = Field(gt=0, lt=100)
    period: Duration = timedelta(days=30)
    good: str | None = None
    bad: str | None = None
    total: str = Field(min_length=1)
    journey: str = Field(default="", max_length=80)
    alerts: tuple[BurnAlert, ...] = Field(default=WORKBOOK_ALERTS, min_length=1)
    minimum_events: float = Field(default=10, ge=0)

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if (self.good is None) == (self.bad is None):
            raise ValueError("give 'good', the good events a second, or 'bad', the others")
        for name in ("good", "bad", "total"):
            query = getattr(self, name)
            if query is not None and "$window" not in query:
                raise ValueError(f"'{name}' must use $window, because it is asked over several windows")
        for alert in self.alerts:
            if alert.long > self.period:
                raise ValueError(f"an alert's window of {alert.long} is longer than the period")
        return self

    @property
    def budget(self) -> float:
        """The share of events that may be bad, e.g. 0.001."""
        return (100 - self.objective_percent) / 100


class Kpi(Strict):
    """A number that is watched against its baseline.

    Attributes:
        query: PromQL with `$window`.
        title: what people call it; empty: its name.
        unit: of the number.
        bad_when: whether rising or falling is bad; `never` for what is only shown.
        sigmas: how many robust standard deviations from the baseline are a deviation.
        at_least_percent: and how many percent of the baseline at least.
    """

    query: str = Field(min_length=1)
    title: str = Field(default="", max_length=60)
    unit: str = Field(default="", max_length=16)
    bad_when: Literal["rising", "falling", "never"] = "rising"
    sigmas: float = Field(default=4, gt=0)
    at_least_percent: float = Field(default=50, ge=0)


class Resource(Strict):
    """Something that runs out: processor, connection pool, database.

    Attributes:
        query: PromQL with `$window`.
        full_at: the number at which nothing is left.
        unit: of the number.
    """

    query: str = Field(min_length=1)
    full_at: float | None = Field(default=None, gt=0)
    unit: str = Field(default="", max_length=16)


class ServiceContext(Strict):
    """A bounded context of the client's system.

    Attributes:
        title: what people call it.
        team: who looks after it, by the name in `people.yaml`.
        kpis: latency, error rate, throughput and whatever else is watched, by name.
        resources: what it may run out of, by name.
        slos: what is promised, by name.
    """

    title: str = Field(min_length=1, max_length=60)
    team: str = ""
    kpis: dict[ContextName, Kpi] = Field(default_factory=dict)
    resources: dict[ContextName, Resource] = Field(default_factory=dict)
    slos: dict[SloName, Slo] = Field(default_factory=dict)
