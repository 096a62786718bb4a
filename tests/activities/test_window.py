"""The watch of a campaign's window: what it asks, what it tells, and what it survives."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.window import LookReport, LookRequest, WindowActivities
from holdfast.domain.errors import InvalidInput, MetricsUnavailable, Unavailable
from holdfast.ports.campaigns import KeptMoment
from holdfast.slo.spec import BurnAlert, ServiceContext, Slo
from holdfast.slo.status import Level
from holdfast.slo.tracker import BreachBegan, BreachOver, SpeaksAgain, Tracker, WentSilent
from tests.workflows.campaign_house import Weather

START = datetime(2026, 12, 11, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    """A clock that leaps over what is slept."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Log:
    """A log of campaigns that may be down."""

    def __init__(self) -> None:
        self.kept: list[KeptMoment] = []
        self.down = False

    async def saw(self, moments: Sequence[KeptMoment]) -> None:
        if self.down:
            raise Unavailable("the database does not answer")
        self.kept += [moment for moment in moments if moment not in self.kept]


class Fussy(Weather):
    """Metrics that refuse some queries."""

    wrong = ""
    down = ""

    async def instant(self, query: str, *, at: datetime) -> float | None:
        if self.wrong and self.wrong in query:
            raise InvalidInput("the query gives two series")
        if self.down and self.down in query:
            raise MetricsUnavailable("timed out")
        return await super().instant(query, at=at)


def contexts() -> dict[str, ServiceContext]:
    alert = BurnAlert(long=timedelta(hours=1), short=timedelta(minutes=5), budget_percent=2)
    slos = {
        name: Slo(
            promise=f"99.9 % of {name}",
            objective_percent=99.9,
            bad=f"{name}:bad:$window",
            total=f"{name}:total:$window",
            alerts=(alert,),
        )
        for name in ("support", "checkout")
    }
    return {
        name: ServiceContext(title=name.capitalize(), slos={f"{name}-done": slo}) for name, slo in slos.items()
    }


def request(**changes: Any) -> LookRequest:
    usual: dict[str, Any] = {
        "run": "campaign-1",
        "campaign": "sale",
        "contexts": contexts(),
        "interval": MINUTE,
        "breach_after": 1,
        "recover_after": 3 * MINUTE,
        "baseline": timedelta(days=1),
        "back_by": START + 30 * MINUTE,
    }
    return LookRequest.model_validate(usual | changes)


async def watched(
    weather: Weather, wanted: LookRequest, *, clock: Clock | None = None, log: Any = None
) -> LookReport:
    clock = clock or Clock()
    window = WindowActivities(weather, log=lambda: log, clock=clock.now, sleep=clock.sleep)
    report: LookReport = await ActivityEnvironment().run(window.watch_window, wanted)
    return report


async def test_it_comes_back_in_time_where_nothing_happens() -> None:
    log = Log()

    report = await watched(Weather(), request(), log=log)

    assert report.news == []
    assert report.back_at == START + 30 * MINUTE
    assert [kept.moment.at for kept in log.kept] == [START + n * MINUTE for n in range(31)]


async def test_a_breach_is_told_at_the_first_look_that_sees_it_and_its_end_after_a_while() -> None:
    weather = Weather(broken={"support": [(START + 5 * MINUTE, START + 9 * MINUTE)]})
    clock = Clock()

    began = await watched(weather, request(), clock=clock)
    seen = [news for news in began.news if isinstance(news, BreachBegan)]
    assert [(news.context, news.at) for news in seen] == [("support", START + 5 * MINUTE)]
    assert began.moment is not None
    assert began.moment.level_of("checkout") is Level.OK

    over = await watched(weather, request(tracker=began.tracker, looked_at=began.looked_at), clock=clock)
    assert isinstance(over.news[0], BreachOver)
    assert over.news[0].well_since == START + 9 * MINUTE
    assert over.looked_at == START + 12 * MINUTE


