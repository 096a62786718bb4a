"""What an analysis of a campaign holds: numbers and names, no sentences; None is "not measured"."""

from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from holdfast.domain.campaign import TestLine
from holdfast.ports.inventory import InventoryLine


class SloFigures(BaseModel):
    """One promise over the window.

    Attributes:
        title: of the context.
        sli_percent: share of good events within the window.
        basis: `counted` (by the watch since it opened, or events at its end less those at its begin), or `burn`
            (the mean of the burn rates of the shortest window, over time); empty where it is not known.
        held: by the watch's count, whether the promise was kept; None where it did not count.
        counted_until: when the watch could not count any more; None where it counted to the end.
        budget_left_percent, budget_used_percent: of the budget of the window's own events, together 100.
        period_left_percent: of the budget of the SLO's whole period, at the end of the window.
        period: how long that is; None where the file is not known.
        worst_burn: the fastest burn rate of any window of any alert.
        breach_minutes, warning_minutes: how long a page or a ticket alert burned.
        unknown_percent: of the looks, without data.
    """

    context: str
    title: str
    slo: str
    promise: str
    objective_percent: float
    journey: str = ""
    sli_percent: float | None = None
    basis: str = ""
    events: float | None = None
    bad_events: float | None = None
    budget_left_percent: float | None = None
    budget_used_percent: float | None = None
    held: bool | None = None
    counted_until: datetime | None = None
    period_left_percent: float | None = None
    period: timedelta | None = None
    worst_burn: float | None = None
    worst_at: datetime | None = None
    breach_minutes: float = 0.0
    warning_minutes: float = 0.0
    looks: int = 0
    unknown_percent: float = 0.0

    @property
    def kept(self) -> bool | None:
        """Whether the promise was kept within the window; None where nobody knows."""
        if self.held is not None or self.sli_percent is None:
            return self.held
        return self.sli_percent >= self.objective_percent


class KpiFigures(BaseModel):
    """One KPI or resource over the window: percentiles of what the looks saw.

    Attributes:
        worst: the highest value, or the lowest where falling is bad.
        slow: the mean of the values while the context was slow.
        used_percent: of a resource, the most that was used.
        slow_used_percent, well_used_percent: its mean use while the context was slow, and while it was not.
        deviating_minutes: how long it was off its baseline.
    """

    context: str
    title: str
    name: str
    label: str
    unit: str = ""
    resource: bool = False
    looks: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    worst: float | None = None
    worst_at: datetime | None = None
    baseline: float | None = None
    slow: float | None = None
    used_percent: float | None = None
    slow_used_percent: float | None = None
    well_used_percent: float | None = None
    deviating_minutes: float = 0.0


class Bottleneck(BaseModel):
    """A resource that was used much while its context was slow, the most used first.

    Attributes:
        while_slow: it was seen while the context was slow; otherwise the figures are those of all the time.
        with_kpi: a KPI of the context that moved with it (`holdfast.verdict.correlation`).
        coefficient: rank correlation of the two; lag_minutes: how much later the KPI moved, below 0: earlier.
    """

    context: str
    title: str
    resource: str
    label: str
    while_slow: bool
    used_percent: float
    well_used_percent: float | None = None
    slow_minutes: float = 0.0
    with_kpi: str = ""
    kpi_value: float | None = None
    kpi_unit: str = ""
    coefficient: float | None = None
    lag_minutes: float | None = None


class Curve(BaseModel):
    """A line of a plot; values are None in gaps."""

    name: str
    context: str = ""
    unit: str = ""
    points: list[tuple[datetime, float | None]] = Field(default_factory=list[tuple[datetime, float | None]])


class LoadFigures(BaseModel):
    """The load that came against the plan.

    Attributes:
        expected_peak, safety_factor: of the plan, sessions a second.
        requests_a_session: of a load test, over `contexts`; None where no test says it.
        contexts: whose throughput is added up.
        peak, mean: requests a second that were seen.
        peak_sessions: the peak in sessions; None where `requests_a_session` is not known.
    """

    expected_peak: float | None = None
    safety_factor: float = 1.0
    requests_a_session: float | None = None
    contexts: list[str] = Field(default_factory=list[str])
    peak: float | None = None
    peak_at: datetime | None = None
    mean: float | None = None
    peak_sessions: float | None = None
    curve: Curve | None = None

    @property
    def peak_percent(self) -> float | None:
        """The peak in percent of the expected one."""
        if self.peak_sessions is None or not self.expected_peak:
            return None
        return 100 * self.peak_sessions / self.expected_peak

    def planned(self, *, with_factor: bool) -> float | None:
        """Return the planned peak in requests a second; at one a session where nobody knows how many."""
        if self.expected_peak is None:
            return None
        rate = self.expected_peak * (self.safety_factor if with_factor else 1)
        return rate * (self.requests_a_session or 1)


class IncidentFigures(BaseModel):
    """A breach, and what was done about it.

    Attributes:
        minutes: up to its end, or to the end of the window while it lasts.
        owner: who acknowledged first; after how long.
    """

    number: int
    context: str
    title: str
    slos: list[str] = Field(default_factory=list[str])
    journey: str = ""
    said: str = ""
    began: datetime
    ended: datetime | None = None
    minutes: float
    worst_burn: float = 0.0
    incident: str = ""
    owner: str = ""
    acknowledged_minutes: float | None = None
    resolution: str = ""


