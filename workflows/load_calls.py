"""The activities that load tests call, with their time limits and what the history shows of them."""

from temporalio import workflow
from temporalio.workflow import ActivityCancellationType

from workflows import load_options, options
from workflows.calls import call

with workflow.unsafe.imports_passed_through():
    from activities.holding import ClaimReport, ClaimRequest, HoldActivities, ReleaseRequest
    from activities.load_planning import (
        FindWorkersRequest,
        FoundWorkers,
        LoadPlanActivities,
        OvertakeRequest,
        PlanLoadRequest,
        TellCampaignRequest,
    )
    from activities.load_watching import (
        Concluded,
        ConcludeRequest,
        GoRequest,
        LoadLook,
        LoadWatchActivities,
        LoadWatchRequest,
    )
    from activities.loading import LoadActivities, MakeRequest, ReadyReport, ReadyRequest, ShardEnd
    from holdfast.domain.campaign import Go, TestLine
    from holdfast.ports.holds import Holder
    from holdfast.ports.runs import LoadRequest
    from holdfast.runbook.kinds.load import LoadSpec
    from holdfast.runbook.load_plan import LoadPlan


async def plan(start: LoadRequest) -> LoadPlan:
    """Read and review the files of a test once; the run keeps what it read."""
    request = PlanLoadRequest(request=start, now=workflow.now(), by_run=workflow.info().parent is not None)
    return await call(
        LoadPlanActivities.plan_load,
        request,
        returns=LoadPlan,
        summary=f"read {start.runbook or start.campaign}",
    )


async def claim(names: list[str], title: str) -> str:
    """Keep other tests of the same away; return the id of the run that is there before, empty for none."""
    holder = Holder(run=workflow.info().workflow_id, since=workflow.now(), title=title)
    report = await call(
        HoldActivities.claim_systems,
        ClaimRequest(systems=names, holder=holder),
        returns=ClaimReport,
        heartbeat_timeout=options.HEARTBEAT,
        summary="the only test of it",
    )
    return report.held.by.run if report.held else ""


async def release(names: list[str]) -> None:
    """Let other tests of the same begin."""
    await call(
        HoldActivities.release_systems,
        ReleaseRequest(systems=names, run=workflow.info().workflow_id),
        returns=type(None),
        heartbeat_timeout=options.HEARTBEAT,
        summary="another test may begin",
    )


async def find_workers(run: str) -> list[str]:
    """Return the names of the load workers; raises ActivityError where none comes up in time."""
    found = await call(
        LoadPlanActivities.find_load_workers,
        FindWorkersRequest(run=run),
        returns=FoundWorkers,
        schedule_to_close_timeout=load_options.FIND_WORKERS,
        summary="who makes load?",
    )
    return found.names


async def ask(worker: str, spec: LoadSpec) -> ReadyReport:
    """Ask one load worker whether it is there; raises ActivityError where it is not."""
    return await call(
        LoadActivities.ready_for_load,
        ReadyRequest(spec=spec),
        returns=ReadyReport,
        task_queue=load_options.own_queue(worker),
        schedule_to_start_timeout=load_options.READY_WITHIN,
        start_to_close_timeout=load_options.READY_ATTEMPT,
        retry_policy=options.ONCE,
        summary=f"is {worker} there?",
    )


async def make(request: MakeRequest, *, worker: str) -> ShardEnd:
    """Make a shard: on this worker, or on whichever is free where no name is given.

    Raises:
        ActivityError: its worker died, or the share cannot be made.
    """
    lasts = request.spec.lasts
    return await call(
        LoadActivities.make_load,
        request,
        returns=ShardEnd,
        task_queue=load_options.own_queue(worker) if worker else load_options.LOAD_QUEUE,
        schedule_to_start_timeout=load_options.LEAD if worker else lasts,
        start_to_close_timeout=lasts + load_options.LOAD_SPARE,
        heartbeat_timeout=load_options.LOAD_HEARTBEAT,
        retry_policy=options.ONCE,
        # The run says that it has stopped when it has.
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=f"share {request.shard + 1} of {request.shards}"
        + (f", attempt {request.attempt}" if request.attempt > 1 else ""),
    )


async def look(run: str, spec: LoadSpec, start_at: float) -> LoadLook:
    """Return the newest figures at the next full second, or at once when a threshold aborts the test."""
    every = max(load_options.LOOK_EVERY, spec.lasts / load_options.MOST_LOOKS)
    return await call(
        LoadWatchActivities.watch_load,
        LoadWatchRequest(run=run, spec=spec, start_at=start_at, seconds=every.total_seconds()),
        returns=LoadLook,
        task_queue=options.WATCH_QUEUE,
        start_to_close_timeout=2 * every + options.ATTEMPT,
        heartbeat_timeout=options.HEARTBEAT,
        summary="how does it go?",
    )


async def conclude(request: ConcludeRequest) -> Concluded:
    """Add up what was reported, and keep what the test came to."""
    return await call(
        LoadWatchActivities.conclude_load,
        request,
        returns=Concluded,
        task_queue=options.WATCH_QUEUE,
        start_to_close_timeout=load_options.CONCLUDE_ATTEMPT,
        heartbeat_timeout=options.HEARTBEAT,
        summary="add up the reports",
    )


async def record(run: str, go: Go, by: str) -> None:
    """Put down beside the result what was decided."""
    await call(
        LoadWatchActivities.record_go,
        GoRequest(run=run, go=go, by=by),
        returns=type(None),
        task_queue=options.WATCH_QUEUE,
        summary=f"{by}: {go}"[:200],
    )


async def tell_campaign(campaign: str, line: TestLine) -> None:
    """Tell the campaign's open runs; raises ActivityError where that does not succeed for long."""
    await call(
        LoadPlanActivities.tell_campaign,
        TellCampaignRequest(campaign=campaign, line=line),
        returns=type(None),
        schedule_to_close_timeout=load_options.TELL_CAMPAIGN,
        summary=f"tell {campaign}: {line.verdict}",
    )


async def overtake(campaign: str, line: TestLine) -> None:
    """Take back the questions about older tests of the campaign; raises ActivityError as `tell_campaign`."""
    await call(
        LoadPlanActivities.overtake_tests,
        OvertakeRequest(campaign=campaign, line=line),
        returns=type(None),
        schedule_to_close_timeout=load_options.OVERTAKE,
        summary=f"older tests of {campaign} are overtaken",
    )
