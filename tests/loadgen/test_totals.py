import random
from array import array
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.domain.errors import InvalidInput
from holdfast.loadgen.arrivals import Arrivals
from holdfast.loadgen.histogram import Histogram
from holdfast.loadgen.report import Health, Report, StepSecond
from holdfast.loadgen.totals import Totals
from tests.loadgen.load_figures import load_test, report, said, steady

LATENCIES = st.lists(st.floats(0.01, 9000), max_size=8)
STEPS = st.dictionaries(st.sampled_from(["ask", "pay"]), LATENCIES.map(said), max_size=2)
REPORTS = st.lists(
    st.builds(
        report,
        st.floats(0, 12),
        st.dictionaries(st.integers(0, 11), STEPS, max_size=3),
        shard=st.integers(0, 3),
        health=st.none() | st.builds(Health, lag_ms=st.floats(0, 9), in_flight=st.integers(0, 9)),
    ),
    max_size=8,
)


def added(*reports: Report, **other: Any) -> Totals:
    totals = Totals(load_test(**other))
    for each in reports:
        totals.add(each)
    return totals


@settings(max_examples=40)
@given(REPORTS, st.integers(0, 2**32))
def test_the_order_of_reports_does_not_matter(reports: list[Report], seed: int) -> None:
    shuffled = random.Random(seed).sample(reports, len(reports))
    one, other = added(*reports), added(*shuffled)
    for step in ("ask", "pay"):
        assert one.of_steps([step]) == other.of_steps([step])
        assert one.waiting([step], 3, 12) == other.waiting([step], 3, 12)
    assert (one.begun(), one.lost(10), one.doubled) == (other.begun(), other.lost(10), other.doubled)
    assert one.health() == other.health()
    assert one.live() == other.live()
    assert one.points() == other.points()


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0.01, 20_000)), max_size=60), st.integers(1, 5))
def test_shards_give_the_same_histogram_as_one_generator(samples: list[tuple[int, float]], shards: int) -> None:
    totals = Totals(load_test())
    for shard in range(shards):
        for second in range(10):
            mine = [ms for k, (at, ms) in enumerate(samples) if k % shards == shard and at == second]
            totals.add(report(10.0, {second: {"ask": said(mine)}}, shard=shard))
    one = Histogram.of(array("d", [ms * 1000 for _, ms in samples]))
    assert totals.of_steps(["ask"]).latency == one
    assert totals.of_steps(["ask"]).due == len(samples)


def test_a_step_a_context_and_all_requests_are_told_apart() -> None:
    totals = added(report(1.0, {0: {"ask": said([10, 20]), "pay": said([900])}}))
    assert totals.steps_of("*") == ["ask", "pay"]
    assert totals.steps_of("support") == ["ask"]
    assert totals.steps_of("pay") == ["pay"]
    assert totals.of_steps(totals.steps_of("*")).due == 3
    assert totals.of_steps(totals.steps_of("orders")).seconds(50) == pytest.approx(0.9, rel=1e-3)


def test_counts_of_all_kinds_add_up() -> None:
    first = StepSecond(due=9, late=1, unsent=2, good=3, errors={"timeout": 1}, sent_bytes=5, received_bytes=7)
    second = StepSecond(due=3, good=1, errors={"status_503": 1, "timeout": 1}, sent_bytes=1)
    tally = added(report(1.0, {0: {"ask": first}}), report(1.0, {0: {"ask": second}})).of_steps(["ask"])
    assert (tally.due, tally.late, tally.unsent, tally.sent, tally.good) == (12, 1, 2, 10, 4)
    assert tally.errors == {"timeout": 2, "status_503": 1}
    assert (tally.failed, tally.answered, tally.open) == (3, 5, 3)
    assert (tally.sent_bytes, tally.received_bytes) == (6, 7)
    assert tally.errors_percent == 25
    assert tally.on_time_percent == 75


