"""What a rollout would do, stage by stage, worked out by the code of the run's own checks; nothing is done."""

import math
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel

from activities.changes import provider_of
from activities.checks import CheckActivities, CheckReport, CheckRequest, pace_detection
from holdfast.apps.cli.plan_ahead import Ahead, AskedOnce, goal_of
from holdfast.domain.errors import HoldfastError, MetricsUnavailable
from holdfast.domain.journal import Effect, TargetState
from holdfast.domain.people import People
from holdfast.domain.signoff import SignOff, slots_of
from holdfast.ports.changes import ChangeProvider
from holdfast.ports.metrics import MetricsSource
from holdfast.runbook.kinds.changes import CommandChange
from holdfast.runbook.kinds.rollout import Stage
from holdfast.runbook.plan import (
    Plan,
    first_effects,
    promotion_effects,
    share_effect,
    sign_off_of,
    system_effects,
    systems_of,
)
from holdfast.verdict.exposure import PlannedExposure, planned
from holdfast.verdict.query import resolve

_RUN: Final = "plan"  # takes the place of the run's id in the effects' keys
_EVERYBODY: Final = 100


class FieldChange(BaseModel):
    """One field of a part's state.

    Attributes:
        known: whether the present value could be read.
        after_stage: number of the stage that makes `before`; None where it is there already.
    """

    field: str
    before: Any = None
    after: Any = None
    known: bool = True
    after_stage: int | None = None


class Signers(BaseModel):
    """Who signs off: in the words of the file, and who that is.

    Attributes:
        within_seconds: until the deadline; None where there is none.
        then: what a deadline that passes means.
    """

    policy: str
    people: list[str]
    within_seconds: float | None = None
    then: str = ""


class EffectPlan(BaseModel):
    """One effect, in its turn.

    Attributes:
        step: its place among the stage's effects, from 1.
        differs: whether anything would change; None where that is not known.
        note: what is to be known besides, e.g. why it was not tried out.
        no_return: who signs off just before it, where it cannot be undone.
        tried_for_seconds: how long taking it back is tried.
    """

    step: int
    kind: str
    system: str
    part: str
    title: str
    changes: list[FieldChange]
    differs: bool | None = None
    note: str = ""
    no_return: Signers | None = None
    tried_for_seconds: float


class Watch(BaseModel):
    """How each share is watched; without shares everybody is."""

    shares_percent: list[int]
    settle_seconds: float
    window_seconds: float
    interval_seconds: float
    at_least_seconds: float


class Worst(BaseModel):
    """The worst that can happen to customers; `bad_user_minutes` is None where that is not known."""

    words: str
    bad_user_minutes: float | None = None


class StagePlan(BaseModel):
    """One stage.

    Attributes:
        in_place: whether everybody has it already, so that the run skips it.
        paged: who is paged when a step back cannot be made.
        problems: what stands in the way, one line each.
    """

    number: int
    name: str
    title: str
    why: str
    systems: list[str]
    in_place: bool
    sign_off: Signers
    effects: list[EffectPlan]
    watch: Watch
    paged: list[str]
    exposure: Worst
    problems: list[str]


