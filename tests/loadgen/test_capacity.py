"""What saturates first, found in simulated queues whose limits are known."""

import heapq
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from holdfast.domain.campaign import TestVerdict as Verdict  # by its own name pytest would collect it
from holdfast.loadgen.capacity import Resource, find
from holdfast.loadgen.outcome import result_of, with_resources
from holdfast.loadgen.report import StepSecond
from holdfast.loadgen.result import Broken, LoadResult
from holdfast.loadgen.totals import Totals
from tests.loadgen.load_figures import load_test, report, said

SECONDS = 120


@dataclass
class Queue:
    """A service with some servers and exponential service times, fed by a Poisson process that rises evenly.

    Attributes:
        servers: how many requests it works on at once.
        mean_seconds: of its work on one.
        fails_above: it answers 503 to whoever finds so many waiting; 0 for never.
    """

    servers: int
    mean_seconds: float
    fails_above: int = 0
    seed: int = 1
    latencies: list[list[float]] = field(default_factory=lambda: [[] for _ in range(SECONDS)])
    failed: list[int] = field(default_factory=lambda: [0] * SECONDS)
    busy: np.ndarray = field(default_factory=lambda: np.zeros(SECONDS * 3))

    @property
    def limit(self) -> float:
        return self.servers / self.mean_seconds

    def feed(self, highest: float, stairs: int = 0) -> None:
        random = np.random.default_rng(self.seed)
        if stairs:
            each = SECONDS / stairs
            counts = random.poisson([highest * each * (n + 1) / stairs for n in range(stairs)])
            drawn = [each * (n + random.random(count)) for n, count in enumerate(counts)]
            arrivals = np.sort(np.concatenate(drawn))
        else:
            arrivals = np.sort(SECONDS * np.sqrt(random.random(random.poisson(highest * SECONDS / 2))))
        count = arrivals.size
        free = [0.0] * self.servers
        waiting: list[float] = []
        for at, work in zip(arrivals, random.exponential(self.mean_seconds, count), strict=True):
            waiting = [start for start in waiting if start > at] if self.fails_above else []
            if self.fails_above and len(waiting) >= self.fails_above:
                self.failed[int(at)] += 1
                continue
            start = max(at, heapq.heappop(free))
            waiting.append(start)
            heapq.heappush(free, start + work)
            self.latencies[int(at)].append(start + work - at)
            self._work(start, start + work)

    def _work(self, start: float, end: float) -> None:
        for second in range(int(start), min(int(end), self.busy.size - 1) + 1):
            self.busy[second] += min(end, second + 1) - max(start, second)

    def utilisation(self) -> Resource:
        share = 100 * self.busy[:SECONDS] / self.servers
        return Resource([n + 1.0 for n in range(SECONDS)], share.tolist(), full_at=100)


def measured(highest: float, *, support: Queue, orders: Queue, stairs: int = 0, **other: Any) -> LoadResult:
    """Return the result of a ramp, or of stairs, that feed both contexts at the same rate."""
    shape = {"shape": "steps", "steps": stairs} if stairs else {"shape": "ramp"}
    spec = load_test(
        phases=[{"rate": highest, "for": f"{SECONDS}s"} | shape], ceilings={"rate": 10_000}, **other
    )
    totals = Totals(spec)
    for queue in (support, orders):
        queue.feed(highest, stairs)
    seconds = {n: {"ask": _second(support, n), "pay": _second(orders, n)} for n in range(SECONDS)}
    totals.add(report(float(SECONDS), seconds, done=True))
    result = result_of(totals, started_at=datetime(2026, 3, 1, tzinfo=UTC))
    # Both are fed by chance, not by the plan's own sessions: nobody lost them.
    return with_resources(result.model_copy(update={"flaws": [], "void": ""}), {})


def _second(queue: Queue, n: int) -> StepSecond:
    return said([1000 * s for s in queue.latencies[n]], errors={"status_503": queue.failed[n]})