def test_a_request_that_was_given_up_counts_with_its_timeout() -> None:
    tally = added(report(1.0, {0: {"ask": said([10], errors={"timeout": 3})}})).of_steps(["ask"])
    assert tally.latency.count == 4
    assert tally.seconds(99) == pytest.approx(5.0, rel=1e-3)


def test_the_live_line_is_of_the_newest_second_that_every_generator_has_made() -> None:
    health = Health(lag_ms=3, busy_percent=40, in_flight=2, connections=5)
    other = Health(lag_ms=1, busy_percent=60, in_flight=7, connections=1)
    totals = added(
        report(2.3, {0: {"ask": said([10])}, 1: {"ask": said([30] * 4)}}, health=health),
        report(2.1, {1: {"ask": said([30]), "pay": said([80])}}, shard=1, health=other),
    )
    live = totals.live()
    assert (live.second, live.rate, live.shards, live.sent_per_s) == (1, 10, 2, 6)
    assert [(line.name, line.due_per_s) for line in live.lines] == [("*", 6), ("support", 5), ("orders", 1)]
    assert live.lines[2].p95 == pytest.approx(0.08, rel=1e-3)
    assert live.health == Health(lag_ms=3, busy_percent=60, in_flight=9, connections=6)


def test_a_silent_generator_does_not_hold_the_live_line_up() -> None:
    totals = added(report(3.0, {2: {"ask": said([10])}}), report(7.0, {6: {"ask": said([20])}}, shard=1))
    assert totals.live().second == 2
    assert totals.live(at=7.2).second == 6


def test_before_the_first_second_there_is_nothing_to_tell() -> None:
    live = Totals(load_test()).live()
    assert live.second == -1
    assert [line.due_per_s for line in live.lines] == [0, 0, 0]


def test_sessions_that_nobody_made_are_lost() -> None:
    totals = added(
        report(6.0, {n: {"ask": said([10] * 5)} for n in range(6)}),
        report(4.0, {n: {"ask": said([10] * 5)} for n in range(4)}, shard=1),
    )
    assert totals.lost(4) == 0
    assert totals.lost(6) == 10
    assert totals.live(at=6.5).lost == 10
    assert totals.begun() == 50


def test_a_share_that_another_generator_goes_on_with_is_not_lost() -> None:
    first = report(4.0, {n: {"ask": said([10] * 10)} for n in range(4)})
    second = report(10.0, {n: {"ask": said([10] * 10)} for n in range(4, 10)}, done=True)
    totals = added(first, second)
    assert totals.lost(10) == 0
    assert totals.full_until() == 10


def test_answers_count_in_the_second_in_which_they_come() -> None:
    totals = added(report(4.0, {0: {"ask": said([10, 2200], errors={"connect": 1})}}))
    points = totals.points()
    assert [points[n]["support"].ended if n in points else 0 for n in range(3)] == [2, 0, 1]
    assert points[0]["*"].due == 3


def test_old_seconds_become_points_and_nothing_is_lost_thereby() -> None:
    spec = {"phases": [{"rate": 10, "for": "300s"}]}
    totals = added(*(report(n + 1.0, {n: {"ask": said([10.0 + n])}}) for n in range(300)), **spec)
    assert totals.newest(["ask"], 0, 200) == []
    assert totals.of_steps(["ask"]).latency.count == 300
    assert totals.points()[3]["support"].p95 == pytest.approx(0.013, rel=1e-3)
    totals.add(report(300.0, {3: {"ask": said([9000.0])}}))  # far too late
    assert totals.of_steps(["ask"]).seconds(100) == pytest.approx(9, rel=1e-3)
    assert totals.points()[3]["support"].due == 2


def test_a_long_test_is_kept_small() -> None:
    spec = {
        "phases": [{"rate": 2, "for": "3600s"}],
        "ceilings": {"for": "2h"},
    }
    step = said([5.0 + n for n in range(2)])
    totals = added(*(report(n + 1.0, {n: {"ask": step, "pay": step}}) for n in range(3600)), **spec)
    assert totals.every == 4
    assert len(totals.points()) <= 901
    assert len(totals.newest(["ask"], 0, 3600)) < 80


