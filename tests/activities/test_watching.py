import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

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
from holdfast.domain.errors import InvalidInput, MetricsUnavailable, Unavailable
from holdfast.ports.verdicts import KeptVerdict, VerdictLog
from holdfast.runbook.kinds.rollout import Pace
from holdfast.verdict.models import MODELS, Model
from holdfast.verdict.observation import Baseline, NoData, Observation, Outcome, SignalBaseline, Verdict
from holdfast.verdict.settings import BaselineSpec, Metric, ModelName, Scoring, Threshold
from tests.fakes import Answers, MemoryLog, MemoryMetrics

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


class VirtualTime:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def clock(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += timedelta(seconds=seconds)


def request(**changed: Any) -> WatchRequest:
    values: dict[str, Any] = {
        "run_id": "rollout-4f7qk2mz",
        "stage": "crm-pool",
        "share_percent": 5,
        "scoring": SCORING,
        "pace": PACE,
        "baseline": BASELINE,
    }
    return WatchRequest(**{**values, **changed})


def over_the_wire(message: WatchProgress) -> Any:
    converter = pydantic_data_converter.payload_converter
    return converter.from_payloads(converter.to_payloads([message]))[0]


class Watch:
    """One attempt at the activity, from the heartbeats of an earlier one if there was one."""

    def __init__(
        self,
        metrics: MemoryMetrics,
        time: VirtualTime,
        resume: WatchProgress | None = None,
        log: VerdictLog | None = None,
    ) -> None:
        self.environment = ActivityEnvironment()
        if resume is not None:
            self.environment.info = replace(self.environment.info, heartbeat_details=[over_the_wire(resume)])
        self.beats: list[tuple[datetime, WatchProgress]] = []
        self.environment.on_heartbeat = self._beaten
        self._time = time
        self.activities = WatchActivities(metrics, log=lambda: log, clock=time.clock, sleep=time.sleep)

    def _beaten(self, progress: WatchProgress) -> None:
        self.beats.append((self._time.now, progress))

    async def run(self, request: WatchRequest) -> WatchResult:
        return await self.environment.run(self.activities.watch_share, request)


async def watched(metrics: MemoryMetrics, log: VerdictLog | None = None, **changed: Any) -> WatchResult:
    return await Watch(metrics, VirtualTime(), log=log).run(request(**changed))


async def test_a_calm_share_is_watched_for_its_whole_window() -> None:
    metrics = MemoryMetrics(NOON, lambda _: CALM)

    result = await watched(metrics)

    assert [at for query, at in metrics.asked if query == LATENCY] == [12, 22, 32, 42]
    assert (result.outcome, result.verdicts_taken) == (Outcome.CONTINUE, 4)
    assert result.verdict.at == NOON + timedelta(seconds=42)
    assert result.reason.startswith("4 verdicts, none against going on; the last: risk 0.00 at 5 %")


async def test_a_window_that_is_no_multiple_of_the_interval_still_ends_with_a_fresh_verdict() -> None:
    metrics = MemoryMetrics(NOON, lambda _: CALM)

    await watched(metrics, pace=PACE.model_copy(update={"window": timedelta(seconds=25)}))

    assert [at for query, at in metrics.asked if query == LATENCY] == [12, 22, 32, 37]


@pytest.mark.parametrize(("bad", "outcome"), [(PAUSING, Outcome.PAUSE), (BURNING, Outcome.ROLLBACK)])
async def test_a_bad_verdict_ends_the_watch_at_once(bad: Answers, outcome: Outcome) -> None:
    result = await watched(MemoryMetrics(NOON, lambda at: bad if at >= 20 else CALM))

    assert (result.outcome, result.verdicts_taken) == (outcome, 2)
    assert result.verdict.outcome is outcome
    assert result.reason == result.verdict.reason


async def test_a_metrics_outage_asks_a_person_after_patience_and_never_rolls_back() -> None:
    outage = MetricsUnavailable("Prometheus at http://p does not answer")

    result = await watched(MemoryMetrics(NOON, lambda _: outage))

    assert (result.outcome, result.verdicts_taken, result.inconclusive_in_a_row) == (Outcome.INCONCLUSIVE, 3, 3)
    assert {r.no_data for r in result.verdict.readings} == {NoData.PROVIDER_DOWN}
    assert result.reason == (
        "3 verdicts in a row were inconclusive; "
        "the last: no verdict at 5 %: Prometheus at http://p does not answer"
    )


async def test_a_short_outage_is_sat_out() -> None:
    outage = MetricsUnavailable("down")

    result = await watched(MemoryMetrics(NOON, lambda at: outage if at in {12, 22} else CALM))

    assert (result.outcome, result.verdicts_taken) == (Outcome.CONTINUE, 4)


async def test_no_window_ends_on_an_inconclusive_verdict() -> None:
    outage = MetricsUnavailable("down")

    result = await watched(MemoryMetrics(NOON, lambda at: outage if at in {32, 42} else CALM))

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
    result = await watched(MemoryMetrics(NOON, lambda _: answers), share_percent=share_percent)

    latency, errors = result.verdict.readings
    assert result.outcome is Outcome.INCONCLUSIVE
    assert (latency.no_data, errors.no_data) == (no_data, None)


async def test_a_guard_ignores_everything_but_a_rollback() -> None:
    outage = MetricsUnavailable("down")

    def over_two_hours(at: float) -> Answers | Exception:
        if at >= 7200:
            return BURNING
        return outage if at >= 3600 else PAUSING

    metrics = MemoryMetrics(NOON, over_two_hours)
    result = await watched(metrics, until_rollback=True)

    assert (result.outcome, result.verdict.at) == (Outcome.ROLLBACK, NOON + timedelta(hours=2))
    assert metrics.asked[0][1] == 0  # the share has settled long ago


async def test_heartbeats_are_at_most_two_seconds_apart_while_waiting() -> None:
    watch = Watch(MemoryMetrics(NOON, lambda _: CALM), VirtualTime())

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
    time, metrics = VirtualTime(), MemoryMetrics(NOON, lambda _: CALM)
    progress = await killed_when(lambda p: p.verdicts_taken == 2, metrics, time)

    await time.sleep(5)
    result = await Watch(metrics, time, resume=progress).run(request())

    assert [at for query, at in metrics.asked if query == LATENCY] == [12, 22, 32, 42]
    assert (result.outcome, result.verdicts_taken) == (Outcome.CONTINUE, 4)


async def test_a_worker_that_died_while_settling_does_not_settle_again() -> None:
    time, metrics = VirtualTime(), MemoryMetrics(NOON, lambda _: CALM)
    progress = await killed_when(lambda _: time.now >= NOON + timedelta(seconds=8), metrics, time)

    await Watch(metrics, time, resume=progress).run(request())

    assert metrics.asked[0] == (LATENCY, 12)


async def test_patience_is_not_renewed_by_a_crash() -> None:
    time, metrics = VirtualTime(), MemoryMetrics(NOON, lambda _: MetricsUnavailable("down"))
    progress = await killed_when(lambda p: p.inconclusive_in_a_row == 2, metrics, time)

    result = await Watch(metrics, time, resume=progress).run(request())

    assert (result.outcome, result.verdicts_taken) == (Outcome.INCONCLUSIVE, 3)


@pytest.mark.parametrize(("bad", "outcome"), [(PAUSING, Outcome.PAUSE), (BURNING, Outcome.ROLLBACK)])
async def test_a_worker_that_died_with_a_stop_on_its_lips_is_taken_at_its_word(
    bad: Answers, outcome: Outcome
) -> None:
    time, metrics = VirtualTime(), MemoryMetrics(NOON, lambda at: bad if at == 22 else CALM)
    progress = await killed_when(lambda p: p.verdicts_taken == 2, metrics, time)

    result = await Watch(metrics, time, resume=progress).run(request())

    assert (result.outcome, result.verdicts_taken) == (outcome, 2)


async def test_a_pause_does_not_end_a_guard_that_another_worker_takes_over() -> None:
    time, metrics = VirtualTime(), MemoryMetrics(NOON, lambda at: BURNING if at > 30 else PAUSING)
    progress = await killed_when(lambda p: p.verdicts_taken == 2, metrics, time, until_rollback=True)

    result = await Watch(metrics, time, resume=progress).run(request(until_rollback=True))

    assert (result.outcome, result.verdicts_taken) == (Outcome.ROLLBACK, 5)


@pytest.mark.parametrize(
    ("after", "outcome"), [(CALM, Outcome.CONTINUE), (BURNING, Outcome.ROLLBACK), ({}, Outcome.INCONCLUSIVE)]
)
async def test_a_window_that_passed_during_an_outage_ends_with_a_fresh_verdict(
    after: Answers, outcome: Outcome
) -> None:
    time, metrics = VirtualTime(), MemoryMetrics(NOON, lambda at: after if at > 3600 else CALM)
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

    watch = Watch(SlowMetrics(NOON, lambda _: BURNING), VirtualTime())

    def beat(_: WatchProgress) -> None:
        if reading.is_set():
            beaten.set()

    watch.environment.on_heartbeat = beat

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

    watch = Watch(HangingMetrics(NOON, lambda _: CALM), VirtualTime())
    running = asyncio.create_task(watch.run(request()))
    await reading.wait()
    watch.environment.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(stopped.wait(), 60)


async def test_a_bad_query_is_told_and_not_retried() -> None:
    metrics = MemoryMetrics(NOON, lambda _: InvalidInput("Prometheus refuses the query 'rate('"))

    with pytest.raises(ApplicationError, match="Prometheus refuses the query") as raised:
        await watched(metrics)

    assert (raised.value.type, raised.value.non_retryable) == ("InvalidInput", True)


def test_a_request_survives_its_journey() -> None:
    sent = request(until_rollback=True)
    converter = pydantic_data_converter.payload_converter

    [received] = converter.from_payloads(converter.to_payloads([sent]), [WatchRequest])

    assert received == sent


# --- what the models remember ---------------------------------------------------------------------------------


class Remembering:
    """A scoring model that is bad once it remembers so many observations, and warming before."""

    def __init__(self, bad_with: int, memory: int) -> None:
        self._bad_with = bad_with
        self._memory = memory
        self.seen: list[list[float]] = []

    @property
    def model(self) -> Model:
        class Loaded(Model):
            @property
            def verdict(self) -> Any:
                return judged

        judged = self._judged
        return Loaded("remembering", lambda _: self._memory)

    def _judged(self, scoring: Scoring, baseline: Baseline, observations: Sequence[Observation]) -> Verdict:
        newest = observations[-1]
        self.seen.append([(o.at - NOON).total_seconds() for o in observations])
        bad = len(observations) >= self._bad_with
        return Verdict(
            model="judge",
            at=newest.at,
            share_percent=newest.share_percent,
            outcome=Outcome.ROLLBACK if bad else Outcome.INCONCLUSIVE,
            risk_percent=200 if bad else 0,
            warming=not bad,
        )


def with_models(*shadow: ModelName, model: ModelName = "weighted-seed") -> Scoring:
    return SCORING.model_copy(update={"model": model, "shadow": shadow})


async def test_a_model_sees_the_newest_observations_and_no_more_than_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remembering = Remembering(bad_with=99, memory=3)
    monkeypatch.setitem(MODELS, "judge", remembering.model)

    await watched(MemoryMetrics(NOON, lambda _: CALM), scoring=with_models("judge"))

    assert remembering.seen == [[12], [12, 22], [12, 22, 32], [22, 32, 42]]


async def test_warming_is_not_what_a_person_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "judge", Remembering(bad_with=6, memory=6).model)

    result = await watched(MemoryMetrics(NOON, lambda _: CALM), scoring=with_models(model="judge"))

    assert (result.outcome, result.verdicts_taken, result.inconclusive_in_a_row) == (Outcome.ROLLBACK, 6, 0)


