"""Runs as Temporal workflows: the one way in which the bot and the command line reach them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import SearchAttributeKey, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from holdfast.adapters.temporal.connection import Connection
from holdfast.adapters.temporal.refusals import NO_WORKER, gone, refusal
from holdfast.adapters.temporal.waiting import indexed_runs, longest_waiting, looked_at
from holdfast.domain.decisions import (
    Answer,
    CodeRequest,
    Decision,
    DecisionReply,
    Extension,
    Handover,
    RollBack,
    Signed,
)
from holdfast.domain.errors import EngineUnavailable
from holdfast.domain.view import RunView
from holdfast.domain.words import Word
from holdfast.ports.runs import (
    CampaignRequest,
    IncidentRequest,
    LoadRequest,
    RolloutRequest,
    RunLine,
    UndoRequest,
    WaitingGate,
)

_STATE = SearchAttributeKey.for_keyword("HoldfastState")
_INCIDENT: Final = "incident"
_CAMPAIGN: Final = "campaign"
_LOAD: Final = "load"
_RUNBOOK = SearchAttributeKey.for_keyword("HoldfastRunbook")
# A tap has to be answered within about fifteen seconds, with time left for the signal that may follow.
_UPDATE_TIMEOUT = timedelta(seconds=4)
_CALL_TIMEOUT = timedelta(seconds=4)
# A message goes to a chat before the answer comes.
_CODE_TIMEOUT = timedelta(seconds=20)


class TemporalRuns:
    """Implements `ports.runs.RunControl` over a client that connects when it is first needed."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Client]],
        *,
        task_queue: str,
        address: str,
        workflow: str = "rollout",
    ) -> None:
        """Start runs of this workflow type on this task queue; `address` is what errors call the server."""
        self._engine = Connection(connect, address).lent
        self._task_queue = task_queue
        self._workflow = workflow

    async def start(self, request: RolloutRequest, *, run_id: str) -> bool:
        """Start a run; False when a run of this id was already there."""
        summary = f"{request.runbook}, started by {request.requested_by}"
        return await self._started(self._workflow, request, run_id, summary)

    async def undo(self, request: UndoRequest, *, run_id: str) -> bool:
        """Start a run that undoes an ended one."""
        return await self._started("undo", request, run_id, f"undo {request.run}, for {request.requested_by}")

    async def decide(self, run_id: str, decision: Decision) -> DecisionReply:
        """Pass a decision as an Update; as a durable Signal when no worker answers in time."""
        return await self._now_or_later(run_id, "decide", decision)

    async def roll_back(self, run_id: str, request: RollBack) -> DecisionReply:
        """Ask for a rollback in the same way."""
        return await self._now_or_later(run_id, "roll_back", request)

    async def open_incident(self, request: IncidentRequest, *, run_id: str) -> bool:
        """Open an incident."""
        return await self._started(
            _INCIDENT, request, run_id, f"{request.title}, opened by {request.requested_by}"
        )

    async def start_campaign(self, request: CampaignRequest, *, run_id: str) -> bool:
        """Start a campaign."""
        summary = f"{request.runbook}, started by {request.requested_by}"
        return await self._started(_CAMPAIGN, request, run_id, summary)

    async def start_load(self, request: LoadRequest, *, run_id: str) -> bool:
        """Start a load test."""
        return await self._started(
            _LOAD, request, run_id, f"load test {request.runbook}, started by {request.requested_by}"
        )

    async def say(self, run_id: str, word: Word) -> DecisionReply:
        """Say a word as an Update; as a durable Signal when no worker answers in time."""
        return await self._now_or_later(run_id, word.act, word)

    async def extend(self, run_id: str, extension: Extension) -> DecisionReply:
        """Move the deadline of a run's open gate."""
        return await self._now(run_id, "extend", extension, update_id=extension.id)

    async def hand_over(self, run_id: str, handover: Handover) -> DecisionReply:
        """Hand a run's open gate over to somebody else."""
        return await self._now(run_id, "delegate", handover, update_id=handover.id)

    async def send_code(self, run_id: str, request: CodeRequest) -> DecisionReply:
        """Have an approval code sent to a person's private chat."""
        return await self._now(
            run_id,
            "send_code",
            request,
            within=_CODE_TIMEOUT,
            silence="the code may still arrive in the private chat",
        )

    async def waiting(self, person: str = "", *, limit: int = 50) -> list[WaitingGate]:
        """Return the open gates that wait for this person, or for anybody; the longest waiting first."""
        name = person.strip().lower()
        async with self._engine() as client:
            run_ids = await indexed_runs(client, name, within=_CALL_TIMEOUT)
        views, silent = await looked_at(self.view, run_ids)
        waiting = longest_waiting(views, name, datetime.now(UTC))
        if silent is not None and not waiting:  # "nothing waits" could be a lie
            raise silent
        return waiting[:limit]

    async def view(self, run_id: str) -> RunView:
        """Return what the run shows of itself."""
        async with self._engine() as client:
            handle = client.get_workflow_handle(run_id)
            try:
                view: RunView = await handle.query("view", result_type=RunView, rpc_timeout=_CALL_TIMEOUT)
            except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
                raise EngineUnavailable(f"the run does not answer: {error}") from error
            except RPCError as error:
                raise gone(run_id, error) from error
        return view

    async def recent(self, *, limit: int = 20) -> list[RunLine]:
        """Return the newest runs, newest first."""
        lines: list[RunLine] = []
        async with self._engine() as client:
            query = f'WorkflowType IN ("{self._workflow}", "{_INCIDENT}", "{_CAMPAIGN}", "{_LOAD}")'
            async for run in client.list_workflows(query, limit=limit, rpc_timeout=_CALL_TIMEOUT):
                state = run.typed_search_attributes.get(_STATE)
                lines.append(
                    RunLine(
                        run_id=run.id,
                        runbook=run.typed_search_attributes.get(_RUNBOOK) or "",
                        status=state or (run.status.name.lower() if run.status else "unknown"),
                        started_at=f"{run.start_time:%Y-%m-%d %H:%M:%S} UTC",
                        kind=run.workflow_type,
                    )
                )
        return lines

    async def result(self, run_id: str) -> dict[str, Any]:
        """Wait for the run's end and return its report; a failed run's report says why."""
        async with self._engine() as client:
            try:
                report: dict[str, Any] = await client.get_workflow_handle(
                    run_id, result_type=dict[str, Any]
                ).result()
            except WorkflowFailureError as error:
                return {"outcome": "failed", "why": str(error.cause)}
            except RPCError as error:
                raise gone(run_id, error) from error
        return report

    async def _now_or_later(self, run_id: str, name: str, said: Signed) -> DecisionReply:
        """Send an Update, or leave the Signal of the same name where no worker answers."""
        async with self._engine() as client:
            handle = client.get_workflow_handle(run_id)
            try:
                return await _update(handle, name, said, update_id=said.id)
            except WorkflowUpdateFailedError as error:
                raise refusal(error) from None
            except WorkflowUpdateRPCTimeoutOrCancelledError:
                return await _leave_signal(handle, name, said)
            except RPCError as error:
                if error.status in NO_WORKER:
                    return await _leave_signal(handle, name, said)
                raise gone(run_id, error) from error

    async def _started(self, workflow: str, request: BaseModel, run_id: str, summary: str) -> bool:
        async with self._engine() as client:
            try:
                await client.start_workflow(
                    workflow,
                    request,
                    id=run_id,
                    task_queue=self._task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    static_summary=summary[:200],
                    rpc_timeout=_CALL_TIMEOUT,
                )
            except WorkflowAlreadyStartedError:
                return False
        return True

    async def _now(
        self,
        run_id: str,
        update: str,
        message: BaseModel,
        *,
        silence: str = "look at the gate before you say it again",
        update_id: str = "",
        within: timedelta = _UPDATE_TIMEOUT,
    ) -> DecisionReply:
        """Send what a worker has to answer now; `silence` says what to think when none does in time."""
        async with self._engine() as client:
            handle = client.get_workflow_handle(run_id)
            try:
                return await _update(handle, update, message, update_id=update_id, within=within)
            except WorkflowUpdateFailedError as error:
                raise refusal(error) from None
            except WorkflowUpdateRPCTimeoutOrCancelledError:
                raise EngineUnavailable(
                    f"no worker has answered for run {run_id} within {within.total_seconds():.0f} s; {silence}"
                ) from None
            except RPCError as error:
                raise gone(run_id, error) from error


async def _update(
    handle: WorkflowHandle[Any, Any],
    update: str,
    message: BaseModel,
    *,
    update_id: str = "",
    within: timedelta = _UPDATE_TIMEOUT,
) -> DecisionReply:
    reply: DecisionReply = await handle.execute_update(  # pyright: ignore[reportUnknownMemberType]  the SDK's own overloads
        update, message, id=update_id or None, result_type=DecisionReply, rpc_timeout=within
    )
    return reply


async def _leave_signal(handle: WorkflowHandle[Any, Any], name: str, said: Signed) -> DecisionReply:
    await handle.signal(name, said, rpc_timeout=_CALL_TIMEOUT)
    return DecisionReply(
        answer=Answer.STORED,
        gate=said.gate,
        text="Stored. No worker is up to check it now; it is checked and counted as soon as one is.",
    )
