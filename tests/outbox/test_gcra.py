from bisect import bisect_left
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from holdfast.outbox.gcra import Gcra
from holdfast.runbook.priorities import Rate

INTERVALS = st.integers(1, 10**10)
BURSTS = st.integers(1, 50)
# Arrivals bunch up and leave gaps of several fillings.
STEPS = st.lists(st.floats(0, 20), min_size=1, max_size=120)


def passages(bucket: Gcra, interval: int, steps: list[float]) -> tuple[list[int], list[int]]:
    """Let one pass at each arrival that may; return the moments of the passed and of all."""
    now = 0
    passed: list[int] = []
    arrived: list[int] = []
    for step in steps:
        now += int(step * interval / 4)
        arrived.append(now)
        if not bucket.delay(now):
            bucket.take(now)
            passed.append(now)
    return passed, arrived


@given(INTERVALS, BURSTS, STEPS)
def test_no_window_lets_through_more_than_the_burst_and_what_the_rate_adds(
    interval: int, burst: int, steps: list[float]
) -> None:
    passed, _ = passages(Gcra(interval, burst), interval, steps)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - start) // interval


@given(INTERVALS, BURSTS, STEPS)
def test_a_passage_is_refused_only_where_a_window_would_overflow(
    interval: int, burst: int, steps: list[float]
) -> None:
    passed, arrived = passages(Gcra(interval, burst), interval, steps)
    for moment in set(arrived):
        if moment in passed and passed.count(moment) == arrived.count(moment):
            continue
        before = passed[: bisect_left(passed, moment + 1)]
        counts = ((len(before) - first + 1, moment - start) for first, start in enumerate(before))
        assert any(count > burst + window // interval for count, window in counts)


@given(INTERVALS, BURSTS, STEPS, st.integers(0, 3))
def test_the_delay_is_exact_to_the_nanosecond(interval: int, burst: int, steps: list[float], keep: int) -> None:
    bucket = Gcra(interval, burst)
    _, arrived = passages(bucket, interval, steps)
    now = arrived[-1]
    delay = bucket.delay(now, keep=keep)
    if delay:
        assert bucket.delay(now + delay, keep=keep) == 0
        assert bucket.delay(now + delay - 1, keep=keep) == 1


@given(INTERVALS, BURSTS, STEPS)
def test_tokens_are_as_many_as_pass_at_once(interval: int, burst: int, steps: list[float]) -> None:
    bucket = Gcra(interval, burst)
    _, arrived = passages(bucket, interval, steps)
    now, tokens = arrived[-1], bucket.tokens(arrived[-1])
    assert 0 <= tokens <= burst
    for _ in range(tokens):
        assert bucket.delay(now) == 0
        bucket.take(now)
    assert bucket.tokens(now) == 0
    assert bucket.delay(now) > 0


@given(INTERVALS, BURSTS, STEPS)
def test_it_is_full_again_exactly_when_it_says(interval: int, burst: int, steps: list[float]) -> None:
    bucket = Gcra(interval, burst)
    _, arrived = passages(bucket, interval, steps)
    full = arrived[-1] + bucket.full_again_in(arrived[-1])
    assert bucket.tokens(full) == burst
    assert bucket.full_again_in(full) == 0


def test_a_rate_of_the_policy_is_never_exceeded_by_rounding() -> None:
    bucket = Gcra.of(Rate(count=3, per=timedelta(seconds=1)))
    assert bucket.interval == 333_333_334
    assert Gcra.of(Rate(count=25, burst=4)).interval == 40_000_000
    assert Gcra.of(Rate(count=25, burst=4), percent=20).interval == 200_000_000


def test_what_was_sent_before_the_clock_began_counts() -> None:
    bucket = Gcra(1000, 2)
    bucket.take(-500)
    bucket.take(-400)
    assert bucket.tokens(0) == 0
    assert bucket.delay(0) == 500