async def test_metrics_that_do_not_answer_are_told_once_and_are_no_breach() -> None:
    weather = Weather(silent=[(START + 2 * MINUTE, START + 10 * MINUTE)])
    clock = Clock()

    silent = await watched(weather, request(), clock=clock)
    assert isinstance(silent.news[0], WentSilent)
    speaks = await watched(weather, request(tracker=silent.tracker, looked_at=silent.looked_at), clock=clock)

    assert isinstance(speaks.news[0], SpeaksAgain)
    assert speaks.looked_at == START + 10 * MINUTE


async def test_one_wrong_query_hides_no_breach_of_another_context() -> None:
    weather = Fussy(broken={"support": [(START, START + 9 * MINUTE)]})
    weather.wrong = "checkout:bad"

    report = await watched(weather, request())

    assert [news.context for news in report.news if isinstance(news, BreachBegan)] == ["support"]


async def test_one_query_that_takes_too_long_hides_no_breach_of_another_context() -> None:
    weather = Fussy(broken={"support": [(START, START + 9 * MINUTE)]})
    weather.down = "checkout:bad"

    report = await watched(weather, request())

    assert [news.context for news in report.news if isinstance(news, BreachBegan)] == ["support"]
    assert report.moment is not None
    assert not report.moment.silent
    assert report.moment.level_of("checkout") is Level.UNKNOWN


async def test_a_period_that_takes_too_long_to_read_leaves_the_budget_unknown_and_the_breach_seen() -> None:
    weather = Fussy(broken={"support": [(START, START + 9 * MINUTE)]})
    weather.down = ":30d"

    report = await watched(weather, request())

    assert isinstance(report.news[0], BreachBegan)
    assert report.moment is not None
    assert {slo.budget_left_percent for slo in report.moment.slos} == {None}


async def test_another_worker_goes_on_where_a_dead_one_stopped() -> None:
    weather, beats = (
        Weather(broken={"support": [(START + 5 * MINUTE, START + 60 * MINUTE)]}),
        list[LookReport](),
    )
    environment, clock = ActivityEnvironment(), Clock()
    environment.on_heartbeat = beats.append
    window = WindowActivities(weather, clock=clock.now, sleep=clock.sleep)
    first: LookReport = await environment.run(window.watch_window, request())
    carried = next(beat for beat in reversed(beats) if not beat.news)

    after = ActivityEnvironment()
    after.info = _with_details(after.info, carried)
    second: LookReport = await after.run(window.watch_window, request())

    assert second.news == first.news
    assert second.looked_at == first.looked_at


async def test_what_a_dead_worker_could_not_tell_any_more_is_told_by_the_next_one() -> None:
    weather = Weather(broken={"support": [(START, START + 60 * MINUTE)]})
    first = await watched(weather, request())

    after = ActivityEnvironment()
    after.info = _with_details(after.info, first)
    clock = Clock(START + 2 * MINUTE)
    second: LookReport = await after.run(
        WindowActivities(Weather(), clock=clock.now, sleep=clock.sleep).watch_window, request()
    )

    assert second.news == first.news


async def test_looks_of_a_time_when_the_store_was_down_are_kept_when_it_is_back() -> None:
    log, clock, weather = Log(), Clock(), Weather()
    log.down = True
    kept: Any = log
    window = WindowActivities(weather, log=lambda: kept, clock=clock.now, sleep=clock.sleep)
    first = await ActivityEnvironment().run(window.watch_window, request(back_by=START + 5 * MINUTE))
    assert log.kept == []

    log.down = False
    await ActivityEnvironment().run(
        window.watch_window, request(looked_at=first.looked_at, back_by=START + 10 * MINUTE, tracker=Tracker())
    )

    assert [kept.moment.at for kept in log.kept] == [START + n * MINUTE for n in range(11)]


async def test_after_an_outage_it_looks_at_what_is_and_not_at_what_was() -> None:
    clock = Clock(START + 20 * MINUTE)

    report = await watched(Weather(), request(looked_at=START), clock=clock)

    assert report.moment is not None
    assert report.moment.at >= START + 29 * MINUTE


def _with_details(info: Any, report: LookReport) -> Any:
    values = {**vars(info), "heartbeat_details": [report.model_dump(mode="json")]}
    return type(info)(**values)
