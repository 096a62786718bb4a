"""A runbook pinned into a run, and the effects its stages consist of."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from holdfast.domain.ids import effect_key
from holdfast.domain.journal import Effect
from holdfast.domain.people import People
from holdfast.domain.signoff import SignOff
from holdfast.runbook.kinds.changes import (
    AlembicChange,
    Change,
    CommandChange,
    HttpConfigChange,
    PipelineChange,
)
from holdfast.runbook.kinds.rollout import Pace, RolloutSpec, Stage, has_sides
from holdfast.verdict.settings import Scoring

SHARE_KIND = "canary_share"
# The one part of a system that has no sides.
ALL = "all"
# What a system's state is called where it is not the version of an artefact.
STATE_NAMES: Final[Mapping[str, str]] = {"alembic": "revision", "command": "state"}


class Plan(BaseModel):
    """The reviewed file as it was when the run started; editing the file later changes nothing here.

    Attributes:
        digest: of the file's text.
        people: everybody's roles at the start of the run.
    """

    spec: RolloutSpec
    digest: str
    people: People
    pace_name: str

    @property
    def pace(self) -> Pace:
        """How long each share is watched in this run."""
        return self.spec.paces[self.pace_name]

    @property
    def scoring(self) -> Scoring:
        """How shares are judged in this run; the pace may bring its own baseline."""
        own = self.pace.baseline
        return self.spec.scoring.model_copy(update={"baseline": own}) if own else self.spec.scoring


def may_roll_back(plan: Plan) -> list[str]:
    """Return the names of those who may ask for a rollback: who may start it, or approve any of its stages."""
    # Who may stop a canary by rejecting needs no more power to stop it later (docs/decisions/0011).
    listed = [*plan.spec.starters, *(name for stage in plan.spec.stages for name in stage.gate.listed)]
    return [person.name for person in plan.people.holding(listed)]


def systems_of_all(spec: RolloutSpec) -> list[str]:
    """Return the names of all systems that the rollout changes, sorted."""
    return sorted({system for stage in spec.stages for system in systems_of(spec, stage)})


def describe_urgency(spec: RolloutSpec, people: People) -> str:
    """Say whether it is a fix, whose work it is and what it unblocks; empty where the file says none of it.

    E.g. `an urgent fix of the team Shop (decided about by boris); it unblocks: customers can order again`.
    """
    team = people.teams.get(spec.team)
    if not spec.fix and team is None:
        return ""
    kind = "an urgent fix" if spec.fix else "planned work"
    owners = ", ".join(person.name for person in people.holding(team.owner)) if team else ""
    whose = f" of the team {team.title} (decided about by {owners})" if team else ""
    return f"{kind}{whose}{f'; it unblocks: {spec.unblocks}' if spec.unblocks else ''}"


def describe_change(stage: Stage) -> str:
    """Say what the stage sets, e.g. `crm_pool_size = 8, crm_keep_alive_s = 1; shop-ci deploys 1.5.0`."""
    return "; ".join(_describe(change) for change in stage.all_changes)


def wanted(stage: Stage) -> dict[str, Any]:
    """Return what the stage sets, setting by setting; what is no setting has the name of its system."""
    named = {system_line(c): _wanted(c) for c in stage.all_changes if not isinstance(c, HttpConfigChange)}
    return {**stage.settings, **named}


def system_line(change: Change) -> str:
    """Return how people read the state of a changed system, e.g. `shop-ci version`."""
    if isinstance(change, HttpConfigChange):
        return "settings"
    return f"{change.system} {STATE_NAMES.get(change.kind, 'version')}"


def system_of(spec: RolloutSpec, change: Change) -> str:
    """Return the name of the system that is changed."""
    return spec.target.endpoint if isinstance(change, HttpConfigChange) else change.system


def systems_of(spec: RolloutSpec, stage: Stage) -> list[str]:
    """Return the names of all systems that a stage changes, sorted."""
    shared = {spec.target.endpoint} if stage.has_canary else set[str]()
    return sorted(shared | {system_of(spec, change) for change in stage.all_changes})


def first_effects(run_id: str, spec: RolloutSpec, stage: Stage) -> list[Effect]:
    """Return the effects that come before any traffic: the canary's sides, and what has its turn `before`.

    Where nothing has a canary side that is everything: everybody gets it, and then everybody is watched.
    """
    return [
        _effect(run_id, spec, stage, change, part="canary" if has_sides(change) else ALL)
        for change in stage.all_changes
        if has_sides(change) or _turn(change) == "before" or not stage.has_canary
    ]


def share_effect(run_id: str, spec: RolloutSpec, stage: Stage, percent: int) -> Effect:
    """Return the effect that sends this share of the traffic to the canary."""
    return Effect(
        key=effect_key(run_id, stage.name, f"share-{percent}"),
        stage=stage.name,
        kind=SHARE_KIND,
        endpoint=spec.target.endpoint,
        part="share",
        values={"percent": percent},
        title=f"canary share {percent} %",
    )


def promotion_effects(run_id: str, spec: RolloutSpec, stage: Stage) -> list[Effect]:
    """Return the effects that make the canary's side everybody's, and then what has its turn `after`.

    Stable gets everything while it has no traffic; only then the traffic goes back to it, so that no request
    meets a half-made change.
    """
    two_sided = [c for c in stage.all_changes if has_sides(c)]
    stable = [_effect(run_id, spec, stage, change, part="stable") for change in two_sided]
    back = [share_effect(run_id, spec, stage, 0)] if two_sided else []
    last = [c for c in stage.all_changes if two_sided and not has_sides(c) and _turn(c) == "after"]
    return [*stable, *back, *(_effect(run_id, spec, stage, change, part=ALL) for change in last)]


def system_effects(run_id: str, spec: RolloutSpec, stage: Stage) -> list[Effect]:
    """Return the effects besides settings and shares: those of pipelines, databases and commands."""
    everything = [*first_effects(run_id, spec, stage), *promotion_effects(run_id, spec, stage)]
    return [effect for effect in everything if effect.kind not in {"http_config", SHARE_KIND}]


def sign_off_of(stage: Stage, effect: Effect) -> SignOff | None:
    """Return who signs off an effect that is a point of no return; None for all others."""
    if not effect.lasting:
        return None
    changes = (c for c in stage.all_changes if isinstance(c, AlembicChange) and c.system == effect.endpoint)
    return next(changes).point_of_no_return


def _turn(change: Change) -> str:
    return "before" if isinstance(change, HttpConfigChange) else change.when


def _describe(change: Change) -> str:
    if isinstance(change, HttpConfigChange):
        return ", ".join(f"{name} = {value}" for name, value in change.set.items())
    if isinstance(change, PipelineChange):
        return f"{change.system} deploys {change.version}"
    if isinstance(change, AlembicChange):
        return f"{change.system} to revision {change.revision}"
    return f"{change.system} is run"


def _wanted(change: PipelineChange | AlembicChange | CommandChange) -> str:
    if isinstance(change, PipelineChange):
        return change.version
    return change.revision if isinstance(change, AlembicChange) else "done"


def _effect(run_id: str, spec: RolloutSpec, stage: Stage, change: Change, *, part: str) -> Effect:
    return Effect(
        key=effect_key(run_id, stage.name, _step(change, part)),
        stage=stage.name,
        kind=change.kind,
        endpoint=system_of(spec, change),
        part=part,
        values=_values(change),
        title=_describe(change) if part == ALL else f"{part}: {_describe(change)}",
        parameters=change.parameters if isinstance(change, PipelineChange) else {},
        give_up_after=change.apply_for if isinstance(change, PipelineChange | AlembicChange) else None,
        lasting=isinstance(change, AlembicChange) and change.point_of_no_return is not None,
    )


def _step(change: Change, part: str) -> str:
    if isinstance(change, HttpConfigChange):
        return "canary-settings" if part == "canary" else "promote"
    return change.system if part == ALL else f"{change.system}-{part}"


def _values(change: Change) -> dict[str, Any]:
    if isinstance(change, HttpConfigChange):
        return change.set
    if isinstance(change, PipelineChange):
        return {"version": change.version}
    return {"revision": change.revision} if isinstance(change, AlembicChange) else {}
