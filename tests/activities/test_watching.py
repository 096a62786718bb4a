import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.watching import (
    WatchActivities,
    WatchProgress,
    WatchRequest,
    WatchResult,
)
from holdfast.domain.errors import InvalidInput, MetricsUnavailable
from holdfast.runbook.kinds.rollout import Pace
from holdfast.verdict.observation import Baseline, NoData, Outcome, SignalBaseline
from holdfast.verdict.settings import BaselineSpec, Metric, Scoring, Threshold

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SCORING = Scoring(
    metrics={
        name: Metric(
            weight_percent=weight, query=f"{name}{{$side}}[$window]", threshold=Threshold(at_least_percent=50)
        )
        for name, weight in {"latency": 80, "errors": 20}.items()
    },
    baseline=BaselineSpec(window=timedelta(minutes=1), step=timedelta(seconds=1)),
)
PACE = Pace(settle=timedelta(seconds=12), window=timedelta(seconds=30), interval=timedelta(seconds=10))
BASELINE = Baseline(
    taken_at=NOON,
    wanted_seconds=60,
    covered_seconds=60,
    signals={
        name: [SignalBaseline(query=name, mean=1, standard_deviation=0, points=60)] for name in SCORING.metrics
    },
)
LATENCY, ERRORS = "latency{canary}[10s]", "errors{canary}[10s]"
CONTROL_LATENCY, CONTROL_ERRORS = "latency{stable}[10s]", "errors{stable}[10s]"
CALM: dict[str, float | None] = {LATENCY: 1, ERRORS: 1, CONTROL_LATENCY: 1, CONTROL_ERRORS: 1}
PAUSING, BURNING = {**CALM, LATENCY: 1.3}, {**CALM, LATENCY: 9}

Answers = dict[str, float | None]


