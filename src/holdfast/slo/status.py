"""How the service levels stand at one moment: plain data, for people, chats, the store and the report."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from holdfast.slo.spec import Severity


class Level(StrEnum):
    """How something stands."""

    OK = "ok"
    WARNING = "warning"  # burns fast enough for a ticket, or a KPI left its baseline
    BREACH = "breach"  # burns fast enough to call people
    UNKNOWN = "unknown"  # no data


class BurnReading(BaseModel):
    """One burn alert as it stands; burn rates are None where there is no data or there are too few events."""

    long: str
    short: str
    factor: float
    severity: Severity
    long_burn: float | None = None
    short_burn: float | None = None

    @property
    def burns(self) -> bool:
        """Whether both windows burn faster than it allows."""
        rates = (self.long_burn, self.short_burn)
        return all(rate is not None and rate > self.factor for rate in rates)


class SloStatus(BaseModel):
    """One SLO as it stands.

    Attributes:
        sli_percent: share of good events over the period so far; None without events.
        budget_left_percent: of the error budget, of the period; below 0 the promise is broken.
        burn: each alert.
        level: breach where a page alert burns, warning where a ticket alert does.
        said: one sentence for people.
    """

    context: str
    slo: str
    promise: str
    objective_percent: float
    journey: str = ""
    level: Level = Level.UNKNOWN
    sli_percent: float | None = None
    budget_left_percent: float | None = None
    events: float | None = None
    bad_events: float | None = None
    burn: list[BurnReading] = Field(default_factory=list[BurnReading])
    said: str = ""


class KpiStatus(BaseModel):
    """One KPI or resource as it stands.

    Attributes:
        baseline: its usual value at this hour; None where not known.
        used_percent: of a resource, of `full_at`.
        sigmas: robust distance from the baseline, positive is worse.
    """

    context: str
    name: str
    title: str = ""
    unit: str = ""
    value: float | None = None
    baseline: float | None = None
    sigmas: float | None = None
    used_percent: float | None = None
    level: Level = Level.UNKNOWN


class Moment(BaseModel):
    """Everything that is watched, at one moment.

    Attributes:
        silent: why nothing is known, where the metrics do not answer at all; empty otherwise.
    """

    at: datetime
    slos: list[SloStatus] = Field(default_factory=list[SloStatus])
    kpis: list[KpiStatus] = Field(default_factory=list[KpiStatus])
    silent: str = ""

    def level_of(self, context: str) -> Level:
        """Return how a context stands: its worst SLO, a warning where only a KPI deviates."""
        slos = [status.level for status in self.slos if status.context == context]
        if Level.BREACH in slos:
            return Level.BREACH
        kpis = [status.level for status in self.kpis if status.context == context]
        if Level.WARNING in slos or Level.WARNING in kpis:
            return Level.WARNING
        return Level.OK if Level.OK in slos or Level.OK in kpis else Level.UNKNOWN
