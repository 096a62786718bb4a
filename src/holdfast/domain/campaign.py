"""What the runs of campaigns and of load tests show of themselves, beside what all runs show."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final

from pydantic import AwareDatetime, BaseModel, Field

COMMANDER: Final = "commander"
"""Name of the role that hears of every task that is late, and may tick it off."""


class Phase(StrEnum):
    """Where a campaign stands."""

    PREPARING = "preparing"  # load tests, roles, tasks
    SIGN_OFF = "sign-off"
    READY = "ready"  # signed off, the window is not open yet
    OPEN = "open"  # the window is open and watched
    ANALYSIS = "analysis"
    CLOSED = "closed"


class TestVerdict(StrEnum):
    """What a load test came to."""

    __test__ = False  # for pytest, which takes the name for a test's

    PASSED = "passed"
    FAILED = "failed"
    VOID = "void"  # the generator itself could not keep up: its figures mean nothing
    STOPPED = "stopped"
    SKIPPED = "skipped"  # a blackout, or another test of the same campaign ran


class Go(StrEnum):
    """What people decided after a failed test."""

    GO = "go"
    NO_GO = "no-go"
    LIMITS = "go with limits"


class TestLine(BaseModel):
    """One load test of a campaign.

    Attributes:
        run: id of its run.
        said: what it came to, one sentence.
        saturates: the first context that saturates, at which rate, by which resource; empty where none did.
        capacity: the highest rate at which everything held, sessions a second; None where not known.
        headroom_percent: of the capacity above the expected peak times its safety factor; negative: too little.
        go: what was decided after a failure; None where nothing had to be.
        decided_by: who decided.
    """

    __test__: ClassVar[bool] = False  # for pytest, which takes the name for a test's

    run: str
    at: AwareDatetime
    verdict: TestVerdict
    said: str = ""
    saturates: str = ""
    capacity: float | None = None
    headroom_percent: float | None = None
    go: Go | None = None
    decided_by: str = ""

    @property
    def allows(self) -> bool:
        """Whether a window may open on it."""
        return self.verdict is TestVerdict.PASSED or self.go in {Go.GO, Go.LIMITS}


class RoleLine(BaseModel):
    """A role of the response.

    Attributes:
        asked: short names of those who were asked and may accept it, newest last.
        person: who has accepted it; empty while nobody has.
        next_at: when the next candidate is asked.
    """

    name: str
    title: str
    asked: list[str] = Field(default_factory=list[str])
    person: str = ""
    accepted_at: datetime | None = None
    next_at: datetime | None = None


class TaskLine(BaseModel):
    """Something on the checklist.

    Attributes:
        id: its name, with the breach's number behind it where each breach asks anew: `tell-client.2`.
        owner: name of the role that has to do it.
        person: who that is now; empty while nobody has the role.
        done_by: short name of who ticked it off.
        overdue: the deadline passed and its owner and the commander were called.
    """

    id: str
    title: str
    owner: str
    person: str = ""
    due: datetime
    done_by: str = ""
    done_at: datetime | None = None
    overdue: bool = False
    breach: int = 0


class BreachLine(BaseModel):
    """A breach of one context.

    Attributes:
        number: counts the campaign's breaches, from 1.
        slos: names of the promises that were broken.
        journey: what customers could not do; empty where the file does not say.
        incident: id of the incident's run; empty where none could be opened.
        said: what was seen, one sentence.
        ended: since when all was well again; None while it is not over, or where the window closed before.
        worst_burn: the fastest burn rate that the run was told of.
    """

    number: int
    context: str
    title: str = ""
    slos: list[str] = Field(default_factory=list[str])
    journey: str = ""
    began: datetime
    ended: datetime | None = None
    # It outlives the campaign's run: it needs people's time after the window has closed (docs/decisions/0020).
    incident: str = ""
    said: str = ""
    worst_burn: float = 0.0


class ContextLine(BaseModel):
    """How one context stands, for cards and pages.

    Attributes:
        level: `ok`, `warning`, `breach`, `unknown`.
        lines: its SLOs and KPIs, one short line each.
        budget_left_percent: the least of its SLOs' budgets.
    """

    name: str
    title: str
    level: str = "unknown"
    lines: list[str] = Field(default_factory=list[str])
    budget_left_percent: float | None = None


class CampaignView(BaseModel):
    """What a campaign's run shows.

    Attributes:
        client: title of the client.
        frozen: rollouts that are not fixes are refused.
        limits: what "go with limits" means here; empty where the campaign goes without.
        tests: newest last.
        may_answer: short names of those who may tick off any task, and take any role over.
        test_running: id of the load test's run that is under way; empty for none.
        report: where the report is, once it is made.
        looked_at: when the metrics were last looked at.
        silent: why nothing is known; empty while the metrics answer.
    """

    client: str = ""
    phase: Phase = Phase.PREPARING
    opens: datetime
    closes: datetime
    frozen: bool = False
    limits: str = ""
    tests: list[TestLine] = Field(default_factory=list[TestLine])
    roles: list[RoleLine] = Field(default_factory=list[RoleLine])
    tasks: list[TaskLine] = Field(default_factory=list[TaskLine])
    contexts: list[ContextLine] = Field(default_factory=list[ContextLine])
    breaches: list[BreachLine] = Field(default_factory=list[BreachLine])
    may_answer: list[str] = Field(default_factory=list[str])
    test_running: str = ""
    report: str = ""
    looked_at: datetime | None = None
    silent: str = ""

    def role(self, name: str) -> RoleLine | None:
        """Return a role by its name."""
        return next((role for role in self.roles if role.name == name), None)

    def task(self, task_id: str) -> TaskLine | None:
        """Return a task by its id."""
        return next((task for task in self.tasks if task.id == task_id), None)

    @property
    def open_breaches(self) -> list[BreachLine]:
        """Those that are not over."""
        return [breach for breach in self.breaches if breach.ended is None]


class LoadLine(BaseModel):
    """A context or all of a load test, over its newest seconds; latencies in seconds."""

    name: str
    due_per_s: float = 0.0
    answered_per_s: float = 0.0
    errors_percent: float = 0.0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class LoadView(BaseModel):
    """What a load test's run shows.

    Attributes:
        campaign: name of the campaign it is for; empty for none.
        phase: name of the stretch it is in.
        offset_seconds: how far it has come.
        lasts_seconds: how long sessions begin.
        rate: sessions that begin in a second now, by the plan.
        highest: the highest rate of the plan.
        shards: how many generators.
        lines: all together first, then each context.
        broken: thresholds that did not hold, one sentence each.
        late_percent: of the requests, because the generator could not keep up.
        lost: requests that nobody made, because a generator died.
        result: what it came to; None while it runs.
        may_stop: short names of those who may stop it.
        stopped_by: who stopped it.
        client: general client that served, where one did.
    """

    campaign: str = ""
    phase: str = ""
    offset_seconds: float = 0.0
    lasts_seconds: float = 0.0
    rate: float = 0.0
    highest: float = 0.0
    shards: int = 0
    lines: list[LoadLine] = Field(default_factory=list[LoadLine])
    broken: list[str] = Field(default_factory=list[str])
    late_percent: float = 0.0
    lost: int = 0
    result: TestLine | None = None
    may_stop: list[str] = Field(default_factory=list[str])
    stopped_by: str = ""
    client: str = ""
