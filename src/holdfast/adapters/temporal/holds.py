"""Holds as workflows whose id names the system: the server lets only one run at a time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Found:
    handle: WorkflowHandle[Any, Any]
    holder: Holder


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
                held, anew = await self._claim(system, holder)
                if held is not None:
                    await self.release(taken, holder.run)
                    return held
                taken += [system] if anew else []
        except RPCError as error:
            raise EngineUnavailable(f"the Temporal server does not answer: {error}") from error
        return None

    async def release(self, systems: Sequence[str], run: str) -> None:
        """Let go of whichever of these the run holds."""
        try:
            for system in systems:
                found = await self._found(system)
                if found is not None and found.holder.run == run:
                    await _let_go(found.handle, run)
        except RPCError as error:
            raise EngineUnavailable(f"the Temporal server does not answer: {error}") from error

    async def _claim(self, system: str, holder: Holder) -> tuple[Held | None, bool]:
        """Return who holds the system instead, and whether it was not held by the run before."""
        other = Holder(run="another run")
        for _ in range(_ROUNDS):
            if await self._started(system, holder):
                return None, True
            found = await self._found(system)
            if found is None:
                continue
            other = found.holder
            if other.run == holder.run:
                return None, False
            if not await self._has_ended(other.run):
                break
            await _end(found.handle, f"{other.run} has ended without letting go")
        return Held(system=system, by=other), False

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

    async def _found(self, system: str) -> _Found | None:
        """Return who holds the system; None when nobody does."""
        name = hold_id(system)
        try:
            found = await self._client.get_workflow_handle(name).describe(rpc_timeout=_CALL_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        if found.status is not WorkflowExecutionStatus.RUNNING:
            return None
        # This very hold: what is done with it must not meet the next one, which somebody else may have by then.
        handle = self._client.get_workflow_handle(name, run_id=found.run_id)
        return _Found(handle, Holder.model_validate(await found.memo_value(_MEMO)))

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
