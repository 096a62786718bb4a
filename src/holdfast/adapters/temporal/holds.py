"""Holds as workflows whose id names the system: the server lets only one run at a time."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from holdfast.domain.errors import EngineUnavailable
from holdfast.domain.precedence import gate_before
from holdfast.domain.view import RunView
from holdfast.ports.holds import EVERYTHING, Held, Holder, freeze_name

_CALL_TIMEOUT: Final = timedelta(seconds=4)
_MEMO: Final = "holder"
_SHARED_MEMO: Final = "holders"
_LOOK_AGAIN_SECONDS: Final = 0.05
# Somebody may let go, or take over from a run that has ended, between two of our calls.
_ROUNDS: Final = 5
_OPEN: Final = {WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW}


def hold_id(system: str) -> str:
    """Return the id of the workflow that stands for a held system."""
    return f"hold-{system}"


@dataclass(frozen=True)
class _Found:
    """A hold that somebody has.

    Attributes:
        holders: one, or all who share it.
    """

    handle: WorkflowHandle[Any, Any]
    holders: tuple[Holder, ...]

    @property
    def holder(self) -> Holder:
        return self.holders[0]

    def has(self, run: str) -> bool:
        return any(holder.run == run for holder in self.holders)


class TemporalHolds:
    """Implements `ports.holds.Holds`."""

    def __init__(self, client: Client, *, task_queue: str) -> None:
        """Hold through workflows of type `hold` on this task queue."""
        self._client, self._task_queue = client, task_queue

    async def claim(self, systems: Sequence[str], holder: Holder) -> Held | None:
        """Hold all of these for a run, or none of them; all of them, beside others, where it is shared."""
        if holder.shares:
            await self._join(systems, holder)
            return None
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
                if found is not None and found.has(run):
                    await (self._leave(system, run) if found.holder.shares else _let_go(found.handle, run))
        except RPCError as error:
            raise EngineUnavailable(f"the Temporal server does not answer: {error}") from error

    async def frozen(self, systems: Sequence[str]) -> list[Held]:
        """Return which of these are frozen, and by whom."""
        try:
            *each, everything = await asyncio.gather(*map(self._freezes, (*systems, EVERYTHING)))
        except RPCError as error:
            raise EngineUnavailable(f"the Temporal server does not answer: {error}") from error
        return [
            Held(system=system, by=holder)
            for system, holders in zip(systems, each, strict=True)
            for holder in (*holders, *everything)
        ]

    async def goes_first(self, run: str, *, before: str) -> bool:
        """Whether this run still goes on, and an owner has approved there that it goes before the other one."""
        try:
            if await self._has_ended(run):
                return False
            handle = self._client.get_workflow_handle(run)
            view = await handle.query("view", result_type=RunView, rpc_timeout=_CALL_TIMEOUT)
        except WorkflowQueryFailedError:
            return False  # that is no run of ours
        except RPCError as error:
            raise EngineUnavailable(f"{run} does not answer: {error}") from error
        return any(gate.id == gate_before(before) and gate.goes_on for gate in view.closed_gates)

    async def _join(self, names: Sequence[str], holder: Holder) -> None:
        try:
            for name in names:
                await self._joined(name, holder)
        except RPCError as error:
            raise EngineUnavailable(f"the Temporal server does not answer: {error}") from error

    async def _joined(self, name: str, holder: Holder) -> None:
        """Hold a name beside others, and see that it is so."""
        memo = holder.model_dump(mode="json")
        await self._client.start_workflow(
            "hold",
            holder,
            id=hold_id(name),
            task_queue=self._task_queue,
            start_signal="join",  # where others hold it already
            start_signal_args=[holder],
            memo={_MEMO: memo, _SHARED_MEMO: [memo]},
            static_summary=f"{name}, since {holder.run}: {holder.title}"[:200],
            rpc_timeout=_CALL_TIMEOUT,
        )
        await self._seen(name, holder.run, held=True)

    async def _leave(self, name: str, run: str) -> None:
        with contextlib.suppress(_Gone):
            await self._signal_release(name, run)
            await self._seen(name, run, held=False)

    async def _seen(self, name: str, run: str, *, held: bool) -> None:
        """Wait until the list of those who share says so."""
        try:
            async with asyncio.timeout(_CALL_TIMEOUT.total_seconds()):
                while True:
                    found = await self._found(name)
                    if (found is not None and found.has(run)) is held:
                        return
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        except TimeoutError:
            raise EngineUnavailable(f"no worker has changed who holds {name}") from None

    async def _freezes(self, system: str) -> list[Holder]:
        """Return who has frozen this; whoever has ended is taken off the list."""
        name = freeze_name(system)
        found = await self._found(name)
        standing: list[Holder] = []
        for holder in found.holders if found else ():
            if await self._has_ended(holder.run):
                with contextlib.suppress(_Gone):
                    await self._signal_release(name, holder.run)
            else:
                standing.append(holder)
        return standing

    async def _signal_release(self, name: str, run: str) -> None:
        try:
            handle = self._client.get_workflow_handle(hold_id(name))
            await handle.signal("release", run, rpc_timeout=_CALL_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise _Gone from None

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
        memo = await found.memo()
        listed = memo.get(_SHARED_MEMO) or [memo[_MEMO]]
        return _Found(handle, tuple(map(Holder.model_validate, listed)))

    async def _has_ended(self, run: str) -> bool:
        try:
            found = await self._client.get_workflow_handle(run).describe(rpc_timeout=_CALL_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return True
            raise
        return found.status not in _OPEN


class _Gone(Exception):
    """Nobody holds the name any more."""


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
