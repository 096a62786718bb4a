"""The schema of `kind: load`: a load test. Who is simulated, how many begin when, and what must hold meanwhile.

An open model: the rates say how many sessions *begin*, whatever the target does. One session walks the steps of
one scenario, chosen by weight.
"""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, model_validator

from holdfast.domain.strict import Duration, Strict
from holdfast.runbook.kinds.load_scenario import Name, Scenario, Step
from holdfast.runbook.systems import Secret

Percent = Annotated[float, Field(ge=0, le=100)]
ANY_STEP = "*"


class Target(Strict):
    """A system that gets the load. Its host must be on the worker's allow-list, `HOLDFAST_LOAD_HOSTS`.

    Attributes:
        url: base address; the steps' paths are below it. No name and password, no query.
        headers: go along with every request.
        secret_headers: the same, where the value is a secret.
        ca: file with the certificate authority of a private TLS certificate.
        http2: speak HTTP/2; then a general client serves, which is slower, and the result says so.
    """

    url: HttpUrl
    headers: dict[str, str] = Field(default_factory=dict)
    secret_headers: dict[str, Secret] = Field(default_factory=dict)
    ca: str = ""
    http2: bool = False

    @model_validator(mode="after")
    def _has_a_plain_address(self) -> Self:
        """Refuse what would be shown though it is secret, and what would not be sent though it is written."""
        # Of the whole target, because an error of one field repeats its value.
        if self.url.username or self.url.password:
            raise ValueError(
                "the url must have no name and password, which would be shown; give them as 'secret_headers', "
                "Authorization: {env: NAME}"
            )
        if self.url.query or self.url.fragment:
            raise ValueError("the url must end with its path; write a query behind the steps' paths")
        return self


class Phase(Strict):
    """A stretch of the test.

    Attributes:
        rate: sessions that begin in a second, at its end.
        lasts: how long it is.
        shape: at this rate from its beginning, or reached evenly, or in equal steps from the rate before.
        steps: how many, for `steps`.
        name: what it is called in the result.
    """

    rate: float = Field(ge=0, allow_inf_nan=False)
    lasts: Duration = Field(alias="for")
    shape: Literal["constant", "ramp", "steps"] = "constant"
    steps: int = Field(default=5, ge=2, le=100)
    name: str = Field(default="", max_length=60)


class PeakPlan(Strict):
    """Phases that rise to an expected peak times a safety factor.

    Attributes:
        expected_peak: sessions that begin in a second at the worst moment that is expected.
        safety_factor: how much more must be carried.
        percent: of the peak with its factor, one phase each.
        each: how long each of them is.
    """

    expected_peak: float = Field(gt=0, allow_inf_nan=False)
    safety_factor: float = Field(default=1.5, ge=1, allow_inf_nan=False)
    percent: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field(default=(25, 50, 75, 100), min_length=1)
    each: Duration = timedelta(minutes=3)

    @property
    def highest(self) -> float:
        """The rate that must be carried."""
        return self.expected_peak * self.safety_factor

    def phases(self) -> tuple[Phase, ...]:
        """Return it as phases."""
        rates = [(p, self.highest * p / 100) for p in self.percent]
        return tuple(Phase.model_validate({"rate": r, "for": self.each, "name": f"{p:g} %"}) for p, r in rates)


class Threshold(Strict):
    """What must hold; what does not fails the test.

    Attributes:
        step: name of a step or of a context, or `*` for all requests together.
        p50, p95, p99, p999, maximum: latency from the intended start.
        errors_percent: of the requests that were due.
        abort: whether the test is stopped as soon as it does not hold over `over`.
        over: the newest stretch that is looked at while the test runs; the result looks at each phase.
    """

    step: str = ANY_STEP
    p50: Duration | None = None
    p95: Duration | None = None
    p99: Duration | None = None
    p999: Duration | None = None
    maximum: Duration | None = None
    errors_percent: Percent | None = None
    abort: bool = False
    over: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        bounds = (self.p50, self.p95, self.p99, self.p999, self.maximum, self.errors_percent)
        if all(bound is None for bound in bounds):
            raise ValueError("give at least one of p50, p95, p99, p999, maximum, errors_percent")
        return self


