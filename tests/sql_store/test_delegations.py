import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.domain.errors import InvalidInput
from holdfast.domain.gates import Delegation

START = datetime(2026, 3, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def stands(by: str, to: str, since: float = 0, until: float = 10) -> Delegation:
    return Delegation(by=by, to=to, since=day(since), until=day(until))


@pytest.fixture
def add(store):
    async def add(*delegations: Delegation) -> None:
        for d in delegations:
            await store.delegations.add(d, key=f"{d.by}/{d.to}/{d.since}")

    return add


async def test_those_that_hold_now_or_later_are_listed_oldest_first(store, add):
    past, now, later = stands("a", "b", 0, 2), stands("a", "c", 2, 5), stands("d", "b", 4, 6)
    await add(later, past, now)

    assert await store.delegations.active_after(day(-1)) == [past, now, later]
    assert await store.delegations.active_after(day(2)) == [now, later]
    assert await store.delegations.active_after(day(6)) == []


async def test_a_key_adds_once(store):
    await store.delegations.add(stands("a", "b"), key="update-7")
    await store.delegations.add(stands("a", "c"), key="update-7")

    assert await store.delegations.active_after(START) == [stands("a", "b")]


async def test_ending_ends_what_holds_and_what_would_come(store, add):
    other = stands("d", "b")
    await add(stands("a", "b", 0, 2), stands("a", "c", 1, 9), stands("a", "d", 5, 9), other)

    assert await store.delegations.end("a", now=day(3)) == 2
    assert await store.delegations.active_after(day(3)) == [other]
    assert await store.delegations.end("a", now=day(3)) == 0
    assert await store.delegations.end("a", now=day(1.5)) == 2, (
        "what had ended by then had not yet at that moment"
    )


async def test_what_was_ended_does_not_come_back_by_a_repeated_step(store, add):
    for d in (stands("a", "b", 0, 9), stands("a", "c", 5, 9)):
        await add(d)
    await store.delegations.end("a", now=day(3))
    for d in (stands("a", "b", 0, 9), stands("a", "c", 5, 9)):
        await add(d)

    assert await store.delegations.active_after(day(3)) == []


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (Delegation(by="a", to="b", until=day(1)), "since: say from when"),
        (Delegation(by="a", to="b", since=day(1)), "until: say from when"),
        (stands("a", "b", 2, 1), "until: 2026-03-02 00:00 UTC is not later than since, 2026-03-03"),
        (stands("a", "b", 1, 1), "not later"),
        (stands("a", "a"), "to: a cannot stand in"),
        (Delegation(by="a", to="b", since=day(0).replace(tzinfo=None), until=day(1)), "zone"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(store, add, wrong, text):
    with pytest.raises(InvalidInput, match=text):
        await add(wrong)

    assert await store.delegations.active_after(day(-100)) == []


async def test_a_circle_is_refused(store, add):
    await add(stands("a", "b", 0, 10), stands("b", "c", 5, 15))

    with pytest.raises(InvalidInput, match=r"to: from 2026-03-02 .* to 2026-03-11 .* circle, b → a → b"):
        await add(stands("b", "a", 1, 20))
    with pytest.raises(InvalidInput, match=r"from 2026-03-06 .* to 2026-03-11 .* circle, c → a → b → c"):
        await add(stands("c", "a", 0, 30))


async def test_a_circle_that_never_closes_at_one_moment_is_none(store, add):
    await add(
        stands("a", "b", 0, 5), stands("b", "c", 5, 10), stands("c", "a", 0, 10), stands("b", "a", 10, 12)
    )

    assert len(await store.delegations.active_after(START)) == 4


async def test_a_chain_of_three_is_allowed_and_of_four_is_not(store, add):
    await add(stands("b", "c"), stands("c", "d"), stands("a", "b"))

    with pytest.raises(InvalidInput, match=r"3 times at most.*d → e"):
        await add(stands("d", "e", 9, 20))
    with pytest.raises(InvalidInput, match="x → a → b → c → d"):
        await add(stands("x", "a", 0, 1))
    await add(stands("d", "e", 10, 20))


async def test_a_chain_is_counted_through_its_middle(store, add):
    await add(stands("a", "b"), stands("b", "c", 0, 3), stands("d", "e", 2, 8), stands("e", "f", 6, 8))

    with pytest.raises(InvalidInput, match=r"from 2026-03-03 .* to 2026-03-04 .* a → b → c → d → e"):
        await add(stands("c", "d", 2, 5))
    await add(stands("c", "d", 3, 8))


async def test_what_was_ended_makes_no_circle(store, add):
    await add(stands("a", "b"), stands("a", "c", 5, 9))
    await store.delegations.end("a", now=day(1))

    await add(stands("b", "a", 2, 9), stands("c", "a", 2, 9))


async def test_of_two_that_would_make_a_circle_together_only_one_is_added(store):
    both = [
        store.delegations.add(stands("a", "b"), key="1"),
        store.delegations.add(stands("b", "a"), key="2"),
    ]
    results = await asyncio.gather(*both, return_exceptions=True)

    assert sorted(str(type(r).__name__) for r in results) == ["InvalidInput", "NoneType"]
