"""What is kept of campaigns and load tests, over both databases."""

import asyncio
import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.sql_store.campaigns import SqlCampaigns
from holdfast.adapters.sql_store.database import Database
from holdfast.adapters.sql_store.load_log import SqlLoadLog
from holdfast.adapters.sql_store.moment_rows import joined, split
from holdfast.domain import campaign
from holdfast.domain.campaign import Go
from holdfast.domain.errors import Unavailable, UnknownName
from holdfast.loadgen.report import Report, Second, StepSecond
from holdfast.ports.campaigns import KeptCampaign, KeptMoment
from holdfast.ports.load import KeptReport, KeptTest
from holdfast.slo.status import BurnReading, KpiStatus, Level, Moment, SloStatus

OPENS = datetime(2026, 12, 11, 7, 0, tzinfo=UTC)
RUN = "campaign-a"


@pytest.fixture
async def database(url):
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
def log(database) -> SqlCampaigns:
    return SqlCampaigns(database)


@pytest.fixture
def tests(database) -> SqlLoadLog:
    return SqlLoadLog(database)


def look(minute: int, *, left: float = 100, said: str = "all is well") -> Moment:
    alerts = [
        BurnReading(long="1h", short="5m", factor=14.4, severity="page", long_burn=0.5, short_burn=minute / 8)
    ]
    slo = SloStatus(
        context="support",
        slo="ticket-submissions",
        promise="99.9 % of ticket submissions are completed within 5 s",
        objective_percent=99.9,
        level=Level.OK,
        sli_percent=99.95,
        budget_left_percent=left,
        events=1000 + minute,
        bad_events=2,
        burn=alerts,
        said=said,
    )
    kpi = KpiStatus(context="support", name="latency", unit="s", value=0.25, baseline=None, level=Level.UNKNOWN)
    return Moment(at=OPENS + timedelta(minutes=minute), slos=[slo], kpis=[kpi])


def seen(minute: int, run: str = RUN, **more: object) -> KeptMoment:
    return KeptMoment(run=run, campaign="autumn-sale", moment=look(minute, **more))


def a_campaign(run: str = RUN, *, day: int = 0, name: str = "autumn-sale", **more: object) -> KeptCampaign:
    opens = OPENS + timedelta(days=day)
    fields = {"run": run, "campaign": name, "opens": opens, "closes": opens + timedelta(days=3), **more}
    return KeptCampaign.model_validate(fields)


async def test_what_was_seen_comes_back_as_it_was_oldest_first(log):
    silent = Moment(at=OPENS + timedelta(minutes=2), silent="Prometheus does not answer")
    await log.saw([seen(3), KeptMoment(run=RUN, campaign="autumn-sale", moment=silent)])
    await log.saw([seen(1), seen(9, run="campaign-b")])

    assert await log.moments(RUN) == [look(1), silent, look(3)]
    assert await log.moments(RUN, since=OPENS + timedelta(minutes=2)) == [silent, look(3)]
    assert await log.moments("campaign-c") == []


async def test_a_look_that_is_there_already_stays_as_it_was(log, intruder):
    await log.saw([seen(1), seen(2)])
    await log.saw([seen(2, left=5, said="something else"), seen(3)])
    await log.saw([])

    assert await log.moments(RUN) == [look(1), look(2), look(3)]
    assert intruder.rows("SELECT COUNT(*) FROM campaign_shapes") == [(1,)]


async def test_looks_written_at_once_by_two_watchers_are_kept_once(log):
    await asyncio.gather(*(log.saw([seen(m) for m in order]) for order in ((1, 2, 3), (3, 2, 1)) * 3))

    assert await log.moments(RUN) == [look(1), look(2), look(3)]


async def test_a_month_of_looks_takes_little_room_and_no_query_for_each(log, database, intruder, kind):
    rows = [seen(minute) for minute in range(3000)]
    for first in range(0, len(rows), 1000):
        await log.saw(rows[first : first + 1000])
    [(size,)] = intruder.rows("SELECT SUM(LENGTH(numbers) + LENGTH(shape)) FROM campaign_moments")

    assert size / len(rows) < len(look(1).model_dump_json()) / 3
    assert len(await log.moments(RUN)) == 3000


