"""Who was on time, the truth of a stalled target and the search, beside what follows by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.arithmetic import (
    RateSearch,
    Stall,
    even_schedule,
    judged,
    nearest_rank,
    on_time_percent,
)
from benchmarks.peers.figures import Figure, result

DUE = even_schedule(100.0, 10, 10.0)  # a hundred requests, one each tenth of a second


def test_requests_that_come_at_their_moments_are_all_on_time() -> None:
    assert on_time_percent(DUE, DUE, 0.05) == 100


def test_a_request_later_than_the_tolerance_is_not_on_time() -> None:
    late = DUE.copy()
    late[[3, 7]] += 0.051
    late[[4, 8]] += 0.049
    assert on_time_percent(late, DUE, 0.05) == 98


def test_what_never_came_is_not_on_time() -> None:
    assert on_time_percent(DUE[:75], DUE, 0.05) == 75


def test_more_requests_than_were_due_help_nobody() -> None:
    doubled = np.concatenate([DUE, DUE + 50])
    assert on_time_percent(doubled, DUE, 0.05) == 100
    assert on_time_percent(DUE[50:], DUE, 0.05) == 0


@given(lag=st.floats(0.06, 5))
def test_a_generator_that_stood_still_and_caught_up_loses_what_was_due_meanwhile(lag: float) -> None:
    held_up = np.where(DUE >= 103, np.maximum(DUE, 103 + lag), DUE)
    missed = sum(103 <= due < 103 + lag - 0.05 - 1e-9 for due in DUE)
    assert on_time_percent(held_up, DUE, 0.05) == pytest.approx(100 - missed, abs=1)


def test_the_beginning_is_not_judged_but_its_backlog_is() -> None:
    begun_late = DUE + 0.2
    begun_late[0] = 100.0
    kept = {"rate": 10, "first": 100.0, "skip": 1.0, "seconds": 9.0, "tolerance": 0.05}
    assert judged(begun_late, **kept, anew=False) == 0
    assert judged(begun_late, **kept, anew=True) == 100
    caught_up = DUE.copy()
    caught_up[1:9] += 0.09
    assert judged(caught_up, **kept, anew=False) == 100


def test_a_generator_that_is_too_slow_falls_behind_even_when_it_is_anchored_anew() -> None:
    slow = even_schedule(100.0, 9, 10.0)
    assert judged(slow, 10, first=100.0, skip=1.0, seconds=9.0, tolerance=0.05, anew=True) < 20


def test_nobody_came_is_nobody_on_time() -> None:
    assert judged(np.zeros(0), 10, first=0.0, skip=1.0, seconds=5.0, tolerance=0.05, anew=True) == 0


def played(due: list[float], stall: Stall) -> list[float]:
    """The target, moment by moment in milliseconds: it reads what came, and answers what is due."""
    latencies: dict[float, float] = {}
    read: dict[float, float] = {}
    end = stall.at + stall.lasts
    for millisecond in range(30_000):
        now = millisecond / 1000
        if stall.at <= now < end:
            continue
        read |= {each: now for each in due if each <= now and each not in read}
        ready = [each for each, at in read.items() if at + stall.delay <= now + 1e-9 and each not in latencies]
        latencies |= {each: now - each for each in ready}
        if len(latencies) == len(due):
            break
    return [latencies[each] for each in due]


def test_a_stall_delays_what_came_and_what_was_to_be_answered_meanwhile() -> None:
    stall, due = Stall(at=0.5, lasts=0.3, delay=0.02), even_schedule(0.0, 200, 1.2)
    assert stall.latencies(due) == pytest.approx(played([float(each) for each in due], stall), abs=1e-6)


def test_the_truth_of_two_seconds_in_twenty_is_what_the_schedule_says() -> None:
    latencies = Stall(at=8.0, lasts=2.0, delay=0.02).latencies(even_schedule(0.0, 200, 20.0))
    # 400 requests come in the stall, 4 were read before and wait for its end; they are 5 ms apart.
    assert np.count_nonzero(latencies > 0.0201) == 404
    assert latencies.max() == pytest.approx(2.020)
    # The 41st longest of 4,000: the two lots share the 8 longest, and 33 more follow from 2.000 s down.
    assert nearest_rank(latencies, 99) == pytest.approx(1.840)
    assert nearest_rank(latencies, 50) == pytest.approx(0.020)


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 2), (75, 3), (76, 4), (100, 4)])
def test_a_percentile_is_the_value_of_the_nearest_rank(percent: float, value: float) -> None:
    assert nearest_rank(np.array([4.0, 2.0, 3.0, 1.0]), percent) == value


@given(limit=st.floats(20, 200_000), start=st.floats(10, 100_000))
def test_the_search_ends_near_the_highest_rate_that_is_kept(limit: float, start: float) -> None:
    search = RateSearch(round(start), tries=100)
    while not search.over:
        search.note(kept=search.rate <= limit)
    assert search.best <= limit < search.worst
    assert search.worst <= search.best * search.within + 2


def test_a_rate_that_failed_once_is_tried_again_before_it_is_believed() -> None:
    search = RateSearch(1000)
    search.note(kept=False)
    assert (search.rate, search.worst) == (1000, float("inf"))
    search.note(kept=True)
    assert (search.best, search.rate) == (1000, 2000)


def test_a_search_that_never_succeeds_ends() -> None:
    search = RateSearch(1000, tries=5)
    while not search.over:
        search.note(kept=False)
    assert search.best == 0


def test_the_result_holds_only_when_every_part_does() -> None:
    good, bad = Figure(3.0, 1.0, 2.0, holds=True), Figure(1.0, None, 2.0, holds=False)
    assert '"ratio": 3.0, "bound": 2.0, "holds": true' in result({"rate": good})
    both = result({"rate": good, "stall": bad})
    assert both.endswith(
        '"stall": {"ours": 1.0, "reference": null, "ratio": null, "bound": 2.0, "holds": false}}'
    )
    assert '"ratio": 3.0, "bound": 2.0, "holds": false' in both
