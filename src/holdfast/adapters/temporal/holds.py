"""Holds as workflows whose id names the system: the server lets only one run at a time."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from holdfast.domain.errors import EngineUnavailable
from holdfast.ports.holds import Held, Holder

_CALL_TIMEOUT: Final = timedelta(seconds=4)
_MEMO: Final = "holder"
# Somebody may let go, or take over from a run that has ended, between two of our calls.
_ROUNDS: Final = 5
_OPEN: Final = {WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW}


def hold_id(system: str) -> str:
    """Return the id of the workflow that stands for a held system."""
    return f"hold-{system}"


class TemporalHolds:
    """Implements `ports.holds.Holds`."""

    def __init__(self, client: Client, *, task_queue: str) -> None:
        """Hold through workflows of type `hold` on this task queue."""
        self._client, self._task_queue = client, task_queue

    async def claim(self, systems: Sequence[str], holder: Holder) -> Held | None:
        """Hold all of these for a run, or none of them."""
        taken: list[str] = []
        try:
            for system in sorted(systems):  # in one order, so that two runs never wait for each other
                held = await self._claim(system, holder)
                if held is not None:
                    await self.release(taken, holder.run)
                    return held
                taken.append(system)
        except RPCError as error:
            raise EngineUnavailable(f"the Temporal server does not answer: {error}") from error
        return None

    async def release(self, systems: Sequence[str], run: str) -> None:
        """Let go of whichever of these the run holds."""
        try:
            for system in systems:
                handle = self._client.get_workflow_handle(hold_id(system))
                if (holder := await self._holder(handle)) is not None and holder.run == run:
                    await _let_go(handle, run)
        except RPCError as error:
            raise EngineUnavailable(f"the Temporal server does not answer: {error}") from error

    async def _claim(self, system: str, holder: Holder) -> Held | None:
        other: Holder | None = None
        for _ in range(_ROUNDS):
            if await self._started(system, holder):
                return None
            handle = self._client.get_workflow_handle(hold_id(system))
            other = await self._holder(handle)
            if other is None:
                continue
            if other.run == holder.run:
                return None
            if not await self._has_ended(other.run):
                break
            await _end(handle, f"{other.run} has ended without letting go")
        return Held(system=system, by=other or Holder(run="another run"))

    async def _started(self, system: str, holder: Holder) -> bool:
        try:
            await self._client.start_workflow(
                "hold",
                holder,
                id=hold_id(system),
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                memo={_MEMO: holder.model_dump(mode="json")},
                static_summary=f"{system} is held by {holder.run}, stage {holder.stage}"[:200],
                rpc_timeout=_CALL_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def _holder(self, handle: WorkflowHandle[Any, Any]) -> Holder | None:
        """Return who holds the system; None when nobody does."""
        try:
            found = await handle.describe(rpc_timeout=_CALL_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        if found.status is not WorkflowExecutionStatus.RUNNING:
            return None
        return Holder.model_validate(await found.memo_value(_MEMO))

    async def _has_ended(self, run: str) -> bool:
        try:
            found = await self._client.get_workflow_handle(run).describe(rpc_timeout=_CALL_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return True
            raise
        return found.status not in _OPEN


async def _let_go(handle: WorkflowHandle[Any, Any], run: str) -> None:
    """Let go and see the end of it: a run that claims the system again must not find its own old hold."""
    try:
        await handle.signal("release", run, rpc_timeout=_CALL_TIMEOUT)
        async with asyncio.timeout(_CALL_TIMEOUT.total_seconds()):
            await handle.result()
    except TimeoutError:
        raise EngineUnavailable("no worker has ended a hold that was let go") from None
    except WorkflowFailureError:
        return  # somebody else has ended it
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended meanwhile
            raise


async def _end(handle: WorkflowHandle[Any, Any], why: str) -> None:
    try:
        await handle.terminate(reason=why, rpc_timeout=_CALL_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
