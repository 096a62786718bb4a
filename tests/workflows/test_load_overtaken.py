"""Night after night: a question that nobody answers stops no test, and a newer result takes it back."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from holdfast.adapters.temporal.schedules import TemporalSchedules
from holdfast.apps.cli.schedule import wanted_of
from holdfast.domain.campaign import TestLine, TestVerdict
from holdfast.domain.gates import GateState
from holdfast.domain.view import RunState, RunView
from holdfast.ports.load import NewerTest
from holdfast.runbook.library import RunbookLibrary
from tests.fakes import eventually
from tests.server import start_server
from tests.workflows.campaign_house import CampaignHouse, CampaignRun, open_campaign_house
from tests.workflows.load_house import CountingTarget, counting_target
from workers.engine import TIME_SKIPPING_CONFIG
from workers.queues import RUNNER
from workflows.load import LoadTest
from workflows.options import RUNBOOK_QUEUE

FAILING = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
PASSING = CountingTarget().answer


@pytest.fixture(scope="module")
async def nights_server() -> AsyncIterator[WorkflowEnvironment]:
    async with await start_server(TIME_SKIPPING_CONFIG) as environment:
        yield environment


@pytest.fixture(scope="module")
async def sales(
    nights_server: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CampaignHouse]:
    async with open_campaign_house(nights_server.client, tmp_path_factory.mktemp("nights")) as house:
        yield house


@pytest.fixture
async def shop() -> AsyncIterator[CountingTarget]:
    async with counting_target() as target:
        yield target


class Nights:
    """A campaign that is tested by its schedule."""

    def __init__(self, sales: CampaignHouse, shop: CountingTarget, runbook: str, run: CampaignRun) -> None:
        self.sales, self.shop, self.runbook, self.run = sales, shop, runbook, run

    async def night(self, answer: bytes, verdict: TestVerdict) -> CampaignRun:
        """Let the next night's test come to this verdict; return its run."""
        self.shop.answer = answer
        await self.run.pass_(days=1)
        before = await self._runs()
        await self._schedules().trigger(self.run.name)

        async def begun() -> set[str]:
            return await self._runs() - before

        (test,) = await eventually(begun)
        await self.run.until(lambda c: any(t.run == test and t.verdict is verdict for t in c.tests))
        return CampaignRun(
            self.sales, self.run.name, self.sales.client.get_workflow_handle(test), self.run.skipper
        )

    async def newest(self) -> TestLine:
        campaign = (await self.run.view()).campaign
        assert campaign is not None
        return campaign.tests[-1]

    async def close(self) -> None:
        await self._schedules().remove(self.run.name)
        await self.run.handle.cancel()

    async def _runs(self) -> set[str]:
        lines = await self._schedules().all()
        return {run.run for line in lines if line.campaign == self.run.name for run in line.runs}

    def _schedules(self) -> TemporalSchedules:
        async def connect() -> Any:
            return self.sales.client

        return TemporalSchedules(connect, task_queue=RUNBOOK_QUEUE, address="the test server")

    @classmethod
    async def begun(cls, sales: CampaignHouse, shop: CountingTarget) -> "Nights":
        opens = datetime.now(UTC) + timedelta(days=18)
        runbook = sales.write_load(shop.url)
        name = sales.write_campaign(opens, opens + timedelta(days=3), runbook=runbook)
        nights = cls(sales, shop, runbook, await sales.begin(name))
        await nights._schedules().apply(wanted_of(RunbookLibrary([sales.directory]).campaign(name)))
        return nights


@pytest.fixture
async def nights(sales: CampaignHouse, shop: CountingTarget) -> AsyncIterator[Nights]:
    nights = await Nights.begun(sales, shop)
    yield nights
    await nights.close()


