"""The sums of `benchmarks/rollback_defaults.py`, beside the loops that they sum up, played tick by tick."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rollback_defaults import (
    OTHERS,
    Moment,
    argo_seconds,
    first_moments,
    flagger_seconds,
    our_latest_seconds,
    our_seconds,
)
from holdfast.runbook.kinds.rollout import Pace
from holdfast.verdict.detector_settings import Hysteresis

START = datetime(2026, 1, 1, tzinfo=UTC)
INTERVALS = st.integers(10, 600)


def moments(*reds: str) -> list[Moment]:
    """One a second: `.` is nothing, `r` red, `!` must go."""
    return [
        Moment(at=START + timedelta(seconds=n), why="" if red == "." else red, must_go=red == "!")
        for n, red in enumerate(reds)
    ]


def played_flagger(interval: int, threshold: int) -> int:
    """`advanceCanary` with checks that always fail, from the tick that sets the weight."""
    now, failed_checks = 0, 0
    while True:
        now += interval
        if failed_checks >= threshold:
            return now
        failed_checks += 1


def played_argo(interval: int, limit: int) -> int:
    """Measurements that always fail, the first one at once, until more failed than the limit allows."""
    now, failed = 0, 1
    while failed <= limit:
        now += interval
        failed += 1
    return now


def played_verdicts(pace: Pace, hysteresis: Hysteresis, bad_from: int) -> int:
    """Shares watched one after the other, whole seconds; a canary that is bad from then on, and stays."""
    settle, window, interval = (int(each.total_seconds()) for each in (pace.settle, pace.window, pace.interval))
    share_set = 0
    while True:
        bads: list[bool] = []
        at = share_set + settle
        while True:
            bads = [*bads, at >= bad_from][-hysteresis.of :]
            if sum(bads) >= hysteresis.bad:
                return at
            if at >= share_set + settle + window and not bads[-1]:
                break
            at += interval
        share_set = at


@given(INTERVALS, st.integers(1, 12))
def test_flagger_takes_one_tick_more_than_its_threshold(interval: int, threshold: int) -> None:
    assert flagger_seconds(interval, threshold) == played_flagger(interval, threshold)


@given(INTERVALS, st.integers(0, 12), st.integers(0, 3600))
def test_argo_aborts_with_one_failure_more_than_its_limit(interval: int, limit: int, delay: int) -> None:
    assert argo_seconds(interval, limit, starts_after_seconds=delay) == delay + played_argo(interval, limit)


@given(st.integers(1, 20), st.integers(1, 4), st.integers(2, 8), st.integers(2, 3))
def test_our_sums_are_what_verdicts_share_by_share_give(
    interval: int, settles: int, more: int, bad: int
) -> None:
    hysteresis = Hysteresis(bad=bad, of=3)
    step = timedelta(seconds=interval)
    pace = Pace(settle=settles * step, window=more * step, interval=step)
    end_of_share = interval * (settles + more)
    later = [
        played_verdicts(pace, hysteresis, bad_from) - bad_from + 1  # bad right after the verdict before
        for bad_from in range(interval * settles + 1, end_of_share + 2)
    ]
    assert played_verdicts(pace, hysteresis, 0) == our_seconds(pace, hysteresis)
    assert max(later) == our_latest_seconds(pace, hysteresis)


def test_the_published_figures_of_the_others() -> None:
    assert [each.seconds for each in OTHERS] == [120, 180, 660, 0, 40, 1500]


def test_the_first_red_second_and_the_first_that_demands_rollback_are_told_apart() -> None:
    red, must_go = first_moments(moments(".", "r", ".", "!", "r"))
    assert (red.at - START, must_go.at - START) == (timedelta(seconds=1), timedelta(seconds=3))


def test_where_no_second_alone_demands_rollback_the_first_red_one_does() -> None:
    red, must_go = first_moments(moments(".", ".", "r"))
    assert red == must_go
    assert red.at == START + timedelta(seconds=2)


def test_nothing_red_is_an_error_and_not_a_quick_rollback() -> None:
    with pytest.raises(ValueError, match="nothing was red"):
        first_moments(moments(".", "."))
