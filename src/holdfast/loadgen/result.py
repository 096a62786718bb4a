"""What a load test came to, as plain data: kept in the store, shown to people, compared with others."""

from datetime import datetime

from pydantic import BaseModel, Field

from holdfast.domain.campaign import TestLine, TestVerdict
from holdfast.loadgen.report import Health


class Point(BaseModel):
    """The requests that were due in one stretch of a series; latencies in seconds.

    Attributes:
        ended: requests of any moment whose answer, or timeout, came in this stretch.
    """

    due: int = 0
    sent: int = 0
    good: int = 0
    failed: int = 0
    late: int = 0
    ended: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    maximum: float | None = None

    def counting(self, other: "Point") -> "Point":
        """Return it with the counts of another one added; the percentiles stay."""
        sums = {
            n: getattr(self, n) + getattr(other, n) for n in ("due", "sent", "good", "failed", "late", "ended")
        }
        return self.model_copy(update=sums)

    def ending(self, count: int) -> "Point":
        """Return it with so many requests that ended."""
        return self.model_copy(update={"ended": self.ended + count})


class Series(BaseModel):
    """One context, or all requests, over time: a point each `LoadResult.every_seconds`.

    Attributes:
        name: of the context; `*` for all.
        points: from the start on; None where nothing was due and nothing ended.
    """

    name: str
    points: list[Point | None] = Field(default_factory=list[Point | None])


class Figures(BaseModel):
    """Requests that belong together. Latencies in seconds from the intended start; None without an answer.

    Attributes:
        name: of a step or context; `*` for all.
        kind: `all`, `context` or `step`.
        context: that the step belongs to, or the context itself.
        unknown: sent, and nobody knows how it ended: its generator died, or was stopped.
        rate: requests that were due in a second.
        latency: the encoded histogram; empty where it is the sum of those of its steps.
    """

    name: str
    kind: str
    context: str = ""
    due: int = 0
    sent: int = 0
    answered: int = 0
    good: int = 0
    errors: dict[str, int] = Field(default_factory=dict)
    errors_percent: float = 0.0
    late: int = 0
    unsent: int = 0
    unknown: int = 0
    rate: float = 0.0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    maximum: float | None = None
    mean: float | None = None
    sent_bytes: int = 0
    received_bytes: int = 0
    latency: str = ""


class PhaseResult(BaseModel):
    """One stretch of the test. Seconds from the start; rates in sessions a second.

    Attributes:
        phase: number of its phase; the parts of a ramp and of stairs have the same.
        reached: it was made to its end.
        held: every threshold held in it; None where it was not reached.
        on_time_percent: requests that were sent on time.
    """

    phase: int
    name: str
    begins: float
    ends: float
    rate_from: float
    rate_to: float
    reached: bool = True
    held: bool | None = None
    on_time_percent: float = 100.0
    figures: list[Figures] = Field(default_factory=list[Figures])

    @property
    def rate(self) -> float:
        """The mean rate."""
        return (self.rate_from + self.rate_to) / 2


class Broken(BaseModel):
    """A threshold that did not hold.

    Attributes:
        step: name of the step or context; `*` for all.
        what: `p50`, `p95`, `p99`, `p999`, `maximum` or `errors_percent`.
        value, bound: seconds, or percent for `errors_percent`.
        phase: name of the stretch.
        since: seconds from the start of the test.
        rate: sessions a second there.
        aborted: the test was stopped for it.
    """

    step: str
    what: str
    value: float
    bound: float
    phase: str = ""
    since: float = 0.0
    rate: float = 0.0
    aborted: bool = False


class Saturation(BaseModel):
    """The first context that cannot take more.

    Attributes:
        context: its name.
        rate: sessions a second at which it began.
        at: seconds from the start.
        sign: what showed it: `latency`, `throughput` or `errors`.
        together: other contexts that saturate in the same event, at about the same rate or moment.
        resource: what ran out; empty where that is not known.
        resource_of: the context whose resource that is; empty where it is its own.
        correlation: of the resource with the latency around the knee, -1 to 1.
        utilisation: of the resource there, 1 is full; None where nobody says what full is.
        sure: `sure`, `likely` or `not known`: how well the resource is known.
        why: one sentence, English.
    """

    context: str
    rate: float
    at: float
    sign: str
    together: list[str] = Field(default_factory=list[str])
    resource: str = ""
    resource_of: str = ""
    correlation: float | None = None
    utilisation: float | None = None
    sure: str = "not known"
    why: str = ""


