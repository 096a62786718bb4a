import asyncio
import random
from bisect import bisect_right
from collections import defaultdict

from holdfast.outbox.limits import is_group
from holdfast.outbox.message import RowState
from tests.outbox.virtual import House, message, simulate

CAPACITY = 25.0


async def arrive(house: House, rates: dict[str, float], duration: float, *, chats: int = 4000) -> None:
    """Put messages of each tier at random moments, at these mean rates a second."""
    total = sum(rates.values())
    end = asyncio.get_running_loop().time() + duration
    count = 0
    while (pause := random.expovariate(total)) + asyncio.get_running_loop().time() < end:
        await asyncio.sleep(pause)
        (tier,) = random.choices([*rates], weights=[*rates.values()])
        chat = str(random.randrange(1, chats))
        value = random.choice([0.0, 0.0, 50_000.0, 2_000_000.0])
        await house.outbox.put(message(f"{tier}-{count}", chat, tier=tier, value=value))
        count += 1


def waits(house: House) -> dict[str, list[float]]:
    """Return the sorted waiting times of each tier, in seconds."""
    found = defaultdict[str, list[float]](list)
    for row in house.store.every_row():
        assert row.sent_at is not None
        found[row.tier].append((row.sent_at - row.queued_at).total_seconds())
    return {tier: sorted(times) for tier, times in found.items()}


def at(times: list[float], part: float) -> float:
    return times[min(len(times) - 1, int(part * len(times)))]


def most_in(moments: list[float], window: float) -> int:
    return max(bisect_right(moments, start + window) - place for place, start in enumerate(moments))


def assert_within_telegrams_limits(house: House) -> None:
    by_chat = defaultdict[str, list[float]](list)
    for second, row in house.transport.tries:
        by_chat[row.chat].append(second)
    assert most_in([second for second, _ in house.transport.tries], 1.0) <= 30
    for chat, moments in by_chat.items():
        assert most_in(moments, 60.0) <= 20 if is_group(chat) else most_in(moments, 1.0) <= 3


def test_at_132_percent_gold_hardly_waits_and_nobody_starves() -> None:
    async def main() -> None:
        house = House()
        house.start()
        await arrive(house, {"gold": 6, "silver": 12, "bronze": 15}, 120)
        sent_in_overload = house.store.states()[RowState.SENT]
        await house.until_settled()
        times = waits(house)
        assert house.store.states().keys() == {RowState.SENT}
        assert len(house.transport.tries) == len(house.store.every_row())
        assert at(times["gold"], 0.95) <= 2
        assert all(at(of_tier, 0.999) <= 70 for of_tier in times.values())
        assert sent_in_overload >= 0.99 * CAPACITY * 118
        assert_within_telegrams_limits(house)
        await house.stop()

    simulate(main())


def test_a_flood_of_gold_leaves_bronze_its_share() -> None:
    async def main() -> None:
        house = House()
        house.start()
        await arrive(house, {"gold": 40, "silver": 2, "bronze": 2}, 120)
        await house.until_settled()
        times = waits(house)
        assert at(times["bronze"], 0.999) <= 15
        assert at(times["silver"], 0.999) <= 15
        assert at(times["gold"], 0.95) > 15
        await house.stop()

    simulate(main())


def test_inside_a_tier_the_big_order_goes_first() -> None:
    async def main() -> None:
        house = House()
        small = [message(f"s{i}", str(i), value=0) for i in range(200)]
        big = [message(f"b{i}", str(1000 + i), value=1_000_000) for i in range(20)]
        await house.outbox.put_all([*small, *big])
        house.start()
        await house.until_settled()
        assert set(house.transport.tried()[:20]) == {one.key for one in big}
        await house.stop()

    simulate(main())


def test_a_hundred_messages_to_one_group_do_not_hold_500_people() -> None:
    async def main() -> None:
        house = House()
        await house.outbox.put_all([message(f"g{i}", "-100", kind="page") for i in range(100)])
        await house.outbox.put_all([message(f"p{i}", str(i + 1), kind="page") for i in range(500)])
        house.start()
        await house.until_settled(within=1000)
        people = [row for row in house.store.every_row() if row.chat != "-100"]
        times = sorted((r.sent_at - r.queued_at).total_seconds() for r in people if r.sent_at)
        assert len(times) == 500
        assert at(times, 0.95) <= 25
        group = [row for _, row in house.transport.tries if row.chat == "-100"]
        assert [row.id for row in group] == sorted(row.id for row in group)
        assert_within_telegrams_limits(house)
        await house.stop()

    simulate(main())


def test_a_thousand_messages_a_second_are_sent_at_the_full_rate() -> None:
    async def main() -> None:
        paid = {"bot": {"count": 900, "burst": 40}, "paid_broadcast": True}
        house = House(policy=House().policy.model_validate(house_policy() | {"limits": paid}))
        await house.outbox.put_all([message(f"{i}", str(i), kind="card") for i in range(4500)])
        house.start()
        await house.until_settled(within=5.2)
        # Heads are looked at many at a time.
        assert house.store.calls["heads"] < 4500 / 10
        assert house.store.calls["claim"] < 4500 / 8
        await house.stop()

    simulate(main())


def house_policy() -> dict[str, object]:
    return House().policy.model_dump(mode="json")


def test_an_idle_sender_asks_the_store_about_ten_times_a_second() -> None:
    async def main() -> None:
        house = House()
        house.start()
        await house.outbox.put(message("a"))
        await asyncio.sleep(60)
        assert 500 <= house.store.calls["heads"] <= 700
        await house.stop()

    simulate(main())


def test_waiting_for_one_blocked_chat_does_not_keep_the_store_busy() -> None:
    async def main() -> None:
        house = House()
        await house.outbox.put_all([message(f"{i}", "-1", kind="card") for i in range(18)])
        house.start()
        await house.until_settled(within=70)
        assert house.store.calls["heads"] <= 10 * 60 + 200
        await house.stop()

    simulate(main())
