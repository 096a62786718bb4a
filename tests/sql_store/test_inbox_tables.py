import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.adapters.sql_store import SqlStore
from holdfast.domain.errors import Unavailable
from holdfast.ports.inbox import Inbox, KeptUpdate, UpdateState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
BOT = "7000"
UPDATE = {"update_id": 5, "message": {"text": "/gates 🔥", "chat": {"id": -1001}}}
CODE = "482913"


@pytest.fixture
def inbox(store: SqlStore) -> Inbox:
    return store.inbox


async def ids(inbox: Inbox, **wanted) -> list[int]:
    return [update.update_id for update in await inbox.waiting(BOT, **wanted)]


async def test_an_update_is_kept_once(inbox):
    assert await inbox.keep(BOT, {6: UPDATE, 5: UPDATE}, now=NOW) == [5, 6]
    assert await inbox.keep(BOT, {5: {"other": 1}, 7: UPDATE}, now=LATER) == [7]
    assert await inbox.keep("other", {5: UPDATE}, now=NOW) == [5]
    assert await inbox.keep(BOT, {}, now=NOW) == []

    first, *rest = await inbox.waiting(BOT)
    assert first == KeptUpdate(bot=BOT, update_id=5, raw=UPDATE, received_at=NOW)
    assert [update.update_id for update in rest] == [6, 7]


async def test_of_two_who_keep_at_once_only_one_sees_it_as_fresh(inbox):
    kept = await asyncio.gather(*(inbox.keep(BOT, {n: n for n in range(50)}, now=NOW) for _ in range(4)))

    assert sorted(number for each in kept for number in each) == list(range(50))


@pytest.mark.parametrize(
    "raw",
    [
        "no JSON at all",
        '{"cut off": ',
        ["a", {"b": None}],
        None,
        12.5,
        {"text": "\0 and \ud83d"},
        {"number": 2**80},
    ],
)
async def test_whatever_came_is_kept_as_it_came(inbox, raw):
    await inbox.keep(BOT, {2**40: raw}, now=NOW)

    (update,) = await inbox.waiting(BOT)
    assert (update.update_id, update.raw) == (2**40, raw)


async def test_what_cannot_be_written_down_does_not_stop_the_others(inbox):
    deep = json.loads("[" * 900 + "]" * 900)
    for _ in range(2000):
        deep = [deep]

    assert await inbox.keep(BOT, {1: deep, 2: b"\xff bytes", 3: UPDATE}, now=NOW) == [1, 2, 3]
    first, second, third = await inbox.waiting(BOT)
    assert (first.raw, second.raw, third.raw) == ("unreadable", "\N{REPLACEMENT CHARACTER} bytes", UPDATE)


async def test_what_waits_is_read_by_id_in_pages(inbox):
    await inbox.keep(BOT, dict.fromkeys((9, 3, 7, 5), UPDATE), now=NOW)
    await inbox.done(BOT, 5)
    await inbox.quarantine(BOT, 7, "unknown type")

    assert await ids(inbox) == [3, 9]
    assert await ids(inbox, after=3) == [9]
    assert await ids(inbox, limit=1) == [3]


async def test_what_was_written_in_a_handled_update_is_not_kept(inbox, intruder):
    await inbox.keep(BOT, {5: {"message": {"text": CODE}}}, now=NOW)
    await inbox.done(BOT, 5)

    assert intruder.rows("SELECT state, raw FROM inbox") == [("done", None)]
    assert await inbox.keep(BOT, {5: {"message": {"text": CODE}}}, now=LATER) == [], "it stays known"
    assert CODE not in str(intruder.rows("SELECT * FROM inbox"))


async def test_attempts_in_vain_are_counted(inbox):
    await inbox.keep(BOT, {5: UPDATE}, now=NOW)

    assert [await inbox.failed(BOT, 5) for _ in range(3)] == [1, 2, 3]
    (update,) = await inbox.waiting(BOT)
    assert (update.attempts, update.state) == (3, UpdateState.NEW)
    assert await inbox.failed(BOT, 6) == 0


async def test_what_was_put_aside_is_shown_newest_first(inbox):
    await inbox.keep(BOT, {5: UPDATE, 6: UPDATE}, now=NOW)
    await inbox.keep(BOT, {1: "bad"}, now=LATER)
    for number in (5, 6, 1):
        await inbox.quarantine(BOT, number, "no known type\0")

    aside = await inbox.quarantined(BOT)
    assert [update.update_id for update in aside] == [1, 6, 5]
    assert (aside[0].raw, aside[0].state) == ("bad", UpdateState.QUARANTINED)
    assert aside[0].why.startswith("no known type")
    assert len(await inbox.quarantined(BOT, limit=2)) == 2


async def test_updates_are_counted_by_state(inbox):
    await inbox.keep(BOT, dict.fromkeys(range(1, 7), UPDATE), now=NOW)
    await inbox.keep("other", {1: UPDATE}, now=NOW)
    await inbox.done(BOT, 1)
    await inbox.done(BOT, 2)
    await inbox.quarantine(BOT, 3, "bad")

    expected = {UpdateState.NEW: 3, UpdateState.DONE: 2, UpdateState.QUARANTINED: 1}
    assert await inbox.counts(BOT) == expected
    assert await inbox.counts("nobody") == dict.fromkeys(UpdateState, 0)


async def test_only_what_is_done_is_forgotten(inbox):
    await inbox.keep(BOT, dict.fromkeys((1, 2, 3), UPDATE), now=NOW)
    await inbox.keep(BOT, {4: UPDATE}, now=LATER)
    await inbox.quarantine(BOT, 2, "bad")
    for number in (1, 4):
        await inbox.done(BOT, number)

    assert await inbox.forget(BOT, done_before=LATER) == 1
    assert await inbox.counts(BOT) == {UpdateState.NEW: 1, UpdateState.DONE: 1, UpdateState.QUARANTINED: 1}


async def test_an_inbox_that_is_away_is_named(keyring, tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path}/nowhere/holdfast.db", keyring)
    for call in (
        store.inbox.keep(BOT, {1: UPDATE}, now=NOW),
        store.inbox.waiting(BOT),
        store.inbox.done(BOT, 1),
    ):
        with pytest.raises(Unavailable, match="does not answer"):
            await call
    await store.close()
