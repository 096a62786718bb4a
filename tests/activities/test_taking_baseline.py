from datetime import UTC, datetime, timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.watching import BaselineRequest, WatchActivities
from holdfast.domain.errors import InvalidInput, MetricsUnavailable
from holdfast.verdict.observation import Baseline, SignalBaseline
from holdfast.verdict.settings import BaselineSpec, Metric, Scoring

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
        self.ranges: list[tuple[str, datetime, datetime, timedelta]] = []

    async def instant(self, query: str, *, at: datetime) -> float | None:
        if self._error is not None:
            raise self._error
        began = self._began.get(query)
        return None if began is None or at < NOON - began else at.timestamp() % 2

    async def series(self, query: str, *, start: datetime, end: datetime, step: timedelta) -> list[float]:
        self.ranges.append((query, start, end, step))
        times = [start + n * step for n in range((end - start) // step + 1)]
        values = [await self.instant(query, at=at) for at in times]
        return [value for value in values if value is not None]


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
