"""Runs as Temporal workflows: the one way in which the bot and the command line reach them."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

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
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from holdfast.domain.errors import DecisionRefused, EngineUnavailable, UnknownName
from holdfast.domain.gates import Answer, Decision, DecisionReply
from holdfast.domain.view import RunView
from holdfast.ports.runs import RolloutRequest, RunLine

# A tap has to be answered within about fifteen seconds, with time left for the signal that may follow.
_STATE = SearchAttributeKey.for_keyword("HoldfastState")
_RUNBOOK = SearchAttributeKey.for_keyword("HoldfastRunbook")
_UPDATE_TIMEOUT = timedelta(seconds=4)
_CALL_TIMEOUT = timedelta(seconds=4)


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
        self._connect = connect
        self._address = address
        self._task_queue = task_queue
        self._workflow = workflow
        self._client: Client | None = None

    async def start(self, request: RolloutRequest, *, run_id: str) -> bool:
        """Start a run; False when a run of this id was already there."""
        async with self._engine() as client:
            try:
                await client.start_workflow(
                    self._workflow,
                    request,
                    id=run_id,
                    task_queue=self._task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    static_summary=f"{request.runbook}, started by {request.requested_by}"[:200],
                    rpc_timeout=_CALL_TIMEOUT,
                )
            except WorkflowAlreadyStartedError:
                return False
        return True

    async def decide(self, run_id: str, decision: Decision) -> DecisionReply:
        """Pass a decision as an Update; as a durable Signal when no worker answers in time."""
        async with self._engine() as client:
            handle = client.get_workflow_handle(run_id)
            try:
                reply: DecisionReply = await handle.execute_update(  # pyright: ignore[reportUnknownMemberType]  the SDK's own overloads
                    "decide",
                    decision,
                    id=decision.id or None,
                    result_type=DecisionReply,
                    rpc_timeout=_UPDATE_TIMEOUT,
                )
            except WorkflowUpdateFailedError as error:
                raise _refusal(error) from None
            except WorkflowUpdateRPCTimeoutOrCancelledError:
                return await _leave_signal(handle, decision)
            except RPCError as error:
                if error.status in _NO_WORKER:
                    return await _leave_signal(handle, decision)
                raise _gone(run_id, error) from error
        return reply

    async def view(self, run_id: str) -> RunView:
        """Return what the run shows of itself."""
        async with self._engine() as client:
            handle = client.get_workflow_handle(run_id)
            try:
                view: RunView = await handle.query("view", result_type=RunView, rpc_timeout=_CALL_TIMEOUT)
            except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
                raise EngineUnavailable(f"the run does not answer: {error}") from error
            except RPCError as error:
                raise _gone(run_id, error) from error
        return view

    async def recent(self, *, limit: int = 20) -> list[RunLine]:
        """Return the newest runs, newest first."""
        lines: list[RunLine] = []
        async with self._engine() as client:
            query = f'WorkflowType = "{self._workflow}"'
            async for run in client.list_workflows(query, limit=limit, rpc_timeout=_CALL_TIMEOUT):
                state = run.typed_search_attributes.get(_STATE)
                lines.append(
                    RunLine(
                        run_id=run.id,
                        runbook=run.typed_search_attributes.get(_RUNBOOK) or "",
                        status=state or (run.status.name.lower() if run.status else "unknown"),
                        started_at=f"{run.start_time:%Y-%m-%d %H:%M:%S} UTC",
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
                raise _gone(run_id, error) from error
        return report

    @asynccontextmanager
    async def _engine(self) -> AsyncGenerator[Client]:
        """Lend the client; say in one way that the server does not answer."""
        try:
            if self._client is None:
                self._client = await self._connect()
            yield self._client
        except RuntimeError as error:  # what the SDK raises when it cannot connect
            raise self._unavailable() from error
        except RPCError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: RPCError | None = None) -> EngineUnavailable:
        if error is None or error.status in _SILENCE:
            return EngineUnavailable(f"the Temporal server at {self._address} does not answer")
        if error.status in _NO_WORKER:
            return EngineUnavailable("no worker is up to answer; start one with 'holdfast worker'")
        return EngineUnavailable(f"the Temporal server at {self._address} cannot do it: {error.message}")


_SILENCE = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}
# How the server puts it that nobody polls the run's task queue.
_NO_WORKER = {RPCStatusCode.FAILED_PRECONDITION}


async def _leave_signal(handle: WorkflowHandle[Any, Any], decision: Decision) -> DecisionReply:
    await handle.signal("decide", decision, rpc_timeout=_CALL_TIMEOUT)
    return DecisionReply(
        answer=Answer.STORED,
        gate=decision.gate,
        text="Stored. No worker is up to check it now; it is checked and counted as soon as one is.",
    )


def _refusal(error: WorkflowUpdateFailedError) -> Exception:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type and cause.type in set(Answer):
        return DecisionRefused(cause.type, cause.message)
    if isinstance(cause, ApplicationError) and cause.type == "AcceptedUpdateCompletedWorkflow":
        return DecisionRefused(Answer.ALREADY_DECIDED, "The run has ended; nothing is asked any more.")
    return error


def _gone(run_id: str, error: RPCError) -> Exception:
    if error.status is not RPCStatusCode.NOT_FOUND:
        return error
    if "already completed" in error.message:
        return DecisionRefused(Answer.ALREADY_DECIDED, "The run has ended; nothing is asked any more.")
    return UnknownName("run", run_id, ["those that 'holdfast runs' lists"])