def noise(mean: float, spread: float, full_at: float | None = None, seed: int = 5) -> Resource:
    values = np.random.default_rng(seed).normal(mean, spread, SECONDS)
    return Resource([n + 1.0 for n in range(SECONDS)], values.tolist(), full_at)


@pytest.mark.parametrize(
    ("servers", "mean_seconds"), [(1, 0.01), (4, 0.04), (10, 0.1), (40, 0.2)], ids=lambda value: f"{value}"
)
def test_the_queue_that_overflows_first_is_named_with_its_rate(servers: int, mean_seconds: float) -> None:
    narrow = Queue(servers, mean_seconds, seed=2)
    wide = Queue(servers * 4, mean_seconds, seed=3)
    result = measured(1.6 * narrow.limit, support=wide, orders=narrow)
    found = find(result, {"orders": {"CPU": narrow.utilisation()}, "support": {"CPU": wide.utilisation()}})
    assert found.saturation is not None
    assert found.saturation.context == "orders"
    assert 0.8 * narrow.limit <= found.saturation.rate <= 1.1 * narrow.limit
    assert found.saturation.resource == "CPU"
    assert found.saturation.sure == "sure"
    assert found.saturation.utilisation == pytest.approx(1, abs=0.1)
    assert found.saturation.why.startswith("orders saturates first, at ")
    assert found.rate is not None
    assert found.rate <= 1.1 * narrow.limit
    assert not found.at_least


def test_on_stairs_the_limit_between_two_of_them_is_found_and_the_lower_one_is_carried() -> None:
    queue = Queue(10, 0.1, seed=2)  # carries 100 a second; the stairs are 80 and 120
    result = measured(160, support=Queue(60, 0.05, seed=3), orders=queue, stairs=4)
    found = find(result, {"orders": {"CPU": queue.utilisation()}})
    assert found.saturation is not None
    assert (found.saturation.context, found.saturation.resource) == ("orders", "CPU")
    assert found.saturation.rate == pytest.approx(100, rel=0.1)
    assert (found.rate, found.at_least) == (80, False)


def test_of_two_that_saturate_the_one_at_the_lower_rate_is_first() -> None:
    first, second = Queue(4, 0.05, seed=2), Queue(6, 0.05, seed=3)
    result = measured(160, support=second, orders=first)
    found = find(result).saturation
    assert found is not None
    assert found.context == "orders"
    assert found.rate == pytest.approx(80, rel=0.1)


def test_where_nothing_saturates_nothing_is_named() -> None:
    result = measured(50, support=Queue(40, 0.05, seed=2), orders=Queue(40, 0.1, seed=3))
    found = find(result, {"orders": {"CPU": noise(30, 5, 100), "memory": noise(95, 1, 100)}})
    assert found.saturation is None
    assert (found.rate, found.at_least) == (50, True)


def test_a_pool_that_runs_dry_is_told_from_what_only_grows_or_is_always_full() -> None:
    pool = Queue(8, 0.1, seed=2)
    result = measured(130, support=Queue(60, 0.05, seed=3), orders=pool)
    used = pool.utilisation()
    grows = Resource(used.times, [0.4 * t for t in used.times], full_at=100)
    growing = Resource(used.times, [3.0 * t + 1 for t in used.times])
    others = {"CPU": grows, "requests": growing, "memory": noise(93, 1, 100), "disk": noise(10, 3, 100)}
    found = find(result, {"orders": {**others, "pool": Resource(used.times, used.values, 100)}})
    assert found.saturation is not None
    assert found.saturation.resource == "pool"
    assert found.saturation.rate == pytest.approx(80, rel=0.1)


def test_a_resource_without_a_known_limit_is_found_by_what_it_does_beyond_growing_with_the_load() -> None:
    pool = Queue(8, 0.1, seed=2)
    result = measured(130, support=Queue(60, 0.05, seed=3), orders=pool)
    ends = np.zeros(SECONDS)
    for n, latencies in enumerate(pool.latencies):
        for latency in latencies:
            ends[n : int(n + latency) + 1] += 1
    held = Resource([n + 1.0 for n in range(SECONDS)], ends.tolist())
    found = find(result, {"orders": {"waiting": held, "disk": noise(10, 3)}}).saturation
    assert found is not None
    assert (found.resource, found.utilisation) == ("waiting", None)
    assert found.sure in {"sure", "likely"}


