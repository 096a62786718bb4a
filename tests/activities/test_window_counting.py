"""The watch counts what its window came to, and no query that hangs holds it up."""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.looking import Look, Patience, Scene
from activities.window import LookReport, LookRequest, WindowActivities
from holdfast.domain.errors import MetricsUnavailable
from holdfast.ports.campaigns import KeptMoment
from holdfast.slo.spec import Kpi, ServiceContext
from holdfast.slo.status import KpiStatus, Level, Moment, SloStatus
from holdfast.slo.tracker import BreachBegan
from tests.activities.test_window import MINUTE, START, Clock, Log, contexts, request
from tests.workflows.campaign_house import Weather

# Of these tests only what hangs for ever is waited for in vain.
ENDLESS = 3600.0
OPENS = START


class Hanging(Weather):
    """Metrics that never answer some queries; asked queries are noted."""

    def __init__(self, hangs: Callable[[str, datetime], bool] = lambda query, at: False, **more: Any) -> None:
        super().__init__(**more)
        self.hangs = hangs
        self.asked: list[tuple[str, datetime]] = []
        self.given_up: list[str] = []

    async def instant(self, query: str, *, at: datetime) -> float | None:
        self.asked.append((query, at))
        if self.hangs(query, at):
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up.append(query)
        return await super().instant(query, at=at)

    def windows(self, what: str) -> dict[datetime, str]:
        """Return over which window a query was asked last, by moment, without those of alerts."""
        found: dict[datetime, str] = {}
        for query, at in self.asked:
            window = query.removeprefix(f"{what}:")
            if window != query and window not in {"5m", "1h", "30d"}:
                found[at] = window
        return found


def with_kpis() -> dict[str, ServiceContext]:
    latency = Kpi(query="support:latency:$window", unit="s", bad_when="never")
    return contexts() | {"support": contexts()["support"].model_copy(update={"kpis": {"latency": latency}})}


async def looked(
    weather: Weather, wanted: LookRequest, patience: Patience, *, at: datetime = START, log: Any = None
) -> LookReport:
    clock = Clock(at)
    window = WindowActivities(weather, log=lambda: log, clock=clock.now, sleep=clock.sleep, patience=patience)
    report: LookReport = await asyncio.wait_for(
        ActivityEnvironment().run(window.watch_window, wanted), timeout=60
    )
    return report


def slo_of(report: LookReport, context: str) -> SloStatus:
    assert report.moment is not None
    return next(slo for slo in report.moment.slos if slo.context == context)


def kpi_of(report: LookReport) -> KpiStatus:
    assert report.moment is not None
    [found] = report.moment.kpis
    return found


# --- the count ----------------------------------------------------------------------------------------------


async def test_each_look_counts_the_events_since_the_window_opened() -> None:
    weather = Hanging(broken={"support": [(START + 10 * MINUTE, START + 60 * MINUTE)]})

    report = await looked(weather, request(opens=OPENS, closes=START + 3 * timedelta(hours=1)), Patience())

    assert slo_of(report, "support").window is not None
    began = START + 10 * MINUTE
    assert report.looked_at == began
    counts = {slo.context: slo.window for slo in report.moment.slos} if report.moment else {}
    assert counts["support"] is not None
    assert (counts["support"].events, counts["support"].bad_events, counts["support"].kept) == (
        60_000,
        30_000,
        False,
    )
    assert counts["checkout"] is not None
    assert counts["checkout"].kept


async def test_a_window_that_has_just_opened_is_not_counted_yet() -> None:
    weather = Hanging()

    report = await looked(weather, request(opens=OPENS, back_by=START + MINUTE), Patience())

    assert weather.windows("support:total") == {}
    assert slo_of(report, "support").window is None


async def test_without_a_window_nothing_is_counted() -> None:
    report = await looked(Hanging(), request(), Patience())

    assert slo_of(report, "support").window is None