async def test_another_worker_remembers_what_the_dead_one_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    remembering = Remembering(bad_with=4, memory=4)
    monkeypatch.setitem(MODELS, "judge", remembering.model)
    time, metrics, scoring = VirtualTime(), MemoryMetrics(NOON, lambda _: CALM), with_models(model="judge")
    progress = await killed_when(lambda p: p.verdicts_taken == 3, metrics, time, scoring=scoring)

    result = await Watch(metrics, time, resume=progress).run(request(scoring=scoring))

    assert remembering.seen[-1] == [12, 22, 32, 42]
    assert (result.outcome, result.verdicts_taken) == (Outcome.ROLLBACK, 4)


async def test_what_was_seen_before_a_long_outage_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    remembering = Remembering(bad_with=99, memory=3)
    monkeypatch.setitem(MODELS, "judge", remembering.model)
    time, metrics, scoring = VirtualTime(), MemoryMetrics(NOON, lambda _: CALM), with_models("judge")
    progress = await killed_when(lambda p: p.verdicts_taken == 2, metrics, time, scoring=scoring)

    time.now = NOON + timedelta(hours=1)
    await Watch(metrics, time, resume=progress).run(request(scoring=scoring))

    assert remembering.seen[-1] == [3600]


def test_a_heartbeat_carries_the_newest_observations_that_fit() -> None:
    wide: dict[str, list[float | NoData]] = {f"metric-{n}": [n / 7] for n in range(1_000)}
    seen = [
        Observation(at=NOON + timedelta(minutes=n), share_percent=5, values=wide, control=wide)
        for n in range(60)
    ]

    carried = WatchProgress(started_at=NOON, observations=seen).carried()

    assert 0 < len(carried.observations) < 60
    assert carried.observations[-1] == seen[-1]
    assert len(carried.model_dump_json()) < 300_000


