"""Which load workers there are, by the server's list of those who poll, and which campaigns run."""

from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from holdfast.domain.campaign import TestLine
from holdfast.domain.errors import EngineUnavailable

_CALL_TIMEOUT: Final = timedelta(seconds=4)
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
                told += await self._told(run.id, line)
        except RPCError as error:
            raise EngineUnavailable(f"the Temporal server does not answer: {error}") from error
        return told

    async def _told(self, run_id: str, line: TestLine) -> bool:
        try:
            handle = self._client.get_workflow_handle(run_id)
            await handle.signal("tested", line, rpc_timeout=_CALL_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:  # it has ended since it was listed
                return False
            raise
        return True