class Planner:
    """Plans a rollout's stages in their order, each as if those before it were in place."""

    def __init__(
        self,
        plan: Plan,
        providers: Mapping[str, ChangeProvider],
        metrics: MetricsSource,
        *,
        requester: str = "",
        dry_run: bool = True,
    ) -> None:
        """Read through these.

        Args:
            plan: the runbook, people and pace.
            providers: by kind of change.
            metrics: where the runbook's queries are answered.
            requester: who would start it and does not approve; empty where nobody is named.
            dry_run: whether migrations are tried out on copies.
        """
        self._plan = plan
        self._ahead = Ahead(providers, dry_run=dry_run)
        self._metrics = AskedOnce(metrics)
        self._checks = CheckActivities(self._ahead.providers, self._metrics)
        self._requester = requester

    async def stages(self) -> AsyncIterator[StagePlan]:
        """Yield each stage as soon as it is worked out; what cannot be read becomes a problem of the stage."""
        for number, stage in enumerate(self._plan.spec.stages, start=1):
            yield await self._stage(number, stage)

    async def _stage(self, number: int, stage: Stage) -> StagePlan:
        spec = self._plan.spec
        report = await self._checked(stage)
        effects = [] if report.in_place else await self._effects(number, stage)
        page = spec.rollback.page or (*spec.starters, *stage.gate.listed)
        return StagePlan(
            number=number,
            name=stage.name,
            title=stage.title,
            why=stage.why,
            systems=systems_of(spec, stage),
            in_place=report.in_place,
            sign_off=self._signers(stage.gate),
            effects=effects,
            watch=self._watch(stage),
            paged=[person.name for person in self._plan.people.holding(page)],
            exposure=Worst(words="", bad_user_minutes=0) if report.in_place else await self._worst(stage),
            problems=self._told(stage, report.problems),
        )

    # --- checks -----------------------------------------------------------------------------------------

    async def _checked(self, stage: Stage) -> CheckReport:
        """Return what the run's checks would find, also where its target cannot be read."""
        report = await self._checks.check_stage(self._request(stage, stage))
        failures = self._ahead.failures(self._plan.spec.target.endpoint)
        if stage.has_canary and any(problem in failures for problem in report.problems):
            # The checks end where the target cannot be read. A stage without sides has none: of this one they
            # look at the effects and the metrics.
            no_sides = CommandChange(kind="command", system=stage.name)
            rest = stage.model_copy(update={"change": no_sides, "changes": (), "shares_percent": ()})
            beside = await self._checks.check_stage(self._request(stage, rest))
            problems = [*report.problems, *beside.problems]
            return beside.model_copy(update={"problems": problems, "in_place": False})
        return report

    def _request(self, stage: Stage, checked: Stage) -> CheckRequest:
        plan = self._plan
        return CheckRequest(
            endpoint=plan.spec.target.endpoint,
            stage=checked,
            scoring=plan.scoring,
            window=plan.pace.interval,
            pace=plan.pace,
            effects=system_effects(_RUN, plan.spec, stage),
        )

    def _told(self, stage: Stage, problems: list[str]) -> list[str]:
        """Return the problems, with one line for each reason why a system cannot be read."""
        unread = [(s, why) for s in systems_of(self._plan.spec, stage) for why in self._ahead.failures(s)]
        others = [p for p in problems if not any(p == why or p.endswith(f": {why}") for _, why in unread)]
        return list(dict.fromkeys([*(f"{s} cannot be read: {why}" for s, why in unread), *others]))

    # --- effects ----------------------------------------------------------------------------------------

    async def _effects(self, number: int, stage: Stage) -> list[EffectPlan]:
        spec = self._plan.spec
        shares = [share_effect(_RUN, spec, stage, percent) for percent in stage.shares_percent]
        ordered = [*first_effects(_RUN, spec, stage), *shares, *promotion_effects(_RUN, spec, stage)]
        return [await self._effect(number, stage, step, effect) for step, effect in enumerate(ordered, start=1)]

    async def _effect(self, number: int, stage: Stage, step: int, effect: Effect) -> EffectPlan:
        found = await self._foreseen(effect, stage=number)
        policy = sign_off_of(stage, effect)
        patience = self._plan.spec.rollback.keep_trying_for + (effect.give_up_after or timedelta(0))
        return EffectPlan(
            step=step,
            kind=effect.kind,
            system=effect.endpoint,
            part=effect.part,
            title=effect.title,
            no_return=self._signers(policy) if policy else None,
            tried_for_seconds=patience.total_seconds(),
            **found,
        )

    async def _foreseen(self, effect: Effect, *, stage: int) -> dict[str, Any]:
        """Return what the effect changes, and let later ones find it made."""
        try:
            provider = provider_of(self._ahead.providers, effect.kind)
            state = await provider.read(effect.endpoint, effect.part)
        except HoldfastError:
            self._ahead.assume_of_unknown(effect, stage=stage)
            unknown = [FieldChange(field=n, after=v, known=False) for n, v in effect.values.items()]
            return {"changes": unknown, "note": "" if unknown else "its state is not known"}
        note = f"in doubt: {state.doubt or state.unsettled}" if state.unsettled else ""
        try:
            after = await provider.foresee(effect, state)
        except HoldfastError:
            after, note = goal_of(effect, state), note or "could not be made, see the problems"
        changes = self._changes(effect, state, after)
        self._ahead.assume(effect, state.values, after, stage=stage)
        differs = state.values != after
        note = note or (self._ahead.untried.get(effect.key, "") if differs else "")
        return {"changes": changes, "differs": differs, "note": note}

    def _changes(self, effect: Effect, state: TargetState, after: dict[str, Any]) -> list[FieldChange]:
        others = [n for n in after if n not in effect.values and state.values.get(n) != after[n]]
        return [
            FieldChange(
                field=name,
                before=state.values.get(name),
                after=after.get(name),
                after_stage=self._ahead.made_by(effect, name) if effect.part != "share" else None,
            )
            for name in (*effect.values, *others)
        ]

    # --- people, time, customers ------------------------------------------------------------------------

    def _signers(self, policy: SignOff) -> Signers:
        people, deadline = self._plan.people, policy.deadline
        return Signers(
            policy=policy.describe(),
            people=_holders(policy, people, self._requester),
            within_seconds=deadline.after.total_seconds() if deadline else None,
            then=deadline.then if deadline else "",
        )

    def _watch(self, stage: Stage) -> Watch:
        pace, shares = self._plan.pace, list(stage.shares_percent)
        whole = (pace.settle + pace.window) * max(1, len(shares))
        return Watch(
            shares_percent=shares,
            settle_seconds=pace.settle.total_seconds(),
            window_seconds=pace.window.total_seconds(),
            interval_seconds=pace.interval.total_seconds(),
            at_least_seconds=whole.total_seconds(),
        )

    async def _worst(self, stage: Stage) -> Worst:
        plan = self._plan
        if plan.scoring.traffic is None:
            return Worst(words="not known: the runbook has no scoring.traffic, the query that counts requests")
        query = resolve(plan.scoring.traffic, side=plan.scoring.control_label, window=plan.pace.interval)
        try:
            per_second = await self._metrics.instant(query, at=datetime.now(UTC))
        except MetricsUnavailable:
            return Worst(words="not known, because the metrics cannot be read")
        except HoldfastError as error:
            return Worst(words=f"not known, because of scoring.traffic: {error}")
        if per_second is None:
            return Worst(words="not known: scoring.traffic has no data")
        found = _exposure(plan, stage, per_second)
        return Worst(words=found.words, bad_user_minutes=round(found.worst.bad_user_minutes, 3))


