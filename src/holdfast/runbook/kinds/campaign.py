"""The schema of `kind: campaign`: load test, sign-off, live watch, response and analysis of one campaign.

Only data: the order of steps is the workflow's. The same file gives the Prometheus rules (`holdfast slo rules`)
and the schedule of the load tests (`holdfast schedule`).
"""

from datetime import datetime, time, timedelta
from typing import Annotated, ClassVar, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from holdfast.domain.signoff import SignOff
from holdfast.domain.strict import Duration, Strict
from holdfast.runbook.kinds.load import PeakPlan
from holdfast.slo.spec import ContextName, ServiceContext

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Text = Annotated[str, Field(min_length=1, max_length=500)]


class Client(Strict):
    """Whose campaign it is, and where they read how it goes.

    Attributes:
        title: what people call the client.
        telegram_chat: number of the client's chat or channel; the bot must be a member that may write.
        language: in which the client is told.
        time_zone: on whose clock.
    """

    title: str = Field(min_length=1, max_length=80)
    telegram_chat: int | None = None
    language: Literal["en", "ru"] = "en"
    time_zone: str = "Europe/Moscow"

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"'{value}' is no time zone; write one such as Europe/Moscow") from None
        return value


class Blackout(Strict):
    """A time of day in which no scheduled load test begins or runs.

    Attributes:
        begins, ends: on the campaign's clock (`client.time_zone`); over midnight where `ends` is the earlier.
        days: on which days it begins; all where not given.
        dates: only on these dates, where given.
        why: for the people who wonder.
    """

    begins: time
    ends: time
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    dates: tuple[str, ...] = ()
    why: str = Field(default="", max_length=200)


class TestSchedule(Strict):
    """When load tests begin by themselves, as a Temporal Schedule.

    Attributes:
        cron: minute, hour, day of the month, month, day of the week, on the campaign's clock.
        begins: how long before the window opens the first one may be.
        ends: how long before it no more are started.
        catch_up: how late a test may still begin after an outage of the server.
        jitter: spread of the beginning.
        blackouts: times in which none begins, or would still run.
    """

    __test__: ClassVar[bool] = False  # for pytest, which takes the name for a test's

    cron: str = Field(pattern=r"^(\S+\s+){4}\S+$")
    begins: Duration = timedelta(days=14)
    ends: Duration = timedelta(days=1)
    # Temporal's own default is a year.
    catch_up: Duration = timedelta(minutes=10)
    jitter: Duration | None = None
    blackouts: tuple[Blackout, ...] = ()

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.begins <= self.ends:
            raise ValueError(
                "'begins' and 'ends' count backwards from the window: begins must be the longer one"
            )
        return self


class LoadTest(Strict):
    """The load test that must be passed.

    Attributes:
        runbook: name of the `kind: load` file.
        peak: what must be carried; replaces the phases of that file.
        fresh_for: how old the newest test may be at the sign-off; an older one is repeated before it.
        schedule: when tests begin by themselves.
        failed: who decides "go", "no-go" or "go with limits" after a failed test.
        limits: what "go with limits" means, in plain words.
    """

    runbook: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    peak: PeakPlan
    fresh_for: Duration = timedelta(days=7)
    schedule: TestSchedule | None = None
    failed: SignOff
    limits: Text


class Role(Strict):
    """A role in the response to incidents.

    Attributes:
        title: what people call it, e.g. `Incident commander`.
        candidates: roles, groups, names or `rota:NAME`; the first who can be asked is, then the next.
        accept_within: after so long without an answer the next candidate is asked too.
    """

    title: str = Field(min_length=1, max_length=120)
    candidates: tuple[str, ...] = Field(min_length=1)
    accept_within: Duration = timedelta(hours=4)


class Task(Strict):
    """Something on the checklist.

    Attributes:
        owner: one of the roles of the response.
        before: how long before the window opens it must be done.
        after_breach: how long after a breach began it must be done; each breach asks anew. One of both.
    """

    name: Name
    title: str = Field(min_length=1, max_length=160)
    owner: Name
    before: Duration | None = None
    after_breach: Duration | None = None

    @model_validator(mode="after")
    def _has_one_deadline(self) -> Self:
        if (self.before is None) == (self.after_breach is None):
            raise ValueError("give 'before' (the window opens) or 'after_breach'")
        return self


class Update(Strict):
    """Who is told how it goes, how often.

    Attributes:
        audience: `client` (the client's channel, plain words), `team` (the run's chat), or a role of the
            response, in private.
        every: while all is well; not given: nothing then.
        during_breach: while something is broken.
    """

    audience: str = Field(min_length=1)
    every: Duration | None = None
    during_breach: Duration | None = None

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.every is None and self.during_breach is None:
            raise ValueError("give 'every', 'during_breach', or both")
        return self


