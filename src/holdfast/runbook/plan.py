"""A runbook pinned into a run, and the effects its stages consist of."""

from pydantic import BaseModel

from holdfast.domain.ids import effect_key
from holdfast.domain.journal import Effect
from holdfast.domain.people import People
from holdfast.runbook.kinds.rollout import Pace, RolloutSpec, Stage
from holdfast.verdict.settings import Scoring

SHARE_KIND = "canary_share"


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


def describe_change(stage: Stage) -> str:
    """Say what the stage sets, e.g. `crm_pool_size = 8, crm_keep_alive_s = 1`."""
    return ", ".join(f"{name} = {value}" for name, value in stage.change.set.items())


def canary_effect(run_id: str, spec: RolloutSpec, stage: Stage) -> Effect:
    """Return the effect that gives the stage's settings to the canary, which has no traffic yet."""
    return _settings(run_id, spec, stage, part="canary", step="canary-settings")


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
    """Return the effects that make the canary's settings everybody's.

    Stable gets the settings while it has no traffic; only then the traffic goes back to it, so that no request
    meets a half-made change.
    """
    stable = _settings(run_id, spec, stage, part="stable", step="promote")
    return [stable, share_effect(run_id, spec, stage, 0)]


def _settings(run_id: str, spec: RolloutSpec, stage: Stage, *, part: str, step: str) -> Effect:
    return Effect(
        key=effect_key(run_id, stage.name, step),
        stage=stage.name,
        kind=stage.change.kind,
        endpoint=spec.target.endpoint,
        part=part,
        values=stage.change.set,
        title=f"{part}: {describe_change(stage)}",
    )
