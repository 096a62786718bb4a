"""The schema of `kind: rollout`: staged changes, each checked, signed off, observed and undoable.

Only data: the order of steps is the workflow's. Durations are written as `90s`, `10m`, `2h`, `7d`.
"""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from holdfast.domain.signoff import SignOff
from holdfast.domain.strict import Duration, Strict
from holdfast.runbook.kinds.changes import Change, HttpConfigChange, PipelineChange
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


class Stage(Strict):
    """One step of the rollout: small, valuable alone, undoable alone.

    Attributes:
        change: what is changed, where that is one thing.
        changes: what is changed, in this order, where several things belong together: code, configuration,
            schema. They are undone together, in the opposite order.
        shares_percent: of the traffic, one after the other. Empty where nothing has a canary side: then
            everybody gets the changes at once and is watched.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    title: str = Field(min_length=1, max_length=120)
    why: str = Field(min_length=1, max_length=500)
    change: Change | None = None
    changes: tuple[Change, ...] = ()
    gate: SignOff
    shares_percent: tuple[Annotated[int, Field(ge=1, le=100)], ...] = (5, 25, 100)

    @model_validator(mode="after")
    def _has_changes(self) -> Self:
        if (self.change is None) == (not self.changes):
            raise ValueError("give a stage its 'change', or a list of 'changes'")
        configured = [c for c in self.all_changes if isinstance(c, HttpConfigChange)]
        if len(configured) > 1:
            raise ValueError("changes has http_config twice: put all settings into one")
        systems = [c.system for c in self.all_changes if not isinstance(c, HttpConfigChange)]
        twice = {name for name in systems if systems.count(name) > 1}
        if twice:
            raise ValueError(f"changes has the system '{min(twice)}' twice: make two stages of it")
        return self

    @model_validator(mode="after")
    def _shares_rise_to_the_whole(self) -> Self:
        shares = self.shares_percent
        if not self.has_canary:
            if shares:
                raise ValueError("shares_percent must be []: nothing here has a canary side, everybody gets it")
            return self
        if not shares or list(shares) != sorted(set(shares)) or shares[-1] != 100:  # noqa: PLR2004  percent
            raise ValueError("shares_percent must rise and end with 100")
        return self

    @property
    def all_changes(self) -> tuple[Change, ...]:
        """Everything that is changed, in order."""
        return self.changes if self.change is None else (self.change,)

    @property
    def has_canary(self) -> bool:
        """Whether anything is made on a canary side first."""
        return any(has_sides(change) for change in self.all_changes)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the target that are changed; empty where none are."""
        found = [c.set for c in self.all_changes if isinstance(c, HttpConfigChange)]
        return found[0] if found else {}

    def facts(self) -> str:
        """Return the stage as the text whose digest approvals rest on."""
        # What a stage of an earlier version could not say must not change what was signed off.
        return self.model_dump_json(exclude=set() if self.changes else {"changes"})


def has_sides(change: Change) -> bool:
    """Whether a change is made on the canary first, and for everybody when the stage is promoted."""
    if isinstance(change, PipelineChange):
        return change.sides == "canary-and-stable"
    return isinstance(change, HttpConfigChange)


class Rollback(Strict):
    """How a stage is undone, and who is asked when that cannot be done.

    Attributes:
        keep_trying_for: how long each step back is tried while a system does not answer; then people are paged.
        page: roles or names who are paged and decide; not given: who may start the runbook, and the stage's
            approvers.
    """

    keep_trying_for: Duration = timedelta(minutes=15)
    page: tuple[str, ...] = ()


class Target(Strict):
    """The system that is changed; the worker knows the endpoint's address.

    Attributes:
        environment: in `production` each decision needs a code of the authenticator app, unless its gate says
            `mfa: off`.
        if_busy: what a stage does while another run changes one of its systems: `wait`, or `refuse` and end.
        hold: whether a run holds its systems for the time of a `stage`, or from its first change to the end of
            the `run`.
    """

    endpoint: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    environment: str = Field(default="production", pattern=r"^[a-z][a-z0-9_-]{0,31}$")

    if_busy: Literal["wait", "refuse"] = "wait"
    # By stage, because a sign-off may take weeks, and whoever holds a system for that long keeps every
    # incident's fix from it (docs/decisions/0010).
    hold: Literal["stage", "run"] = "stage"

    @property
    def is_production(self) -> bool:
        """Whether customers feel a mistake."""
        return self.environment == "production"


class RolloutSpec(Strict):
    """A staged fix rollout, as reviewed.

    Attributes:
        fix: an urgent mending, not planned work: it goes on while systems are frozen.
        team: who owns the work, by its name in `people.yaml`.
        unblocks: which journey of the customers is blocked until this is done, in plain words; only of a fix.
            The owner of another team's planned work on the same system is asked to let it go first.
    """

    kind: Literal["rollout"]
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    title: str = Field(min_length=1, max_length=120)
    summary: str = Field(min_length=1, max_length=1000)
    # In the reviewed file and no option of the start: at 2 a.m. everything is urgent to its author
    # (docs/decisions/0018).
    fix: bool = False
    team: str = Field(default="", pattern=r"^$|^[a-z][a-z0-9-]{0,31}$")
    unblocks: str = Field(default="", max_length=200)
    target: Target
    starters: tuple[str, ...] = Field(min_length=1, description="roles or names that may start it")
    apply_for: Duration = timedelta(minutes=5)
    rollback: Rollback = Rollback()
    paces: dict[str, Pace]
    scoring: Scoring
    stages: tuple[Stage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _only_a_fix_unblocks(self) -> Self:
        if self.unblocks and not self.fix:
            raise ValueError("'unblocks' belongs to a fix: add 'fix: true', or leave it out")
        return self

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
    # The first verdict is taken when `settle` is over, the last one at the window's end.
    taken, wanted = pace.window // pace.interval + 1, min(hysteresis.bad for hysteresis in each)
    if taken < wanted:
        raise ValueError(
            f"paces.{name}: its window takes {taken} verdicts, and hysteresis asks for {wanted} bad ones: "
            f"make it at least {(wanted - 1) * pace.interval.total_seconds():g}s"
        )
