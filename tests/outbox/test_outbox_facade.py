import asyncio
from datetime import timedelta

import pytest

from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.outbox.bell import Bell
from holdfast.outbox.message import RowState
from holdfast.outbox.outbox import Outbox
from tests.outbox.virtual import BOT, House, message, now, seconds, simulate


def test_what_is_put_twice_under_one_key_is_sent_once() -> None:
    async def main() -> None:
        house = House()
        house.start()
        ids = await house.outbox.put_all([message("a"), message("a"), message("b", "2")])
        assert ids[0] == ids[1] != ids[2]
        await house.until_settled()
        assert await house.outbox.put(message("a")) == ids[0]
        await asyncio.sleep(5)
        assert sorted(house.transport.tried()) == ["a", "b"]
        await house.stop()

    simulate(main())


def test_an_unknown_kind_puts_nothing_of_all() -> None:
    async def main() -> None:
        house = House()
        with pytest.raises(InvalidInput, match="gossip"):
            await house.outbox.put_all([message("a"), message("b", kind="gossip")])
        assert house.store.every_row() == []
        assert await house.outbox.put_all([]) == []

    simulate(main())


def test_whoever_waits_is_woken_by_the_sender_of_this_process() -> None:
    async def main() -> None:
        house = House()
        house.transport.latency = 7.77
        house.start()
        row = await house.outbox.put(message("a"))
        settled = await house.outbox.settled(row, within=timedelta(minutes=1))
        assert settled.state is RowState.SENT
        assert seconds() == pytest.approx(7.77)
        await house.stop()

    simulate(main())


def test_a_row_settled_by_another_process_is_seen_soon_and_without_asking_much() -> None:
    async def main() -> None:
        house = House()
        house.transport.latency = 30
        house.start()
        elsewhere = Outbox(house.store, lambda: house.policy, bot=BOT, now=now, bell=Bell())
        row = await elsewhere.put(message("a"))
        settled = await elsewhere.settled(row, within=timedelta(minutes=2))
        assert settled.state is RowState.SENT
        assert 30 <= seconds() <= 31.2
        assert house.store.calls["row"] <= 45
        await house.stop()

    simulate(main())


def test_a_quick_answer_of_another_process_is_seen_quickly() -> None:
    async def main() -> None:
        house = House()
        house.start()
        elsewhere = Outbox(house.store, lambda: house.policy, bot=BOT, now=now)
        row = await elsewhere.put(message("a", kind="answer"))
        await elsewhere.settled(row, within=timedelta(minutes=2))
        assert seconds() <= 0.3
        await house.stop()

    simulate(main())


def test_a_row_that_is_not_settled_in_time_is_given_as_it_stands() -> None:
    async def main() -> None:
        house = House()
        row = await house.outbox.put(message("a"))
        waiting = await house.outbox.settled(row, within=timedelta(seconds=3))
        assert waiting.state is RowState.QUEUED
        assert seconds() == pytest.approx(3)

    simulate(main())


def test_a_row_that_there_is_not_is_refused() -> None:
    async def main() -> None:
        house = House()
        with pytest.raises(InvalidInput, match="no message 99"):
            await house.outbox.row(99)
        with pytest.raises(InvalidInput, match="no message 99"):
            await house.outbox.settled(99, within=timedelta(seconds=1))

    simulate(main())


def test_whoever_waits_bears_with_a_store_that_is_away_for_a_moment() -> None:
    async def main() -> None:
        house = House()
        row = await house.outbox.put(message("a"))
        house.store.failing = {"row"}
        with pytest.raises(Unavailable):
            await house.outbox.settled(row, within=timedelta(seconds=3))
        waiting = asyncio.create_task(house.outbox.settled(row, within=timedelta(seconds=30)))
        await asyncio.sleep(2)
        house.store.failing = set()
        house.start()
        assert (await waiting).state is RowState.SENT
        await house.stop()

    simulate(main())


def test_a_watch_leaves_nothing_behind() -> None:
    async def main() -> None:
        bell = Bell()
        with bell.watch(1) as one, bell.watch(1) as two, bell.watch(2) as other:
            bell.settled([1])
            assert (one.is_set(), two.is_set(), other.is_set()) == (True, True, False)
        bell.settled([1, 2])
        with bell.watch(1) as later:
            assert not later.is_set()

    simulate(main())
