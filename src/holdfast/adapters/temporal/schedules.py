"""The schedules of load tests as Temporal Schedules, one a campaign.

What the server has is read only to keep whether it rests; everything else is built anew from the file, because
what is read back holds raw payloads.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, cast

from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionResult,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from holdfast.adapters.temporal.connection import Connection
from holdfast.domain.errors import UnknownName
from holdfast.domain.ids import digest_of
from holdfast.ports.runs import LoadRequest
from holdfast.ports.schedules import LoadSchedule, ScheduledRun, ScheduleLine
from holdfast.runbook.blackouts import Left
from holdfast.runbook.load_plan import SCHEDULE

_PREFIX: Final = "holdfast-load-"
_CALL_TIMEOUT: Final = timedelta(seconds=4)
_STATE: Final = SearchAttributeKey.for_keyword("HoldfastState")
_DIGEST, _CAMPAIGN = "holdfast_digest", "holdfast_campaign"
_RUNS_SHOWN: Final = 5
# A run whose question nobody has answered is open for weeks, and must not keep others from testing. Two tests
# never make load at once all the same: a run that finds another one testing skips itself.
_OVERLAP: Final = ScheduleOverlapPolicy.ALLOW_ALL

_ID: Final = 6


def schedule_id(campaign: str) -> str:
    """Return the id of a campaign's schedule."""
    return f"{_PREFIX}{campaign}"