async def test_a_long_window_is_counted_once_a_minute_however_short_the_interval_is() -> None:
    weather = Hanging()
    since = START + timedelta(hours=5)
    wanted = request(opens=OPENS, interval=timedelta(seconds=15), back_by=since + 2 * MINUTE)

    report = await looked(weather, wanted, Patience(), at=since)

    assert list(weather.windows("support:total").values()) == ["5h", "5h1m", "5h2m"]
    assert slo_of(report, "support").window is not None


async def test_the_last_look_is_made_as_the_window_closes_and_counts_it_whole() -> None:
    weather, log = Hanging(), Log()
    closes = START + timedelta(minutes=20, seconds=20)

    report = await looked(weather, request(opens=OPENS, closes=closes, back_by=closes), Patience(), log=log)

    assert (report.looked_at, report.back_at) == (closes, closes)
    assert weather.windows("support:total")[closes] == "20m20s"
    count = slo_of(report, "support").window
    assert count is not None
    assert (count.events, count.at) == (122_000, closes)
    assert log.kept[-1].moment == report.moment


async def test_a_watch_that_comes_too_late_looks_at_the_moment_of_the_closing() -> None:
    closes = START + 5 * MINUTE
    wanted = request(opens=OPENS, closes=closes, back_by=closes, looked_at=START + 4 * MINUTE)

    report = await looked(Hanging(), wanted, Patience(), at=closes + 10 * MINUTE)

    assert report.looked_at == closes


async def test_a_watch_that_comes_just_after_the_closing_is_kept_from_its_last_look_by_no_news() -> None:
    closes = START + 5 * MINUTE
    weather = Hanging(broken={"support": [(START + 3 * MINUTE, closes)]})
    wanted = request(opens=OPENS, closes=closes, back_by=closes, looked_at=START + MINUTE)

    report = await looked(weather, wanted, Patience(), at=closes + timedelta(seconds=30))

    assert report.looked_at == closes
    assert slo_of(report, "support").window is not None


async def test_the_last_look_of_a_dead_worker_is_kept_by_the_next_one() -> None:
    closes, log = START + 3 * MINUTE, Log()
    wanted = request(opens=OPENS, closes=closes, back_by=closes)
    before = await looked(Hanging(), wanted, Patience())
    environment, clock = ActivityEnvironment(), Clock(closes)
    environment.info = dataclasses.replace(environment.info, heartbeat_details=[before.model_dump(mode="json")])
    kept: Any = log
    window = WindowActivities(Hanging(), log=lambda: kept, clock=clock.now, sleep=clock.sleep)

    after: LookReport = await environment.run(window.watch_window, wanted)

    assert (after.looked_at, after.moment) == (closes, before.moment)
    assert [each.moment for each in log.kept] == [before.moment]


async def test_a_look_at_what_is_looked_at_already_ends_no_window_twice() -> None:
    closes = START + 5 * MINUTE
    log = Log()

    report = await looked(Hanging(), request(opens=OPENS, closes=closes, back_by=closes), Patience(), log=log)

    assert report.looked_at == closes
    assert [kept.moment.at for kept in log.kept] == [START + n * MINUTE for n in range(6)]


async def test_the_last_look_is_kept_although_the_store_was_busy_with_an_earlier_one() -> None:
    class Busy(Log):
        """Takes the first looks only when the watch has come to its end."""

        def __init__(self) -> None:
            super().__init__()
            self.ended = asyncio.Event()

        async def saw(self, moments: Sequence[KeptMoment]) -> None:
            await self.ended.wait()
            await super().saw(moments)

    class Ending(Hanging):
        async def instant(self, query: str, *, at: datetime) -> float | None:
            if at == closes:
                log.ended.set()
            return await super().instant(query, at=at)

    closes, log = START + 3 * MINUTE, Busy()
    await looked(Ending(), request(opens=OPENS, closes=closes, back_by=closes), Patience(), log=log)

    assert [kept.moment.at for kept in log.kept] == [START + n * MINUTE for n in range(4)]


async def test_a_count_that_is_not_answered_stands_as_it_was() -> None:
    weather = Hanging(lambda query, at: query.endswith((":7m", ":8m")))

    report = await looked(
        weather, request(opens=OPENS, back_by=START + 8 * MINUTE), Patience(number=0.01), at=START
    )

    count = slo_of(report, "support").window
    assert count is not None
    assert count.at == START + 6 * MINUTE