class Ceilings(Strict):
    """What no test of this file exceeds, whatever else is said; the worker's own ceilings hold too.

    Attributes:
        rate: sessions that begin in a second.
        lasts: of the whole test.
        in_flight: requests under way at once, of one shard; above it, sessions are counted as not sent.
    """

    rate: float = Field(default=1000, gt=0, allow_inf_nan=False)
    lasts: Duration = Field(default=timedelta(hours=1), alias="for")
    in_flight: int = Field(default=20_000, ge=1)


class LoadSpec(Strict):
    """A load test, as reviewed.

    Attributes:
        starters: roles or names who may start it, and stop it.
        arrivals: `poisson` as customers come, or `even`, one after the other at the same distance.
        seed: of everything that is drawn by chance; the same seed gives the same test.
        phases, peak: how many sessions begin when; one of both.
        on_time: a request that begins later than this after its moment is late; above one percent of late ones
            the generator itself could not keep up, and the figures are void.
    """

    kind: Literal["load"]
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    title: str = Field(min_length=1, max_length=120)
    summary: str = Field(min_length=1, max_length=1000)
    starters: tuple[str, ...] = Field(min_length=1)
    # Naming a target allows nothing: the machine that makes the load decides by its settings
    # (docs/decisions/0019).
    targets: dict[Name, Target] = Field(min_length=1)
    scenarios: tuple[Scenario, ...] = Field(min_length=1)
    arrivals: Literal["poisson", "even"] = "poisson"
    # Beginnings and draws follow from file, seed and number alone, so that any machine makes the same session
    # without asking another one (docs/decisions/0019).
    seed: int = Field(default=1, ge=0)
    phases: tuple[Phase, ...] = ()
    peak: PeakPlan | None = None
    thresholds: tuple[Threshold, ...] = ()
    ceilings: Ceilings = Ceilings()
    # Past their limit generators do not level off: they collapse, and still print percentiles
    # (docs/decisions/0019).
    on_time: Duration = timedelta(milliseconds=50)

    @property
    def all_phases(self) -> tuple[Phase, ...]:
        """The phases, whichever way they are written."""
        return self.peak.phases() if self.peak else self.phases

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all scenarios, in order."""
        return tuple(step for scenario in self.scenarios for step in scenario.steps)

    @property
    def lasts(self) -> timedelta:
        """How long sessions begin; the last ones end later."""
        return sum((phase.lasts for phase in self.all_phases), timedelta(0))

    @model_validator(mode="after")
    def _has_phases(self) -> Self:
        if bool(self.phases) == (self.peak is not None):
            raise ValueError("give 'phases', or 'peak' with the expected peak")
        highest = max(phase.rate for phase in self.all_phases)
        if not highest:
            raise ValueError("the phases begin no session: give at least one a rate above 0")
        if highest > self.ceilings.rate:
            raise ValueError(
                f"the phases reach {highest:g} sessions a second, above ceilings.rate ({self.ceilings.rate:g})"
            )
        if self.lasts > self.ceilings.lasts:
            raise ValueError(f"the phases last {self.lasts}, longer than ceilings.for ({self.ceilings.lasts})")
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = [step.name for step in self.steps]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"steps must have different names; '{twice}' is there twice")
        for step in self.steps:
            if step.target not in self.targets:
                raise ValueError(f"step '{step.name}' goes to '{step.target}', which is not among the targets")
        known = {ANY_STEP, *names, *(step.context for step in self.steps)}
        for threshold in self.thresholds:
            if threshold.step not in known:
                raise ValueError(f"a threshold names the step '{threshold.step}', which no scenario has")
        return self
