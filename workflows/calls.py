"""The activities that runs call, with their time limits and what the history shows of them."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from temporalio import exceptions, workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

from workflows import options

with workflow.unsafe.imports_passed_through():
    from activities.calling import CallingActivities, TellRequest
    from activities.checks import CheckActivities, CheckReport, CheckRequest
    from activities.planning import PlanActivities, PlanRequest
    from activities.recalling import RecallActivities, Recalled, RecallRequest
    from activities.telling import TellingActivities, ThreadRequest
    from activities.watching import BaselineRequest, WatchActivities, WatchRequest, WatchResult
    from holdfast.domain.people import Person
    from holdfast.domain.view import MessageRef, RunView
    from holdfast.ports.runs import IncidentRequest, RolloutRequest
    from holdfast.runbook import plan as planned
    from holdfast.runbook.incidents import IncidentPlan
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan
    from holdfast.verdict.observation import Baseline, Observation

R = TypeVar("R")


async def call(method: Any, argument: Any, *, returns: type[R], **how: Any) -> R:
    """Execute an activity; a cancellation of the run arrives as `CancelledError`, never as a failed activity.

    Raises:
        ActivityError: it failed for good; the cause says why.
    """
    how = {"start_to_close_timeout": options.ATTEMPT, "retry_policy": options.STEADY, **how}
    try:
        result: R = await workflow.execute_activity(method, argument, result_type=returns, **how)
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise asyncio.CancelledError from error
        raise
    return result


def reason(error: ActivityError) -> str:
    """Return why an activity failed, in the words of what failed last."""
    cause = error.cause
    while isinstance(cause, exceptions.TimeoutError) and cause.cause is not None:
        cause = cause.cause
    return cause.message if isinstance(cause, FailureError) else str(cause or error)


async def load_plan(start: RolloutRequest) -> Plan:
    """Read and review the runbook file once; the run keeps what it read."""
    request = PlanRequest(runbook=start.runbook, requested_by=start.requested_by, pace=start.pace)
    return await call(PlanActivities.load_plan, request, returns=Plan, summary=f"read {start.runbook}")


async def plan_incident(start: IncidentRequest) -> IncidentPlan:
    """Read and review the files of an incident once; the run keeps what it read."""
    names = IncidentRequest.model_fields
    request = IncidentRequest(**{name: getattr(start, name) for name in names})
    return await call(
        PlanActivities.plan_incident, request, returns=IncidentPlan, summary=f"read {start.runbook}"
    )


async def open_thread(view: RunView) -> MessageRef:
    """Open a topic for the run, where the chat has topics."""
    return await call(
        TellingActivities.open_thread,
        ThreadRequest(run_id=view.run_id, title=view.title),
        returns=MessageRef,
        task_queue=options.CHAT_QUEUE,
        retry_policy=options.CHAT,
        summary=f"topic: {view.title}"[:200],
    )


async def tell_person(person: Person, text: str, **how: Any) -> None:
    """Write to one person in private; a chat is tried a few times."""
    await call(
        CallingActivities.tell_person,
        TellRequest(person=person, text=text),
        returns=type(None),
        task_queue=options.CHAT_QUEUE,
        retry_policy=options.CHAT,
        **how,
    )


async def recall(request: RecallRequest) -> Recalled:
    """Read what an ended run did."""
    return await call(RecallActivities.recall_run, request, returns=Recalled, summary=f"recall {request.run}")


async def check_stage(plan: Plan, stage: Stage) -> CheckReport:
    """Look whether the target and the metrics are as the stage expects them."""
    request = CheckRequest(
        endpoint=plan.spec.target.endpoint,
        stage=stage,
        scoring=plan.scoring,
        window=plan.pace.interval,
        pace=plan.pace,
        effects=planned.system_effects(workflow.info().workflow_id, plan.spec, stage),
    )
    return await call(
        CheckActivities.check_stage,
        request,
        returns=CheckReport,
        start_to_close_timeout=options.DRY_RUN if request.effects else options.ATTEMPT,
        heartbeat_timeout=options.HEARTBEAT,
        summary=f"check before {stage.name}",
    )


async def take_baseline(plan: Plan, *, not_before: datetime | None) -> Baseline:
    """Measure the control side as it is before the stage, and as it has been since the stage before."""
    request = BaselineRequest(
        scoring=plan.scoring, window_seconds=plan.pace.interval.total_seconds(), not_before=not_before
    )
    return await call(
        WatchActivities.take_baseline,
        request,
        returns=Baseline,
        task_queue=options.WATCH_QUEUE,
        schedule_to_close_timeout=plan.spec.apply_for,
        summary="take the baseline",
    )


async def watch_share(
    run_id: str,
    plan: Plan,
    stage: Stage,
    share: int,
    baseline: Baseline,
    *,
    until_rollback: bool = False,
    seen: Sequence[Observation] = (),
) -> WatchResult:
    """Watch one share for its window; or, as a guard, for as long as it takes until it must be rolled back.

    A guard goes on from what was `seen` before it.
    """
    request = WatchRequest(
        run_id=run_id,
        runbook=plan.spec.name,
        stage=stage.name,
        share_percent=share,
        scoring=plan.scoring if stage.has_canary else plan.scoring.of_everybody(),
        pace=plan.pace,
        baseline=baseline,
        until_rollback=until_rollback,
        seen=list(seen),
    )
    return await call(
        WatchActivities.watch_share,
        request,
        returns=WatchResult,
        task_queue=options.WATCH_QUEUE,
        start_to_close_timeout=options.WATCH_ATTEMPT,
        heartbeat_timeout=options.HEARTBEAT,
        summary=f"{'guard' if until_rollback else 'watch'} {stage.name} at {share} %",
    )
