import random

from hypothesis import given
from hypothesis import strategies as st

from holdfast.sim.crm.limits import LeakyBucket, OperatingTime
from holdfast.sim.crm.workers import Workers


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@given(
    burst=st.integers(1, 60),
    per_second=st.floats(0.5, 20),
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=80),
)
def test_the_bucket_never_lets_more_through_than_burst_and_rate(burst, per_second, gaps):
    clock = Clock()
    bucket = LeakyBucket(burst, per_second, clock)
    taken: list[float] = []
    for gap in gaps:
        clock.now += gap
        taken += [clock.now] if bucket.take() else []
        window = [at for at in taken if at >= taken[0]]
        assert len(window) <= burst + per_second * (clock.now - taken[0]) + 1e-6


def test_the_bucket_lets_the_whole_burst_through_and_then_the_rate():
    clock = Clock()
    bucket = LeakyBucket(50, 2, clock)
    assert [bucket.take() for _ in range(52)] == [True] * 50 + [False] * 2
    clock.now += 1
    assert [bucket.take() for _ in range(3)] == [True, True, False]


def test_working_time_is_forgotten_basket_by_basket_after_ten_minutes():
    clock = Clock()
    operating = OperatingTime(480, clock)
    began = clock.now // 60 * 60
    operating.add("m", 300)
    clock.now += 120
    operating.add("m", 200)
    assert operating.is_over("m")
    assert not operating.is_over("other")
    assert operating.reset_at("m") == began + 600
    clock.now = began + 600
    assert operating.used("m") == 200
    assert not operating.is_over("m")


async def test_calls_at_work_slow_each_other_down():
    workers = Workers(40, 0.045, 0.1, random.Random(1))

    def mean() -> float:
        return sum(workers.working_seconds(1) for _ in range(400)) / 400

    alone = mean()
    async with workers.one(), workers.one(), workers.one(), workers.one(), workers.one(), workers.one():
        assert 1.3 < mean() / alone < 1.7
