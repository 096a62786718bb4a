"""Load tests as runs: made by every load worker, watched, stopped, added up, decided on."""

import re
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.testing import TimeSkipper, WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from holdfast.adapters.temporal.load_workers import TemporalLoadRuns
from holdfast.apps.cli.load_live import LoadWatching, Watcher
from holdfast.domain import campaign as campaigns
from holdfast.domain.campaign import Go
from holdfast.domain.decisions import Choice
from holdfast.domain.errors import DecisionRefused, InvalidInput, UnknownName
from holdfast.domain.view import RunState
from holdfast.ports.load import KeptTest
from tests.fakes import eventually
from tests.server import start_server
from tests.workflows.load_house import (
    CountingTarget,
    Listening,
    LoadHouse,
    counting_target,
    load_replays,
    open_load_house,
)
from workers.engine import TIME_SKIPPING_CONFIG


@pytest.fixture(scope="module")
async def load_server() -> AsyncIterator[WorkflowEnvironment]:
    """A server that no other workers poll, and that looks at short timeouts often."""
    quick = {"history.timerProcessorMaxTimeShift": '"100ms"'}
    async with await start_server({**TIME_SKIPPING_CONFIG, **quick}) as environment:
        yield environment


def watched_runs(loads: LoadHouse) -> TemporalLoadRuns:
    async def connect() -> Client:
        return loads.client

    return TemporalLoadRuns(connect, address="the test server")


@pytest.fixture(scope="module")
async def loads(
    load_server: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LoadHouse]:
    directory: Path = tmp_path_factory.mktemp("loads")
    async with open_load_house(load_server.client, directory) as house:
        yield house


@pytest.fixture(scope="module")
async def target() -> AsyncIterator[CountingTarget]:
    async with counting_target() as target:
        yield target


async def test_every_load_worker_makes_a_share_and_the_sum_is_exact(
    loads: LoadHouse, target: CountingTarget
) -> None:
    before = len(target.arrivals)
    run = await loads.start(loads.write(target.url, rate=60, lasts=3))
    report = await run.result()
    assert report["outcome"] == RunState.PASSED, report["view"]["headline"]
    result = loads.log.finished[run.handle.id].result
    assert result["shards"] == 2
    assert (result["figures"][0]["due"], result["figures"][0]["good"]) == (180, 180)
    assert len(target.arrivals) - before == 180
    assert report["view"]["load"]["result"]["verdict"] == campaigns.TestVerdict.PASSED
    assert loads.chat.cards[run.handle.id].state is RunState.PASSED
    await load_replays(run)


async def test_a_stop_by_a_person_ends_the_arrivals_at_the_target_within_a_second(
    loads: LoadHouse, target: CountingTarget
) -> None:
    run = await loads.start(loads.write(target.url, rate=100, lasts=30))
    before = len(target.arrivals)
    await eventually(lambda: len(target.arrivals) > before + 100)
    said_at = time.time()
    reply = await run.say("stop", reason="the shop is slow")
    assert reply.text.startswith("The load stops within a second")
    report = await run.result()
    assert report["outcome"] == RunState.STOPPED
    assert target.arrivals[-1] - said_at < 1
    line = report["view"]["load"]["result"]
    assert line["verdict"] == campaigns.TestVerdict.STOPPED
    assert "stopped by anna: the shop is slow" in line["said"]
    await load_replays(run)


async def test_a_test_is_watched_second_by_second_from_outside_until_its_result(
    loads: LoadHouse, target: CountingTarget
) -> None:
    run = await loads.start(loads.write(target.url, rate=20, lasts=4))
    seconds: list[int] = []
    said: list[str] = []
    watcher = Watcher(
        LoadWatching(loads.log, watched_runs(loads)),
        run.handle.id,
        show=lambda _, live: seconds.append(live.second),
        say=said.append,
    )
    kept = await watcher.end()
    assert isinstance(kept, KeptTest)
    assert kept.run == run.handle.id
    assert kept.line.verdict is campaigns.TestVerdict.PASSED
    assert seconds, "some second was seen while it ran"
    assert seconds == sorted(set(seconds)), "none twice, none out of order"
    assert said[-1].startswith(("reading", "asking", "2 generators begin"))
    await run.result()
    assert await watcher.end() == kept


