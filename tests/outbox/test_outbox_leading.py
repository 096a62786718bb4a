import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from holdfast.outbox.bell import Bell
from holdfast.outbox.message import Delivery, Row, RowState
from holdfast.outbox.store import Lease
from holdfast.outbox.timing import Timing
from holdfast.outbox.transport import Fate, Refused, Sent
from tests.outbox.virtual import BOT, House, message, now, seconds, simulate, stop


async def put_many(house: House, count: int, kind: str = "card") -> None:
    await house.outbox.put_all(
        [message(f"{kind}{i}", f"{ord(kind[0])}{i:04}", kind=kind) for i in range(count)]
    )


def kill(task: "asyncio.Task[None]", house: House) -> None:
    """End a process as kill -9 does: nothing of it reaches store or chat any more."""
    for other in asyncio.all_tasks():
        if other is not asyncio.current_task() and other is not task:
            other.cancel()
    task.cancel()
    house.store.failing = {"give_up_lease", "settle", "requeue", "take_lease"}


def test_of_two_senders_one_sends_and_the_other_follows_at_once_when_it_ends() -> None:
    async def main() -> None:
        house = House()
        one, two = house.sender("one"), house.sender("two", bell=Bell())
        first = house.start(one)
        await one.leading.wait()
        house.start(two)
        await asyncio.sleep(30)
        assert (one.leading.is_set(), two.leading.is_set()) == (True, False)
        await stop(first)
        assert not one.leading.is_set()
        ended = seconds()
        await two.leading.wait()
        assert seconds() - ended <= 2
        await one.leading.wait_over()
        await house.stop()

    simulate(main())


def test_a_sender_that_ends_waits_for_what_is_under_way() -> None:
    async def main() -> None:
        house = House()
        house.transport.latency = 5
        await put_many(house, 40)
        first = house.start()
        await house.until(lambda: len(house.transport.tries) == 4)
        await stop(first)
        assert seconds() == pytest.approx(5, abs=0.2)
        assert house.store.states() == {RowState.SENT: 4, RowState.QUEUED: 36}
        assert (await house.store.take_lease(BOT, "next", ttl=timedelta(1), now=now())) is not None

    simulate(main())


def test_what_does_not_end_in_time_is_left_to_the_next_sender() -> None:
    async def main() -> None:
        house = House()
        house.transport.latency = 80
        await put_many(house, 2)
        first = house.start()
        await house.until(lambda: len(house.transport.tries) == 2)
        await stop(first)
        assert seconds() == pytest.approx(20, abs=0.5)
        house.start(house.sender("two"))
        await asyncio.sleep(1)
        assert house.store.states() == {RowState.UNCERTAIN: 2}
        assert house.metric("uncertain_total", tier="silver") == 2
        await house.stop()

    simulate(main())


def test_a_claim_that_is_under_way_at_the_end_is_carried_through() -> None:
    async def main() -> None:
        house = House()
        await put_many(house, 3)
        claim = house.store.claim

        async def slow(*args: object, **options: object) -> list[Row]:
            claimed = await claim(*args, **options)  # type: ignore[arg-type]  # handed on
            claiming.set()
            await asyncio.sleep(2)
            return claimed

        claiming = asyncio.Event()
        house.store.claim = slow  # type: ignore[method-assign]  # a slow store
        first = house.start()
        await claiming.wait()
        await stop(first)
        assert house.store.states() == {RowState.SENT: 3}

    simulate(main())