def test_a_heartbeat_of_an_ordinary_watch_carries_everything() -> None:
    few: dict[str, list[float | NoData]] = {f"metric-{n}": [n / 7] for n in range(10)}
    seen = [Observation(at=NOON, share_percent=5, values=few, control=few)] * 60

    assert WatchProgress(started_at=NOON, observations=seen).carried().observations == seen


async def test_every_reading_says_by_which_query_it_was_made() -> None:
    two = Metric(
        weight_percent=20, query=("cpu{$side}[$window]", "memory{$side}"), threshold=Threshold(points=1)
    )
    scoring = SCORING.model_copy(update={"metrics": {"latency": SCORING.metrics["latency"], "load": two}})
    signals = {"latency": BASELINE.signals["latency"], "load": BASELINE.signals["latency"] * 2}
    baseline = BASELINE.model_copy(update={"signals": signals})

    full = {**CALM, "cpu{canary}[10s]": 1.0, "memory{canary}": 9.0}
    result = await watched(MemoryMetrics(NOON, lambda _: full), scoring=scoring, baseline=baseline)

    assert [r.query for r in result.verdict.readings] == [LATENCY, "memory{canary}"]  # of two the worst


# --- shadows and the log of verdicts --------------------------------------------------------------------------


async def test_what_every_model_said_is_kept_each_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "judge", Remembering(bad_with=2, memory=2).model)
    log = MemoryLog()

    result = await watched(
        MemoryMetrics(NOON, lambda _: CALM), log, scoring=with_models("judge"), runbook="shop"
    )

    rows = [row for row in log.kept.values() if row.at == NOON + timedelta(seconds=22)]
    assert result.outcome is Outcome.CONTINUE
    assert len(log.kept) == 8
    assert [(r.model, r.deciding, r.outcome, r.risk_percent) for r in rows] == [
        ("weighted-seed", True, Outcome.CONTINUE, 0),
        ("judge", False, Outcome.ROLLBACK, 200),
    ]
    assert {(r.run_id, r.runbook, r.stage, r.share_percent) for r in rows} == {
        ("rollout-4f7qk2mz", "shop", "crm-pool", 5)
    }
    assert {r.watch_started_at for r in log.kept.values()} == {NOON}