async def test_a_file_that_changes_within_a_run_keeps_both_shapes(log):
    after = look(2)
    after.kpis.append(KpiStatus(context="support", name="errors", unit="%", value=1.0, level=Level.WARNING))
    await log.saw([seen(1), KeptMoment(run=RUN, campaign="autumn-sale", moment=after)])

    assert await log.moments(RUN) == [look(1), after]


async def test_a_campaign_is_kept_as_it_stands_and_replaced(log):
    await log.keep(a_campaign(view={"state": "running"}))
    whole = a_campaign(
        client="Example Retail", view={"state": "é"}, spec={"a": [1]}, inventory=[{"name": "ticket"}]
    )
    await log.keep(whole)

    assert await log.campaign(RUN) == whole
    assert await log.campaign("campaign-b") is None


async def test_campaigns_are_listed_the_newest_window_first_without_what_is_large(log):
    for run, day, name in (("a", 0, "autumn-sale"), ("b", 30, "spring-sale"), ("c", 10, "autumn-sale")):
        await log.keep(a_campaign(run, day=day, name=name, view={"large": 1}, spec={"large": 1}))

    assert [kept.run for kept in await log.campaigns()] == ["b", "c", "a"]
    assert [kept.run for kept in await log.campaigns(limit=1)] == ["b"]
    of_name = await log.campaigns("autumn-sale")
    assert [(kept.run, kept.view, kept.spec) for kept in of_name] == [("c", {}, {}), ("a", {}, {})]


async def test_words_that_no_database_takes_do_not_stop_the_keeping(log):
    await log.saw([seen(1, said="odd \0 and \ud800")])
    await log.keep(a_campaign(view={"headline": "odd \0"}))

    assert (await log.moments(RUN))[0].slos[0].said.startswith("odd ")
    assert await log.campaign(RUN)


numbers = st.none() | st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(values=st.tuples(*[numbers] * 8), level=st.sampled_from(Level), words=st.text(max_size=20))
def test_any_look_can_be_read_again(values, level, words):
    slo = (
        look(1, said=words)
        .slos[0]
        .model_copy(
            update=dict(zip(("sli_percent", "events", "bad_events"), values, strict=False)) | {"level": level}
        )
    )
    kpi = (
        look(1)
        .kpis[0]
        .model_copy(update=dict(zip(("value", "baseline", "sigmas", "used_percent"), values[3:], strict=False)))
    )
    before = Moment(at=OPENS, slos=[slo], kpis=[kpi])
    shape, told = split(before)
    after = joined(OPENS, json.loads(shape), told)

    assert (after.slos[0].level, after.slos[0].promise) == (level, slo.promise)
    for name in ("value", "baseline", "sigmas"):
        was, read = getattr(kpi, name), getattr(after.kpis[0], name)
        if was is None or not math.isfinite(was):
            assert read is None
        else:
            assert read == pytest.approx(was, rel=1e-6)


# --- load tests ----------------------------------------------------------------------------------------------


def reported(number: int, shard: int = 0, attempt: int = 1, run: str = "load-a") -> KeptReport:
    second = Second(number=number, steps={"ticket": StepSecond(due=5, good=5)})
    report = Report(shard=shard, offset=number / 4, seconds=[second])
    return KeptReport(run=run, shard=shard, attempt=attempt, number=number, report=report)


def a_test(run: str = "load-a", *, day: int = 0, go: Go | None = None, **more: object) -> KeptTest:
    at = OPENS - timedelta(days=9) + timedelta(days=day)
    line = campaign.TestLine(
        run=run, at=at, verdict=campaign.TestVerdict.FAILED, said="broke at 40/s", capacity=31.5, go=go
    )
    fields = {"run": run, "campaign": "autumn-sale", "runbook": "customer-journeys", "at": at, "line": line}
    return KeptTest.model_validate(fields | {"result": {"runbook": "customer-journeys"}} | more)