class VirtualTime:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def clock(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += timedelta(seconds=seconds)


class MemoryMetrics:
    """Answers from memory; `now` gives the answers, or the error, of the seconds after noon."""

    def __init__(self, now: Callable[[float], Answers | Exception]) -> None:
        self._now = now
        self.asked: list[tuple[str, float]] = []

    async def instant(self, query: str, *, at: datetime) -> float | None:
        seconds = (at - NOON).total_seconds()
        self.asked.append((query, seconds))
        answers = self._now(seconds)
        if isinstance(answers, Exception):
            raise answers
        return answers.get(query)

    async def series(self, query: str, *, start: datetime, end: datetime, step: timedelta) -> list[float]:
        times = [start + n * step for n in range((end - start) // step + 1)]
        values = [await self.instant(query, at=at) for at in times]
        return [value for value in values if value is not None]


def request(**changed: Any) -> WatchRequest:
    values = {
        "run_id": "rollout-4f7qk2mz",
        "stage": "crm-pool",
        "share_percent": 5,
        "scoring": SCORING,
        "pace": PACE,
        "baseline": BASELINE,
    }
    return WatchRequest(**{**values, **changed})


Message = TypeVar("Message")


def over_the_wire(message: Message) -> Any:
    converter = pydantic_data_converter.payload_converter
    return converter.from_payloads(converter.to_payloads([message]))[0]


class Watch:
    """One attempt at the activity, from the heartbeats of an earlier one if there was one."""

    def __init__(self, metrics: MemoryMetrics, time: VirtualTime, resume: WatchProgress | None = None) -> None:
        self.environment = ActivityEnvironment()
        if resume is not None:
            self.environment.info = replace(self.environment.info, heartbeat_details=[over_the_wire(resume)])
        self.beats: list[tuple[datetime, WatchProgress]] = []
        self.environment.on_heartbeat = lambda progress: self.beats.append((time.now, progress))
        self.activities = WatchActivities(metrics, clock=time.clock, sleep=time.sleep)

    async def run(self, request: WatchRequest) -> WatchResult:
        return await self.environment.run(self.activities.watch_share, request)


async def watched(metrics: MemoryMetrics, **changed: Any) -> WatchResult:
    return await Watch(metrics, VirtualTime()).run(request(**changed))


async def test_a_calm_share_is_watched_for_its_whole_window() -> None:
    metrics = MemoryMetrics(lambda _: CALM)

    result = await watched(metrics)

    assert [at for query, at in metrics.asked if query == LATENCY] == [12, 22, 32, 42]
    assert (result.outcome, result.verdicts_taken) == (Outcome.CONTINUE, 4)
    assert result.verdict.at == NOON + timedelta(seconds=42)
    assert result.reason.startswith("4 verdicts, none against going on; the last: risk 0.00 at 5 %")


async def test_a_window_that_is_no_multiple_of_the_interval_still_ends_with_a_fresh_verdict() -> None:
    metrics = MemoryMetrics(lambda _: CALM)

    await watched(metrics, pace=PACE.model_copy(update={"window": timedelta(seconds=25)}))

    assert [at for query, at in metrics.asked if query == LATENCY] == [12, 22, 32, 37]


@pytest.mark.parametrize(("bad", "outcome"), [(PAUSING, Outcome.PAUSE), (BURNING, Outcome.ROLLBACK)])
async def test_a_bad_verdict_ends_the_watch_at_once(bad: Answers, outcome: Outcome) -> None:
    result = await watched(MemoryMetrics(lambda at: bad if at >= 20 else CALM))

    assert (result.outcome, result.verdicts_taken) == (outcome, 2)
    assert result.verdict.outcome is outcome
    assert result.reason == result.verdict.reason


async def test_a_metrics_outage_asks_a_person_after_patience_and_never_rolls_back() -> None:
    outage = MetricsUnavailable("Prometheus at http://p does not answer")

    result = await watched(MemoryMetrics(lambda _: outage))

    assert (result.outcome, result.verdicts_taken, result.inconclusive_in_a_row) == (Outcome.INCONCLUSIVE, 3, 3)
    assert {r.no_data for r in result.verdict.readings} == {NoData.PROVIDER_DOWN}
    assert result.reason == (
        "3 verdicts in a row were inconclusive; "
        "the last: no verdict at 5 %: Prometheus at http://p does not answer"
    )


async def test_a_short_outage_is_sat_out() -> None:
    outage = MetricsUnavailable("down")

    result = await watched(MemoryMetrics(lambda at: outage if at in {12, 22} else CALM))

    assert (result.outcome, result.verdicts_taken) == (Outcome.CONTINUE, 4)


async def test_no_window_ends_on_an_inconclusive_verdict() -> None:
    outage = MetricsUnavailable("down")

    result = await watched(MemoryMetrics(lambda at: outage if at in {32, 42} else CALM))

    assert (result.outcome, result.verdicts_taken) == (Outcome.CONTINUE, 5)
    assert result.verdict.at == NOON + timedelta(seconds=52)


@pytest.mark.parametrize(
    ("answers", "share_percent", "no_data"),
    [
        ({**CALM, LATENCY: None}, 5, NoData.CANARY_SILENT),
        ({**CALM, LATENCY: None, CONTROL_LATENCY: None}, 5, NoData.BOTH_SILENT),
        ({**CALM, LATENCY: None, CONTROL_LATENCY: None}, 100, NoData.BOTH_SILENT),
        ({**CALM, LATENCY: None}, 100, NoData.BOTH_SILENT),
    ],
)
async def test_a_silent_canary_is_told_from_a_silent_system(
    answers: Answers, share_percent: int, no_data: NoData
) -> None:
    result = await watched(MemoryMetrics(lambda _: answers), share_percent=share_percent)

    latency, errors = result.verdict.readings
    assert result.outcome is Outcome.INCONCLUSIVE
    assert (latency.no_data, errors.no_data) == (no_data, None)


async def test_a_guard_ignores_everything_but_a_rollback() -> None:
    outage = MetricsUnavailable("down")

    def over_two_hours(at: float) -> Answers | Exception:
        if at >= 7200:
            return BURNING
        return outage if at >= 3600 else PAUSING

    metrics = MemoryMetrics(over_two_hours)
    result = await watched(metrics, until_rollback=True)

    assert (result.outcome, result.verdict.at) == (Outcome.ROLLBACK, NOON + timedelta(hours=2))
    assert metrics.asked[0][1] == 0  # the share has settled long ago


async def test_heartbeats_are_at_most_two_seconds_apart_while_waiting() -> None:
    watch = Watch(MemoryMetrics(lambda _: CALM), VirtualTime())

    await watch.run(request())

    times = [NOON, *(at for at, _ in watch.beats)]
    gaps = {later - earlier for earlier, later in pairwise(times)}
    assert max(gaps) <= timedelta(seconds=2)
    assert watch.beats[-1][1].verdicts_taken == 4


async def killed_when(
    told: Callable[[WatchProgress], bool], metrics: MemoryMetrics, time: VirtualTime, **changed: Any
) -> WatchProgress:
    """Run a watch until a heartbeat tells of that progress, then kill it; return that heartbeat."""
    watch = Watch(metrics, time)
    last: list[WatchProgress] = []

    def beat(progress: WatchProgress) -> None:
        last[:] = [progress]
        if told(progress):
            watch.environment.cancel()

    watch.environment.on_heartbeat = beat
    with pytest.raises(asyncio.CancelledError):
        await watch.run(request(**changed))
    return last[0]


async def test_another_worker_goes_on_where_a_dead_one_stopped() -> None:
    time, metrics = VirtualTime(), MemoryMetrics(lambda _: CALM)
    progress = await killed_when(lambda p: p.verdicts_taken == 2, metrics, time)

    await time.sleep(5)
    result = await Watch(metrics, time, resume=progress).run(request())

    assert [at for query, at in metrics.asked if query == LATENCY] == [12, 22, 32, 42]
    assert (result.outcome, result.verdicts_taken) == (Outcome.CONTINUE, 4)


async def test_a_worker_that_died_while_settling_does_not_settle_again() -> None:
    time, metrics = VirtualTime(), MemoryMetrics(lambda _: CALM)
    progress = await killed_when(lambda _: time.now >= NOON + timedelta(seconds=8), metrics, time)

    await Watch(metrics, time, resume=progress).run(request())

    assert metrics.asked[0] == (LATENCY, 12)


async def test_patience_is_not_renewed_by_a_crash() -> None:
    time, metrics = VirtualTime(), MemoryMetrics(lambda _: MetricsUnavailable("down"))
    progress = await killed_when(lambda p: p.inconclusive_in_a_row == 2, metrics, time)

    result = await Watch(metrics, time, resume=progress).run(request())

    assert (result.outcome, result.verdicts_taken) == (Outcome.INCONCLUSIVE, 3)


@pytest.mark.parametrize(
    ("after", "outcome"), [(CALM, Outcome.CONTINUE), (BURNING, Outcome.ROLLBACK), ({}, Outcome.INCONCLUSIVE)]
)
async def test_a_window_that_passed_during_an_outage_ends_with_a_fresh_verdict(
    after: Answers, outcome: Outcome
) -> None:
    time, metrics = VirtualTime(), MemoryMetrics(lambda at: after if at > 3600 else CALM)
    progress = await killed_when(lambda p: p.verdicts_taken == 1, metrics, time)

    time.now += timedelta(hours=2)
    result = await Watch(metrics, time, resume=progress).run(request())

    assert (result.outcome, result.verdict.at > NOON + timedelta(hours=2)) == (outcome, True)


async def test_a_slow_source_does_not_look_like_a_dead_worker() -> None:
    reading, beaten = asyncio.Event(), asyncio.Event()

    class SlowMetrics(MemoryMetrics):
        async def instant(self, query: str, *, at: datetime) -> float | None:
            reading.set()
            await beaten.wait()
            return await super().instant(query, at=at)

    watch = Watch(SlowMetrics(lambda _: BURNING), VirtualTime())
    watch.environment.on_heartbeat = lambda _: beaten.set() if reading.is_set() else None

    assert (await watch.run(request())).outcome is Outcome.ROLLBACK


async def test_a_cancelled_watch_stops_asking() -> None:
    reading, stopped = asyncio.Event(), asyncio.Event()

    class HangingMetrics(MemoryMetrics):
        async def instant(self, query: str, *, at: datetime) -> float | None:
            reading.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped.set()
                raise
            return await super().instant(query, at=at)

    watch = Watch(HangingMetrics(lambda _: CALM), VirtualTime())
    running = asyncio.create_task(watch.run(request()))
    await reading.wait()
    watch.environment.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(stopped.wait(), 5)


async def test_a_bad_query_is_told_and_not_retried() -> None:
    metrics = MemoryMetrics(lambda _: InvalidInput("Prometheus refuses the query 'rate('"))

    with pytest.raises(ApplicationError, match="Prometheus refuses the query") as raised:
        await watched(metrics)

    assert (raised.value.type, raised.value.non_retryable) == ("InvalidInput", True)


def test_a_request_survives_its_journey() -> None:
    sent = request(until_rollback=True)
    converter = pydantic_data_converter.payload_converter

    [received] = converter.from_payloads(converter.to_payloads([sent]), [WatchRequest])

    assert received == sent