async def test_a_silent_look_remembers_the_count_of_the_last_one_that_saw_something() -> None:
    weather = Hanging(silent=[(START + 6 * MINUTE, START + 60 * MINUTE)])

    report = await looked(weather, request(opens=OPENS), Patience())

    assert [news.kind for news in report.news] == ["went silent"]
    assert report.moment is not None
    assert report.moment.silent
    count = slo_of(report, "support").window
    assert count is not None
    assert count.at == START + 5 * MINUTE


async def test_the_count_at_the_end_waits_for_no_older_one() -> None:
    closes = START + 8 * MINUTE
    weather = Hanging(lambda query, at: query.endswith(":7m"))

    report = await looked(
        weather,
        request(opens=OPENS, closes=closes, back_by=closes),
        Patience(number=0.01, last=ENDLESS),
    )

    assert slo_of(report, "support").window is not None
    assert weather.windows("support:total")[closes] == "8m"


# --- what hangs ---------------------------------------------------------------------------------------------


async def test_a_kpi_that_hangs_delays_no_page() -> None:
    weather = Hanging(lambda query, at: "latency" in query, broken={"support": [(START, START + 9 * MINUTE)]})

    report = await looked(
        weather, request(contexts=with_kpis()), Patience(page=0.01, promise=ENDLESS, number=ENDLESS)
    )

    assert [news.context for news in report.news if isinstance(news, BreachBegan)] == ["support"]
    assert (kpi_of(report).name, kpi_of(report).value, kpi_of(report).level) == ("latency", None, Level.UNKNOWN)
    assert "support:latency:1m" in weather.given_up


async def test_a_kpi_that_hangs_is_unknown_and_the_others_are_there() -> None:
    weather = Hanging(lambda query, at: "latency" in query and at > START)

    report = await looked(
        weather,
        request(contexts=with_kpis(), back_by=START + MINUTE),
        Patience(number=0.01),
    )

    assert report.looked_at == START + MINUTE
    assert slo_of(report, "support").level is Level.OK
    assert kpi_of(report).value is None


def called_and_checkout(report: LookReport) -> tuple[list[str], Level]:
    """Return for which contexts people are called, and how checkout stands."""
    called = [news.context for news in report.news if isinstance(news, BreachBegan)]
    return called, slo_of(report, "checkout").level


async def test_a_promise_that_hangs_is_unknown_and_another_one_pages() -> None:
    weather = Hanging(
        lambda query, at: query.startswith("checkout:bad"), broken={"support": [(START, START + 9 * MINUTE)]}
    )

    report = await looked(weather, request(), Patience(page=0.01, promise=ENDLESS))

    assert called_and_checkout(report) == (["support"], Level.UNKNOWN)


async def test_a_page_that_is_answered_late_waits_for_no_promise_that_hangs() -> None:
    class Slow(Hanging):
        """Takes a while for each answer."""

        async def instant(self, query: str, *, at: datetime) -> float | None:
            if query.startswith("support"):
                await asyncio.sleep(0.05)
            return await super().instant(query, at=at)

    weather = Slow(
        lambda query, at: query.startswith("checkout:bad"), broken={"support": [(START, START + 9 * MINUTE)]}
    )

    report = await looked(weather, request(), Patience(page=0.01, promise=ENDLESS))

    assert called_and_checkout(report) == (["support"], Level.UNKNOWN)


