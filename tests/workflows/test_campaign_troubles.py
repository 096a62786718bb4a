"""Campaigns for which something goes wrong: cancelled, unanswered, misled, too long, without metrics."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, _workflow_instance

from holdfast.adapters.reports import CampaignReports
from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from holdfast.domain import campaign_phrases as phrases
from holdfast.domain.campaign import BreachLine, Phase, TestLine, TestVerdict
from holdfast.domain.errors import InvalidInput
from holdfast.domain.view import RunState, RunView
from holdfast.ports.reports import CampaignReport
from holdfast.ports.runs import IncidentRequest
from holdfast.runbook.library import RunbookLibrary
from tests.fakes import eventually
from tests.server import start_server
from tests.workflows import campaign_house
from tests.workflows.campaign_house import CampaignHouse, CampaignRun, open_campaign_house
from tests.workflows.load_house import CountingTarget, counting_target
from workers.engine import TIME_SKIPPING_CONFIG
from workers.queues import RUNNER
from workflows import campaign_watch
from workflows.campaign import Campaign
from workflows.options import RUNBOOK_QUEUE

FAILING = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
HOUR = timedelta(hours=1)
LONG = 60


@pytest.fixture(scope="module")
async def troubled_server() -> AsyncIterator[WorkflowEnvironment]:
    async with await start_server(TIME_SKIPPING_CONFIG) as environment:
        yield environment


@pytest.fixture(scope="module")
async def sales(
    troubled_server: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CampaignHouse]:
    directory: Path = tmp_path_factory.mktemp("troubles")
    async with open_campaign_house(troubled_server.client, directory) as house:
        yield house


@pytest.fixture
async def shop() -> AsyncIterator[CountingTarget]:
    async with counting_target() as target:
        yield target


async def begun(
    sales: CampaignHouse, shop: CountingTarget, *, opens_in: timedelta, lasts: timedelta, **more: object
) -> CampaignRun:
    opens = datetime.now(UTC) + opens_in
    name = sales.write_campaign(opens, opens + lasts, runbook=sales.write_load(shop.url), **more)
    return await sales.begin(name)


async def opened(
    sales: CampaignHouse, shop: CountingTarget, *, lasts: timedelta, **more: object
) -> CampaignRun:
    """Begin a campaign whose window is open already, and sign it off."""
    run = await begun(sales, shop, opens_in=-HOUR, lasts=lasts + HOUR, **more)
    await run.answer()
    await run.until(lambda c: c.phase is Phase.OPEN)
    return run


@pytest.mark.parametrize(
    "garbage",
    ["passed", {"verdict": "passed"}, {"run": "a", "at": "2026-12-01T10:00:00", "verdict": "passed"}, None],
)
async def test_a_test_that_nobody_can_read_stops_no_campaign(
    sales: CampaignHouse, shop: CountingTarget, garbage: object
) -> None:
    run = await begun(sales, shop, opens_in=timedelta(days=10), lasts=HOUR)
    await run.until(lambda c: c.roles)
    good = TestLine(run="load-1", at=datetime.now(UTC), verdict=TestVerdict.PASSED)

    await run.handle.signal("tested", garbage)
    await run.handle.signal("tested", good)

    known = await run.until(lambda c: c.tests)
    assert [test.run for test in known.tests] == ["load-1"]
    await run.handle.cancel()


async def test_a_campaign_is_cancelled_while_its_load_test_waits_for_people(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    shop.answer = FAILING
    run = await begun(sales, shop, opens_in=timedelta(days=1), lasts=HOUR)
    running = await run.until(lambda c: c.tests and c.test_running)
    test = CampaignRun(sales, run.name, sales.client.get_workflow_handle(running.test_running), run.skipper)
    await test.gate()

    await run.handle.cancel()

    with pytest.raises(WorkflowFailureError) as failed:
        await run.result()
    assert isinstance(failed.value.cause, CancelledError)


async def test_a_campaign_that_is_cancelled_in_its_window_thaws_what_it_froze(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    run = await opened(sales, shop, lasts=timedelta(days=1))

    await run.handle.cancel()

    with pytest.raises(WorkflowFailureError):
        await run.result()
    view = await run.view()
    assert view.campaign is not None
    assert not view.campaign.frozen
    assert view.campaign.phase is Phase.CLOSED


async def test_a_campaign_that_is_cancelled_while_a_breach_lasts_leaves_a_report_and_tells_the_incident(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    sales.weather.broken = {"support": [(datetime.now(UTC) - HOUR, datetime.now(UTC) + 24 * HOUR)]}
    run = await begun(sales, shop, opens_in=-HOUR, lasts=24 * HOUR)
    await run.answer()
    seen = await run.until(lambda c: c.breaches and c.breaches[0].incident and c.looked_at)

    await run.handle.cancel()

    with pytest.raises(WorkflowFailureError):
        await run.result()
    view = await run.view()
    assert view.campaign is not None
    assert view.campaign.report
    assert "tell the client" in view.headline
    incident = sales.client.get_workflow_handle(seen.breaches[0].incident)

    async def told() -> bool:
        log = RunView.model_validate(await incident.query("view")).log
        return any("nobody here sees when it is well again" in line.text for line in log)

    await eventually(told)
    await incident.cancel()
    sales.weather.broken = {}


async def test_a_campaign_that_is_cancelled_while_its_report_is_made_hands_its_incident_over_once(
    sales: CampaignHouse, shop: CountingTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_to_report, waits = asyncio.Event(), [True]

    class Slow(CampaignReports):
        async def build(self, run: str, *, language: str = "en") -> CampaignReport:
            begun_to_report.set()
            if waits.pop() if waits else False:
                await asyncio.Event().wait()
            return await super().build(run, language=language)

    monkeypatch.setattr(campaign_house, "CampaignReports", Slow)
    sales.weather.broken = {"support": [(datetime.now(UTC) - HOUR, datetime.now(UTC) + 24 * HOUR)]}
    run = await begun(sales, shop, opens_in=-HOUR, lasts=3 * HOUR)
    # No child of the campaign: the run's time does not pass while one of those is open.
    incident = await sales.client.start_workflow(
        "incident",
        IncidentRequest(runbook=sales.write_incident(), requested_by="anna", title="it", by_run=run.handle.id),
        id=f"{run.handle.id}-incident-1",
        task_queue=RUNBOOK_QUEUE,
    )
    await run.answer()
    await run.until(lambda c: c.breaches and c.breaches[0].incident)
    passing = asyncio.create_task(run.pass_(hours=3))
    await begun_to_report.wait()

    await run.handle.cancel()

    with pytest.raises(WorkflowFailureError):
        await run.result()
    view = await run.view()
    assert view.headline == phrases.CANCELLED, "the window had closed, and the client had been told"
    assert view.campaign is not None
    assert view.campaign.report
    still = phrases.STILL_BROKEN.format(title="Support", run=incident.id)
    assert sales.chat.pings[run.handle.id].count(still) == 1
    heard = [event async for event in incident.fetch_history_events() if _is_signal(event, "unwatched")]
    assert len(heard) == 1
    await asyncio.gather(passing, return_exceptions=True)
    await incident.cancel()
    sales.weather.broken = {}


async def test_a_campaign_whose_report_cannot_be_made_does_not_say_that_it_is(
    sales: CampaignHouse, shop: CountingTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(CampaignReports):
        async def build(self, run: str, *, language: str = "en") -> CampaignReport:
            raise InvalidInput("its looks cannot be read")

    monkeypatch.setattr(campaign_house, "CampaignReports", Broken)
    run = await opened(sales, shop, lasts=HOUR)
    await run.pass_(hours=2)

    report = await run.result()
    assert report["outcome"] == RunState.FINISHED
    assert report["view"]["headline"] == phrases.FINISHED_UNREPORTED.format(n=0)


async def test_a_window_that_nobody_signs_off_is_over_when_it_closes(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    run = await begun(sales, shop, opens_in=HOUR, lasts=HOUR)
    gate = await run.gate()

    await run.pass_(hours=3)

    report = await run.result()
    assert report["outcome"] == RunState.STOPPED
    assert "closed before it was signed off" in report["view"]["headline"]
    assert [(each["id"], each["state"]) for each in report["view"]["closed_gates"]] == [(gate.id, "superseded")]


async def test_a_test_that_is_wanted_while_the_sign_off_is_asked_for_begins(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    run = await begun(sales, shop, opens_in=timedelta(days=1), lasts=HOUR)
    first = await run.gate()

    await run.say("test", by="anna")

    again = await run.gate(lambda gate: gate.id != first.id)
    known = await run.until(lambda c: len(c.tests) == 2)
    assert again.basis is not None
    assert again.basis.risk["test"] == known.tests[-1].run
    await run.handle.cancel()


@pytest.mark.parametrize("verdict", [TestVerdict.VOID, TestVerdict.STOPPED])
async def test_a_test_that_says_nothing_takes_no_sign_off_back(
    sales: CampaignHouse, shop: CountingTarget, verdict: TestVerdict
) -> None:
    run = await begun(sales, shop, opens_in=timedelta(days=1), lasts=HOUR)
    await run.answer()
    await run.until(lambda c: c.phase is Phase.READY)

    line = TestLine(run="load-9", at=datetime.now(UTC), verdict=verdict, said="it was stopped")
    await run.handle.signal("tested", line)

    known = await run.until(lambda c: len(c.tests) == 2)
    assert known.phase is Phase.READY
    await run.handle.cancel()


async def test_an_incident_whose_name_is_taken_ends_no_campaign(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    sales.weather.broken = {"support": [(datetime.now(UTC) - HOUR, datetime.now(UTC) + 2 * HOUR)]}
    run = await begun(sales, shop, opens_in=-HOUR, lasts=3 * HOUR)
    request = IncidentRequest(runbook=sales.write_incident(), requested_by="anna", title="an old one")
    taken = await sales.client.start_workflow(
        "incident", request, id=f"{run.handle.id}-incident-1", task_queue=RUNBOOK_QUEUE
    )
    await run.answer()

    seen = await run.until(lambda c: c.breaches)

    assert seen.breaches[0].incident == taken.id
    await run.handle.cancel()
    await taken.cancel()
    sales.weather.broken = {}


async def test_an_incident_that_cannot_read_its_file_has_the_owner_called(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    sales.weather.broken = {"support": [(datetime.now(UTC) - HOUR, datetime.now(UTC) + 2 * HOUR)]}
    run = await begun(sales, shop, opens_in=-HOUR, lasts=3 * HOUR)
    gate = await run.gate()
    spec = RunbookLibrary([sales.directory]).campaign(run.name).spec
    (sales.directory / "incident" / f"{spec.response.incident}.yaml").unlink()

    await run.answer(gate=gate)

    told = await eventually(lambda: [each for each in sales.private.said if "nobody could be" in each.text])
    assert [each.person for each in told] == ["vera"]
    assert "Support is in breach" in told[0].text
    pings = sales.chat.pings[run.handle.id]
    await eventually(lambda: any("no incident could be opened" in text for text in pings))
    await run.handle.cancel()
    sales.weather.broken = {}


async def test_a_role_that_is_taken_over_goes_with_its_tasks_and_buttons(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    run = await begun(sales, shop, opens_in=timedelta(days=10), lasts=HOUR)
    await run.until(lambda c: c.roles and all(role.asked for role in c.roles))

    def asked(name: str) -> list[int]:
        requests = [e for who, e in sales.private.errands if who == name and e.run_id == run.handle.id]
        return [errand.number for errand in requests if errand.to == "quota"]

    for name, times in (("anna", 1), ("vera", 1), ("anna", 2)):
        await run.say("accept", by=name, to="operations")
        await eventually(lambda: len(asked(name)) == times)  # noqa: B023  awaited here

    assert asked("anna") == [1, 3]
    assert asked("vera") == [2]
    await run.handle.cancel()


async def test_while_nothing_is_known_nobody_is_told_that_all_is_well(
    sales: CampaignHouse, shop: CountingTarget
) -> None:
    now = datetime.now(UTC)
    sales.weather.silent = [(now, now + 6 * HOUR)]
    before = len(sales.announced)
    run = await opened(
        sales, shop, lasts=9 * HOUR, watch={"interval": "5m", "recover_after": "15m", "show_every": "20m"}
    )
    await run.until(lambda c: c.silent)
    await eventually(lambda: any("cannot measure" in text for _, text in sales.announced[before:]))
    assert "do not answer" in (await run.view()).headline

    await run.pass_(hours=12)
    await run.result()

    told = [text for _, text in sales.announced[before:]]
    blind = next(n for n, text in enumerate(told) if "cannot measure" in text)
    assert not any("all is well" in text for text in told[:blind])
    assert any("all is well" in text for text in told[blind:])
    sales.weather.silent = []


async def test_a_watch_that_nobody_carries_out_is_said_aloud(
    sales: CampaignHouse, shop: CountingTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_watch, "_LATE", timedelta(seconds=1))
    answers, asked = asyncio.Event(), sales.weather.instant

    async def instant(query: str, *, at: datetime) -> float | None:
        await answers.wait()
        return await asked(query, at=at)

    monkeypatch.setattr(sales.weather, "instant", instant)
    run = await opened(sales, shop, lasts=timedelta(days=1))

    await eventually(lambda: any("no worker looks" in text for text in sales.chat.pings[run.handle.id]))
    answers.set()

    await run.until(lambda c: c.looked_at)
    assert sum("no worker looks" in text for text in sales.chat.pings[run.handle.id]) == 1
    await run.handle.cancel()


async def test_a_long_campaign_goes_on_in_new_parts_and_loses_nothing(
    sales: CampaignHouse, shop: CountingTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So a worker learns from the server that a history has become long.
    monkeypatch.setattr(
        _workflow_instance._WorkflowInstanceImpl,
        "workflow_is_continue_as_new_suggested",
        lambda instance: (
            instance.workflow_info().workflow_type == "campaign"
            and instance.workflow_get_current_history_length() > LONG
        ),
    )
    opens = datetime.now(UTC) - HOUR
    before, asked = len(sales.announced), len(sales.private.errands)
    sales.weather.broken = {"support": [(opens + 3 * HOUR, opens + 4 * HOUR)]}
    run = await opened(
        sales, shop, lasts=7 * HOUR, watch={"interval": "5m", "recover_after": "15m", "show_every": "30m"}
    )
    first = (await run.handle.describe()).run_id
    await run.say("accept", by="vera", to="commander")
    passing = asyncio.create_task(run.pass_(hours=9))
    breach = await eventually(lambda: _breach_of(run))
    incident = CampaignRun(sales, run.name, sales.client.get_workflow_handle(breach.incident), run.skipper)
    await eventually(lambda: any(p.view.run_id == breach.incident for _, p in sales.private.pages))
    await incident.say("acknowledge", by="anna")
    await incident.say("resolve", by="anna", reason="the CRM was restarted")
    await passing
    report = await sales.client.get_workflow_handle(run.handle.id).result()

    campaign = report["view"]["campaign"]
    assert (await run.handle.describe()).run_id != first
    assert report["outcome"] == RunState.FINISHED
    assert [each["person"] for each in campaign["roles"] if each["name"] == "commander"] == ["vera"]
    assert [each["number"] for each in campaign["breaches"]] == [1]
    assert campaign["breaches"][0]["ended"]
    assert any(each["id"] == "look.1" for each in campaign["tasks"])
    told = [text for _, text in sales.announced[before:]]
    for once in ("has begun", "cannot submit a ticket", "again as promised", "is over"):
        assert sum(once in text for text in told) == 1, once
    numbers = [(name, errand.to, errand.number) for name, errand in sales.private.errands[asked:]]
    assert len(numbers) == len(set(numbers))
    await _replays(sales, run.handle.id, first)
    sales.weather.broken = {}


async def _breach_of(run: CampaignRun) -> BreachLine | None:
    try:
        campaign = (await run.view()).campaign
    except RPCError:  # one part has ended, and the next one has not begun
        return None
    return campaign.breaches[0] if campaign and campaign.breaches else None


async def _replays(sales: CampaignHouse, run: str, part: str) -> None:
    history = await sales.client.get_workflow_handle(run, run_id=part).fetch_history()
    replayer = Replayer(workflows=[Campaign], data_converter=DATA_CONVERTER, workflow_runner=RUNNER)
    await replayer.replay_workflow(history)


def _is_signal(event: HistoryEvent, name: str) -> bool:
    return event.workflow_execution_signaled_event_attributes.signal_name == name
