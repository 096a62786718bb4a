"""While somebody has frozen a system only fixes are rolled out on it; a freeze ends with the run of it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.worker import Worker

from activities.holding import HoldActivities
from holdfast.adapters.temporal.holds import TemporalHolds, hold_id
from holdfast.ports.holds import Holder, freeze_name
from tests.fakes import eventually
from tests.workflows.conftest import House, Run, runbook
from tests.workflows.freezer import Freezer, FreezeWish
from tests.workflows.test_rollback import SLOW, watching
from tests.workflows.test_rollback_races import replays
from workers.queues import RUNNER
from workflows.options import RUNBOOK_QUEUE

QUEUE = "freezers"
UNTIL = datetime(2026, 11, 28, 22, 0, tzinfo=UTC)
Freeze = Callable[..., Awaitable[WorkflowHandle[Any, Any]]]
_numbers = itertools.count(1)


@pytest.fixture
async def freeze(house: House) -> AsyncIterator[Freeze]:
    """Freeze systems by a run of its own; none of them is left at the end."""
    holding = HoldActivities(TemporalHolds(house.client, task_queue=RUNBOOK_QUEUE))
    begun: list[WorkflowHandle[Any, Any]] = []

    async def begin(*systems: str, until: datetime | None = UNTIL) -> WorkflowHandle[Any, Any]:
        wish = FreezeWish(systems=systems, why=f"Sale {next(_numbers)}", until=until)
        run = await house.client.start_workflow(
            "freezer", wish, id=f"campaign-{next(_numbers)}", task_queue=QUEUE
        )
        begun.append(run)
        await eventually(lambda: run.query("frozen"))
        return run

    async with Worker(
        house.client,
        task_queue=QUEUE,
        workflows=[Freezer],
        activities=[holding.claim_systems, holding.release_systems],
        workflow_runner=RUNNER,
    ):
        yield begin
        for run in begun:
            await ended(run, "thaw")


async def ended(campaign: WorkflowHandle[Any, Any], how: str) -> None:
    """Let a campaign come to its end."""
    if (await campaign.describe()).status != 1:
        return
    await campaign.signal("end", how)
    with suppress(WorkflowFailureError):
        await campaign.result()


async def on(house: House, system: str, **changes: Any) -> Run:
    """Start a one-stage rollout on the target of this name."""
    target = {"endpoint": system, "environment": "rehearsal"}
    return await house.start(house.write(target=target, stages=runbook("NAME")["stages"][:1], **changes))


async def passes(house: House, system: str) -> None:
    """Check that a rollout that is no fix gets to its sign-off."""
    run = await on(house, system)
    assert (await run.gate()).id == "1-limit"
    await run.answer("reject")
    await run.result()


async def test_a_rollout_that_is_no_fix_is_refused_with_who_until_when_and_what_to_do(
    house: House, freeze: Freeze
) -> None:
    system = house.write()
    campaign = await freeze(system)

    run = await on(house, system)
    report = await run.result()

    assert report["outcome"] == "stopped"
    said = report["view"]["headline"]
    assert f"{system} is frozen until 2026-11-28 22:00 UTC by {campaign.id} (Sale " in said
    assert "Roll it out after that; what cannot wait needs 'fix: true', reviewed in its file." in said
    assert run.target.audit == []
    assert report["view"]["closed_gates"] == []
    await replays(run)


async def test_a_fix_goes_on_under_the_freeze_and_its_timeline_says_so_once(
    house: House, freeze: Freeze
) -> None:
    system = house.write()
    campaign = await freeze(system)

    run = await on(house, system, fix=True)
    await run.answer()
    report = await run.result()

    assert report["outcome"] == "promoted"
    told = [line["text"] for line in report["view"]["log"] if "under the freeze" in line["text"]]
    assert len(told) == 1
    assert f"{system} by {campaign.id} (Sale " in told[0]
    await replays(run)


async def test_a_freeze_of_everything_counts_for_every_system(house: House, freeze: Freeze) -> None:
    system = house.write()
    campaign = await freeze()
    run = await on(house, system)
    assert f"{system} is frozen until" in (await run.result())["view"]["headline"]
    await ended(campaign, "thaw")
    await passes(house, system)


async def test_two_campaigns_freeze_one_system_and_the_last_one_to_thaw_frees_it(
    house: House, freeze: Freeze
) -> None:
    system = house.write()
    first, second = await freeze(system, "another"), await freeze(system, until=None)
    holds = TemporalHolds(house.client, task_queue=RUNBOOK_QUEUE)
    assert {held.by.run for held in await holds.frozen([system])} == {first.id, second.id}

    await ended(first, "thaw")
    assert [held.by.run for held in await holds.frozen([system])] == [second.id]
    refused = await (await on(house, system)).result()
    assert f"{system} is frozen by {second.id} (Sale" in refused["view"]["headline"]

    await ended(second, "thaw")
    assert await second.result() is True
    assert await holds.frozen([system]) == []
    await passes(house, system)
    shared = house.client.get_workflow_handle(hold_id(freeze_name(system)))
    assert (await shared.describe()).status == 2  # nobody holds it, so it has ended


@pytest.mark.parametrize("how", ["terminate", "cancel", "fail", "end without thawing"])
async def test_a_freeze_ends_with_its_campaign_however_that_ends(
    house: House, freeze: Freeze, how: str
) -> None:
    system = house.write()
    dead, alive = await freeze(system), await freeze(system)
    if how == "terminate":
        await dead.terminate("gone")
    elif how == "cancel":
        await dead.cancel()
        with pytest.raises(WorkflowFailureError):
            await dead.result()
    else:
        await ended(dead, how)

    holds = TemporalHolds(house.client, task_queue=RUNBOOK_QUEUE)
    assert [held.by.run for held in await holds.frozen([system])] == [alive.id]
    await alive.terminate("gone, too")
    assert await holds.frozen([system]) == []
    await passes(house, system)


async def test_a_stage_under_way_is_finished_and_the_next_one_is_refused(house: House, freeze: Freeze) -> None:
    paces = {"default": {"settle": "0.1s", "window": "2s", "interval": "0.5s"}}
    target = {"endpoint": "NAME", "environment": "rehearsal", "hold": "run"}
    run = await house.start(house.write(paces=paces, target=target))
    await run.answer()
    await watching(run, 5)
    await freeze(run.name)

    report = await run.result()

    assert report["outcome"] == "stopped"
    assert [stage["state"] for stage in report["view"]["stages"]] == ["promoted", "rejected"]
    assert run.target.parts["stable"]["limit"] == 25
    await replays(run)


async def test_a_freeze_that_comes_while_a_rollout_waits_for_its_sign_off_refuses_it_after_that(
    house: House, freeze: Freeze
) -> None:
    run = await house.start(house.write())
    gate = await run.gate()
    await freeze(run.name)
    await run.answer(gate=gate)
    report = await run.result()
    assert report["outcome"] == "stopped"
    assert "is frozen until" in report["view"]["headline"]
    assert run.target.audit == []


async def test_a_freeze_ends_the_waiting_of_a_rollout_for_another_one(house: House, freeze: Freeze) -> None:
    name = house.write(paces=SLOW)
    first = await house.start(name)
    await first.answer()
    await watching(first, 5)
    second = await on(house, name)

    async def waits() -> bool:
        return "waits" in (await second.view()).headline

    await eventually(waits)
    await freeze(name)
    assert "is frozen until" in (await second.result())["view"]["headline"]
    await first.roll_back()
    await first.result()


async def test_a_rollback_is_not_held_up_by_a_freeze(house: House, freeze: Freeze) -> None:
    run = await house.start(house.write())
    first = await run.answer()
    await run.gate(lambda g: g.id != first.id)  # the first stage is promoted, and let go of
    await freeze(run.name)
    await run.roll_back()
    report = await run.result()
    assert report["outcome"] == "rolled back"
    assert "Undone and verified" in report["view"]["headline"]


async def test_an_exclusive_hold_is_not_shared_with_whoever_asks_to_join(house: House) -> None:
    holds = TemporalHolds(house.client, task_queue=RUNBOOK_QUEUE)
    system = house.write()
    keeper = await house.client.start_workflow(
        "hold", Holder(run="x"), id=f"run-of-{system}", task_queue=RUNBOOK_QUEUE
    )
    assert await holds.claim([system], Holder(run=keeper.id)) is None
    hold = house.client.get_workflow_handle(hold_id(system))
    await hold.signal("join", Holder(run="forger", shares=True))
    await holds.release([system], keeper.id)
    assert (await hold.describe()).status == 2
    await keeper.terminate()


async def test_two_that_freeze_at_the_same_moment_both_count_and_the_history_replays(
    house: House, freeze: Freeze
) -> None:
    system = house.write()
    first, second = await asyncio.gather(freeze(system), freeze(system))
    holds = TemporalHolds(house.client, task_queue=RUNBOOK_QUEUE)
    assert {held.by.run for held in await holds.frozen([system])} == {first.id, second.id}
    await ended(first, "thaw")
    await ended(second, "thaw")
    handle = house.client.get_workflow_handle(hold_id(freeze_name(system)))
    await handle.result()
    await replays(Run(house, system, handle))