def test_steps_that_the_file_does_not_have_are_left_out() -> None:
    totals = added(report(1.0, {0: {"other": said([1.0])}}))
    assert totals.of_steps(totals.steps_of("*")).due == 0


def test_a_broken_histogram_is_refused() -> None:
    with pytest.raises(InvalidInput, match="latency"):
        added(report(1.0, {0: {"ask": StepSecond(due=1, good=1, latency="nonsense")}}))


def test_requests_after_the_end_belong_to_the_last_stretch() -> None:
    totals = added(report(14.0, {13: {"pay": said([10.0])}}))
    assert totals.of_steps(["pay"], len(totals.stretches) - 1).due == 1


def test_the_plan_is_counted_to_the_session() -> None:
    totals = Totals(load_test(phases=[{"rate": 20, "for": "10s", "shape": "ramp"}]))
    assert totals.planned.total == 100
    assert sum(totals.planned.in_second(n) for n in range(10)) == 100
    assert totals.planned.before(5) == 25
    assert totals.planned_rate(5.0) == 10
    assert totals.planned_rate(11.0) == 0


def test_stretches_of_the_same_rate_have_different_names() -> None:
    phases = [{"rate": 10, "for": "2s"}, {"rate": 10, "for": "2s"}, {"rate": 40, "for": "9s", "shape": "steps"}]
    names = [stretch.name for stretch in Totals(load_test(phases=phases)).stretches]
    assert names[:3] == ["10/s", "10/s (2)", "40/s, 16/s"]
    assert len(set(names)) == len(names) == 7


def test_a_whole_test_has_its_counts() -> None:
    totals = added(steady(10))
    assert totals.of_steps(totals.steps_of("*")).due == 200
    assert totals.lost(10) == 0


def test_what_a_dead_generator_had_under_way_waits_no_longer() -> None:
    totals = added(report(4.0, {3: {"ask": said([10] * 7, due=10)}}))
    assert totals.waiting(["ask"], 3, until=9) == [(0.0, 3)], "what it has not said is not known"
    totals.add(report(8.0, {}))
    assert totals.waiting(["ask"], 3, until=9) == [(4.0, 3)]
    totals.add(report(6.0, {5: {"ask": said([10], due=2)}}), attempt=2)
    assert totals.waiting(["ask"], 3, until=9) == []
    assert totals.waiting(["ask"], 5, until=9) == [(0.0, 1)]
    totals.add(report(8.0, {3: {"ask": said([9000])}}))  # its last words come late
    assert totals.waiting(["ask"], 3, until=9) == []


def test_a_share_that_was_made_twice_is_counted() -> None:
    whole = {n: {"ask": said([10] * 10)} for n in range(10)}
    totals = added(report(10.0, whole, done=True))
    assert totals.doubled == 0
    totals.add(report(10.0, {4: {"ask": said([10] * 6)}}), attempt=2)
    assert totals.doubled == 6


def test_a_share_that_was_stopped_and_taken_over_is_not_done() -> None:
    totals = added(report(4.0, {3: {"ask": said([10])}}, done=True, stopped="stopped by its run"))
    totals.add(report(9.0, {8: {"ask": said([10])}}, shard=1))
    assert totals.full_until() == 4
    totals.add(report(6.0, {5: {"ask": said([10])}}), attempt=2)
    assert totals.full_until() == 6


@pytest.mark.parametrize(("rate", "lasts"), [(3, 300), (7, 100), (49, 60), (1000, 20)])
def test_the_plan_and_the_generators_count_an_arrival_in_the_same_second(rate: int, lasts: int) -> None:
    spec = load_test(phases=[{"rate": rate, "for": f"{lasts}s"}], ceilings={"rate": 5000})
    zero = 123_456.789  # of a monotonic clock
    made = Counter(
        int(due - zero + 1e-6) for chunk in Arrivals(spec).chunks() for due in (chunk.offsets + zero).tolist()
    )
    planned = Totals(spec).planned
    assert made == Counter({second: n for second in range(lasts + 1) if (n := planned.in_second(second))})