def test_where_no_resource_fits_it_says_that_it_is_not_known() -> None:
    pool = Queue(8, 0.1, seed=2)
    result = measured(130, support=Queue(60, 0.05, seed=3), orders=pool)
    resources = {"memory": noise(93, 1, 100), "disk": noise(10, 3, 100), "files": noise(500, 20)}
    for given in (
        {},
        {"orders": resources},
        {"support": resources},
        {"support": {"memory": noise(97, 2, 100)}},
    ):
        found = find(result, given).saturation
        assert found is not None
        assert (found.resource, found.sure) == ("", "not known")
        assert "Which resource ran out is not known" in found.why


def test_a_pool_that_another_context_names_too_is_likely_and_said_with_that_context() -> None:
    pool = Queue(8, 0.1, seed=2)
    result = measured(130, support=Queue(60, 0.05, seed=3), orders=pool)
    shared = {"pool": pool.utilisation(), "memory": noise(93, 1, 100)}
    found = find(result, {"orders": {"disk": noise(10, 3, 100)}, "support": shared}).saturation
    assert found is not None
    assert (found.context, found.resource, found.resource_of) == ("orders", "pool", "support")
    assert found.sure == "likely"
    assert "Likely: pool of support (" in found.why


def test_its_own_resource_goes_before_one_of_another_context() -> None:
    pool = Queue(8, 0.1, seed=2)
    result = measured(130, support=Queue(60, 0.05, seed=3), orders=pool)
    used = pool.utilisation()
    found = find(result, {"support": {"CPU": used}, "orders": {"pool": used}}).saturation
    assert found is not None
    assert (found.resource, found.resource_of, found.sure) == ("pool", "", "sure")


@pytest.mark.parametrize("seed", range(8))
def test_what_is_full_all_the_time_for_another_reason_is_not_blamed(seed: int) -> None:
    pool = Queue(8, 0.1, seed=2)
    result = measured(130, support=Queue(60, 0.05, seed=3), orders=pool)
    fills = noise(0, 0.5, 100, seed=seed)
    fuller = [90 + 9 * n / SECONDS + value for n, value in enumerate(fills.values)]
    backups = {"disk": noise(97, 2, 100, seed=seed), "archive": Resource(fills.times, fuller, full_at=100)}
    found = find(result, {"support": backups}).saturation
    assert found is not None
    assert (found.resource, found.sure) == ("", "not known")


def test_contexts_that_break_together_are_one_event_and_the_one_that_knows_its_resource_names_it() -> None:
    pool = Queue(8, 0.1, seed=2)
    result = measured(130, support=Queue(8, 0.1, seed=2), orders=pool)
    first = find(result).saturation
    assert first is not None
    other = "orders" if first.context == "support" else "support"
    assert first.together == [other]
    shared = {other: {"pool": pool.utilisation()}, "billing": {"pool": pool.utilisation()}}
    found = find(result, shared).saturation
    assert found is not None
    assert (found.resource, found.resource_of, found.sure) == ("pool", other, "likely")
    assert found.why.startswith(f"{first.context} saturates first, with it {other}, at ")


def test_a_context_that_breaks_much_later_is_another_event() -> None:
    result = measured(160, support=Queue(6, 0.05, seed=3), orders=Queue(4, 0.05, seed=2))
    found = find(result).saturation
    assert found is not None
    assert (found.context, found.together) == ("orders", [])