async def test_what_is_watched_is_an_open_load_test_or_it_is_said(
    loads: LoadHouse, target: CountingTarget
) -> None:
    runs = watched_runs(loads)
    with pytest.raises(UnknownName, match="unknown run 'load-none'"):
        await runs.made("load-none")
    other = await loads.client.start_workflow("campaign", id="no-load-test", task_queue="nobody-serves-this")
    with pytest.raises(InvalidInput, match="run 'no-load-test' is no load test"):
        await runs.made("no-load-test")
    await other.terminate()
    run = await loads.start(loads.write(target.url, rate=20, lasts=30))
    await run.until(lambda view: view.state is RunState.TESTING)
    assert (made := await runs.made(run.handle.id)).open
    assert made.spec is not None
    assert made.spec.name == run.name
    assert made.start_at > time.time() - 60
    await run.say("stop")
    await run.result()
    made = await runs.made(run.handle.id)
    assert (made.open, made.verdict) == (False, campaigns.TestVerdict.STOPPED)


async def test_a_stranger_cannot_stop_a_test(loads: LoadHouse, target: CountingTarget) -> None:
    run = await loads.start(loads.write(target.url, rate=20, lasts=20))
    await run.until(lambda view: view.state is RunState.TESTING)
    with pytest.raises(DecisionRefused, match="'gleb' may not say 'stop' to this run; anna may"):
        await run.say("stop", by="gleb")
    await run.say("stop")
    await run.result()


async def test_a_threshold_aborts_the_test_and_the_campaign_is_decided_on_at_a_gate(
    loads: LoadHouse, target: CountingTarget
) -> None:
    target.answer = b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"
    abort = [{"step": "*", "errors_percent": 10, "over": "1s", "abort": True}]
    runbook = loads.write(target.url, thresholds=abort)
    campaign = loads.write_campaign(
        runbook,
        peak={"expected_peak": 20, "safety_factor": 2, "percent": [50, 100], "each": "15s"},
    )
    lines = await _decided(loads, runbook, campaign, target)
    assert [(line.verdict, line.go) for line in lines] == [
        (campaigns.TestVerdict.FAILED, None),
        (campaigns.TestVerdict.FAILED, Go.LIMITS),
    ]
    assert lines[-1].decided_by == "boris"