class Capacity(BaseModel):
    """What can be carried. Rates in sessions a second.

    Attributes:
        rate: the highest at which everything held, in it and below it; None where nothing held.
        at_least: more was not tried, so it may carry more.
        failed: a rate was tried that is too high.
        expected_peak: of the plan, where it says one.
        safety_factor: of the plan.
        headroom_percent: of the capacity above the expected peak; negative: too little.
        headroom_with_factor_percent: above the peak times its safety factor.
        saturation: the first context that saturates; None where none does.
    """

    rate: float | None = None
    at_least: bool = False
    failed: bool = False
    expected_peak: float | None = None
    safety_factor: float = 1.0
    headroom_percent: float | None = None
    headroom_with_factor_percent: float | None = None
    saturation: Saturation | None = None


class Flaw(BaseModel):
    """Why figures do not count.

    Attributes:
        kind: `late`, `unsent`, `lost`, `doubled`, `unknown`, `phase_late`, `untested`, `unanswered`, `nothing`,
            `silent`.
        percent: of the requests, or of the sessions for `lost` and `doubled`.
        phase: name of the stretch, for `phase_late`.
        step: name of the step or context, for `untested`.
    """

    kind: str
    percent: float = 0.0
    phase: str = ""
    step: str = ""


class LoadResult(BaseModel):
    """What a load test came to.

    Attributes:
        runbook: name of the file.
        run: id of the run; empty on a person's own machine.
        lasts: how long sessions were to begin, in seconds.
        offset: how far the generators came, in seconds.
        shards: how many generators there were.
        client: that served: `protocol`, or the general clients.
        verdict: what it came to.
        void: why the figures do not count, in English; empty where they do.
        flaws: the same as data.
        stopped: why it ended early; empty where it did not.
        planned: sessions that should have begun until it ended.
        lost: of those, made by nobody.
        figures: of the whole test: all, contexts, steps.
        phases: of each stretch.
        every_seconds: distance of the points in `series`.
        broken: thresholds that did not hold, in order of time.
        capacity: None where the result is void.
        health: the worst of the generators' own figures.
        rates: sessions a second by the plan, for each point of `series`.
        expected_peak: of the plan, sessions a second; None where it says none.
        safety_factor: of the plan.
    """

    runbook: str
    title: str = ""
    run: str = ""
    started_at: datetime
    lasts: float
    offset: float = 0.0
    shards: int = 1
    client: str = "protocol"
    verdict: TestVerdict
    void: str = ""
    flaws: list[Flaw] = Field(default_factory=list[Flaw])
    stopped: str = ""
    planned: int = 0
    lost: int = 0
    late_percent: float = 0.0
    unsent_percent: float = 0.0
    figures: list[Figures] = Field(default_factory=list[Figures])
    phases: list[PhaseResult] = Field(default_factory=list[PhaseResult])
    every_seconds: int = 1
    series: list[Series] = Field(default_factory=list[Series])
    rates: list[float] = Field(default_factory=list[float])
    expected_peak: float | None = None
    safety_factor: float = 1.0
    broken: list[Broken] = Field(default_factory=list[Broken])
    capacity: Capacity | None = None
    health: Health = Health()

    def of(self, name: str, kind: str = "") -> Figures | None:
        """Return the figures of a step or context, or of `*`, over the whole test."""
        return next((f for f in self.figures if f.name == name and kind in {"", f.kind}), None)

    def line(self, said: str) -> TestLine:
        """Return it as a line of its campaign; `said` is `words.headline` in English."""
        capacity = self.capacity or Capacity()
        found = capacity.saturation
        return TestLine(
            run=self.run,
            at=self.started_at,
            verdict=self.verdict,
            said=said,
            saturates=found.why if found else "",
            capacity=capacity.rate,
            headroom_percent=capacity.headroom_with_factor_percent,
        )
