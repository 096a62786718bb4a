from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.watching import BaselineRequest, WatchActivities
from holdfast.domain.errors import InvalidInput, MetricsUnavailable
from holdfast.ports.metrics import Labelled, LabelledSeries
from holdfast.verdict.detector_settings import Detector, Ewma, Seasonal, ZScore
from holdfast.verdict.observation import Baseline, EdgeBaseline, SignalBaseline
from holdfast.verdict.settings import BaselineSpec, EdgeQueries, Metric, Scoring, SickBaseline

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SCORING = Scoring(
    metrics={
        "latency": Metric(weight_percent=80, query="latency{$side}[$window]"),
        "errors": Metric(weight_percent=20, query="errors{$side}[$window]"),
    },
    baseline=BaselineSpec(window=timedelta(minutes=1), step=timedelta(seconds=1)),
)
LATENCY, ERRORS = "latency{stable}[8s]", "errors{stable}[8s]"


class History:
    """A metrics source in memory; each series began a while before noon and swings between 0 and 1."""

    def __init__(self, began: dict[str, timedelta] | None = None, *, error: Exception | None = None) -> None:
        self._began = began or {}
        self._error = error
        self.edges: list[LabelledSeries] = []
        self.ranges: list[tuple[str, datetime, datetime, timedelta]] = []

    async def instant(self, query: str, *, at: datetime) -> float | None:
        if self._error is not None:
            raise self._error
        began = self._began.get(query)
        return None if began is None or at < NOON - began else at.timestamp() % 2

    async def points(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[tuple[datetime, float]]:
        self.ranges.append((query, start, end, step))
        times = [start + n * step for n in range((end - start) // step + 1)]
        values = [(at, await self.instant(query, at=at)) for at in times]
        return [(at, value) for at, value in values if value is not None]

    async def series(self, query: str, *, start: datetime, end: datetime, step: timedelta) -> list[float]:
        return [value for _, value in await self.points(query, start=start, end=end, step=step)]

    async def vector(self, query: str, *, at: datetime) -> list[Labelled]:
        return []

    async def matrix(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[LabelledSeries]:
        self.ranges.append((query, start, end, step))
        return self.edges


LONG = {LATENCY: timedelta(days=1), ERRORS: timedelta(days=1)}


async def taken(source: History, scoring: Scoring = SCORING, at: datetime = NOON) -> Baseline:
    asked = BaselineRequest(scoring=scoring, window_seconds=8, at=at)
    return await ActivityEnvironment().run(WatchActivities(source).take_baseline, asked)


async def test_a_baseline_summarises_the_control_over_the_window() -> None:
    source = History(LONG)

    baseline = await taken(source)

    [latency], [errors] = baseline.signals["latency"], baseline.signals["errors"]
    assert source.ranges[0] == (LATENCY, NOON - timedelta(minutes=1), NOON, timedelta(seconds=1))
    assert (latency.query, errors.query) == (LATENCY, ERRORS)
    assert latency.points == 61
    assert latency.mean == pytest.approx(30 / 61)
    assert baseline.describe() == "1 min of the wanted 1 min"
    assert baseline.taken_at == NOON


async def test_a_week_that_is_42_seconds_long_is_a_baseline_of_42_points() -> None:
    week = SCORING.model_copy(update={"baseline": BaselineSpec(step=timedelta(seconds=1))})
    source = History({LATENCY: timedelta(seconds=41), ERRORS: timedelta(seconds=41)})

    baseline = await taken(source, week)

    assert baseline.signals["latency"][0].points == 42
    assert baseline.describe() == "42 s of the wanted 7 d"


async def test_a_whole_week_is_asked_for_once_and_covered() -> None:
    week = SCORING.model_copy(update={"baseline": BaselineSpec()})
    source = History({LATENCY: timedelta(days=9), ERRORS: timedelta(days=9)})

    baseline = await taken(source, week)

    assert len(source.ranges) == 2
    assert baseline.describe() == "7 d of the wanted 7 d"


async def test_a_baseline_may_be_of_an_earlier_time() -> None:
    source = History(LONG)
    at = NOON - timedelta(hours=1)

    baseline = await taken(source, at=at)

    assert baseline.taken_at == at
    assert {end for _, _, end, _ in source.ranges} == {at}


async def test_a_baseline_ends_now_unless_told_otherwise() -> None:
    source = History(LONG)
    activities = WatchActivities(source, clock=lambda: NOON)

    baseline = await ActivityEnvironment().run(
        activities.take_baseline, BaselineRequest(scoring=SCORING, window_seconds=8)
    )

    assert baseline.taken_at == NOON


async def test_a_silent_control_gives_no_baseline_and_does_not_hide_what_the_others_cover() -> None:
    baseline = await taken(History({LATENCY: timedelta(seconds=20)}))

    assert baseline.signals["errors"] == [
        SignalBaseline(query=ERRORS, mean=None, standard_deviation=None, points=0)
    ]
    assert baseline.covered_seconds == 21


async def test_a_baseline_waits_for_a_source_that_is_down() -> None:
    with pytest.raises(MetricsUnavailable):
        await taken(History(error=MetricsUnavailable("down")))


async def test_a_baseline_with_a_bad_query_is_not_retried() -> None:
    with pytest.raises(ApplicationError, match="bad query") as raised:
        await taken(History(error=InvalidInput("bad query")))

    assert (raised.value.type, raised.value.non_retryable) == ("InvalidInput", True)


WEEKS = timedelta(days=70)
OLD = {LATENCY: WEEKS, ERRORS: WEEKS}


def with_detector(detector: Detector, spec: BaselineSpec) -> Scoring:
    latency = SCORING.metrics["latency"].model_copy(update={"detector": detector})
    return SCORING.model_copy(update={"metrics": {**SCORING.metrics, "latency": latency}, "baseline": spec})


async def test_a_baseline_of_weeks_knows_the_same_hour_of_the_week() -> None:
    three_weeks = BaselineSpec(window=timedelta(days=21), step=timedelta(minutes=10))

    baseline = await taken(History(OLD), SCORING.model_copy(update={"baseline": three_weeks}))

    [latency] = baseline.signals["latency"]
    assert latency.same_hour is not None
    assert (latency.same_hour.points, latency.same_hour.days) == (18, 3)
    assert (latency.days, latency.hours) == (22, {})


async def test_a_history_of_this_very_hour_is_no_memory_of_the_same_hour() -> None:
    baseline = await taken(History(LONG))

    assert baseline.signals["latency"][0].same_hour is None


async def test_a_seasonal_metric_gets_every_minute_of_every_hour_of_the_week() -> None:
    source = History(OLD)
    scoring = with_detector(Seasonal(), BaselineSpec())

    baseline = await taken(source, scoring)

    [latency], [errors] = baseline.signals["latency"], baseline.signals["errors"]
    assert sorted(latency.hours) == list(range(168))
    assert {hour.points for hour in latency.hours.values()} == {60}
    assert errors.hours == {}
    asked = [(start, end, step) for query, start, end, step in source.ranges if query == LATENCY]
    assert {step for _, _, step in asked} == {timedelta(minutes=1)}
    assert all((end - start) // step + 1 <= 5_000 for start, end, step in asked)
    assert (asked[0][0], asked[-1][1]) == (NOON - timedelta(days=7), NOON)
    assert [after[0] - before[1] for before, after in pairwise(asked)] == [timedelta(minutes=1)] * 2


@pytest.mark.parametrize(("detector", "points"), [(ZScore(), 60), (Ewma(), 120)])
async def test_a_detector_that_learns_gets_the_intervals_just_before(detector: Detector, points: int) -> None:
    source = History(OLD)

    baseline = await taken(source, with_detector(detector, BaselineSpec()))

    assert len(baseline.signals["latency"][0].recent) == points
    assert baseline.signals["errors"][0].recent == []
    newest = [(start, end, step) for query, start, end, step in source.ranges if query == LATENCY][-1]
    assert newest == (NOON - (points - 1) * timedelta(seconds=8), NOON, timedelta(seconds=8))


async def test_a_detector_learns_nothing_from_before_the_last_change() -> None:
    source = History(OLD)
    since = NOON - timedelta(seconds=80)
    asked = BaselineRequest(
        scoring=with_detector(ZScore(), BaselineSpec()), window_seconds=8, at=NOON, not_before=since
    )

    baseline = await ActivityEnvironment().run(WatchActivities(source).take_baseline, asked)

    assert len(baseline.signals["latency"][0].recent) == 10
    assert min(start for _, start, _, _ in source.ranges) >= since


async def test_a_sick_system_is_also_compared_with_its_past_however_often_it_was_changed_since() -> None:
    past = BaselineSpec(window=timedelta(days=7), step=timedelta(hours=1))
    sick = SCORING.model_copy(update={"sick": SickBaseline(metrics=("latency",), past=past)})
    since = NOON - timedelta(seconds=20)
    asked = BaselineRequest(scoring=sick, window_seconds=8, at=NOON, not_before=since)

    baseline = await ActivityEnvironment().run(WatchActivities(History(OLD)).take_baseline, asked)

    assert baseline.past is not None
    assert baseline.signals["latency"][0].points == 21
    assert baseline.past.signals["latency"][0].points == 169
    assert baseline.past.describe() == "7 d of the wanted 7 d"


async def test_without_sickness_or_edges_there_is_no_past_and_nothing_is_asked_for_them() -> None:
    source = History(LONG)

    baseline = await taken(source)

    assert (baseline.past, baseline.edges, len(source.ranges)) == (None, [], 2)


async def test_an_edge_is_summarised_over_all_members_of_the_control() -> None:
    source = History(LONG)
    source.edges = [
        LabelledSeries({"caller": "web", "callee": "cart", "pod": "a"}, [0.0, 1.0]),
        LabelledSeries({"caller": "web", "callee": "cart", "pod": "b"}, [5.0]),
        LabelledSeries({"caller": "cart", "callee": "redis", "pod": "a"}, []),
        LabelledSeries({"caller": "web", "callee": "mail", "pod": "a"}, [100.0]),
    ]
    edges = EdgeQueries(error_percent="e{$side}[$window]", service="cart", member_label="pod")

    baseline = await taken(source, SCORING.model_copy(update={"edges": edges}))

    assert baseline.edges == [
        EdgeBaseline(caller="web", callee="cart", mean_error_percent=2, worst_error_percent=5, points=3)
    ]
    assert ("e{stable}[8s]", NOON - timedelta(minutes=1), NOON, timedelta(seconds=1)) in source.ranges


async def test_the_edges_of_a_week_are_asked_for_coarsely() -> None:
    source = History(LONG)
    edges = EdgeQueries(error_percent="e{$side}[$window]", service="cart")

    await taken(source, SCORING.model_copy(update={"edges": edges, "baseline": BaselineSpec()}))

    [(start, end, step)] = [asked[1:] for asked in source.ranges if asked[0].startswith("e{")]
    assert (end - start) // step + 1 <= 1_000
