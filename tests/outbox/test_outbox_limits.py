from datetime import timedelta

import pytest

from holdfast.outbox.limits import BOT, Limits, is_group
from holdfast.runbook import priorities as policy

SECOND = 1_000_000_000
MARGIN = SECOND // 4
SPEC = policy.Limits()


def drained(limits: Limits, chat: str, now: int, count: int) -> Limits:
    for _ in range(count):
        limits.take(chat, now)
    return limits


@pytest.mark.parametrize("chat", ["-100", "@news"])
def test_negative_ids_and_names_are_groups(chat: str) -> None:
    assert is_group(chat)
    assert not is_group("999999999999")


def test_a_private_chat_takes_its_burst_then_one_a_second() -> None:
    limits = drained(Limits(SPEC), "5", 0, 2)
    assert limits.chat_delay("5", 0) == SECOND
    assert limits.blocked(0) == {"5": SECOND}
    assert limits.blocked(SECOND) == {}


def test_a_group_takes_its_burst_then_its_rate_a_minute() -> None:
    limits = drained(Limits(SPEC), "-5", 0, 2)
    assert limits.chat_delay("-5", 0) == pytest.approx(60 * SECOND / 17, abs=1)
    assert limits.chat_delay("-6", 0) == 0


def test_the_reserve_is_left_to_answers_and_the_rest_keep_the_full_rate() -> None:
    limits = Limits(SPEC)
    assert (limits.tokens(0), limits.tokens_for_all(0)) == (4, 3)
    now = sent = 0
    while now < 60 * SECOND:
        limits.take(str(sent), now)
        sent += 1
        assert limits.tokens(now) >= 1 or now == 0
        now += limits.delay(now)
    assert sent == 3 + 60 * 25 - 1


def test_buckets_that_are_full_again_are_forgotten() -> None:
    limits = Limits(SPEC)
    for chat in range(1000):
        limits.take(str(chat), chat * SECOND // 25)
        limits.blocked(chat * SECOND // 25)
    assert len(limits._chats) <= 52  # pyright: ignore[reportPrivateUsage]  its size is the point


def test_a_refusal_pauses_the_chat_for_as_long_as_it_asked_and_a_little() -> None:
    limits = drained(Limits(SPEC), "5", 0, 1)
    assert limits.refused("5", 3, 0) == {"5": 3 * SECOND + MARGIN}
    assert limits.blocked(0) == {"5": 3 * SECOND + MARGIN}
    assert limits.delay(0) == 0
    assert limits.blocked(3 * SECOND + MARGIN) == {}


def test_two_chats_refusing_within_one_wait_pause_the_whole_bot() -> None:
    limits = Limits(SPEC)
    limits.refused("5", 3, 0)
    assert limits.refused("6", 2, SECOND) == {"6": 3 * SECOND + MARGIN, BOT: 3 * SECOND + MARGIN}
    assert limits.tokens(SECOND) == 0
    assert limits.delay(SECOND, answer=True) == 2 * SECOND + MARGIN


def test_two_refusals_far_apart_or_of_one_chat_do_not() -> None:
    limits = Limits(SPEC)
    limits.refused("5", 3, 0)
    assert BOT not in limits.refused("5", 3, SECOND)
    assert BOT not in limits.refused("6", 3, 5 * SECOND)


def test_a_long_wait_of_a_chat_inside_its_budget_pauses_the_bot_for_a_minute_at_most() -> None:
    limits = drained(Limits(SPEC), "-5", 0, 1)
    assert limits.refused("-5", 11, SECOND)[BOT] == 12 * SECOND + MARGIN
    limits = drained(Limits(SPEC), "-5", 0, 1)
    assert limits.refused("-5", 10_072, SECOND) == {"-5": 10_073 * SECOND + MARGIN, BOT: 61 * SECOND}
    assert limits.refused("6", 9_000, 62 * SECOND)[BOT] == 9_062 * SECOND + MARGIN


def test_a_long_wait_of_a_chat_at_its_limit_is_its_own() -> None:
    limits = drained(Limits(SPEC), "-5", 0, 2)
    assert BOT not in limits.refused("-5", 30, SECOND)


def test_replay_fills_the_buckets_from_what_an_earlier_sender_sent() -> None:
    limits = Limits(SPEC)
    limits.replay([("-5", -3 * SECOND), ("-5", -2 * SECOND), ("7", -SECOND // 1000)])
    assert limits.chat_delay("-5", 0) == pytest.approx(60 / 17 * SECOND - 3 * SECOND, abs=2)
    assert limits.tokens(0) == 3


def test_another_policy_keeps_what_was_sent_and_the_pauses() -> None:
    limits = drained(Limits(SPEC), "5", 0, 4)
    limits.pause("9", SECOND)
    slower = limits.adopted(policy.Limits(bot=policy.Rate(count=5, burst=4)), 0)
    assert slower.tokens(0) == 4 - 1
    assert slower.blocked(0) == {"5": 3 * SECOND, "9": SECOND}


def test_the_memory_covers_the_slowest_bucket() -> None:
    slow = policy.Rate(count=1, per=timedelta(minutes=5), burst=3)
    assert Limits(SPEC).memory == timedelta(minutes=1)
    assert Limits(policy.Limits(group=slow)).memory == timedelta(minutes=15)