async def test_a_shadow_that_fails_disturbs_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(MODELS, "judge", Model("no_such_module", lambda _: 1))
    log = MemoryLog()

    with caplog.at_level(logging.WARNING):
        result = await watched(MemoryMetrics(NOON, lambda _: CALM), log, scoring=with_models("judge"))

    assert (result.outcome, result.verdicts_taken) == (Outcome.CONTINUE, 4)
    assert {row.model for row in log.kept.values()} == {"weighted-seed"}
    assert "the shadow judge could not judge" in caplog.text


async def test_a_log_that_is_down_disturbs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    log = MemoryLog(["billing"])
    log.down = lambda: RuntimeError("the disk is full")

    with caplog.at_level(logging.WARNING):
        result = await watched(MemoryMetrics(NOON, lambda at: BURNING if at >= 30 else CALM), log)

    assert (result.outcome, result.verdicts_taken) == (Outcome.ROLLBACK, 3)
    assert "3 verdicts are not kept yet: RuntimeError('the disk is full')" in caplog.text
    assert "what else is being rolled out is not known" in caplog.text


async def test_verdicts_of_a_time_without_log_are_kept_when_it_is_back() -> None:
    time, log = VirtualTime(), MemoryLog()
    log.down = lambda: Unavailable("no") if time.now < NOON + timedelta(seconds=30) else None

    await Watch(MemoryMetrics(NOON, lambda _: CALM), time, log=log).run(request())

    assert [(at - NOON).total_seconds() for _, _, at in log.kept] == [12, 22, 32, 42]


