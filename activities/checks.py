"""Pre-deployment checks: is the system as the stage expects to find it?"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from temporalio import activity

from holdfast.domain.errors import HoldfastError, UnknownName
from holdfast.domain.journal import TargetState
from holdfast.ports.changes import ChangeProvider
from holdfast.ports.metrics import MetricsSource
from holdfast.runbook.kinds.rollout import Pace, Stage
from holdfast.runbook.plan import SHARE_KIND
from holdfast.verdict.exposure import Detection, planned
from holdfast.verdict.query import resolve
from holdfast.verdict.settings import Scoring


class CheckRequest(BaseModel):
    """The stage to check, at which endpoint, judged by which metrics over which rate window."""

    endpoint: str
    stage: Stage
    scoring: Scoring
    window: timedelta
    pace: Pace | None = None


class CheckReport(BaseModel):
    """What the checks found.

    Attributes:
        problems: what stands in the way, in words; empty when the stage may go on.
        in_place: whether everybody already has the stage's settings.
        before: the settings that the stage would replace.
        whole: everything that is set at the target now.
        exposure: the worst that the stage can do to customers, in words; empty where the file has no `traffic`
            or nothing is known of it.
    """

    problems: list[str]
    in_place: bool = False
    before: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    exposure: str = ""


class CheckActivities:
    """Reads the target and the metrics backend; changes nothing."""

    def __init__(self, providers: Mapping[str, ChangeProvider], metrics: MetricsSource) -> None:
        """Use these change providers, by kind, and this metrics backend."""
        self._providers = providers
        self._metrics = metrics

    @activity.defn
    async def check_stage(self, request: CheckRequest) -> CheckReport:
        """Check that the target answers, carries no other canary, knows the settings, and is measured."""
        try:
            stable, canary, share = await self._read(request)
        except HoldfastError as error:
            return CheckReport(problems=[str(error)])
        wanted = request.stage.change.set
        before = {name: stable.values.get(name) for name in wanted}
        return CheckReport(
            problems=[
                *_unknown_settings(wanted, stable),
                *_another_canary(stable, canary, share),
                *await self._unmeasured(request),
            ],
            in_place=before == wanted,
            before=before,
            whole=stable.values,
            exposure=await self._exposure(request),
        )

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
            request.stage.shares_percent, users_per_minute, pace_detection(request.scoring, pace)
        ).briefly

    async def _read(self, request: CheckRequest) -> tuple[TargetState, TargetState, TargetState]:
        kind = request.stage.change.kind
        for name in (kind, SHARE_KIND):
            if name not in self._providers:
                raise UnknownName("change kind", name, self._providers)
        settings, shares = self._providers[kind], self._providers[SHARE_KIND]
        stable = await settings.read(request.endpoint, "stable")
        canary = await settings.read(request.endpoint, "canary")
        return stable, canary, await shares.read(request.endpoint, "share")

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


def _unknown_settings(wanted: dict[str, Any], stable: TargetState) -> list[str]:
    known = ", ".join(sorted(stable.values))
    return [
        f"the target has no setting '{name}'; it has {known}" for name in wanted if name not in stable.values
    ]


def _another_canary(stable: TargetState, canary: TargetState, share: TargetState) -> list[str]:
    problems: list[str] = []
    if share.values.get("percent"):
        problems.append(f"a canary is out already: its share is {share.values['percent']} %")
    differing = [k for k in stable.values if stable.values[k] != canary.values.get(k)]
    if differing:
        problems.append(f"canary and stable differ before the change, in {', '.join(differing)}")
    return problems
