"""How the service levels stand at one moment: plain data, for people, chats, the store and the report."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, Self

from pydantic import BaseModel, Field

from holdfast.slo.budget import left_percent, tidy
from holdfast.slo.spec import Severity

_COUNT_STANDS_FOR: Final = timedelta(minutes=15)


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


class WindowCount(BaseModel):
    """What a promise came to since the campaign's window opened, counted in whole events.

    Attributes:
        events: above 0.
        sli_percent: share of the good ones.
        budget_left_percent: of the budget of these events, 100 × (1 - bad share / budget); below 0 where it is
            overspent.
        kept: the share is what was promised, or more.
        at: up to when it was counted.
    """

    events: int
    bad_events: int
    sli_percent: float
    budget_left_percent: float
    kept: bool
    at: datetime | None = None

    def stopped_at(self, now: datetime) -> datetime | None:
        """Return up to when it was counted, where that is too long ago to stand for this moment."""
        return self.at if self.at is not None and now - self.at > _COUNT_STANDS_FOR else None

    @classmethod
    def of(cls, events: int, bad_events: int, objective_percent: float, *, at: datetime | None = None) -> Self:
        """Judge a count; of the same numbers everybody gets the same.

        Args:
            events: above 0.
            bad_events: at most `events`.
            objective_percent: what is promised.
            at: up to when it was counted.
        """
        bad_share = bad_events / events
        allowed = (100 - Decimal(f"{objective_percent:.9g}")) * events
        return cls(
            events=events,
            bad_events=bad_events,
            sli_percent=100 - 100 * bad_share,
            budget_left_percent=tidy(left_percent(bad_share, tidy((100 - objective_percent) / 100))),
            kept=100 * bad_events <= allowed,
            at=at,
        )


class SloStatus(BaseModel):
    """One SLO as it stands.

    Attributes:
        sli_percent: share of good events over the period so far; None without events.
        budget_left_percent: of the error budget, of the period; below 0 the promise is broken.
        burn: each alert.
        window: what the campaign's window came to so far; None while nothing is counted.
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
    window: WindowCount | None = None


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

    def remembering(self, earlier: "Moment | None") -> "Moment":
        """Return it with the counts of an earlier look where it has none; see `WindowCount.stopped_at`."""
        return self._counted({**_counts(earlier), **_counts(self)})

    def recounted(self, later: "Moment") -> "Moment":
        """Return it with the counts of a later look where that has some; a silent one remembers them."""
        return self._counted({**_counts(self), **_counts(later)})

    def _counted(self, counts: Mapping[tuple[str, str], WindowCount]) -> "Moment":
        slos = [s.model_copy(update={"window": counts.get((s.context, s.slo))}) for s in self.slos]
        return self.model_copy(update={"slos": slos})

    def level_of(self, context: str) -> Level:
        """Return how a context stands: its worst SLO, a warning where only a KPI deviates."""
        slos = [status.level for status in self.slos if status.context == context]
        if Level.BREACH in slos:
            return Level.BREACH
        kpis = [status.level for status in self.kpis if status.context == context]
        if Level.WARNING in slos or Level.WARNING in kpis:
            return Level.WARNING
        return Level.OK if Level.OK in slos or Level.OK in kpis else Level.UNKNOWN


def _counts(moment: Moment | None) -> dict[tuple[str, str], WindowCount]:
    return {(slo.context, slo.slo): slo.window for slo in (moment.slos if moment else ()) if slo.window}