def test_a_crash_between_claim_and_settling_is_uncertain_and_pages_go_again() -> None:
    async def main() -> None:
        house = House()
        house.transport.latency = 3
        await put_many(house, 1, "card")
        await put_many(house, 1, "page")
        await house.outbox.put(message("other", "99", kind="page"))
        first = house.start()
        await house.until(lambda: len(house.transport.tries) == 3)
        kill(first, house)
        await asyncio.sleep(0.1)
        house.store.failing = set()
        crashed = seconds()
        house.transport.latency = 0.05
        house.start(house.sender("two", bell=Bell()))
        await house.until_settled()
        assert house.store.states() == {RowState.UNCERTAIN: 1, RowState.SENT: 2}
        again = [row for second, row in house.transport.tries if second >= crashed]
        assert [(row.kind, row.repeated) for row in again] == [("page", True)] * 2
        assert crashed < min(s for s, _ in house.transport.tries if s >= crashed) <= crashed + 6 + 2
        assert house.metric("uncertain_total", tier="gold") == 2
        assert house.metric("repeated_total", tier="gold") == 2
        await house.stop()

    simulate(main())


def test_at_random_ends_nothing_is_lost_and_copies_were_uncertain_first() -> None:
    async def main() -> None:
        house = House()
        house.transport.latency = 0.2
        await put_many(house, 300, "page")
        await put_many(house, 300, "card")
        delivered: list[tuple[int, bool]] = []

        async def deliver(row: Row) -> Fate:
            delivered.append((row.id, row.repeated))
            return Sent(f"m{row.id}")

        house.transport.answer = deliver
        for turn in range(20):
            task = house.start(house.sender(f"holder {turn}", bell=Bell()))
            await asyncio.sleep(6.5 + turn / 7)
            kill(task, house)
            await asyncio.sleep(0.01)
            house.store.failing = set()
        house.start(house.sender("last"))
        await house.until_settled()
        unmarked = [row_id for row_id, repeated in delivered if not repeated]
        assert len(unmarked) == len(set(unmarked))
        assert len(delivered) > len(unmarked)
        for row in house.store.every_row():
            assert row.state is RowState.SENT or row.delivery is Delivery.AT_MOST_ONCE
            assert row.state in {RowState.SENT, RowState.UNCERTAIN}
        await house.stop()

    simulate(main())


def test_a_restart_on_the_same_host_need_not_wait_for_the_lease_to_run_out() -> None:
    async def main() -> None:
        house = House()
        await house.store.take_lease(BOT, "gone", ttl=timedelta(hours=1), now=now())
        sender = house.sender("two", gone=lambda lease: {lease.holder} if lease else set())
        house.start(sender)
        await sender.leading.wait()
        assert seconds() < 0.1
        await house.stop()

    simulate(main())


def test_a_sender_whose_lease_was_taken_stops_at_once_and_settles_nothing() -> None:
    async def main() -> None:
        house = House()
        house.transport.latency = 1
        await put_many(house, 200)
        sender = house.sender("one")
        house.start(sender)
        await asyncio.sleep(2.01)
        thief = await house.store.take_lease(BOT, "thief", ttl=timedelta(minutes=5), now=now(), dead=["one"])
        assert thief is not None
        lost = seconds()
        assert len(await house.store.recover(thief, now=now())) > 0
        await asyncio.sleep(5)
        assert not sender.leading.is_set()
        # A claim is refused at the next message: nothing is tried after that.
        assert max(second for second, _ in house.transport.tries) <= lost
        assert house.store.states()[RowState.UNCERTAIN] == 25
        await house.stop()

    simulate(main())


def test_a_lease_that_can_not_be_renewed_ends_the_sending_before_others_may_begin() -> None:
    async def main() -> None:
        house = House()
        await put_many(house, 500)
        sender = house.sender("one")
        house.start(sender)
        await asyncio.sleep(3.1)
        house.store.failing = {"take_lease"}
        held: Lease | None = await house.store.holder(BOT)
        assert held is not None
        await sender.leading.wait_over()
        await asyncio.sleep(10)
        assert (
            max(second for second, _ in house.transport.tries)
            < (held.until - now()).total_seconds() + seconds() - 0.5
        )
        house.store.failing = set()
        await house.until_settled()
        assert house.store.states() == {RowState.SENT: 500}
        assert len(house.transport.tries) == 500
        await house.stop()

    simulate(main())