async def test_what_is_answered_a_moment_after_a_page_is_seen_too() -> None:
    """Answers of one promise come when those of another have called people."""

    class Late(Hanging):
        def __init__(self, **more: Any) -> None:
            super().__init__(**more)
            self.waiting = asyncio.Event()

        async def instant(self, query: str, *, at: datetime) -> float | None:
            if query.startswith("checkout"):
                await self.waiting.wait()
            return await super().instant(query, at=at)

    weather = Late(broken={"support": [(START, START + 9 * MINUTE)]})
    seen_by_page = list[SloStatus]()

    def pages(moment: Moment) -> bool:
        seen_by_page.extend(moment.slos)
        weather.waiting.set()
        return True

    scene = Scene(run="campaign-1", contexts=contexts(), interval=MINUTE, baseline=timedelta(days=1))
    look = Look(weather, scene, Patience(page=0.05, promise=ENDLESS))
    moment = await asyncio.wait_for(ActivityEnvironment().run(look.at, START, pages), timeout=60)
    look.close()

    assert [slo.level for slo in seen_by_page] == [Level.BREACH, Level.UNKNOWN]
    assert [slo.level for slo in moment.slos] == [Level.BREACH, Level.OK]


async def test_a_page_at_the_end_of_the_window_waits_for_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(Log):
        async def saw(self, moments: Sequence[KeptMoment]) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr("activities.window._STORE_SECONDS", ENDLESS)
    closes = START + 3 * MINUTE
    weather = Hanging(broken={"support": [(closes, closes + MINUTE)]})
    wanted = request(opens=OPENS, closes=closes, back_by=closes)

    report = await looked(weather, wanted, Patience(), log=Stuck())

    assert report.looked_at == closes
    assert any(isinstance(news, BreachBegan) for news in report.news)


async def test_a_promise_that_hangs_is_given_up_after_a_bound_of_its_own() -> None:
    weather = Hanging(lambda query, at: query.startswith("checkout:bad"))

    report = await looked(weather, request(back_by=START + MINUTE), Patience(promise=0.01))

    assert report.looked_at == START + MINUTE
    assert (slo_of(report, "support").level, slo_of(report, "checkout").level) == (Level.OK, Level.UNKNOWN)
    assert report.moment is not None
    assert not report.moment.silent


async def test_more_promises_that_hang_than_are_asked_at_once_hold_up_no_other() -> None:
    slow = {f"slow-{n}": contexts()["checkout"] for n in range(6)}
    for name, context in slow.items():
        slos = {
            slo: spec.model_copy(update={"bad": f"{name}:bad:$window", "total": f"{name}:total:$window"})
            for slo, spec in context.slos.items()
        }
        slow[name] = context.model_copy(update={"slos": slos})
    weather = Hanging(
        lambda query, at: query.startswith("slow"), broken={"support": [(START, START + 9 * MINUTE)]}
    )

    wanted = request(contexts=slow | contexts())
    report = await looked(weather, wanted, Patience(page=0.01, promise=0.01))

    assert [news.context for news in report.news if isinstance(news, BreachBegan)] == ["support"]


async def test_metrics_that_answer_nothing_at_all_are_silent() -> None:
    weather = Hanging(lambda query, at: True)

    report = await looked(weather, request(back_by=START), Patience(promise=0.01, number=0.01))

    assert report.moment is not None
    assert "was not answered within 0.01 s" in report.moment.silent


async def test_what_was_asked_in_vain_is_not_asked_any_more_when_the_watch_is_over() -> None:
    weather = Hanging(lambda query, at: query.endswith((":30d", ":2m")) or "latency" in query)

    wanted = request(contexts=with_kpis(), opens=OPENS, back_by=START + 2 * MINUTE)
    await looked(weather, wanted, Patience(number=0.01))
    await asyncio.sleep(0)

    hung = [query for query, at in weather.asked if weather.hangs(query, at)]
    assert sorted(weather.given_up) == sorted(hung)


def test_patience_grows_with_the_interval_within_bounds() -> None:
    short, usual = Patience.of(timedelta(seconds=1)), Patience.of(MINUTE)

    assert (short.number, usual.number) == (0.5, 2.0)
    assert (short.promise, usual.promise) == (1.0, 5.0)


async def test_a_source_that_is_down_raises_nothing() -> None:
    class Down(Weather):
        async def instant(self, query: str, *, at: datetime) -> float | None:
            raise MetricsUnavailable("connection refused")

    report = await looked(Down(), request(opens=OPENS, back_by=START + 3 * MINUTE), Patience())

    assert report.moment is not None
    assert report.moment.silent == "connection refused"