def whole_rollout(stages: list[StagePlan]) -> Worst:
    """Return the worst of all stages: the first one that is rolled back ends the run."""
    known = [
        (stage.exposure.bad_user_minutes, stage)
        for stage in stages
        if stage.exposure.bad_user_minutes is not None
    ]
    if len(known) < len(stages):
        return Worst(words=next(s.exposure.words for s in stages if s.exposure.bad_user_minutes is None))
    if all(stage.in_place for stage in stages):
        return Worst(words="none, everything is in place", bad_user_minutes=0)
    minutes, worst = max(known, key=lambda pair: pair[0])
    total = sum(each for each, _ in known)
    words = (
        f"at most {math.ceil(minutes):,} bad user-minutes, in stage {worst.number}, because a rollback "
        f"ends the run; {math.ceil(total):,} if people went on and every stage turned bad"
    )
    return Worst(words=words, bad_user_minutes=minutes)


def _exposure(plan: Plan, stage: Stage, requests_per_second: float) -> PlannedExposure:
    shares = stage.shares_percent or (_EVERYBODY,)
    return planned(shares, round(60 * requests_per_second, 1), pace_detection(plan.scoring, plan.pace))


def _holders(policy: SignOff, people: People, requester: str) -> list[str]:
    slots = slots_of(policy, people, requester=requester)
    return list(dict.fromkeys(name for slot in slots for name in slot.holders))
