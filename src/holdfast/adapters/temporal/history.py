"""What the Temporal server itself recorded of a run; implements `ports.history.RunHistory`."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from holdfast.domain.errors import EngineUnavailable, InvalidInput
from holdfast.ports.history import SignalStamp

_CALL_TIMEOUT = timedelta(seconds=10)


class TemporalHistory:
    """Reads histories through the worker's own client."""

    def __init__(self, client: Client) -> None:
        """Read through this client."""
        self._client = client

    async def stamp(self, run: str, execution: str, *, signal: str, code: str) -> SignalStamp | None:
        """Return the stamp of the first signal of this name whose message carries this code."""
        async for event in self._events(run, execution):
            attributes = event.workflow_execution_signaled_event_attributes
            if (
                event.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
                or attributes.signal_name != signal
            ):
                continue
            messages: list[Any] = await self._client.data_converter.decode(list(attributes.input.payloads))
            if any(isinstance(m, dict) and cast("dict[str, Any]", m).get("code", "") == code for m in messages):
                return SignalStamp(at=_time(event), principal=_principal(event))
        return None

    async def reset_at(self, run: str, execution: str) -> datetime | None:
        """Return when somebody made this execution by resetting another one."""
        newest: datetime | None = None
        async for event in self._events(run, execution):
            cause = event.workflow_task_failed_event_attributes.cause
            if cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW:
                newest = _time(event)
        return newest

    async def recall(self, run: str) -> dict[str, Any]:
        """Return the `plan` and newest `view` of a run, as itself tells them, and whether it is `closed`."""
        handle = self._client.get_workflow_handle(run)
        try:
            told = {name: await handle.query(name, rpc_timeout=_CALL_TIMEOUT) for name in ("plan", "view")}
            found = await handle.describe(rpc_timeout=_CALL_TIMEOUT)
            return told | {"closed": found.status is not WorkflowExecutionStatus.RUNNING}
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise InvalidInput(
                    f"the server has no run '{run}', or keeps it no longer: undo it by hand, from the audit log"
                ) from None
            raise EngineUnavailable(f"{run} does not answer: {error.message}") from error
        except WorkflowQueryFailedError as error:
            raise InvalidInput(f"{run} cannot tell what it did: {error}") from None

    async def _events(self, run: str, execution: str) -> AsyncIterator[HistoryEvent]:
        handle = self._client.get_workflow_handle(run, run_id=execution or None)
        try:
            async for event in handle.fetch_history_events():
                yield event
        except RPCError as error:
            raise EngineUnavailable(f"the history of {run} cannot be read: {error.message}") from error


def _time(event: HistoryEvent) -> datetime:
    return event.event_time.ToDatetime(tzinfo=UTC)


def _principal(event: HistoryEvent) -> str:
    return f"{event.principal.type}/{event.principal.name}" if event.principal.name else ""
