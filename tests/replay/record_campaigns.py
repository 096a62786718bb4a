"""Records campaigns and what belongs to them: load tests, freezes, and fixes that go first."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from temporalio.client import WorkflowFailureError, WorkflowHandle

from holdfast.domain.campaign import TestVerdict
from tests.replay.keeping import keep
from tests.server import start_server
from tests.workflows import test_campaigns as story
from tests.workflows.campaign_house import CampaignHouse, open_campaign_house
from tests.workflows.conftest import PEOPLE, House
from tests.workflows.load_house import CountingTarget, counting_target
from tests.workflows.test_campaign_troubles import begun
from tests.workflows.test_load_overtaken import FAILING, PASSING, Nights
from tests.workflows.test_precedence import SHORT, asked_before, fix_on, planned
from workers.engine import TIME_SKIPPING_CONFIG


async def record_campaigns(version: str, folder: Path) -> None:
    """Play a campaign of three weeks on a server of its own, and write its history and those of its parts."""
    with TemporaryDirectory() as directory:
        async with (
            await start_server(TIME_SKIPPING_CONFIG) as server,
            counting_target() as shop,
            open_campaign_house(server.client, Path(directory)) as house,
        ):
            opens = datetime.now(UTC) + timedelta(days=18)
            file = house.write_campaign(opens, opens + timedelta(days=3), runbook=house.write_load(shop.url))
            run = await house.begin(file)
            await story.roles_are_asked_for_until_somebody_accepts(run)
            await story.a_scheduled_test_fails_and_people_go_with_limits(house, run, shop)
            test = (await run.until(lambda c: c.tests)).tests[-1].run
            await story.the_sign_off_shows_the_test(run)
            house.weather.broken["support"] = [(opens + timedelta(hours=30), opens + timedelta(hours=32))]
            await story.planned_work_is_frozen_and_the_client_is_told(house, run)
            refused = await house.start(house.write())
            await refused.result()
            await story.a_breach_calls_people_and_recovery_closes_the_loop(house, run, opens)
            await story.the_report_says_what_happened(house, run)
            await keep(run.handle, folder / "campaign" / f"{version}-three-weeks.json")
            await keep(_handle(house, test), folder / "load" / f"{version}-failed-with-limits.json")
            await keep(_handle(house, "hold-freeze:*"), folder / "hold" / f"{version}-frozen.json")
            await keep(refused.handle, folder / "rollout" / f"{version}-refused-by-freeze.json")
            await _record_overtaken(house, shop, version, folder)
            await _record_cut_short(house, shop, version, folder)


async def _record_overtaken(house: CampaignHouse, shop: CountingTarget, version: str, folder: Path) -> None:
    """Let a failed test that nobody decides on be overtaken by one that passes."""
    nights = await Nights.begun(house, shop)
    forgotten = await nights.night(FAILING, TestVerdict.FAILED)
    await forgotten.gate()
    newer = await nights.night(PASSING, TestVerdict.PASSED)
    await forgotten.result()
    await newer.result()
    await nights.close()
    await keep(forgotten.handle, folder / "load" / f"{version}-overtaken.json")
    await keep(newer.handle, folder / "load" / f"{version}-passed.json")


async def _record_cut_short(house: CampaignHouse, shop: CountingTarget, version: str, folder: Path) -> None:
    """Cancel a campaign while a breach lasts."""
    shop.answer = PASSING
    now = datetime.now(UTC)
    house.weather.broken["support"] = [(now - timedelta(hours=1), now + timedelta(days=60))]
    run = await begun(house, shop, opens_in=-timedelta(hours=1), lasts=timedelta(days=1))
    await run.answer()
    breach = (await run.until(lambda c: c.breaches and c.breaches[0].incident)).breaches[0]
    await run.handle.cancel()
    with suppress(WorkflowFailureError):
        await run.result()
    await keep(run.handle, folder / "campaign" / f"{version}-cut-short.json")
    await _handle(house, breach.incident).cancel()


async def record_precedence(house: House, version: str, folder: Path) -> None:
    """Let a fix go before planned work, and write both histories."""
    people = house.directory / "people.yaml"
    before = people.read_text()
    teams = {"shop": {"title": "Shop", "owner": ["oncall"]}, "crm": {"title": "CRM", "owner": ["vera"]}}
    people.write_text(yaml.safe_dump(PEOPLE | {"teams": teams}))
    try:
        other = await planned(house, paces=SHORT)
        fix = await fix_on(house, other)
        await fix.answer(gate=await asked_before(fix, other), by="vera")
        await fix.answer(gate=await fix.gate(lambda gate: "mend" in gate.id))
        await fix.result()
        await other.answer(gate=await other.gate(lambda gate: "pool" in gate.id))
        await other.result()
    finally:
        people.write_text(before)
    await keep(fix.handle, folder / "rollout" / f"{version}-goes-first.json")
    await keep(other.handle, folder / "rollout" / f"{version}-gives-way.json")


def _handle(house: CampaignHouse, run: str) -> "WorkflowHandle[object, object]":
    return house.client.get_workflow_handle(run)