def test_a_test_of_half_a_minute_is_long_enough_to_name_the_pool() -> None:
    """The shape of a demo: stairs of six seconds, a wait for a connection that is smoothed over ten."""
    waits = [0.001, 0.001, 0.24, 0.37, 0.37, 0.41, 0.49, 0.46, 0.46, 0.45, 0.54, 0.60, 0.62, 0.62, 0.68, 0.86]
    waits += [1.18, 1.36, 1.44, 1.65, 1.91, 2.18, 2.49, 2.78]
    pool = Resource([float(n) for n in range(24)], waits, full_at=0.5)
    spec = load_test(
        phases=[{"rate": rate, "for": "6s"} for rate in (15, 30, 45, 60)], ceilings={"rate": 10_000}
    )
    totals = Totals(spec)
    slow = {
        n: [600.0 if n < 12 else min(3800.0, 600.0 + 350 * (n - 11))] * (4, 8, 12, 15)[n // 6]
        for n in range(24)
    }
    totals.add(report(24.0, {n: {"ask": said(slow[n]), "pay": said(slow[n])} for n in slow}, done=True))
    result = result_of(totals, started_at=datetime(2026, 3, 1, tzinfo=UTC)).model_copy(update={"flaws": []})
    found = find(result, {"support": {"pool": pool}, "orders": {"pool": pool}}).saturation
    assert found is not None
    assert (found.resource, found.sure) == ("pool", "sure")
    assert "% of its limit, correlation with the latency 0.9" in found.why


def test_a_resource_with_gaps_and_a_slow_scrape_is_found_all_the_same() -> None:
    queue = Queue(8, 0.1, seed=2)
    result = measured(130, support=Queue(60, 0.05, seed=3), orders=queue)
    used = queue.utilisation()
    times = list(range(5, SECONDS, 5))
    values = [float(np.mean(used.values[t - 5 : t])) for t in times]
    values[7] = float("nan")
    found = find(result, {"orders": {"CPU": Resource([float(t) for t in times], values, 100)}}).saturation
    assert found is not None
    assert (found.resource, found.sure) == ("CPU", "sure")


def test_a_context_that_refuses_saturates_by_its_errors() -> None:
    refuses = Queue(8, 0.1, fails_above=2, seed=2)
    found = find(measured(130, support=Queue(60, 0.05, seed=3), orders=refuses)).saturation
    assert found is not None
    assert (found.context, found.sign) == ("orders", "errors")
    assert 0.4 * refuses.limit < found.rate <= 1.05 * refuses.limit


def test_a_threshold_of_a_context_that_breaks_names_it_even_without_a_knee() -> None:
    slow = measured(
        20,
        support=Queue(40, 0.05, seed=2),
        orders=Queue(40, 0.1, seed=3),
        thresholds=[{"step": "pay", "p95": "0.01s"}],
    )
    assert slow.verdict is not Verdict.PASSED
    found = find(slow)
    assert found.saturation is not None
    assert (found.saturation.context, found.rate) == ("orders", None)
    assert found.failed


@pytest.mark.parametrize("points", [0, 1, 9])
def test_a_test_that_is_aborted_in_its_first_seconds_blames_no_resource(points: int) -> None:
    support = Queue(40, 0.05, seed=2)
    result = measured(50, support=support, orders=Queue(40, 0.1, seed=3))
    for series in result.series:
        series.points = series.points[:points]
    result.offset = float(points)
    result.broken = [Broken(step="ask", what="p95", value=2, bound=1, since=0, rate=10, aborted=True)]

    pool = {"pool": support.utilisation()}
    found = find(result, {"support": pool, "orders": pool}).saturation

    assert found is not None
    assert (found.context, found.resource) == ("support", "")


def test_headroom_is_what_is_left_above_the_peak() -> None:
    result = measured(50, support=Queue(40, 0.05, seed=2), orders=Queue(40, 0.1, seed=3))
    result.expected_peak, result.safety_factor = 20, 1.5
    found = find(result)
    assert found.headroom_percent == pytest.approx(150)
    assert found.headroom_with_factor_percent == pytest.approx(66.7, abs=0.1)


def test_a_void_result_gets_no_capacity() -> None:
    result = measured(50, support=Queue(40, 0.05, seed=2), orders=Queue(40, 0.1, seed=3))
    assert with_resources(result, {}).capacity is not None
    late = result_of(Totals(load_test()), started_at=datetime(2026, 3, 1, tzinfo=UTC))
    assert with_resources(late, {}).capacity is None