async def test_a_newer_test_that_passed_takes_back_a_question_nobody_answered(nights: Nights) -> None:
    first = await nights.night(FAILING, TestVerdict.FAILED)
    await first.gate()
    second = await nights.night(PASSING, TestVerdict.PASSED)
    report = await first.result()
    view = RunView.model_validate(report["view"])
    assert report["outcome"] == RunState.NOT_PASSED
    (gate,) = view.closed_gates
    assert gate.state is GateState.SUPERSEDED
    assert gate.note == f"a newer load test has passed: {second.handle.id}"
    assert view.headline.endswith("A newer load test has come to a result; nothing was decided on this one.")
    assert view.load is not None
    assert view.load.result is not None
    assert (view.load.result.go, view.load.result.decided_by) == (None, "")
    campaign = (await nights.run.view()).campaign
    assert campaign is not None
    assert [(test.run, test.verdict, test.go) for test in campaign.tests] == [
        (first.handle.id, TestVerdict.FAILED, None),
        (second.handle.id, TestVerdict.PASSED, None),
    ]
    kept = await nights.sales.store.load_log.test(first.handle.id)
    assert (kept.line.go, kept.line.decided_by) == (None, "")
    await _replays(first)
    await _replays(second)


async def test_a_newer_test_that_failed_is_what_people_are_asked_about(nights: Nights) -> None:
    first = await nights.night(FAILING, TestVerdict.FAILED)
    await first.gate()
    second = await nights.night(FAILING, TestVerdict.FAILED)
    asked = await second.gate()
    assert asked.basis is not None
    assert asked.basis.risk["test"] == second.handle.id
    view = RunView.model_validate((await first.result())["view"])
    assert view.closed_gates[0].note == f"a newer load test has failed: {second.handle.id}"
    waiting = await eventually(lambda: _waiting(nights), seconds=20)
    assert waiting == [second.handle.id]
    await second.answer("approve")
    assert (await second.result())["view"]["load"]["result"]["go"] == "go"
    await eventually(lambda: _went(nights), seconds=20)


async def test_a_newer_test_that_was_void_leaves_the_question_open(nights: Nights) -> None:
    first = await nights.night(FAILING, TestVerdict.FAILED)
    gate = await first.gate()
    file = nights.sales.directory / "load" / f"{nights.runbook}.yaml"
    allowed = file.read_text()
    file.write_text(yaml.safe_dump(yaml.safe_load(allowed) | {"targets": {"shop": {"url": "http://10.0.0.7"}}}))
    void = await nights.night(PASSING, TestVerdict.VOID)
    with pytest.raises(WorkflowFailureError):
        await void.result()
    assert (await first.gate()).token == gate.token
    file.write_text(allowed)
    await nights.night(PASSING, TestVerdict.PASSED)
    assert (await first.result())["outcome"] == RunState.NOT_PASSED


async def test_what_is_no_newer_test_of_this_campaign_leaves_the_question_open(nights: Nights) -> None:
    first = await nights.night(FAILING, TestVerdict.FAILED)
    gate = await first.gate()
    mine = await nights.newest()
    later = mine.model_copy(update={"run": "another", "at": mine.at + timedelta(days=1)})
    passed = later.model_copy(update={"verdict": TestVerdict.PASSED})
    for message in (
        "nonsense",
        NewerTest(campaign="another", line=passed),
        NewerTest(campaign=nights.run.name, line=passed.model_copy(update={"at": mine.at})),
        NewerTest(campaign=nights.run.name, line=later.model_copy(update={"verdict": TestVerdict.STOPPED})),
    ):
        await first.handle.signal("overtaken", message)
    assert (await first.gate()).token == gate.token
    await first.handle.signal("overtaken", NewerTest(campaign=nights.run.name, line=passed))
    view = RunView.model_validate((await first.result())["view"])
    assert [gate.state for gate in view.closed_gates] == [GateState.SUPERSEDED]
    await _replays(first)


async def _waiting(nights: Nights) -> list[str]:
    """Return the runs in which people are asked about this campaign's tests, once there is one alone."""
    open_gates = await nights.sales.runs().waiting("boris")
    about = [each.run_id for each in open_gates if each.gate.title.startswith("Autumn sale: the load test")]
    return about if len(about) == 1 else []


async def _went(nights: Nights) -> bool:
    return (await nights.newest()).go == "go"


async def _replays(run: CampaignRun) -> None:
    history = await run.handle.fetch_history()
    replayer = Replayer(workflows=[LoadTest], data_converter=DATA_CONVERTER, workflow_runner=RUNNER)
    await replayer.replay_workflow(history)
