"""Pre-deployment checks: is the system as the stage expects to find it?"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field
from temporalio import activity

from activities.changes import provider_of
from activities.pulse import beating
from holdfast.domain.errors import HoldfastError
from holdfast.domain.journal import Effect
from holdfast.ports.changes import ChangeProvider
from holdfast.ports.metrics import MetricsSource
from holdfast.runbook.kinds.rollout import Pace, Stage
from holdfast.runbook.plan import SHARE_KIND, STATE_NAMES
from holdfast.verdict.exposure import Detection, planned
from holdfast.verdict.query import resolve
from holdfast.verdict.settings import Scoring

# What a stage without a canary side reaches at once.
_EVERYBODY = 100


class CheckRequest(BaseModel):
    """The stage to check, at which endpoint, judged by which metrics over which rate window.

    Attributes:
        effects: what the stage does besides settings and shares.
    """

    endpoint: str
    stage: Stage
    scoring: Scoring
    window: timedelta
    pace: Pace | None = None
    effects: list[Effect] = Field(default_factory=list[Effect])


class Foreseen(BaseModel):
    """What one effect would do to one part of a system: its whole state before and after."""

    title: str
    kind: str
    endpoint: str
    part: str
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def differs(self) -> bool:
        """Whether anything would change."""
        return self.before != self.after

    @property
    def line(self) -> str:
        """The name of the system's state, as `runbook.plan.wanted` has it, e.g. `shop-ci version`."""
        return f"{self.endpoint} {self._field}"

    @property
    def way(self) -> tuple[Any, Any]:
        """That state before and after."""
        return self.before.get(self._field, ""), self.after.get(self._field, "")

    @property
    def _field(self) -> str:
        return STATE_NAMES.get(self.kind, "version")


class CheckReport(BaseModel):
    """What the checks found.

    Attributes:
        problems: what stands in the way, in words; empty when the stage may go on.
        in_place: whether everybody already has what the stage changes.
        before: what the stage would replace, setting by setting.
        whole: everything that is set at the target now, and the states of the other systems that are changed.
        foreseen: what each effect would do besides settings and shares, tried out where that can be done.
        exposure: the worst that the stage can do to customers, in words; empty where the file has no `traffic`
            or nothing is known of it.
    """

    problems: list[str]
    in_place: bool = False
    before: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    exposure: str = ""
    foreseen: list[Foreseen] = Field(default_factory=list[Foreseen])


