"""The activities and runs that a campaign calls, with their time limits and what the history shows of them."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowHandle, ParentClosePolicy

from workflows import options
from workflows.board import Board
from workflows.calls import call

with workflow.unsafe.imports_passed_through():
    from activities.announcing import AnnounceRequest, AnnouncingActivities
    from activities.campaigns import (
        Analysed,
        AnalysisRequest,
        CampaignActivities,
        Candidates,
        CandidatesRequest,
        KnownTests,
        TestsRequest,
    )
    from activities.errands import ErrandActivities, ErrandRequest, ErrandSent
    from activities.holding import ClaimReport, ClaimRequest, HoldActivities
    from activities.planning import PlanActivities
    from activities.window import LookReport, LookRequest, WindowActivities
    from holdfast.domain import campaign_phrases as phrases
    from holdfast.domain.campaign import BreachLine, TestLine
    from holdfast.ports.holds import Holder
    from holdfast.ports.runs import CampaignRequest, IncidentRequest, LoadRequest
    from holdfast.runbook.campaigns import CampaignPlan
    from holdfast.runbook.kinds.campaign import Role


async def plan(start: CampaignRequest) -> CampaignPlan:
    """Read and review the campaign's file once; the run keeps what it read."""
    request = CampaignRequest(**{name: getattr(start, name) for name in CampaignRequest.model_fields})
    return await call(
        PlanActivities.plan_campaign, request, returns=CampaignPlan, summary=f"read {start.runbook}"
    )


async def claim(of: CampaignPlan, board: Board) -> str:
    """Make this the only run of the campaign; return the id of the one that there is already."""
    holder = Holder(run=board.view.run_id, since=workflow.now(), title=of.spec.title)
    report = await call(
        HoldActivities.claim_systems,
        ClaimRequest(systems=[f"campaign:{of.spec.name}"], holder=holder),
        returns=ClaimReport,
        summary=f"the only run of {of.spec.name}",
    )
    return report.held.by.run if report.held else ""


async def tests(of: CampaignPlan) -> list[TestLine]:
    """Return the load tests that the store knows of this campaign, oldest first."""
    known = await call(
        CampaignActivities.known_tests,
        TestsRequest(campaign=of.spec.name),
        returns=KnownTests,
        task_queue=options.RECORD_QUEUE,
        summary="load tests so far",
    )
    return known.tests


async def load_test(run: str, of: CampaignPlan, by: str) -> TestLine:
    """Run a load test as a run of its own and return what it came to, after what people decided."""
    report: dict[str, Any] = await workflow.execute_child_workflow(
        "load",
        LoadRequest(runbook=of.spec.load_test.runbook, requested_by=by, campaign=of.spec.name),
        id=run,
        parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
        static_summary=f"load test of {of.spec.title}"[:200],
        result_type=dict[str, Any],
    )
    return TestLine.model_validate(report["view"]["load"]["result"])


async def candidates(role: Role, of: CampaignPlan) -> list[str]:
    """Return the short names of those who could take a role at this moment, the first choice first."""
    found = await call(
        CampaignActivities.candidates,
        CandidatesRequest(candidates=role.candidates, people=of.people),
        returns=Candidates,
        task_queue=options.RECORD_QUEUE,
        summary=f"who could be: {role.title}"[:200],
    )
    return found.names


async def ask_person(request: ErrandRequest) -> ErrandSent:
    """Ask one person for a role or a task, in private."""
    return await call(
        ErrandActivities.ask_person,
        request,
        returns=ErrandSent,
        task_queue=options.CHAT_QUEUE,
        retry_policy=options.CHAT,
        summary=f"ask {request.name}: {request.to}",
    )


async def tell_client(request: AnnounceRequest) -> None:
    """Write into the client's channel."""
    await call(
        AnnouncingActivities.tell_client,
        request,
        returns=type(None),
        task_queue=options.CHAT_QUEUE,
        retry_policy=options.CHAT,
        summary=f"tell the client: {request.news.occasion}",
    )


async def look(request: LookRequest) -> LookReport:
    """Watch until there is something to tell, or until it is time to come back."""
    return await call(
        WindowActivities.watch_window,
        request,
        returns=LookReport,
        task_queue=options.WATCH_QUEUE,
        start_to_close_timeout=options.WATCH_ATTEMPT,
        heartbeat_timeout=options.WINDOW_HEARTBEAT,
        summary="watch the window",
    )


async def analyse(board: Board, of: CampaignPlan) -> Analysed:
    """Make the report of the whole campaign, keep it, and show it to the team."""
    return await call(
        CampaignActivities.analyse,
        AnalysisRequest(view=board.view, plan=of, message=board.message),
        returns=Analysed,
        task_queue=options.RECORD_QUEUE,
        start_to_close_timeout=options.ANALYSIS,
        heartbeat_timeout=options.HEARTBEAT,
        schedule_to_close_timeout=options.LAST_CARD,
        summary="the report",
    )


async def open_incident(
    breach: BreachLine, board: Board, of: CampaignPlan, *, title: str
) -> tuple[str, ChildWorkflowHandle[Any, Any] | None]:
    """Open an incident for a breach; it outlives the campaign.

    Returns:
        The id of its run, and the run; None where it was there already, in a history that was reset.
    """
    run = f"{board.view.run_id}-incident-{breach.number}"
    request = IncidentRequest(
        runbook=of.spec.response.incident,
        requested_by=board.view.requested_by,
        title=title,
        by_run=board.view.run_id,
    )
    try:
        return run, await workflow.start_child_workflow(
            "incident",
            request,
            id=run,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=title[:200],
        )
    except WorkflowAlreadyStartedError:
        return run, None


async def tell_incident(run: str, text: str) -> None:
    """Tell an incident that the watch sees it well again."""
    await workflow.get_external_workflow_handle(run).signal("recovered", text)


async def leave_incident(run: str, watch: str) -> None:
    """Tell an incident that nobody watches for it any more; one that is over already need not hear of it."""
    try:
        await workflow.get_external_workflow_handle(run).signal(
            "unwatched", phrases.UNWATCHED.format(run=watch)
        )
    except FailureError:
        workflow.logger.info("the incident %s is over already", run)
