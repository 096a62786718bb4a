import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.sim.shop.pool import ConnectionPool


class Wire:
    """A connection that only remembers what was done to it."""

    def __init__(self) -> None:
        self.broken = False
        self.idle_since = 0.0
        self.closed = False

    async def close(self) -> None:
        self.closed = True


class Wires:
    def __init__(self) -> None:
        self.made: list[Wire] = []

    def __call__(self) -> Wire:
        self.made.append(Wire())
        return self.made[-1]

    @property
    def open(self) -> int:
        return sum(not wire.closed for wire in self.made)


@pytest.fixture
def wires() -> Wires:
    return Wires()


@pytest.fixture
def pool(wires) -> ConnectionPool[Wire]:
    return ConnectionPool(wires, size=2, keep_alive_seconds=60)


async def test_a_connection_is_used_again_and_the_last_used_first(pool, wires):
    async with pool.lease(1) as first, pool.lease(1):
        pass
    assert await _hold(pool) is first
    assert len(wires.made) == 2


async def test_a_caller_who_leaves_in_the_moment_of_being_served_loses_no_connection(pool):
    async with pool.lease(5), pool.lease(5):
        waiter = asyncio.create_task(_hold(pool))
        await asyncio.sleep(0.01)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert (pool.lent, pool.idle) == (0, 2)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["lease", "leave", "break", "resize"]), st.integers(1, 5)), max_size=40
    )
)
async def test_there_are_never_more_connections_than_allowed_and_none_is_lost(steps):
    wires, most = Wires(), 3
    pool = ConnectionPool(wires, size=most, keep_alive_seconds=60)
    stays: list[asyncio.Event] = []
    tasks: list[asyncio.Task[None]] = []
    size, breaking = most, False

    async def stay(leave: asyncio.Event) -> None:
        async with pool.lease(60) as wire:
            await leave.wait()
            wire.broken = breaking

    for step, number in steps:
        if step == "lease":
            stays.append(asyncio.Event())
            tasks.append(asyncio.create_task(stay(stays[-1])))
        elif step == "resize":
            size = number
            most = max(number, pool.lent)
            pool.resize(size=size, keep_alive_seconds=60)
        elif stays:
            breaking = step == "break"
            stays.pop(number % len(stays)).set()
        for _ in range(4):
            await asyncio.sleep(0)
        most = max(size, min(most, pool.lent))
        assert pool.lent + pool.idle <= most
        assert pool.waiting == 0 or pool.lent >= size
    for leave in stays:
        leave.set()
    await asyncio.gather(*tasks)
    assert (pool.lent, pool.waiting) == (0, 0)
    await pool.close()
    assert wires.open == 0


async def _hold(pool: ConnectionPool[Wire], *, wait_seconds: float = 5, hold_seconds: float = 0) -> Wire:
    async with pool.lease(wait_seconds) as wire:
        await asyncio.sleep(hold_seconds)
        return wire