class GateFigures(BaseModel):
    """A gate and how long it waited; `by` are those whose answers counted."""

    id: str
    title: str
    state: str
    opened_at: datetime
    closed_at: datetime | None = None
    waited_minutes: float | None = None
    by: list[str] = Field(default_factory=list[str])


class RoleFigures(BaseModel):
    """A role, and who had it."""

    name: str
    title: str
    person: str = ""
    accepted_at: datetime | None = None
    asked: list[str] = Field(default_factory=list[str])


class TaskFigures(BaseModel):
    """Something on the checklist; `outcome` is `in time`, `late`, `never` or `ahead`."""

    id: str
    title: str
    owner: str
    due: datetime
    done_by: str = ""
    done_at: datetime | None = None
    late_minutes: float | None = None
    outcome: str


class Comparison(BaseModel):
    """What the load test foretold, and what came.

    Attributes:
        capacity: sessions a second that the newest test with a result carried.
        at_least: more was not tried.
        first_context, resource: what it said would saturate first.
        broke_context: the context that really broke first; empty where none did.
        broke_at_sessions: the load at that moment, in sessions a second.
    """

    run: str
    at: datetime
    capacity: float | None = None
    at_least: bool = False
    first_context: str = ""
    resource: str = ""
    peak_sessions: float | None = None
    broke_context: str = ""
    broke_at_sessions: float | None = None


class PeriodTest(BaseModel):
    """A load test whose requests count in the budgets of the SLOs' period; None where nobody knows how many."""

    run: str
    at: datetime
    requests: int | None = None


class FormerFigures(BaseModel):
    """A campaign, as far as it is compared with others; its budget is that of the SLOs' period."""

    run: str
    campaign: str
    opens: datetime
    closes: datetime
    breaches: int | None = None
    breach_minutes: float | None = None
    budget_left_percent: float | None = None
    gate_minutes: float | None = None
    tests: int | None = None
    tests_failed: int | None = None
    tasks_late: int | None = None


class Event(BaseModel):
    """Something on the timeline: `kind`, and what it was about."""

    at: datetime
    kind: str
    about: dict[str, str] = Field(default_factory=dict)


class Proposal(BaseModel):
    """Something to tune before the next campaign: by which rule, and the numbers that led to it."""

    rule: str
    context: str = ""
    subject: str = ""
    numbers: dict[str, float] = Field(default_factory=dict)
    words: dict[str, str] = Field(default_factory=dict)


class Analysis(BaseModel):
    """A whole campaign.

    Attributes:
        looked: how many looks there were within the window; `silent` of them got no answer.
        zone: the client's time zone.
        ended: the window is over.
        budgets: what was left of each budget of the window's own events; period_budgets: of the period, of the
            SLOs whose events were not counted.
        period_tests: load tests that ran within the SLOs' longest period.
    """

    run: str
    campaign: str
    title: str
    client: str = ""
    zone: str = "UTC"
    opens: datetime
    closes: datetime
    made_at: datetime
    ended: bool = True
    limits: str = ""
    frozen_from: datetime | None = None
    looked: int = 0
    silent: int = 0
    slos: list[SloFigures] = Field(default_factory=list[SloFigures])
    kpis: list[KpiFigures] = Field(default_factory=list[KpiFigures])
    bottlenecks: list[Bottleneck] = Field(default_factory=list[Bottleneck])
    load: LoadFigures = LoadFigures()
    budgets: list[Curve] = Field(default_factory=list[Curve])
    period_budgets: list[Curve] = Field(default_factory=list[Curve])
    latencies: list[Curve] = Field(default_factory=list[Curve])
    tests: list[TestLine] = Field(default_factory=list[TestLine])
    period_tests: list[PeriodTest] = Field(default_factory=list[PeriodTest])
    comparison: Comparison | None = None
    incidents: list[IncidentFigures] = Field(default_factory=list[IncidentFigures])
    gates: list[GateFigures] = Field(default_factory=list[GateFigures])
    gate_minutes: float | None = None
    roles: list[RoleFigures] = Field(default_factory=list[RoleFigures])
    tasks: list[TaskFigures] = Field(default_factory=list[TaskFigures])
    former: list[FormerFigures] = Field(default_factory=list[FormerFigures])
    inventory: list[InventoryLine] = Field(default_factory=list[InventoryLine])
    timeline: list[Event] = Field(default_factory=list[Event])
    proposals: list[Proposal] = Field(default_factory=list[Proposal])

    @property
    def least_left_percent(self) -> float | None:
        """The least that is left of a budget of the window."""
        return min(
            (s.budget_left_percent for s in self.slos if s.budget_left_percent is not None), default=None
        )

    @property
    def least_period_left_percent(self) -> float | None:
        """The least that is left of a budget of a whole period."""
        return min(
            (s.period_left_percent for s in self.slos if s.period_left_percent is not None), default=None
        )

    @property
    def longest_period(self) -> timedelta | None:
        """The longest period of an SLO."""
        return max((slo.period for slo in self.slos if slo.period is not None), default=None)

    @property
    def breach_minutes(self) -> float:
        """How long anything was in breach, each context by itself."""
        return sum(incident.minutes for incident in self.incidents)