async def test_a_log_that_hangs_holds_up_no_verdict_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    class HangingLog(MemoryLog):
        async def keep(self, verdicts: Sequence[KeptVerdict]) -> None:
            await asyncio.Event().wait()

        async def watched_beside(self, run_id: str, *, since: datetime) -> list[str]:
            await asyncio.Event().wait()
            return []

    monkeypatch.setattr("activities.watching._LOG_SECONDS", 0.01)

    result = await watched(MemoryMetrics(NOON, lambda _: CALM), HangingLog())

    assert (result.outcome, result.verdicts_taken) == (Outcome.CONTINUE, 4)


async def test_what_is_rolled_out_beside_is_seen_with_each_observation() -> None:
    log, watch_time = MemoryLog(["billing"]), VirtualTime()
    watch = Watch(MemoryMetrics(NOON, lambda _: CALM), watch_time, log=log)

    await watch.run(request())

    assert log.asked[0] == ("rollout-4f7qk2mz", NOON + timedelta(seconds=12 - 30))
    assert watch.beats[-1][1].observations[-1].concurrent == ["billing"]


# --- how many users met it ------------------------------------------------------------------------------------

TRAFFIC = SCORING.model_copy(update={"traffic": "requests{$side}[$window]"})
BUSY = {"requests{canary}[10s]": 3.0, "requests{stable}[10s]": 57.0}


async def test_a_calm_watch_counts_requests_and_none_of_them_is_bad() -> None:
    pace = PACE.model_copy(update={"window": timedelta(seconds=25)})  # the last interval is half of one

    result = await watched(MemoryMetrics(NOON, lambda _: CALM | BUSY), scoring=TRAFFIC, pace=pace)

    assert (result.requests_seen, result.bad_requests) == (105, 0)


async def test_requests_since_the_last_good_verdict_are_bad() -> None:
    def turning(at: float) -> Answers:
        if at >= 42:
            return BURNING | BUSY
        return CALM | BUSY | ({LATENCY: None} if at >= 32 else {})

    result = await watched(MemoryMetrics(NOON, turning), scoring=TRAFFIC)

    assert result.outcome is Outcome.ROLLBACK
    assert (result.requests_seen, result.bad_requests) == (120, 60)