class Response(Strict):
    """The plan for incidents.

    Attributes:
        incident: name of the `kind: incident` runbook that a breach opens; it names the escalation policy.
        roles: by name; `commander`, `communications`, `operations` and `client-liaison` are the usual ones.
        tasks: the checklist.
        updates: the communication protocol.
    """

    incident: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    roles: dict[Name, Role] = Field(min_length=1)
    tasks: tuple[Task, ...] = ()
    # Data that a timer carries out: people forget updates exactly when they matter (docs/decisions/0020).
    updates: tuple[Update, ...] = ()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = [task.name for task in self.tasks]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"tasks must have different names; '{twice}' is there twice")
        for task in self.tasks:
            if task.owner not in self.roles:
                raise ValueError(f"task '{task.name}' has the owner '{task.owner}', who is none of the roles")
        for update in self.updates:
            if update.audience not in {"client", "team", *self.roles}:
                raise ValueError(f"updates go to '{update.audience}': write client, team or one of the roles")
        return self


class Watch(Strict):
    """How the window is watched.

    Attributes:
        interval: from one look to the next; also the `$window` of the KPIs.
        breach_after: looks in a row that must see a breach.
        recover_after: how long all must be well again before a breach counts as over.
        baseline: how far back a KPI's usual value is looked up, the same hours of the week first.
        show_every: how often the run's message is renewed while nothing happens.
    """

    interval: Duration = timedelta(minutes=1)
    breach_after: int = Field(default=1, ge=1)
    recover_after: Duration = timedelta(minutes=10)
    baseline: Duration = timedelta(days=14)
    show_every: Duration = timedelta(minutes=15)


class Freeze(Strict):
    """What may not be rolled out while the window is open, unless it is a fix (`fix: true`).

    Attributes:
        systems: endpoints and systems, as rollouts name them; all where not given.
        before: how long before the window it begins.
    """

    systems: tuple[str, ...] = ()
    before: Duration | None = None


class Message(Strict):
    """A message that contexts exchange, for the inventory; queries are PromQL with `$window`.

    Attributes:
        sender, receiver: contexts or systems.
        rate: messages a second.
        errors: those of them that failed, a second.
        latency_buckets: a histogram's buckets as a rate by `le`, in seconds.
        bytes: bytes a second.
        logged: how the structured logs call it, where they know it: value of `message`.
    """

    name: Name
    title: str = Field(default="", max_length=80)
    sender: str = Field(alias="from", min_length=1)
    receiver: str = Field(alias="to", min_length=1)
    rate: str | None = None
    errors: str | None = None
    latency_buckets: str | None = None
    bytes: str | None = None
    logged: str = ""

    @model_validator(mode="after")
    def _is_measured(self) -> Self:
        if self.rate is None and not self.logged:
            raise ValueError("give 'rate', a query, or 'logged', its name in the logs")
        return self


class Window(Strict):
    """When the campaign runs, on the client's clock where no offset is written."""

    opens: datetime
    closes: datetime


class CampaignSpec(Strict):
    """A high-load campaign, as reviewed.

    Attributes:
        starters: roles or names who may start it.
        owner: role or name that is called when a test fails.
        window: when it runs; a start in Telegram or by command may say otherwise.
        sign_off: who says that the window may open.
        sign_off_before: how long before the window they are asked.
        contexts: what is watched, by name.
        messages: for the inventory.
    """

    kind: Literal["campaign"]
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    title: str = Field(min_length=1, max_length=120)
    summary: str = Field(min_length=1, max_length=1000)
    starters: tuple[str, ...] = Field(min_length=1)
    owner: str = Field(min_length=1)
    client: Client
    window: Window
    load_test: LoadTest
    sign_off: SignOff
    sign_off_before: Duration = timedelta(days=2)
    contexts: dict[ContextName, ServiceContext] = Field(min_length=1)
    watch: Watch = Watch()
    freeze: Freeze = Freeze()
    response: Response
    messages: tuple[Message, ...] = ()

    @property
    def opens(self) -> datetime:
        """When the window opens, aware."""
        return self._aware(self.window.opens)

    @property
    def closes(self) -> datetime:
        """When the window closes, aware."""
        return self._aware(self.window.closes)

    def _aware(self, moment: datetime) -> datetime:
        return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(self.client.time_zone))

    @model_validator(mode="after")
    def _window_is_one(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError("window: 'closes' must be after 'opens'")
        if not any(context.slos for context in self.contexts.values()):
            raise ValueError("contexts: give at least one SLO, or nothing could be watched")
        return self
