"""The schema of `kind: rollout`: staged changes, each checked, signed off, observed and undoable.

Only data: the order of steps is the workflow's. Durations are written as `90s`, `10m`, `2h`, `7d`.
"""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from holdfast.domain.signoff import SignOff
from holdfast.domain.strict import Duration, Strict
from holdfast.verdict.settings import BaselineSpec, Scoring


class Pace(Strict):
    """How long a share is watched.

    Attributes:
        settle: after a share is set, before the first verdict (start-up, caches, the queries' own window).
        window: how long verdicts are then taken.
        interval: from verdict to verdict; also the `$window` of the queries.
        baseline: in place of the scoring's, where a pace is too quick for that one.
    """

    settle: Duration
    window: Duration
    interval: Duration
    baseline: BaselineSpec | None = None

    @model_validator(mode="after")
    def _window_holds_an_interval(self) -> Self:
        if self.interval > self.window:
            raise ValueError("interval must not be longer than window")
        return self


class HttpConfigChange(Strict):
    """Settings of a system with a versioned configuration API; applied to the canary side, then to all."""

    kind: Literal["http_config"]
    set: dict[str, Any] = Field(min_length=1)


# A second kind makes this a union discriminated by `kind`.
Change = HttpConfigChange


class Stage(Strict):
    """One step of the rollout: small, valuable alone, undoable alone."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    title: str = Field(min_length=1, max_length=120)
    why: str = Field(min_length=1, max_length=500)
    change: Change
    gate: SignOff
    shares_percent: tuple[Annotated[int, Field(ge=1, le=100)], ...] = (5, 25, 100)

    @model_validator(mode="after")
    def _shares_rise_to_the_whole(self) -> Self:
        shares = self.shares_percent
        if not shares or list(shares) != sorted(set(shares)) or shares[-1] != 100:  # noqa: PLR2004  percent
            raise ValueError("shares_percent must rise and end with 100")
        return self


class Target(Strict):
    """The system that is changed; the worker knows the endpoint's address.

    Attributes:
        environment: in `production` each decision needs a code of the authenticator app, unless its gate says
            `mfa: off`.
    """

    endpoint: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    environment: str = Field(default="production", pattern=r"^[a-z][a-z0-9_-]{0,31}$")

    @property
    def is_production(self) -> bool:
        """Whether customers feel a mistake."""
        return self.environment == "production"


class RolloutSpec(Strict):
    """A staged fix rollout, as reviewed."""

    kind: Literal["rollout"]
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    title: str = Field(min_length=1, max_length=120)
    summary: str = Field(min_length=1, max_length=1000)
    target: Target
    starters: tuple[str, ...] = Field(min_length=1, description="roles or names that may start it")
    apply_for: Duration = timedelta(minutes=5)
    paces: dict[str, Pace]
    scoring: Scoring
    stages: tuple[Stage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_known_once(self) -> Self:
        if "default" not in self.paces:
            raise ValueError("paces must have 'default'")
        for name, pace in self.paces.items():
            _can_be_judged(name, pace, self.scoring)
        names = [s.name for s in self.stages]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"stages must have different names; '{twice}' is there twice")
        return self


def _can_be_judged(name: str, pace: Pace, scoring: Scoring) -> None:
    """Refuse a pace in which no share is watched long enough to be stopped."""
    if scoring.model in {"weighted-seed", "judge"}:
        return  # the one needs a single verdict, the other goes on until it has its points
    each = (m.detector.hysteresis if m.detector else scoring.hysteresis for m in scoring.metrics.values())
    taken, wanted = pace.window // pace.interval + 1, min(hysteresis.bad for hysteresis in each)
    if taken < wanted:
        raise ValueError(
            f"paces.{name}: its window takes {taken} verdicts, and hysteresis asks for {wanted} bad ones: "
            f"make it at least {(wanted - 1) * pace.interval.total_seconds():g}s"
        )