async def test_a_guard_counts_every_stopping_interval_as_bad() -> None:
    def up_and_down(at: float) -> Answers:
        return BUSY | (BURNING if at >= 30 else PAUSING if at == 10 else CALM)

    result = await watched(MemoryMetrics(NOON, up_and_down), scoring=TRAFFIC, until_rollback=True)

    assert (result.verdicts_taken, result.requests_seen, result.bad_requests) == (4, 120, 60)


async def test_requests_that_nobody_counts_are_unknown_and_not_zero() -> None:
    result = await watched(MemoryMetrics(NOON, lambda _: CALM))

    assert (result.requests_seen, result.bad_requests) == (None, None)


async def test_requests_are_not_counted_anew_after_a_crash() -> None:
    time, metrics = VirtualTime(), MemoryMetrics(NOON, lambda _: CALM | BUSY)
    progress = await killed_when(lambda p: p.verdicts_taken == 2, metrics, time, scoring=TRAFFIC)

    result = await Watch(metrics, time, resume=progress).run(request(scoring=TRAFFIC))

    assert (result.verdicts_taken, result.requests_seen) == (4, 120)


# `weighted` asks for two bad verdicts of three, and errors veto.
STEADY = SCORING.model_copy(
    update={
        "model": "weighted",
        "metrics": {
            "latency": SCORING.metrics["latency"],
            "errors": SCORING.metrics["errors"].model_copy(update={"veto": "rollback"}),
        },
    }
)
FAILING = {**CALM, ERRORS: 9.0}


def turning(*changes: tuple[float, Answers]) -> Callable[[float], Answers]:
    """What is seen from each of these seconds on."""

    def now(seconds: float) -> Answers:
        return next(answers for since, answers in reversed(changes) if seconds >= since)

    return now


async def test_a_window_does_not_end_on_a_minute_that_would_stop_the_rollout_if_it_lasted() -> None:
    late = MemoryMetrics(NOON, turning((0, CALM), (40, FAILING)))
    result = await watched(late, scoring=STEADY)

    assert result.outcome is Outcome.ROLLBACK
    assert result.verdict.at == NOON + timedelta(seconds=52)  # the window ends at 42


async def test_a_bad_minute_at_the_end_of_a_window_that_passes_delays_the_rollout_by_one_verdict() -> None:
    once = MemoryMetrics(NOON, turning((0, CALM), (40, FAILING), (45, CALM)))
    result = await watched(once, scoring=STEADY)

    assert result.outcome is Outcome.CONTINUE
    assert result.verdict.at == NOON + timedelta(seconds=52)


async def test_a_guard_goes_on_from_what_the_watch_before_it_has_seen() -> None:
    slow = {**CALM, LATENCY: 1.3}
    metrics = MemoryMetrics(NOON, turning((0, slow), (20, {**slow, ERRORS: 9.0})))
    asking = await watched(metrics, scoring=STEADY)
    assert (asking.outcome, asking.verdict.at) == (Outcome.PAUSE, NOON + timedelta(seconds=22))
    assert len(asking.seen) == 2

    time = VirtualTime(NOON + timedelta(seconds=23))
    guarding = request(scoring=STEADY, until_rollback=True, seen=asking.seen)
    result = await Watch(metrics, time).run(guarding)

    assert result.outcome is Outcome.ROLLBACK
    # An interval after the last verdict of the watch: the errors seen then are the first of two.
    assert result.verdict.at == NOON + timedelta(seconds=32)
    assert result.verdicts_taken == 1


async def test_a_guard_that_knows_nothing_takes_its_first_verdict_at_once() -> None:
    result = await watched(MemoryMetrics(NOON, lambda _: FAILING), scoring=STEADY, until_rollback=True)
    assert result.verdict.at == NOON + timedelta(seconds=10)
    assert result.seen == []