class TemporalSchedules:
    """Implements `ports.schedules.Schedules` over a client that connects when it is first needed."""

    def __init__(self, connect: Callable[[], Awaitable[Client]], *, task_queue: str, address: str) -> None:
        """Start load tests on this task queue; `address` is what errors call the server."""
        self._engine, self._task_queue = Connection(connect, address).lent, task_queue

    async def apply(self, wanted: LoadSchedule) -> bool:
        """Make the schedule, or change it to this; whether it rests, and why, stays."""
        async with self._engine() as client:
            try:
                await client.create_schedule(
                    schedule_id(wanted.campaign),
                    self._schedule(wanted, ScheduleState()),
                    memo={_CAMPAIGN: wanted.campaign},
                    rpc_timeout=_CALL_TIMEOUT,
                )
            except ScheduleAlreadyRunningError:
                await self._changed(client.get_schedule_handle(schedule_id(wanted.campaign)), wanted)
                return False
        return True

    async def pause(self, campaign: str, note: str) -> None:
        """Let no test begin until `resume`."""
        async with self._known(campaign) as handle:
            await handle.pause(note=note, rpc_timeout=_CALL_TIMEOUT)

    async def resume(self, campaign: str, note: str) -> None:
        """Let tests begin again."""
        async with self._known(campaign) as handle:
            await handle.unpause(note=note, rpc_timeout=_CALL_TIMEOUT)

    async def remove(self, campaign: str) -> None:
        """Delete it; tests that run go on."""
        async with self._known(campaign) as handle:
            await handle.delete(rpc_timeout=_CALL_TIMEOUT)

    async def trigger(self, campaign: str) -> None:
        """Let a test begin now, also while the schedule rests; it skips itself while another one makes load."""
        async with self._known(campaign) as handle:
            await handle.trigger(overlap=_OVERLAP, rpc_timeout=_CALL_TIMEOUT)

    async def all(self) -> list[ScheduleLine]:
        """Return every schedule, by the campaign's name."""
        lines: list[ScheduleLine] = []
        async with self._engine() as client:
            async for listed in await client.list_schedules(rpc_timeout=_CALL_TIMEOUT):
                if not listed.id.startswith(_PREFIX):
                    continue
                line = await self._line(client, listed.id)
                if line is not None:
                    lines.append(line)
        return sorted(lines, key=lambda line: line.campaign)

    def _schedule(self, wanted: LoadSchedule, state: ScheduleState) -> Schedule:
        request = LoadRequest(
            runbook=wanted.runbook,
            requested_by=SCHEDULE,
            campaign=wanted.campaign,
            schedule=schedule_id(wanted.campaign),
        )
        action = ScheduleActionStartWorkflow(
            "load",
            request,
            # The server adds the time, and the buttons of a chat have to carry it all.
            id=f"load-{digest_of(wanted.campaign)[:_ID]}",
            task_queue=self._task_queue,
            memo={_DIGEST: wanted.digest},
            static_summary=f"load test of {wanted.title or wanted.campaign}, by its schedule"[:200],
        )
        spec = ScheduleSpec(
            cron_expressions=[wanted.cron],
            skip=[_skip(left) for left in wanted.left_out],
            start_at=wanted.begins,
            end_at=wanted.ends,
            jitter=wanted.jitter,
            time_zone_name=wanted.time_zone,
        )
        policy = SchedulePolicy(overlap=_OVERLAP, catchup_window=wanted.catch_up)
        return Schedule(action=action, spec=spec, policy=policy, state=state)

    async def _changed(self, handle: ScheduleHandle, wanted: LoadSchedule) -> None:
        def change(found: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(self._schedule(wanted, found.description.schedule.state))

        await handle.update(change, rpc_timeout=_CALL_TIMEOUT)

    async def _line(self, client: Client, name: str) -> ScheduleLine | None:
        """Return a schedule as it is; None when it was deleted meanwhile."""
        try:
            found = await client.get_schedule_handle(name).describe(rpc_timeout=_CALL_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        state, info = found.schedule.state, found.info
        newest = sorted(info.recent_actions, key=lambda action: action.started_at, reverse=True)
        return ScheduleLine(
            id=name,
            campaign=name.removeprefix(_PREFIX),
            digest=await _digest(client, found),
            paused=state.paused,
            note=state.note or "",
            next_at=[] if state.paused else list(info.next_action_times),
            skipped=info.num_actions_skipped_overlap,
            missed=info.num_actions_missed_catchup_window,
            runs=[await _run(client, action) for action in newest[:_RUNS_SHOWN]],
        )

    @asynccontextmanager
    async def _known(self, campaign: str) -> AsyncGenerator[ScheduleHandle]:
        """Lend the schedule of a campaign; say in one way that there is none."""
        async with self._engine() as client:
            try:
                yield client.get_schedule_handle(schedule_id(campaign))
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                known = [line.campaign for line in await self.all()]
                raise UnknownName("schedule of campaign", campaign, known) from None


def _skip(left: Left) -> ScheduleCalendarSpec:
    every = {
        "minute": [ScheduleRange(*left.minute)],
        "hour": [ScheduleRange(*left.hour)],
        "second": [ScheduleRange(0, 59)],
        "day_of_week": [ScheduleRange(day) for day in left.weekdays] or [ScheduleRange(0, 6)],
    }
    if left.on is not None:
        every |= {
            "year": [ScheduleRange(left.on.year)],
            "month": [ScheduleRange(left.on.month)],
            "day_of_month": [ScheduleRange(left.on.day)],
        }
    return ScheduleCalendarSpec(**every, comment=left.why or None)


async def _digest(client: Client, found: ScheduleDescription) -> str:
    """Return the digest of the file that a schedule was made from."""
    action = found.schedule.action
    memo = action.memo if isinstance(action, ScheduleActionStartWorkflow) else None
    value: Any = (memo or {}).get(_DIGEST, "")
    if isinstance(value, Payload):
        value = (await client.data_converter.decode([value]))[0]
    return cast("str", value)


async def _run(client: Client, action: ScheduleActionResult) -> ScheduledRun:
    started = action.action
    assert isinstance(started, ScheduleActionExecutionStartWorkflow)  # noqa: S101  the SDK's only kind
    run = ScheduledRun(run=started.workflow_id, at=action.started_at)
    try:
        found = await client.get_workflow_handle(started.workflow_id).describe(rpc_timeout=_CALL_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # the server forgets runs after a while
            raise
        return run
    state = found.typed_search_attributes.get(_STATE) or (found.status.name.lower() if found.status else "")
    return run.model_copy(update={"state": state})