def test_a_store_that_is_away_for_a_moment_costs_nothing_but_time() -> None:
    async def main() -> None:
        house = House()
        house.transport.latency = 0.3
        await put_many(house, 300)
        sender = house.sender()
        house.start(sender)
        await asyncio.sleep(2.02)
        house.store.failing = {"heads", "claim", "settle", "take_lease", "lanes", "counts"}
        await asyncio.sleep(2)
        house.store.failing = set()
        await house.until_settled()
        assert house.store.states() == {RowState.SENT: 300}
        assert len(house.transport.tries) == 300
        assert seconds() < 300 / 25 + 2 + 3
        await house.stop()

    simulate(main())


@pytest.mark.parametrize("method", ["claim", "settle", "requeue", "claim_alike", "recover", "take_lease"])
def test_an_answer_of_the_store_that_is_lost_loses_and_repeats_nothing(method: str) -> None:
    async def main() -> None:
        house = House()
        await put_many(house, 30)
        await house.outbox.put_all([message(f"s{i}", "900", line="x") for i in range(12)])
        house.transport.script["card3"] = [Refused(1)]
        house.store.losing_answers = {method}
        house.start()
        await house.until_settled()
        assert house.store.losing_answers == set()
        assert house.store.states() == {RowState.SENT: 42}
        tried = [row.key for _, row in house.transport.tries if row.key != "card3"]
        assert len(tried) == len(set(tried))
        await house.stop()

    simulate(main())


def test_a_page_is_sent_again_also_where_the_taking_over_was_cut_short() -> None:
    async def main() -> None:
        house = House()
        await put_many(house, 1, "page")
        gone = await house.store.take_lease(BOT, "gone", ttl=timedelta(0), now=now())
        assert gone is not None
        await house.store.claim(gone, [1], now=now())
        house.store.losing_answers = {"recover"}
        house.start()
        await house.until(lambda: house.store.states()[RowState.SENT] == 1)
        assert [row.repeated for _, row in house.transport.tries] == [True]
        await house.stop()

    simulate(main())


def test_a_sender_waits_for_a_store_that_is_away_at_its_start() -> None:
    async def main() -> None:
        house = House()
        await put_many(house, 3)
        house.store.failing = {"take_lease", "holder"}
        house.start()
        await asyncio.sleep(60)
        house.store.failing = set()
        await house.until_settled(within=70)
        assert house.store.states() == {RowState.SENT: 3}
        await house.stop()

    simulate(main())


def test_a_new_sender_counts_what_the_earlier_one_sent() -> None:
    async def main() -> None:
        house = House()
        await house.outbox.put_all([message(f"{i}", "-1", kind="card") for i in range(10)])
        first = house.start()
        await asyncio.sleep(8)
        await stop(first)
        house.start(house.sender("two"))
        await house.until_settled()
        moments = [second for second, _ in house.transport.tries]
        assert moments[-1] >= (10 - 2) * 60 / 17
        assert all(later - earlier >= 3.4 for earlier, later in pairwise(moments[2:]))
        await house.stop()

    simulate(main())


def test_fates_are_written_together_where_the_store_can() -> None:
    async def main() -> None:
        house = House()
        together: list[dict[int, str]] = []

        async def settle_sent(lease: Lease, message_ids: dict[int, str], *, now: object) -> None:
            together.append(message_ids)
            await asyncio.sleep(0.5)
            for row_id, message_id in message_ids.items():
                await house.store.settle(
                    lease, [row_id], RowState.SENT, now=globals()["now"](), message_id=message_id
                )

        house.store.settle_sent = settle_sent  # type: ignore[attr-defined]  # what a store may offer besides
        await put_many(house, 100)
        house.start(house.sender(timing=Timing()))
        await house.until_settled()
        assert len(together) < 15
        assert sum(map(len, together)) == 100
        assert all(row.message_id == f"m{row.id}" for row in house.store.every_row())
        await house.stop()

    simulate(main())