async def _decided(
    loads: LoadHouse, runbook: str, campaign: str, target: CountingTarget
) -> list[campaigns.TestLine]:
    named = TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword("HoldfastRunbook"), campaign)]
    )
    async with Worker(
        loads.client,
        task_queue="listening-to-tests",
        workflows=[Listening],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        listening = await loads.client.start_workflow(
            Listening.run, id=f"{campaign}-run", task_queue="listening-to-tests", search_attributes=named
        )
        run = await loads.start(runbook, campaign=campaign)
        try:
            gate = await run.gate()
        finally:
            target.answer = CountingTarget().answer
        assert gate.title == "Autumn sale: the load test has failed"
        assert [gate.label(choice) for choice in gate.choices] == ["Go", "Go with limits", "No-go"]
        assert gate.question == "Does the campaign go?"
        assert gate.facts[0].startswith("The test ")
        assert gate.facts[-2] == "It had to carry 40 sessions a second."
        assert re.fullmatch(r"The window opens on \d{4}-\d\d-\d\d \d\d:\d\d MSK\.", gate.facts[-1])
        assert gate.if_limited == "The campaign goes with limits: Half of the announcements wait."
        assert gate.basis is not None
        # What was under way when the test was aborted ended in nothing; all else failed.
        assert float(gate.basis.risk["errors"].removesuffix(" %")) > 80
        await eventually(lambda: [s for s in loads.private.said if s.person == "gleb"])
        await run.answer(Choice.LIMIT, gate=gate)
        report = await run.result()
        assert report["outcome"] == RunState.NOT_PASSED
        assert report["view"]["load"]["offset_seconds"] < 30, "it was aborted"
        assert loads.log.finished[run.handle.id].line.go is Go.LIMITS
        await load_replays(run)
        return await listening.result()


async def test_a_scheduled_test_in_a_blackout_is_skipped_and_says_why(
    loads: LoadHouse, target: CountingTarget
) -> None:
    before = len(target.arrivals)
    runbook = loads.write(target.url)
    campaign = loads.write_campaign(
        runbook,
        schedule={
            "cron": "30 2 * * *",
            "begins": "3650d",
            "ends": "1s",
            "blackouts": [{"begins": "00:00", "ends": "00:00", "why": "always"}],
        },
    )
    loads._write("campaign", campaign, _in_the_far_future(loads, campaign))
    run = await loads.start(runbook, by="schedule", campaign=campaign, schedule="holdfast-load-x")
    report = await run.result()
    assert report["outcome"] == RunState.FINISHED
    line = report["view"]["load"]["result"]
    assert line["verdict"] == campaigns.TestVerdict.SKIPPED
    assert line["said"] == "no test is made: it is in the blackout 00:00–00:00 (always)"
    assert len(target.arrivals) == before
    await load_replays(run)


def _in_the_far_future(loads: LoadHouse, campaign: str) -> dict[str, Any]:
    file: dict[str, Any] = yaml.safe_load((loads.directory / "campaign" / f"{campaign}.yaml").read_text())
    file["window"] = {"opens": "2035-12-11T10:00", "closes": "2035-12-14T10:00"}
    return file


async def test_two_tests_of_the_same_load_never_run_at_once(loads: LoadHouse, target: CountingTarget) -> None:
    runbook = loads.write(target.url, rate=20, lasts=20)
    first = await loads.start(runbook)
    await first.until(lambda view: view.state is RunState.TESTING)
    second = await loads.start(runbook)
    report = await second.result()
    assert report["outcome"] == RunState.FINISHED
    assert report["view"]["headline"] == f"no test is made: {first.handle.id} tests the same already"
    await first.say("stop")
    await first.result()


async def test_a_target_that_is_not_allowed_gets_no_load_and_the_remedy_is_named(loads: LoadHouse) -> None:
    run = await loads.start(loads.write("http://shop.example.com"))
    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()
    assert "add 'shop.example.com' to HOLDFAST_LOAD_HOSTS" in str(failed.value.cause)
    assert (await run.view()).state is RunState.FAILED


async def test_while_the_store_is_down_the_load_goes_on_and_every_report_is_kept_afterwards(
    loads: LoadHouse, target: CountingTarget
) -> None:
    before = len(target.arrivals)
    run = await loads.start(loads.write(target.url, rate=40, lasts=4))
    await eventually(lambda: len(target.arrivals) > before + 20)
    loads.log.down = True
    try:
        await eventually(lambda: len(target.arrivals) >= before + 160)
    finally:
        loads.log.down = False
    report = await run.result()
    assert report["outcome"] == RunState.PASSED
    assert loads.log.finished[run.handle.id].result["figures"][0]["good"] == 160


async def test_a_failed_test_that_nobody_decides_on_means_what_its_deadline_says(
    loads: LoadHouse, target: CountingTarget
) -> None:
    target.answer = b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"
    runbook = loads.write(target.url, thresholds=[{"step": "*", "errors_percent": 10}])
    until = {"after": "3d", "then": "reject"}
    campaign = loads.write_campaign(runbook, failed={"approvers": ["lead"], "mfa": "off", "deadline": until})
    skipper = TimeSkipper(loads.client)
    run = await loads.start(runbook, campaign=campaign, client=skipper.client)
    try:
        await run.gate()
    finally:
        target.answer = CountingTarget().answer
    await skipper.fast_forward(run.handle, timedelta(days=3, seconds=1))
    report = await run.result()
    line = report["view"]["load"]["result"]
    assert (report["outcome"], line["go"], line["decided_by"]) == ("not passed", Go.NO_GO, "the deadline")
    assert loads.log.finished[run.handle.id].line.go is Go.NO_GO
    await load_replays(run)


async def test_what_a_campaign_demands_is_not_made_easier_by_whoever_starts_it(loads: LoadHouse) -> None:
    runbook = loads.write("http://127.0.0.1:1")
    run = await loads.start(runbook, campaign=loads.write_campaign(runbook), rate=1)
    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()
    assert "a campaign's test is made as its file says" in str(failed.value.cause)
    other = await loads.start(runbook, by="vera")
    with pytest.raises(WorkflowFailureError) as failed:
        await other.result()
    assert f"'vera' may not start '{runbook}'; those who may: anna" in str(failed.value.cause)


async def test_a_cancelled_run_leaves_no_load_behind_and_lets_the_next_test_begin(
    loads: LoadHouse, target: CountingTarget
) -> None:
    runbook = loads.write(target.url, rate=50, lasts=30)
    before = len(target.arrivals)
    run = await loads.start(runbook)
    await eventually(lambda: len(target.arrivals) > before + 20)
    cancelled_at = time.time()
    await run.handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await run.result()
    assert target.arrivals[-1] - cancelled_at < 1
    view = await run.view()
    assert (view.state, view.headline) == (
        RunState.STOPPED,
        "cancelled by request; no load is made any more",
    )
    await load_replays(run)
    again = await loads.start(runbook)
    await again.until(lambda view: view.state is RunState.TESTING)
    await again.say("stop")
    await again.result()
