"""What an ill-meaning world does to the sender: broken files, clocks that jump, processes that are stopped."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from holdfast.domain.errors import RunbookInvalid
from holdfast.outbox.clock import Clock
from holdfast.outbox.fates import MOST_TRIES
from holdfast.outbox.limits import Limits
from holdfast.outbox.message import RowState
from holdfast.outbox.sender import Sender
from holdfast.outbox.steady import LastGood
from holdfast.outbox.transport import Moved, NotSent, Sent, Unknown
from holdfast.runbook.priorities import Limits as Policy
from holdfast.runbook.priorities import Priorities
from tests.outbox.virtual import (
    BOT,
    VIRTUAL,
    House,
    VirtualLoop,
    message,
    now,
    seconds,
    shipped_policy,
    simulate,
)


class BreakableHouse(House):
    """Its `priorities.yaml` can be broken."""

    is_broken = False

    @property
    def policy(self) -> Priorities:
        if self.is_broken:
            raise RunbookInvalid("priorities.yaml:3: tiers: not a mapping")
        return self._policy

    @policy.setter
    def policy(self, policy: Priorities) -> None:
        self._policy = policy


def sender_of(house: House, *, clock: Clock, holder: str = "two") -> Sender:
    return Sender(
        house.store, house.transport, lambda: house.policy, BOT, holder, clock=clock, gone=lambda _: ()
    )


def test_who_breaks_the_policy_at_night_stops_neither_putting_nor_sending() -> None:
    async def main() -> None:
        house = BreakableHouse(policy=shipped_policy(limits={"bot": {"count": 5, "burst": 1}}))
        running = house.start()
        await house.outbox.put(message("before"))
        await house.until_settled()
        house.is_broken = True
        began = seconds()
        await house.outbox.put_all([message(f"{i}", f"{i}") for i in range(20)])
        await house.until_settled()
        assert seconds() - began == pytest.approx(4, abs=0.5), "the last good policy, not the default"
        assert not running.done()
        await house.stop()

    simulate(main())


def test_a_broken_file_is_said_once_looked_at_seldom_and_counts_again_when_it_is_mended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    time, reads = [0.0], [0]
    content: list[str | Exception] = [RunbookInvalid("line 3 is wrong")]

    def read() -> str:
        reads[0] += 1
        if isinstance(content[0], Exception):
            raise content[0]
        return content[0]

    last = LastGood(read, "default", what="priorities", clock=lambda: time[0])
    assert [last() for _ in range(50)] == ["default"] * 50
    assert reads == [1]
    content[0], time[0] = "good", 1.1
    assert last() == "good"
    content[0] = PermissionError("not yours")
    assert [last() for _ in range(50)] == ["good"] * 50
    said = capsys.readouterr().out
    assert (said.count("line 3 is wrong"), said.count("not yours")) == (1, 1)


def test_what_is_equal_is_given_as_the_same_object() -> None:
    last = LastGood(shipped_policy, shipped_policy(), what="priorities")
    assert last() is last()


def test_a_page_of_unknown_fate_is_sent_again_also_after_an_hour_without_network() -> None:
    async def main() -> None:
        house = House()
        house.transport.script["a"] = [*[NotSent("no network")] * (MOST_TRIES + 2), Unknown("lost")]
        house.start()
        row_id = await house.outbox.put(message("a", kind="page"))
        row = await house.outbox.settled(row_id, within=timedelta(hours=2))
        assert (row.state, row.repeated) == (RowState.SENT, True)
        await house.stop()

    simulate(main())


def test_a_group_that_got_another_id_during_a_long_outage_gets_its_message() -> None:
    async def main() -> None:
        house = House()
        house.transport.script["a"] = [*[NotSent("no network")] * (MOST_TRIES + 2), Moved("-100"), Sent("5")]
        house.start()
        row_id = await house.outbox.put(message("a", "-1"))
        row = await house.outbox.settled(row_id, within=timedelta(hours=2))
        assert (row.state, row.chat) == (RowState.SENT, "-100")
        await house.stop()

    simulate(main())


def test_a_group_that_is_sent_to_and_fro_ends() -> None:
    async def main() -> None:
        house = House()
        house.transport.script["a"] = [Moved("-2"), Moved("-1")] * MOST_TRIES
        house.start()
        row_id = await house.outbox.put(message("a", "-1"))
        row = await house.outbox.settled(row_id, within=timedelta(hours=2))
        assert (row.state, len(house.transport.tries)) == (RowState.DEAD, MOST_TRIES)
        await house.stop()

    simulate(main())


def test_a_process_that_was_stopped_between_claim_and_try_sends_nothing_when_it_goes_on() -> None:
    async def main() -> None:
        house = House()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        stopped_for = [10.0]

        def stop_once(method: str) -> None:
            if method == "claim" and stopped_for:
                loop.stand_still(stopped_for.pop())

        house.store.on_call = stop_once
        house.start()
        await house.outbox.put_all([message(f"{i}", f"{i}", kind="card") for i in range(3)])
        await house.until_settled()
        assert house.store.states() == {RowState.SENT: 3}
        assert sorted(house.transport.tried()) == ["0", "1", "2"]
        assert min(second for second, _ in house.transport.tries) >= 10
        assert all(row.attempts == 2 for row in house.store.every_row()), "claimed twice, tried once"
        await house.stop()

    simulate(main())


def set_back(by: timedelta) -> Callable[[], datetime]:
    return lambda: now() - by


def test_a_sender_that_takes_over_after_the_clock_was_set_back_is_not_silent_until_it_is_that_late_again() -> (
    None
):
    async def main() -> None:
        house = House()
        first = house.start()
        await house.outbox.put_all([message(f"{i}", "1", kind="card") for i in range(3)])
        await house.until_settled()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        clock = Clock(now=set_back(timedelta(hours=1)), monotonic=VIRTUAL.monotonic)
        await house.outbox.put(message("after", "1", kind="card"))
        began = seconds()
        house.start(sender_of(house, clock=clock))
        await house.until_settled(within=60)
        assert seconds() - began < 10
        await house.stop()

    simulate(main())


def test_a_lease_that_the_clock_made_an_hour_long_is_taken_when_nobody_renews_it() -> None:
    async def main() -> None:
        house = House()
        await house.store.take_lease(BOT, "gone", ttl=timedelta(hours=1), now=now())
        await house.outbox.put(message("a"))
        house.start()
        await house.until_settled(within=12)
        await house.stop()

    simulate(main())


def test_a_lease_that_is_renewed_is_not_taken_however_the_clocks_differ() -> None:
    async def main() -> None:
        house = House()
        one = house.sender("one")
        house.start(one)
        await one.leading.wait()
        two = sender_of(house, clock=Clock(now=set_back(timedelta(hours=1)), monotonic=VIRTUAL.monotonic))
        house.start(two)
        await asyncio.sleep(60)
        assert (one.leading.is_set(), two.leading.is_set()) == (True, False)
        await house.stop()

    simulate(main())


def test_a_fault_of_ours_in_the_middle_does_not_end_the_sending() -> None:
    async def main() -> None:
        house = House()
        faults = [ZeroDivisionError("ours")]

        def fail(method: str) -> None:
            if method == "heads" and faults:
                raise faults.pop()

        house.store.on_call = fail
        running = house.start()
        await house.outbox.put(message("a"))
        await house.until_settled(within=30)
        assert not running.done()
        assert not faults
        await house.stop()

    simulate(main())


@pytest.mark.parametrize("retry_after", [1e300, -5.0, float(10**12)])
def test_an_absurd_wait_is_bounded(retry_after: float) -> None:
    limits = Limits(Policy())
    pauses = limits.refused("1", retry_after, 0)
    assert all(1e9 <= until <= 86_401e9 for until in pauses.values())
