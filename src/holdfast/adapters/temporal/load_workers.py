"""Which load workers there are, by the server's list of those who poll, and which campaigns and tests run."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, RecordActivityTaskHeartbeatRequest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.service import RPCError, RPCStatusCode

from holdfast.adapters.temporal.connection import Connection
from holdfast.adapters.temporal.refusals import gone
from holdfast.domain.campaign import TestLine
from holdfast.domain.errors import EngineUnavailable, InvalidInput
from holdfast.ports.load import MadeTest, NewerTest

_CALL_TIMEOUT: Final = timedelta(seconds=4)
# An answer that comes later is of no use to a lease, which lasts as long.
_BEAT_TIMEOUT: Final = timedelta(milliseconds=600)
# A poll that waits for work takes a minute; who has not asked for longer is gone.
_LATELY: Final = timedelta(seconds=70)


class TemporalLoadWorkers:
    """Implements `ports.generators.LoadWorkers`."""

    def __init__(self, client: Client, *, task_queue: str) -> None:
        """Look who polls this task queue, which all load workers do."""
        self._client, self._task_queue = client, task_queue

    async def names(self) -> list[str]:
        """Return the names of those that were there lately, sorted."""
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=self._task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
        try:
            found = await self._client.workflow_service.describe_task_queue(request, timeout=_CALL_TIMEOUT)
        except RPCError as error:
            raise EngineUnavailable(f"the Temporal server does not answer: {error}") from error
        since = datetime.now(UTC) - _LATELY
        lately = (p for p in found.pollers if p.last_access_time.ToDatetime(UTC) >= since)
        return sorted({poller.identity for poller in lately})


class TemporalCampaigns:
    """Implements `ports.generators.CampaignRuns`."""

    def __init__(self, client: Client) -> None:
        """Signal workflows of type `campaign`."""
        self._client = client

    async def tested(self, campaign: str, line: TestLine) -> int:
        """Tell every run of this campaign that is open what a test came to."""
        query = f'WorkflowType = "campaign" AND ExecutionStatus = "Running" AND HoldfastRunbook = "{campaign}"'
        told = 0
        try:
            async for run in self._client.list_workflows(query, rpc_timeout=_CALL_TIMEOUT):
                told += await _told(self._client, run.id, "tested", line)
        except RPCError as error:
            raise EngineUnavailable(f"the Temporal server does not answer: {error}") from error
        return told


class TemporalOpenTests:
    """Implements `ports.generators.OpenTests`."""

    def __init__(self, client: Client) -> None:
        """Signal workflows of type `load`."""
        self._client = client

    async def overtake(self, newer: NewerTest) -> int:
        """Tell every open run of a load test but that test's own.

        The index does not know the campaign of a run; which of them it concerns, each knows itself.
        """
        query = 'WorkflowType = "load" AND ExecutionStatus = "Running"'
        told = 0
        try:
            async for run in self._client.list_workflows(query, rpc_timeout=_CALL_TIMEOUT):
                if run.id != newer.line.run:
                    told += await _told(self._client, run.id, "overtaken", newer)
        except RPCError as error:
            raise EngineUnavailable(f"the Temporal server does not answer: {error}") from error
        return told


class TemporalLeases:
    """Implements `ports.generators.Leases` by heartbeats whose answer is seen; the SDK's own hide it."""

    def __init__(self, client: Client) -> None:
        """Renew at this server."""
        self._client = client

    async def renew(self, token: bytes) -> bool:
        """Tell the server that the activity of this token is alive; False where it is over for the server."""
        request = RecordActivityTaskHeartbeatRequest(
            namespace=self._client.namespace, task_token=token, identity=self._client.identity
        )
        try:
            await self._client.workflow_service.record_activity_task_heartbeat(
                request, retry=False, timeout=_BEAT_TIMEOUT
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise EngineUnavailable(f"the Temporal server does not answer: {error}") from error
        return True


class TemporalLoadRuns:
    """Implements `ports.load.LoadRuns` over a client that connects when it is first needed."""

    def __init__(self, connect: Callable[[], Awaitable[Client]], *, address: str) -> None:
        """Ask the runs at this server; `address` is what errors call it."""
        self._connection = Connection(connect, address)

    async def made(self, run: str) -> MadeTest:
        """Return which test a run makes, and whether the run is open."""
        async with self._connection.lent() as client:
            try:
                return await _made(client.get_workflow_handle(run))
            except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
                raise EngineUnavailable(f"the run does not answer: {error}") from error
            except RPCError as error:
                raise gone(run, error) from error


async def _made(handle: WorkflowHandle[Any, Any]) -> MadeTest:
    found = await handle.describe(rpc_timeout=_CALL_TIMEOUT)
    if found.workflow_type != "load":
        raise InvalidInput(f"run '{handle.id}' is no load test; 'holdfast runs' says of what kind each run is")
    made: MadeTest = await handle.query("made", result_type=MadeTest, rpc_timeout=_CALL_TIMEOUT)
    # A run that was terminated does not know of its end.
    return made.model_copy(update={"open": found.status is WorkflowExecutionStatus.RUNNING})


async def _told(client: Client, run_id: str, signal: str, message: BaseModel) -> bool:
    try:
        await client.get_workflow_handle(run_id).signal(signal, message, rpc_timeout=_CALL_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:  # it has ended since it was listed
            return False
        raise
    return True
