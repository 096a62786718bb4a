"""Schedules of load tests on a real server."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleOverlapPolicy

from holdfast.adapters.temporal.schedules import TemporalSchedules, schedule_id
from holdfast.apps.cli.schedule import wanted_of
from holdfast.domain.errors import EngineUnavailable, UnknownName
from holdfast.domain.ids import digest_of
from holdfast.ports.runs import LoadRequest
from holdfast.ports.schedules import LoadSchedule, ScheduleLine
from holdfast.runbook import blackouts
from tests.fakes import eventually
from tests.temporal.campaign_files import campaign, library, spec_of

_numbers = itertools.count(1)
QUEUE = "nobody-polls-this"


@pytest.fixture
def schedules(client: Client) -> TemporalSchedules:
    async def connect() -> Client:
        return client

    return TemporalSchedules(connect, task_queue=QUEUE, address="the test server")


def wanted(tmp_path: Path, **schedule: Any) -> LoadSchedule:
    name = f"sale-{next(_numbers)}"
    return wanted_of(library(tmp_path, campaign(name, **schedule)).campaign(name))


async def line_of(schedules: TemporalSchedules, campaign: str) -> ScheduleLine | None:
    return next((line for line in await schedules.all() if line.campaign == campaign), None)


async def listed(schedules: TemporalSchedules, campaign: str) -> ScheduleLine:
    line: ScheduleLine = await eventually(lambda: line_of(schedules, campaign))
    return line


async def test_a_schedule_is_made_from_the_file_and_begins_when_the_preview_says(
    schedules: TemporalSchedules, client: Client, tmp_path: Path
) -> None:
    rests = [
        {"begins": "02:35", "ends": "02:40", "days": ["sun", "wed"], "why": "backup"},
        {"begins": "23:00", "ends": "02:31", "days": ["fri"]},
    ]
    made = wanted(tmp_path, blackouts=rests)
    assert await schedules.apply(made)
    line = await listed(schedules, made.campaign)
    spec = spec_of(name=made.campaign, blackouts=rests)
    expected = [each.at for each in blackouts.preview(spec, datetime.now(UTC)) if not each.left_out]
    assert len(expected) in {5, 6, 7}, "of nine nights, two or three are left out"
    assert line.next_at == expected[: len(line.next_at)]
    assert line.digest == made.digest

    found = (await client.get_schedule_handle(schedule_id(made.campaign)).describe()).schedule
    assert found.policy.overlap is ScheduleOverlapPolicy.ALLOW_ALL
    assert found.policy.catchup_window == timedelta(minutes=10)
    assert found.spec.time_zone_name == "Europe/Moscow"
    await schedules.remove(made.campaign)


async def test_a_change_replaces_the_action_and_keeps_that_it_rests_and_why(
    schedules: TemporalSchedules, client: Client, tmp_path: Path
) -> None:
    made = wanted(tmp_path)
    await schedules.apply(made)
    await schedules.pause(made.campaign, "paused by anna: the CRM is moved")
    changed = made.model_copy(update={"cron": "45 3 * * *", "digest": "another", "runbook": "others"})
    assert not await schedules.apply(changed)
    handle = client.get_schedule_handle(schedule_id(made.campaign))
    line = await listed(schedules, made.campaign)
    assert (line.paused, line.note, line.next_at) == (True, "paused by anna: the CRM is moved", [])
    assert line.digest == "another"
    action = (await handle.describe()).schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    payloads: list[Any] = list(action.args)
    [request] = await client.data_converter.decode(payloads, [LoadRequest])
    assert (request.runbook, request.requested_by, request.schedule) == (
        "others",
        "schedule",
        schedule_id(made.campaign),
    )

    await schedules.resume(made.campaign, "resumed by anna")
    line = await listed(schedules, made.campaign)
    assert (line.paused, line.note) == (False, "resumed by anna")
    assert {f"{at.minute:02d}" for at in line.next_at} == {"45"}
    await schedules.remove(made.campaign)


async def test_a_triggered_test_is_in_the_list_and_keeps_no_other_from_beginning(
    schedules: TemporalSchedules, client: Client, tmp_path: Path
) -> None:
    made = wanted(tmp_path)
    await schedules.apply(made)
    await schedules.trigger(made.campaign)

    async def begun(count: int) -> ScheduleLine | None:
        line = await line_of(schedules, made.campaign)
        return line if line and len(line.runs) == count else None

    line = await eventually(lambda: begun(1))
    assert [run.state for run in line.runs] == ["running"]
    assert line.runs[0].run.startswith(f"load-{digest_of(made.campaign)[:6]}-")
    # The server names a run by the second in which it begins.
    await eventually(lambda: datetime.now(UTC) >= line.runs[0].at.replace(microsecond=0) + timedelta(seconds=1))
    await schedules.trigger(made.campaign)
    line = await eventually(lambda: begun(2))
    assert [run.state for run in line.runs] == ["running", "running"]
    assert line.skipped == 0
    for run in line.runs:
        await client.get_workflow_handle(run.run).terminate()
    await schedules.remove(made.campaign)


async def test_a_removed_schedule_is_gone_and_its_name_is_not_known_any_more(
    schedules: TemporalSchedules, tmp_path: Path
) -> None:
    made = wanted(tmp_path)
    await schedules.apply(made)
    await listed(schedules, made.campaign)
    await schedules.remove(made.campaign)

    async def gone() -> bool:
        return await line_of(schedules, made.campaign) is None

    await eventually(gone)
    for act in (schedules.remove(made.campaign), schedules.pause(made.campaign, "x"), schedules.trigger("no")):
        with pytest.raises(UnknownName, match="unknown schedule of campaign"):
            await act


async def test_a_server_that_is_down_is_told_in_one_sentence(tmp_path: Path) -> None:
    async def connect() -> Client:
        return await Client.connect("127.0.0.1:1")

    schedules = TemporalSchedules(connect, task_queue=QUEUE, address="127.0.0.1:1")
    with pytest.raises(EngineUnavailable, match=r"the Temporal server at 127\.0\.0\.1:1 does not answer"):
        await schedules.all()
