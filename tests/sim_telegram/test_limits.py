from hypothesis import given
from hypothesis import strategies as st

from holdfast.sim.telegram.limits import SECOND_NS, Budget, Gcra, LimitSettings, SlidingWindow

gaps = st.lists(st.integers(0, 3 * SECOND_NS), min_size=1, max_size=200)


def admitted(limit, gaps_ns):
    """When events were admitted, if they come with these gaps."""
    now_ns, times = 0, []
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        if limit.delay_ns(now_ns) == 0:
            limit.take(now_ns)
            times.append(now_ns)
    return times


@given(gaps, st.integers(1, 5), st.integers(1, 2 * SECOND_NS), st.integers(0, 10 * SECOND_NS))
def test_gcra_admits_at_most_burst_plus_rate_times_window_in_any_window(gaps_ns, burst, interval_ns, window_ns):
    times = admitted(Gcra(burst, interval_ns), gaps_ns)

    for start in times:
        assert sum(start <= time <= start + window_ns for time in times) <= burst + window_ns / interval_ns


@given(gaps, st.integers(1, 20), st.integers(1, 5 * SECOND_NS))
def test_a_sliding_window_never_holds_more_than_its_limit(gaps_ns, limit, window_ns):
    times = admitted(SlidingWindow(limit, window_ns), gaps_ns)

    for start in times:
        assert sum(start <= time < start + window_ns for time in times) <= limit


@given(
    gaps,
    st.one_of(
        st.builds(Gcra, st.integers(1, 5), st.integers(1, 2 * SECOND_NS)),
        st.builds(SlidingWindow, st.integers(1, 20), st.integers(1, 5 * SECOND_NS)),
    ),
)
def test_the_delay_is_the_first_moment_that_passes(gaps_ns, limit):
    times = admitted(limit, gaps_ns)
    delay_ns = limit.delay_ns(times[-1])

    assert limit.delay_ns(times[-1] + delay_ns) == 0
    assert delay_ns == 0 or limit.delay_ns(times[-1] + delay_ns - 1) == 1


@given(st.lists(st.tuples(st.sampled_from([11, 12, -21, -22]), st.integers(0, SECOND_NS)), max_size=200))
def test_a_bot_that_waits_as_told_passes_and_never_exceeds_any_limit(messages):
    now_ns = 0
    budget = Budget(LimitSettings(overall_per_second=5, group_per_minute=4), lambda: now_ns)
    sent: list[tuple[int, int]] = []
    for chat, gap_ns in messages:
        now_ns += gap_ns
        wait_seconds = budget.admit(chat)
        if wait_seconds:
            now_ns += wait_seconds * SECOND_NS
            assert budget.admit(chat) == 0
        sent.append((chat, now_ns))

    for chat, start in sent:
        assert sum(start <= time < start + SECOND_NS for _, time in sent) <= 5
        minute = [time for other, time in sent if other == chat and start <= time < start + 60 * SECOND_NS]
        assert chat > 0 or len(minute) <= 4


def test_the_overall_limit_is_shared_by_all_chats():
    budget = Budget(LimitSettings(), lambda: 0)

    assert [budget.admit(chat) for chat in range(1, 31)] == [0] * 30
    assert budget.admit(99) == 1


def test_a_refused_message_costs_nothing():
    now_ns = 0
    budget = Budget(LimitSettings(), lambda: now_ns)
    for _ in range(3):
        budget.admit(1)

    assert [budget.admit(1) for _ in range(50)] == [1] * 50
    now_ns = SECOND_NS
    assert budget.admit(1) == 0
