from datetime import UTC, datetime, timedelta, timezone

import pytest

from holdfast.adapters.sql_store import SqlStore
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.ports.duty import Cover, DutyBook

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def cover(name: str = "c1", *, since: float = 0, until: float = 8, at: float = 0, **fields) -> Cover:
    times = {"since": NOW + since * HOUR, "until": NOW + until * HOUR, "at": NOW + at * HOUR}
    return Cover(**{"id": name, "rota": "primary", "person": "boris", "by": "anna"} | times | fields)


@pytest.fixture
def duty(store: SqlStore) -> DutyBook:
    return store.duty


async def found(duty: DutyBook, since: float, until: float, rota: str = "") -> list[str]:
    covers = await duty.covers(rota, since=NOW + since * HOUR, until=NOW + until * HOUR)
    return [each.id for each in covers]


async def test_a_cover_is_remembered_as_it_was_arranged(duty):
    arranged = cover(note="ключи у Бориса 🔑")
    assert await duty.put(arranged)

    assert list(await duty.covers(since=NOW, until=NOW + HOUR)) == [arranged]


async def test_a_repeated_request_counts_once(duty):
    assert await duty.put(cover())
    assert not await duty.put(cover(person="vera"))

    (kept,) = await duty.covers(since=NOW, until=NOW + HOUR)
    assert kept.person == "boris"


async def test_what_touches_the_time_is_found_without_its_end(duty):
    await duty.put(cover("c1", since=0, until=8))

    assert await found(duty, -2, 0) == []
    assert await found(duty, -2, 0.1) == ["c1"]
    assert await found(duty, 2, 3) == ["c1"]
    assert await found(duty, 7.9, 20) == ["c1"]
    assert await found(duty, 8, 20) == []


async def test_a_single_moment_can_be_asked_for(duty):
    await duty.put(cover("c1", since=0, until=8))

    assert [await found(duty, moment, moment) for moment in (-1, 0, 7, 8)] == [[], ["c1"], ["c1"], []]


async def test_covers_are_listed_as_they_were_arranged_of_one_rota_or_of_all(duty):
    for each in (cover("a", at=3), cover("b", at=1, rota="network"), cover("c", at=2)):
        await duty.put(each)

    assert await found(duty, 0, 1) == ["b", "c", "a"]
    assert await found(duty, 0, 1, "primary") == ["c", "a"]
    assert await found(duty, 0, 1, "nothing") == []


async def test_times_of_any_zone_are_understood(duty):
    moscow = timezone(timedelta(hours=3))
    await duty.put(cover("c1", since=0, until=2))

    covers = await duty.covers(since=(NOW + HOUR).astimezone(moscow), until=(NOW + 2 * HOUR).astimezone(moscow))
    assert [each.id for each in covers] == ["c1"]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (cover(until=0), "until: .* is not later than since"),
        (cover(since=9), "until: .* is not later than since"),
        (cover(person="vera").model_copy(update={"since": NOW.replace(tzinfo=None)}), "needs its zone"),
    ],
)
async def test_a_cover_that_covers_nothing_is_refused(duty, bad, words):
    with pytest.raises(InvalidInput, match=words):
        await duty.put(bad)

    assert await found(duty, -99, 99) == []


async def test_a_book_that_is_away_is_named(keyring, tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path}/nowhere/holdfast.db", keyring)
    for call in (store.duty.put(cover()), store.duty.covers(since=NOW, until=NOW)):
        with pytest.raises(Unavailable, match="does not answer"):
            await call
    await store.close()