class CheckActivities:
    """Reads the target and the metrics backend; changes nothing."""

    def __init__(self, providers: Mapping[str, ChangeProvider], metrics: MetricsSource) -> None:
        """Use these change providers, by kind, and this metrics backend."""
        self._providers = providers
        self._metrics = metrics

    @activity.defn
    async def check_stage(self, request: CheckRequest) -> CheckReport:
        """Check that the systems answer, carry no other canary, can make the changes, and are measured."""
        if not activity.in_activity():  # a person at a terminal wants to know the same
            return await self._check(request)
        async with beating():
            return await self._check(request)

    async def _check(self, request: CheckRequest) -> CheckReport:
        wanted = request.stage.settings
        try:
            stable, doubts = await self._canary_problems(request)
        except HoldfastError as error:
            return CheckReport(problems=[str(error)])
        foreseen, refusals = await self._foreseen(request.effects)
        settings = {name: stable.get(name) for name in wanted}
        others = {one.line: one.way[0] for one in foreseen if one.part != "canary"}
        return CheckReport(
            problems=[
                *_unknown_settings(wanted, stable),
                *doubts,
                *refusals,
                *await self._unmeasured(request),
            ],
            in_place=settings == wanted and not refusals and not any(one.differs for one in foreseen),
            before=settings | others,
            whole=stable | others,
            exposure=await self._exposure(request),
            foreseen=foreseen,
        )

    async def _canary_problems(self, request: CheckRequest) -> tuple[dict[str, Any], list[str]]:
        """Return everybody's settings, and what another canary has left there."""
        if not request.stage.has_canary:
            return {}, []
        share = await self._provider(SHARE_KIND).read(request.endpoint, "share")
        taken = share.values.get("percent")
        problems = [f"a canary is out already: its share is {taken} %"] if taken else []
        if not request.stage.settings:
            return {}, problems
        settings = self._provider("http_config")
        stable = await settings.read(request.endpoint, "stable")
        canary = await settings.read(request.endpoint, "canary")
        return stable.values, [*problems, *_differing(stable.values, canary.values)]

    async def _foreseen(self, effects: list[Effect]) -> tuple[list[Foreseen], list[str]]:
        """Return what each effect would do, and why some cannot be done."""
        foreseen: list[Foreseen] = []
        refusals: list[str] = []
        for effect in effects:
            try:
                provider = self._provider(effect.kind)
                state = await provider.read(effect.endpoint, effect.part)
                if state.unsettled:
                    refusals.append(f"{effect.title}: {state.doubt}, so nobody knows what is there")
                    continue
                after = await provider.foresee(effect, state)
            except HoldfastError as error:
                refusals.append(f"{effect.title}: {error}")
                continue
            foreseen.append(
                Foreseen(
                    title=effect.title,
                    kind=effect.kind,
                    endpoint=effect.endpoint,
                    part=effect.part,
                    before=state.values,
                    after=after,
                )
            )
        return foreseen, refusals

    async def _exposure(self, request: CheckRequest) -> str:
        """Say how many bad user-minutes the stage can cause; a request counts as one user."""
        traffic, pace = request.scoring.traffic, request.pace
        if traffic is None or pace is None:
            return ""
        query = resolve(traffic, side=request.scoring.control_label, window=request.window)
        try:
            requests_per_second = await self._metrics.instant(query, at=datetime.now(UTC))
        except HoldfastError:
            return ""
        if requests_per_second is None:
            return ""
        users_per_minute = round(60 * requests_per_second, 1)
        return planned(
            request.stage.shares_percent or (_EVERYBODY,),
            users_per_minute,
            pace_detection(request.scoring, pace),
        ).briefly

    def _provider(self, kind: str) -> ChangeProvider:
        return provider_of(self._providers, kind)

    async def _unmeasured(self, request: CheckRequest) -> list[str]:
        """Name each metric that has no data for stable: without it nobody could judge the canary."""
        problems: list[str] = []
        now = datetime.now(UTC)
        for name, metric in request.scoring.metrics.items():
            for query in metric.queries:
                resolved = resolve(query, side=request.scoring.control_label, window=request.window)
                try:
                    if await self._metrics.instant(resolved, at=now) is None:
                        problems.append(f"metric {name} has no data for {request.scoring.control_label}")
                except HoldfastError as error:
                    return [*problems, str(error)]
        return problems


def pace_detection(scoring: Scoring, pace: Pace) -> Detection:
    """Say how quickly a bad share is undone, at the latest: a silent one may take longer than a bad one."""
    seed = scoring.model == "weighted-seed"
    return Detection(
        settle=pace.settle,
        interval=pace.interval,
        bad_in_a_row=1 if seed else scoring.hysteresis.of,
        silent_in_a_row=scoring.no_data_patience if seed else scoring.attribution.silent_minutes,
        reaction=pace.interval,
    )


def _unknown_settings(wanted: dict[str, Any], stable: dict[str, Any]) -> list[str]:
    known = ", ".join(sorted(stable))
    return [f"the target has no setting '{name}'; it has {known}" for name in wanted if name not in stable]


def _differing(stable: dict[str, Any], canary: dict[str, Any]) -> list[str]:
    names = [name for name in stable if stable[name] != canary.get(name)]
    return [f"canary and stable differ before the change, in {', '.join(names)}"] if names else []