async def test_reports_come_once_each_and_a_mark_says_what_is_new(tests):
    assert await tests.reports("load-a") == ([], 0)
    await tests.add([reported(1), reported(1, shard=1), reported(1, run="load-b")])
    first, mark = await tests.reports("load-a")
    await tests.add([reported(1), reported(2), reported(1, attempt=2)])
    more, after = await tests.reports("load-a", after=mark)

    assert first == [reported(1), reported(1, shard=1)]
    assert more == [reported(2), reported(1, attempt=2)]
    assert await tests.reports("load-a", after=after) == ([], after)


async def test_whoever_takes_a_shard_over_is_known_by_its_first_report(tests):
    await tests.add([reported(1), reported(2), reported(1, shard=1, attempt=7), reported(1, run="load-b")])
    assert [await tests.newest_attempt("load-a", shard) for shard in (0, 1, 2)] == [1, 7, 0]

    await tests.add([reported(1, attempt=2)])
    assert await tests.newest_attempt("load-a", 0) == 2
    assert await tests.newest_attempt("load-b", 0) == 1


async def test_who_follows_a_test_misses_no_report_of_any_shard(tests):
    async def shard(number: int) -> None:
        for count in range(1, 16):
            await tests.add([reported(count, shard=number)])

    async def follow() -> list[tuple[int, int]]:
        found, mark = [], 0
        while len(found) < 60:
            new, mark = await tests.reports("load-a", after=mark)
            found += [(each.shard, each.number) for each in new]
        return found

    async with asyncio.timeout(60):
        found, *_ = await asyncio.gather(follow(), *map(shard, range(4)))
    assert sorted(found) == [(shard, number) for shard in range(4) for number in range(1, 16)]


async def test_a_result_is_kept_whole_and_listed_without_its_figures(tests):
    await tests.finish(a_test())
    await tests.finish(a_test("load-b", day=1))
    await tests.finish(a_test("load-c", campaign=""))

    assert await tests.test("load-a") == a_test()
    assert [(t.run, t.result) for t in await tests.tests("autumn-sale")] == [("load-b", {}), ("load-a", {})]
    assert [t.run for t in await tests.tests("autumn-sale", limit=1)] == ["load-b"]
    assert await tests.test("load-x") is None


async def test_what_people_decided_stays_when_the_result_is_kept_again(tests):
    await tests.finish(a_test())
    await tests.decided("load-a", Go.LIMITS, "boris")
    await tests.finish(a_test(result={"again": True}))

    kept = await tests.test("load-a")
    assert (kept.line.go, kept.line.decided_by, kept.result) == (Go.LIMITS, "boris", {"again": True})
    assert kept.line.allows


async def test_a_decision_on_a_test_that_nobody_kept_lists_those_that_are(tests):
    await tests.finish(a_test())

    with pytest.raises(UnknownName, match="'load-x'; known: load-a"):
        await tests.decided("load-x", Go.GO, "boris")


async def test_single_reports_go_a_day_after_their_test(tests):
    await tests.add([reported(1)])
    await tests.finish(a_test())
    assert len((await tests.reports("load-a"))[0]) == 1
    await tests.add([reported(1, run="load-b")])
    await tests.finish(a_test("load-b", day=2))

    assert (await tests.reports("load-a"))[0] == []
    assert len((await tests.reports("load-b"))[0]) == 1


async def test_a_database_that_is_away_is_named_by_each_call(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/nowhere/holdfast.db")
    log, tests = SqlCampaigns(database), SqlLoadLog(database)
    calls = [
        *(log.saw([seen(1)]), log.moments(RUN), log.keep(a_campaign()), log.campaign(RUN), log.campaigns()),
        *(
            tests.add([reported(1)]),
            tests.reports("r"),
            tests.finish(a_test()),
            tests.tests("a"),
            tests.test("r"),
        ),
    ]
    for call in calls:
        with pytest.raises(Unavailable, match="does not answer"):
            await call
    await database.close()
