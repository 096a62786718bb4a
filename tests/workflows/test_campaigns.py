"""Campaigns on a real server: prepared, signed off, watched for days, answered, analysed."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from holdfast.adapters.temporal.schedules import TemporalSchedules
from holdfast.apps.cli.schedule import wanted_of
from holdfast.domain.campaign import Go, Phase, TestVerdict
from holdfast.domain.shares import share_said
from holdfast.domain.view import RunState
from holdfast.ports.runs import CampaignRequest
from holdfast.runbook.library import RunbookLibrary
from tests.fakes import eventually
from tests.server import start_server
from tests.workflows.campaign_house import CLIENT_CHAT, CampaignHouse, CampaignRun, open_campaign_house
from tests.workflows.load_house import CountingTarget, counting_target
from workers.engine import TIME_SKIPPING_CONFIG
from workers.queues import RUNNER
from workflows.campaign import Campaign
from workflows.options import RUNBOOK_QUEUE

FAILING = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
async def campaign_server() -> AsyncIterator[WorkflowEnvironment]:
    async with await start_server(TIME_SKIPPING_CONFIG) as environment:
        yield environment


@pytest.fixture(scope="module")
async def sales(
    campaign_server: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CampaignHouse]:
    directory: Path = tmp_path_factory.mktemp("campaigns")
    async with open_campaign_house(campaign_server.client, directory) as house:
        yield house


@pytest.fixture
async def shop() -> AsyncIterator[CountingTarget]:
    async with counting_target() as target:
        yield target


def schedules(house: CampaignHouse) -> TemporalSchedules:
    async def connect() -> object:
        return house.client

    return TemporalSchedules(connect, task_queue=RUNBOOK_QUEUE, address="the test server")  # type: ignore[arg-type]


async def test_three_weeks_from_a_failed_test_to_the_report(sales: CampaignHouse, shop: CountingTarget) -> None:
    opens = datetime.now(UTC) + timedelta(days=18)
    name = sales.write_campaign(opens, opens + timedelta(days=3), runbook=sales.write_load(shop.url))
    run = await sales.begin(name)

    await roles_are_asked_for_until_somebody_accepts(run)
    await a_scheduled_test_fails_and_people_go_with_limits(sales, run, shop)
    await the_sign_off_shows_the_test(run)
    sales.weather.broken["support"] = [(opens + timedelta(hours=30), opens + timedelta(hours=32))]
    await planned_work_is_frozen_and_the_client_is_told(sales, run)
    await a_breach_calls_people_and_recovery_closes_the_loop(sales, run, opens)
    await the_report_says_what_happened(sales, run)
    await _replays(run)


async def roles_are_asked_for_until_somebody_accepts(run: CampaignRun) -> None:
    await run.until(lambda c: all(role.asked for role in c.roles))
    await run.pass_(hours=5)  # the first candidate does not answer
    await run.until(lambda c: c.role("commander").asked == ["boris", "vera"])
    await run.say("accept", by="vera", to="commander")
    await run.say("accept", by="anna", to="operations")
    await run.until(lambda c: all(task.person == "anna" for task in c.tasks))
    await run.say("done", by="anna", to="quota")


async def a_scheduled_test_fails_and_people_go_with_limits(
    sales: CampaignHouse, run: CampaignRun, shop: CountingTarget
) -> None:
    shop.answer = FAILING
    assert await schedules(sales).apply(wanted_of(RunbookLibrary([sales.directory]).campaign(run.name)))
    await schedules(sales).trigger(run.name)
    failed = await run.until(lambda c: c.tests and c.tests[-1].verdict is TestVerdict.FAILED)
    test = CampaignRun(sales, run.name, sales.client.get_workflow_handle(failed.tests[-1].run), run.skipper)
    await test.answer("limit")
    limited = await run.until(lambda c: c.tests[-1].go is Go.LIMITS)
    assert limited.tests[-1].decided_by == "boris"
    assert limited.limits == "Half of the announcements wait."
    await schedules(sales).remove(run.name)


async def the_sign_off_shows_the_test(run: CampaignRun) -> None:
    await run.pass_(days=16)
    gate = await run.gate()
    assert re.fullmatch(r"May the window open on \d{4}-\d\d-\d\d \d\d:\d\d UTC\?", gate.question)
    assert gate.facts[0].startswith("Load test of ")
    assert gate.facts[-2:] == [
        "boris decided: go with limits.",
        "It goes with limits: Half of the announcements wait.",
    ]
    await run.answer()
    await run.until(lambda c: c.phase is Phase.READY)


async def planned_work_is_frozen_and_the_client_is_told(sales: CampaignHouse, run: CampaignRun) -> None:
    await run.pass_(days=1, hours=19, minutes=30)
    await run.until(lambda c: c.frozen)
    await run.until(lambda c: c.task("backup").overdue)
    refused = await (await sales.start(sales.write())).result()
    assert refused["outcome"] == RunState.STOPPED
    assert run.handle.id in refused["view"]["headline"]
    await run.pass_(hours=1)
    await run.until(lambda c: c.phase is Phase.OPEN)
    assert any(chat == CLIENT_CHAT and "has begun" in text for chat, text in sales.announced)


async def a_breach_calls_people_and_recovery_closes_the_loop(
    sales: CampaignHouse, run: CampaignRun, opens: datetime
) -> None:
    passing = asyncio.create_task(run.pass_(hours=34))
    breach = (await run.until(lambda c: c.open_breaches)).open_breaches[0]
    assert breach.context == "support"
    assert breach.began - opens < timedelta(hours=30, minutes=6)
    await eventually(lambda: any(p.view.run_id == breach.incident for _, p in sales.private.pages))
    await eventually(lambda: any("cannot submit a ticket" in text for _, text in sales.announced))
    incident = CampaignRun(sales, run.name, sales.client.get_workflow_handle(breach.incident), run.skipper)
    await incident.say("acknowledge", by="anna")
    await run.until(lambda c: c.task("look.1") and c.task("look.1").person == "anna")
    await run.say("done", by="anna", to="look.1")
    # The server skips no time of a run while a run that it has opened goes on.
    await incident.say("resolve", by="anna", reason="the CRM was restarted")
    await passing
    over = (await run.until(lambda c: not c.open_breaches)).breaches[0]
    assert over.ended is not None
    assert over.ended - opens < timedelta(
        hours=32, minutes=11
    )  # when it was well again, not when that was sure
    await eventually(lambda: any("again as promised" in text for _, text in sales.announced))


async def the_report_says_what_happened(sales: CampaignHouse, run: CampaignRun) -> None:
    await run.pass_(days=2)
    report = await run.result()
    assert report["outcome"] == RunState.FINISHED
    assert not report["view"]["campaign"]["frozen"]
    assert [each["number"] for each in report["view"]["campaign"]["breaches"]] == [1]
    made = sales.reports[-1]
    assert made.analysis["run"] == run.handle.id
    assert "Autumn sale" in made.html
    assert not any("Counted until" in text for _, text in sales.announced)
    closing = next(text for _, text in sales.announced if "is over" in text)
    for slo in made.analysis["slos"]:
        share = share_said(slo["sli_percent"], slo["objective_percent"], kept=slo["held"])
        assert f"✅ {slo['promise']}: kept, {share} %." in closing
    seen = await sales.store.campaigns.moments(run.handle.id)
    assert seen[-1].at == datetime.fromisoformat(made.analysis["closes"])
    assert all(slo.window and slo.window.at > seen[-1].at - timedelta(seconds=1) for slo in seen[-1].slos)
    thawed = await sales.start(sales.write())
    assert (await thawed.gate()).id


async def test_a_window_stays_shut_while_no_load_test_allows_it(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    opens = datetime.now(UTC) + timedelta(days=1)
    shop.answer = FAILING
    name = sales.write_campaign(opens, opens + timedelta(days=1), runbook=sales.write_load(shop.url))
    run = await sales.begin(name)

    # The sign-off is due at once, and there is no test yet: the run makes one itself.
    running = await run.until(lambda c: c.tests and c.test_running)
    test = CampaignRun(sales, name, sales.client.get_workflow_handle(running.test_running), run.skipper)
    await test.answer("reject", by="vera")
    gate = await run.gate(lambda gate: gate.id.startswith("test-"))
    assert gate.question == "Test again?"
    assert "vera decided: no-go." in gate.facts
    await run.answer("reject", by="anna", gate=gate)

    report = await run.result()
    assert report["outcome"] == RunState.STOPPED
    assert not report["view"]["campaign"]["frozen"]


async def test_a_later_test_that_fails_takes_the_sign_off_back(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    opens = datetime.now(UTC) + timedelta(days=1)
    name = sales.write_campaign(opens, opens + timedelta(days=1), runbook=sales.write_load(shop.url))
    run = await sales.begin(name)
    first = await run.gate()
    await run.answer(gate=first)
    await run.until(lambda c: c.phase is Phase.READY)

    shop.answer = FAILING
    await run.say("test", by="anna")
    running = await run.until(lambda c: len(c.tests) > 1 and c.test_running)
    test = CampaignRun(sales, name, sales.client.get_workflow_handle(running.test_running), run.skipper)
    await test.answer("limit", by="vera")
    again = await run.gate(lambda gate: gate.id != first.id)
    assert "sign-off" in again.id
    await run.handle.cancel()


async def test_a_campaign_runs_once(sales: CampaignHouse, shop: CountingTarget) -> None:
    opens = datetime.now(UTC) + timedelta(days=10)
    name = sales.write_campaign(opens, opens + timedelta(days=1), runbook=sales.write_load(shop.url))
    run = await sales.begin(name)
    await run.until(lambda c: c.roles)

    request = CampaignRequest(runbook=name, requested_by="anna")
    second = await sales.client.execute_workflow(
        "campaign", request, id=f"second-{name}", task_queue=RUNBOOK_QUEUE, result_type=dict[str, Any]
    )

    assert second["outcome"] == RunState.STOPPED
    assert run.handle.id in second["view"]["headline"]
    await run.handle.cancel()


async def test_metrics_that_do_not_answer_are_told_and_are_no_breach(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    opens = datetime.now(UTC) + timedelta(hours=5)
    name = sales.write_campaign(opens, opens + timedelta(hours=8), runbook=sales.write_load(shop.url))
    sales.weather.silent = [(opens + timedelta(hours=1), opens + timedelta(hours=2))]
    run = await sales.begin(name)
    await run.answer()
    await run.until(lambda c: c.phase is Phase.READY)

    await run.pass_(hours=14)
    report = await run.result()

    campaign = report["view"]["campaign"]
    assert campaign["breaches"] == []
    assert any("cannot measure" in text for _, text in sales.announced)
    said = [line["text"] for line in report["view"]["log"]]
    assert any("the metrics answer again" in line for line in said)


async def test_a_closing_while_the_metrics_are_silent_tells_until_when_it_was_counted_as_the_report_does(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    opens = datetime.now(UTC) + timedelta(hours=5)
    closes, silent = opens + timedelta(hours=8), opens + timedelta(hours=4)
    name = sales.write_campaign(opens, closes, runbook=sales.write_load(shop.url))
    sales.weather.silent = [(silent, closes + timedelta(hours=1))]
    before = len(sales.announced)
    run = await sales.begin(name)
    await run.answer()
    await run.until(lambda c: c.phase is Phase.READY)

    await run.pass_(hours=14)
    await run.result()
    sales.weather.silent = []

    closing = next(text for _, text in sales.announced[before:] if "is over" in text).splitlines()
    slos = sales.reports[-1].analysis["slos"]
    assert len(slos) == len(closing) - 1
    for slo, line in zip(slos, closing[1:], strict=True):
        until = datetime.fromisoformat(slo["counted_until"])
        assert silent - timedelta(hours=1) < until < silent
        share = share_said(slo["sli_percent"], slo["objective_percent"], kept=slo["held"])
        assert line.startswith(f"✅ {slo['promise']}: kept, {share} %. Counted until ")
        assert line.endswith(f"{until:%H:%M}.")


async def _replays(run: CampaignRun) -> None:
    history = await run.handle.fetch_history()
    replayer = Replayer(workflows=[Campaign], data_converter=DATA_CONVERTER, workflow_runner=RUNNER)
    await replayer.replay_workflow(history)
