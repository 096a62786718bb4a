"""The outbox over SQLite and PostgreSQL, call by call; `test_outbox_tables_model` has all orders of calls."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.adapters.sql_store import SqlStore
from holdfast.domain.errors import Unavailable
from holdfast.domain.proofs import Keyring
from holdfast.outbox.message import Attachment, Delivery, Message, Ranked, Request, RowState
from holdfast.outbox.store import Head, LaneState, Lease, LeaseLost, OutboxStore

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TTL = timedelta(seconds=10)
BOT = "7000"


def ranked(key: str, *, due: float = 0, tier: str = "gold", words: str = "", **fields) -> Ranked:
    request = Request(method="sendMessage", params={"text": words or key})
    message = Message(**{"key": key, "chat": "1", "kind": "escalation", "request": request} | fields)
    at_least = Delivery.AT_LEAST_ONCE
    return Ranked(message=message, tier=tier, queued_at=NOW, due=NOW + due * SECOND, delivery=at_least)


@pytest.fixture
def outbox(store: SqlStore) -> OutboxStore:
    return store.outbox


@pytest.fixture
async def lease(outbox: OutboxStore) -> Lease:
    taken = await outbox.take_lease(BOT, "a", ttl=TTL, now=NOW)
    assert taken
    return taken


async def heads(outbox: OutboxStore, now: datetime = NOW, **wanted) -> list[int]:
    return [head.id for head in await outbox.heads(BOT, now=now, **wanted)]


async def state(outbox: OutboxStore, row_id: int) -> tuple[RowState, str]:
    row = await outbox.row(row_id)
    assert row
    return row.state, row.why


async def claimed(outbox: OutboxStore, lease: Lease, *ids: int) -> None:
    assert [row.id for row in await outbox.claim(lease, ids, now=NOW)] == list(ids)


async def test_a_message_becomes_a_row_with_everything_in_it(outbox):
    file = Attachment(name="plot.png", content=b"\x89PNG\xff\0")
    request = Request(method="sendPhoto", params={"caption": "Заказ 🔥"}, plain="Заказ", files={"photo": file})
    message = ranked("k", tier="silver", due=3, value=7.5, line="l", thread="9", request=request)
    (row_id,) = await outbox.put(BOT, [message])

    row = await outbox.row(row_id)
    assert row.request == request
    assert (row.bot, row.key, row.chat, row.kind, row.tier) == (BOT, "k", "1", "escalation", "silver")
    assert (row.value, row.line, row.thread, row.state) == (7.5, "l", "9", RowState.QUEUED)
    assert (row.queued_at, row.due, row.delivery) == (NOW, NOW + 3 * SECOND, Delivery.AT_LEAST_ONCE)
    assert (row.attempts, row.repeated, row.sent_at, row.not_before) == (0, False, None, None)
    assert await outbox.row(row_id + 1) is None


async def test_what_is_put_twice_under_one_key_is_one_row(outbox):
    first = await outbox.put(BOT, [ranked("a"), ranked("b")])
    again = await outbox.put(BOT, [ranked("b", words="other"), ranked("c"), ranked("a"), ranked("c")])

    assert again == [first[1], again[1], first[0], again[1]]
    assert (await outbox.row(first[1])).request.params == {"text": "b"}
    assert await outbox.counts(BOT) == dict.fromkeys(RowState, 0) | {RowState.QUEUED: 3}
    assert await outbox.put("other bot", [ranked("a")]) != [first[0]]
    assert await outbox.put(BOT, []) == []


async def test_text_that_no_database_takes_is_sent_without_the_odd_characters(outbox):
    odd = ranked("k\0", words="half of \ud83d and \0", line="l\0\ud83d")
    (row_id,) = await outbox.put(BOT, [odd])

    assert await outbox.put(BOT, [odd]) == [row_id]
    row = await outbox.row(row_id)
    assert row.request.params["text"].startswith("half of ")
    assert row.line.startswith("l")


async def test_a_newer_version_takes_the_place_of_one_that_waits(outbox, lease):
    first, other = await outbox.put(
        BOT, [ranked("v1", replaces="card", due=1), ranked("x", due=2, replaces="card", chat="2")]
    )
    newer = ranked("v2", replaces="card", due=9, line="new")
    assert await outbox.put(BOT, [newer, ranked("v3", replaces="card", due=8, words="third")]) == [first] * 2
    assert await outbox.put(BOT, [newer]) == [first], "a known key changes nothing, though it is another's"

    row = await outbox.row(first)
    assert (row.key, row.due, row.request.params, row.line) == ("v1", NOW + SECOND, {"text": "third"}, "")
    assert (await outbox.row(other)).request.params == {"text": "x"}
    await claimed(outbox, lease, first)
    (later,) = await outbox.put(BOT, [ranked("v4", replaces="card")])
    assert later != first, "what is being sent keeps its content"
    assert await outbox.put(BOT, [newer]) == [first]


async def test_versions_put_at_once_become_one_row(outbox):
    ids = await outbox.put(BOT, [ranked(f"v{n}", replaces="card") for n in range(3)])

    assert len(set(ids)) == 1
    assert (await outbox.row(ids[0])).request.params == {"text": "v2"}
    assert (await outbox.counts(BOT))[RowState.QUEUED] == 1


async def test_heads_are_the_first_rows_of_the_first_chats_of_each_lane(outbox):
    put = [
        ranked("a", chat="1", due=5),
        ranked("b", chat="1", due=2),
        ranked("c", chat="2", due=3),
        ranked("d", chat="3", due=4),
        ranked("e", chat="2", due=3),
        ranked("f", chat="1", due=9, tier="bronze"),
    ]
    a, b, c, d, e, f = await outbox.put(BOT, put)
    await outbox.put("other", [ranked("a", chat="9")])

    assert await heads(outbox) == [f, b, c, d]
    assert await heads(outbox, per_lane=2) == [f, b, c]
    assert await heads(outbox, skip={"1", "none"}, per_lane=2) == [c, d]
    (sooner,) = await outbox.put(BOT, [ranked("g", chat="1", due=1)])
    assert await heads(outbox) == [f, sooner, c, d]
    assert {a, e}.isdisjoint(await heads(outbox))


async def test_a_head_says_how_many_are_alike(outbox):
    await outbox.put(BOT, [ranked(f"{n}", line="l") for n in range(3)])
    await outbox.put(BOT, [ranked("t", line="l", thread="8"), ranked("k", line="l", kind="ping"), ranked("n")])
    await outbox.put(BOT, [ranked("s", line="l", tier="silver"), ranked("two", line="l", chat="2")])
    (single,) = await outbox.put(BOT, [ranked("single", chat="3", due=7)])

    found = await outbox.heads(BOT, now=NOW)
    assert [(head.tier, head.chat, head.alike) for head in found] == [
        *(("gold", "1", 3), ("gold", "2", 1), ("gold", "3", 0)),
        ("silver", "1", 1),
    ]
    assert found[2] == Head(single, "3", "gold", "escalation", "", NOW + 7 * SECOND)


async def test_alike_is_counted_only_so_far(outbox):
    await outbox.put(BOT, [ranked(f"{n}", line="l") for n in range(203)])

    assert [head.alike for head in await outbox.heads(BOT, now=NOW)] == [200]


async def test_a_claimed_row_is_sending_and_the_next_one_is_the_head(outbox, lease):
    first, second = await outbox.put(BOT, [ranked("a"), ranked("b", due=1)])

    (row,) = await outbox.claim(lease, [first, 999], now=NOW)
    assert (row.id, row.state, row.attempts) == (first, RowState.SENDING, 1)
    assert row == await outbox.row(first)
    assert await heads(outbox) == [second]
    assert await outbox.claim(lease, [first], now=NOW) == [], "it is not queued"
    assert [row.id for row in await outbox.claim(lease, [second], now=NOW)] == [second]
    assert await heads(outbox) == []
    assert await outbox.claim(lease, [], now=NOW) == []


async def test_rows_are_claimed_in_the_order_asked_for(outbox, lease):
    first, second, third = await outbox.put(BOT, [ranked("a"), ranked("b"), ranked("c")])

    await claimed(outbox, lease, third, first, second)


async def test_rows_of_another_bot_cannot_be_claimed(outbox, lease):
    (theirs,) = await outbox.put("other", [ranked("a")])

    assert await outbox.claim(lease, [theirs], now=NOW) == []


async def test_alike_rows_are_claimed_by_place(outbox, lease):
    ids = await outbox.put(BOT, [ranked(f"{n}", line="l", due=5 - n) for n in range(5)])
    (plain,) = await outbox.put(BOT, [ranked("plain")])
    await outbox.put(BOT, [ranked("t", line="l", thread="1"), ranked("s", line="l", tier="silver")])
    like = Head(ids[4], "1", "gold", "escalation", "", NOW)

    rows = await outbox.claim_alike(lease, like, at_most=3, now=NOW)
    assert [row.id for row in rows] == [ids[4], ids[3], ids[2]]
    assert plain in await heads(outbox)
    assert len(await outbox.claim_alike(lease, like, at_most=9, now=NOW)) == 2
    assert await outbox.claim_alike(lease, like, at_most=9, now=NOW) == []


async def test_what_became_of_a_row_is_written_down(outbox, lease):
    sent, dead, unsure = await outbox.put(BOT, [ranked("a"), ranked("b"), ranked("c")])
    await claimed(outbox, lease, sent, dead, unsure)
    later = NOW + SECOND
    await outbox.settle(lease, [sent], RowState.SENT, now=later, message_id="77")
    await outbox.settle(lease, [dead], RowState.DEAD, now=later, why="chat not found", code=400)
    await outbox.settle(lease, [unsure], RowState.UNCERTAIN, now=later, why="no answer")

    row = await outbox.row(sent)
    assert (row.state, row.message_id, row.sent_at) == (RowState.SENT, "77", later)
    row = await outbox.row(dead)
    assert (row.state, row.why, row.code, row.sent_at) == (RowState.DEAD, "chat not found", 400, None)
    assert await state(outbox, unsure) == (RowState.UNCERTAIN, "no answer")
    one_each = dict.fromkeys((RowState.SENT, RowState.DEAD, RowState.UNCERTAIN), 1)
    assert await outbox.counts(BOT) == dict.fromkeys(RowState, 0) | one_each
    await outbox.settle(lease, [sent], RowState.DEAD, now=later)
    assert (await outbox.row(sent)).state is RowState.SENT, "only what is being sent is settled"
    with pytest.raises(ValueError, match="queued"):
        await outbox.settle(lease, [sent], RowState.QUEUED, now=later)


async def test_a_row_that_was_put_back_keeps_its_place(outbox, lease):
    first, second = await outbox.put(BOT, [ranked("a"), ranked("b", due=1)])
    await claimed(outbox, lease, first)
    await outbox.requeue(lease, [first, second], why="too many")

    assert await heads(outbox) == [first]
    row = await outbox.row(first)
    assert (row.state, row.why, row.attempts, row.repeated) == (RowState.QUEUED, "too many", 1, False)
    assert (await outbox.row(second)).why == "", "it was not being sent"
    await claimed(outbox, lease, first)
    await outbox.requeue(lease, [first], repeated=True)
    await claimed(outbox, lease, first)
    await outbox.requeue(lease, [first])
    assert (await outbox.row(first)).repeated, "an earlier copy may still have arrived"


async def test_a_row_that_has_to_wait_blocks_nobody_until_its_time(outbox, lease):
    first, second = await outbox.put(BOT, [ranked("a"), ranked("b", due=1)])
    await claimed(outbox, lease, first)
    await outbox.requeue(lease, [first], not_before=NOW + 5 * SECOND)

    assert await heads(outbox, NOW + 4 * SECOND) == [second]
    assert (await outbox.row(first)).not_before == NOW + 5 * SECOND
    assert [row.id for row in await outbox.rows(BOT)] == [first, second]
    assert [row.id for row in await outbox.rows(BOT, chat="1")] == [first, second]
    assert (await outbox.lanes(BOT))["gold"].queued == 2
    assert await heads(outbox, NOW + 5 * SECOND) == [first]


async def test_an_older_version_is_not_sent_after_a_newer_one(outbox, lease):
    (old,) = await outbox.put(BOT, [ranked("v1", replaces="card")])
    await claimed(outbox, lease, old)
    (new,) = await outbox.put(BOT, [ranked("v2", replaces="card")])
    await outbox.requeue(lease, [old])
    assert await state(outbox, old) == (RowState.DEAD, "replaced by a newer version")
    assert await heads(outbox) == [new]

    await claimed(outbox, lease, new)
    await outbox.settle(lease, [new], RowState.SENT, now=NOW)
    assert not await outbox.retry(old, why="again", now=NOW), "it would undo what was sent"
    assert await heads(outbox) == []


async def test_of_two_versions_put_back_at_once_the_newer_one_waits(outbox, lease):
    (old,) = await outbox.put(BOT, [ranked("v1", replaces="card")])
    await claimed(outbox, lease, old)
    (new,) = await outbox.put(BOT, [ranked("v2", replaces="card")])
    await claimed(outbox, lease, new)
    await outbox.requeue(lease, [old, new])

    assert await heads(outbox) == [new]
    assert (await outbox.row(old)).state is RowState.DEAD


async def test_people_retry_what_is_uncertain_or_dead(outbox, lease):
    unsure, dead, waiting = await outbox.put(BOT, [ranked("a", due=4), ranked("b"), ranked("c", chat="2")])
    await claimed(outbox, lease, unsure, dead)
    await outbox.settle(lease, [unsure], RowState.UNCERTAIN, now=NOW)
    await outbox.settle(lease, [dead], RowState.DEAD, now=NOW, why="blocked", code=403)
    later = NOW + 60 * SECOND

    assert await outbox.retry(unsure, why="anna asked", now=later)
    assert await outbox.retry(dead, why="anna asked", now=later)
    assert not await outbox.retry(waiting, why="anna asked", now=later)
    assert not await outbox.retry(999, why="anna asked", now=later)
    row = await outbox.row(unsure)
    assert (row.state, row.repeated, row.why) == (RowState.QUEUED, True, "anna asked")
    assert (row.queued_at, row.due) == (later, later + 4 * SECOND), "it arrives again, behind who waits"
    row = await outbox.row(dead)
    assert (row.state, row.repeated, row.code) == (RowState.QUEUED, False, 0)
    assert await heads(outbox) == [waiting, dead]


async def test_people_drop_what_waits_or_is_uncertain(outbox, lease):
    first, second, unsure = await outbox.put(BOT, [ranked("a"), ranked("b", due=1), ranked("c", chat="2")])
    await claimed(outbox, lease, unsure)
    assert not await outbox.drop(unsure, why="it is being sent")
    await outbox.settle(lease, [unsure], RowState.UNCERTAIN, now=NOW)

    assert await outbox.drop(unsure, why="it arrived")
    assert await outbox.drop(first, why="out of date")
    assert not await outbox.drop(first, why="again")
    assert not await outbox.drop(999, why="unknown")
    assert await state(outbox, first) == (RowState.DEAD, "out of date")
    assert await heads(outbox) == [second]


async def test_what_the_dead_sender_left_is_uncertain(outbox, lease):
    first, second, third = await outbox.put(BOT, [ranked("a"), ranked("b"), ranked("c")])
    (theirs,) = await outbox.put("other", [ranked("a")])
    other = await outbox.take_lease("other", "z", ttl=TTL, now=NOW)
    await claimed(outbox, other, theirs)
    await claimed(outbox, lease, first, second)
    after = await outbox.take_lease(BOT, "b", ttl=TTL, now=NOW, dead={"a"})

    left = await outbox.recover(after, now=NOW)
    assert [(row.id, row.state) for row in left] == [(first, RowState.UNCERTAIN), (second, RowState.UNCERTAIN)]
    assert left == [await outbox.row(first), await outbox.row(second)]
    assert await heads(outbox) == [third]
    assert await outbox.recover(after, now=NOW) == []
    assert (await outbox.row(theirs)).state is RowState.SENDING


async def test_only_one_holds_the_lease_until_it_runs_out(outbox):
    assert await outbox.holder(BOT) is None
    first = await outbox.take_lease(BOT, "a", ttl=TTL, now=NOW)
    assert first == Lease(BOT, "a", 1, NOW + TTL)
    assert await outbox.take_lease(BOT, "b", ttl=TTL, now=NOW + 9 * SECOND) is None
    renewed = await outbox.take_lease(BOT, "a", ttl=TTL, now=NOW + 9 * SECOND)
    assert renewed == Lease(BOT, "a", 1, NOW + 19 * SECOND)
    assert await outbox.take_lease(BOT, "b", ttl=TTL, now=NOW + 18 * SECOND, dead={"x"}) is None
    moved = await outbox.take_lease(BOT, "b", ttl=TTL, now=NOW + 19 * SECOND)
    assert moved == await outbox.holder(BOT) == Lease(BOT, "b", 2, NOW + 29 * SECOND)
    at_once = await outbox.take_lease(BOT, "c", ttl=TTL, now=NOW + 20 * SECOND, dead={"b"})
    assert at_once.epoch == 3


async def test_a_lease_that_was_given_up_is_anybodys(outbox, lease):
    await outbox.give_up_lease(lease)
    with pytest.raises(LeaseLost):
        await outbox.claim(lease, [], now=NOW)
    after = await outbox.take_lease(BOT, "b", ttl=TTL, now=NOW)
    assert after.epoch > lease.epoch

    await outbox.give_up_lease(lease)
    assert await outbox.holder(BOT) == after, "it had moved already"


async def test_whoever_gave_up_may_take_the_lease_again(outbox, lease):
    await outbox.give_up_lease(lease)
    again = await outbox.take_lease(BOT, "a", ttl=TTL, now=NOW)

    assert again.epoch > lease.epoch
    assert await outbox.recover(again, now=NOW) == []


async def test_nothing_is_written_under_a_lost_lease(outbox, lease):
    first, second = await outbox.put(BOT, [ranked("a", line="l"), ranked("b")])
    await claimed(outbox, lease, first)
    after = await outbox.take_lease(BOT, "b", ttl=TTL, now=NOW + TTL)
    like = Head(second, "1", "gold", "escalation", "", NOW)
    calls = [
        outbox.claim(lease, [second], now=NOW),
        outbox.claim_alike(lease, like, at_most=9, now=NOW),
        outbox.settle(lease, [first], RowState.SENT, now=NOW),
        outbox.requeue(lease, [first]),
        outbox.recover(lease, now=NOW),
    ]
    for call in calls:
        with pytest.raises(LeaseLost, match="the lease of bot 7000 is lost: a held epoch 1, b has epoch 2"):
            await call

    assert (await outbox.row(first)).state is RowState.SENDING
    assert (await outbox.row(second)).state is RowState.QUEUED
    assert len(await outbox.recover(after, now=NOW)) == 1


async def test_what_was_sent_recently_is_known_to_the_next_sender(outbox, lease):
    ids = await outbox.put(BOT, [ranked(f"{n}", chat=f"{n}", due=n) for n in range(6)])
    await claimed(outbox, lease, *ids[:5])
    moments = [NOW + n * SECOND for n in range(5)]
    await outbox.settle(lease, [ids[0]], RowState.SENT, now=moments[0])
    await outbox.settle(lease, [ids[1]], RowState.SENT, now=moments[3])
    await outbox.settle(lease, [ids[2]], RowState.UNCERTAIN, now=moments[2])
    await outbox.settle(lease, [ids[3]], RowState.DEAD, now=moments[3])
    await outbox.requeue(lease, [ids[4]], why="too many")

    assert await outbox.recent(BOT, since=moments[1]) == [("2", moments[2]), ("1", moments[3])]
    assert await outbox.recent("other", since=moments[0]) == []


async def test_a_digest_counts_as_one_recent_message(outbox, lease):
    ids = await outbox.put(BOT, [ranked(f"{n}", line="l") for n in range(4)])
    await outbox.claim_alike(lease, Head(ids[0], "1", "gold", "escalation", "", NOW), at_most=3, now=NOW)
    await outbox.settle(lease, ids[:3], RowState.SENT, now=NOW + SECOND, message_id="5")
    await claimed(outbox, lease, ids[3])

    assert await outbox.recent(BOT, since=NOW) == [("1", NOW), ("1", NOW + SECOND)]


async def test_what_waits_for_a_chat_follows_it_to_its_next_id(outbox, lease):
    waits, sends, other = await outbox.put(
        BOT, [ranked("a", chat="-5", due=2), ranked("b", chat="-5"), ranked("c", chat="-9", due=1)]
    )
    await claimed(outbox, lease, sends)
    await outbox.move_chat(BOT, "-5", "-1005")
    (later,) = await outbox.put(BOT, [ranked("d", chat="-5", due=3)])
    await outbox.requeue(lease, [sends])

    assert [(head.id, head.chat) for head in await outbox.heads(BOT, now=NOW)] == [
        (sends, "-1005"),
        (other, "-9"),
    ]
    assert {(await outbox.row(each)).chat for each in (waits, sends, later)} == {"-1005"}
    assert await outbox.moved(BOT, "-5") == "-1005"
    assert await outbox.moved(BOT, "-9") == "-9"
    await outbox.move_chat(BOT, "-1005", "-9")
    assert await outbox.moved(BOT, "-5") == "-9"
    assert await heads(outbox) == [sends]


async def test_a_chat_that_moves_there_and_back_makes_no_circle(outbox):
    await outbox.move_chat(BOT, "1", "2")
    await outbox.move_chat(BOT, "2", "1")
    await outbox.move_chat(BOT, "3", "3")

    assert [await outbox.moved(BOT, chat) for chat in ("1", "2", "3")] == ["1", "1", "3"]


async def test_of_versions_that_meet_in_one_chat_the_newest_waits(outbox):
    old, new = await outbox.put(BOT, [ranked("a", replaces="v"), ranked("b", replaces="v", chat="2")])
    await outbox.move_chat(BOT, "1", "2")

    assert await heads(outbox) == [new]
    assert await state(outbox, old) == (RowState.DEAD, "replaced by a newer version")


async def test_pauses_last_until_their_end(outbox):
    await outbox.pause(BOT, "1", NOW + 5 * SECOND)
    await outbox.pause(BOT, "1", NOW + 3 * SECOND)
    await outbox.pause(BOT, "", NOW + 2 * SECOND)
    await outbox.pause(BOT, "", NOW + 4 * SECOND)
    await outbox.pause("other", "2", NOW + 9 * SECOND)

    assert await outbox.pauses(BOT, now=NOW) == {"1": NOW + 5 * SECOND, "": NOW + 4 * SECOND}
    assert await outbox.pauses(BOT, now=NOW + 4 * SECOND) == {"1": NOW + 5 * SECOND}


async def test_rows_are_listed_in_the_order_in_which_they_go(outbox, lease):
    put = [
        ranked("a", due=2),
        ranked("b", due=1, tier="silver"),
        ranked("c", chat="2"),
        ranked("d"),
        ranked("e"),
    ]
    a, b, c, d, e = await outbox.put(BOT, put)
    await claimed(outbox, lease, c, d, e)
    await outbox.settle(lease, [c], RowState.DEAD, now=NOW)
    await outbox.settle(lease, [d], RowState.SENT, now=NOW + SECOND)

    async def listed(**wanted) -> list[int]:
        return [row.id for row in await outbox.rows(BOT, **wanted)]

    assert await listed() == [e, b, a, d, c]
    assert await listed(limit=3) == [e, b, a]
    assert await listed(states={RowState.SENT, RowState.DEAD}) == [d, c]
    assert await listed(states={RowState.QUEUED}, limit=1) == [b]
    assert await listed(chat="2") == [c]
    assert await listed(chat="1", states={RowState.SENDING, RowState.SENT}) == [e, d]
    assert await outbox.rows("other") == []


async def test_ahead_counts_who_goes_first_in_the_lane(outbox):
    ids = await outbox.put(BOT, [ranked(f"{n}", chat=f"{n}", due=n // 2) for n in range(8)])
    await outbox.put(BOT, [ranked("s", tier="silver", due=-9)])
    row = await outbox.row(ids[5])

    assert await outbox.ahead(row) == 5
    assert await outbox.ahead(row, limit=3) == 3


async def test_lanes_say_how_many_wait_and_since_when(outbox, lease):
    assert await outbox.lanes(BOT) == {}
    late = ranked("b", tier="silver").model_copy(update={"queued_at": NOW + SECOND})
    _, first, _ = await outbox.put(BOT, [late, ranked("a"), ranked("c", tier="silver")])
    await claimed(outbox, lease, first)

    assert await outbox.lanes(BOT) == {"silver": LaneState(queued=2, oldest=NOW)}


async def test_what_is_forgotten_is_what_was_sent_or_dead_for_long(outbox, lease):
    ids = await outbox.put(BOT, [ranked(f"{n}") for n in range(6)])
    (version,) = await outbox.put(BOT, [ranked("v1", replaces="v")])
    await outbox.put(BOT, [ranked("v2", replaces="v")])
    await claimed(outbox, lease, *ids[:4], version)
    await outbox.settle(lease, [ids[0], version], RowState.SENT, now=NOW)
    await outbox.settle(lease, [ids[1]], RowState.DEAD, now=NOW)
    await outbox.settle(lease, [ids[2]], RowState.UNCERTAIN, now=NOW)
    await outbox.settle(lease, [ids[3]], RowState.SENT, now=NOW + SECOND)

    assert await outbox.forget(BOT, settled_before=NOW + SECOND, limit=2) == 2
    assert await outbox.forget(BOT, settled_before=NOW + SECOND) == 1
    assert {row.id for row in await outbox.rows(BOT)} == set(ids[2:])
    kept = {RowState.QUEUED: 2, RowState.UNCERTAIN: 1, RowState.SENT: 1}
    assert await outbox.counts(BOT) == dict.fromkeys(RowState, 0) | kept
    assert (await outbox.put(BOT, [ranked("v2")]))[0] > version, (
        "its key is forgotten, its id never comes again"
    )


async def test_of_two_who_claim_at_once_each_row_goes_to_one(outbox, lease):
    ids = await outbox.put(BOT, [ranked(f"{n}", chat=f"{n % 3}", due=n) for n in range(40)])
    tries = await asyncio.gather(*(outbox.claim(lease, ids[n : n + 10], now=NOW) for n in range(0, 40, 5)))

    got = [row.id for rows in tries for row in rows]
    assert sorted(got) == ids
    assert await heads(outbox) == []


async def test_every_call_says_that_the_database_is_away(keyring, tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path}/nowhere/holdfast.db", keyring)
    lease = Lease(BOT, "a", 1, NOW)
    for call in (
        store.outbox.put(BOT, [ranked("a")]),
        store.outbox.heads(BOT, now=NOW),
        store.outbox.claim(lease, [1], now=NOW),
        store.outbox.counts(BOT),
    ):
        with pytest.raises(Unavailable, match="does not answer"):
            await call
    await store.close()


async def test_a_database_without_rows_of_the_outbox_has_the_tables_it_needs(outbox, intruder):
    assert await outbox.counts(BOT) == dict.fromkeys(RowState, 0)
    assert await outbox.forget(BOT, settled_before=NOW) == 0
    assert intruder.rows("SELECT count(*) FROM outbox_leases") == [(0,)]


async def test_what_is_to_be_sent_is_unreadable_at_rest_and_whole_again_for_the_sender(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'sealed.db'}"
    store, other = (SqlStore(url, Keyring([key * 4])) for key in ("first-key", "other-key"))
    await store.migrate()
    secret = Request(method="sendMessage", params={"text": "code 493 021"}, plain="code 493 021")
    message = Message(key="k", chat="1", kind="answer", request=secret)
    now = datetime(2026, 11, 21, tzinfo=UTC)
    place = Ranked(message=message, tier="answers", queued_at=now, due=now, delivery=Delivery.AT_MOST_ONCE)
    [row_id] = await store.outbox.put("4242", [place])

    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())  # noqa: ASYNC240  nothing else runs
    mine, theirs = await store.outbox.row(row_id), await other.outbox.row(row_id)
    await store.close()
    await other.close()

    assert b"493 021" not in files
    assert mine is not None
    assert mine.request == secret
    assert theirs is not None
    assert "493 021" not in theirs.model_dump_json()


async def test_what_is_sealed_with_a_key_that_this_process_has_not_waits_until_it_has(url, outbox, lease):
    newer = SqlStore(url, Keyring(["the next key, 16 long", "a secret key for tests only"]))
    (shut,) = await newer.outbox.put(BOT, [ranked("shut", words="secret")])
    (sound,) = await outbox.put(BOT, [ranked("sound", chat="2")])

    assert [row.id for row in await outbox.claim(lease, [shut, sound], now=NOW)] == [sound]
    waits, why = await state(outbox, shut)
    assert (waits, "HOLDFAST_SECRET_KEY" in why) == (RowState.QUEUED, True)
    assert await heads(outbox) == []
    later = NOW + timedelta(minutes=2)
    assert await heads(newer.outbox, later) == [shut]
    [opened] = await newer.outbox.claim(lease, [shut], now=later)
    assert opened.request.params == {"text": "secret"}
    await newer.close()


async def test_a_digest_is_made_of_what_can_be_read(url, outbox, lease):
    newer = SqlStore(url, Keyring(["the next key, 16 long"]))
    (shut,) = await newer.outbox.put(BOT, [ranked("shut", line="l")])
    (sound,) = await outbox.put(BOT, [ranked("sound", line="l", due=1)])

    [head] = await outbox.heads(BOT, now=NOW)
    assert head.id == shut
    assert [row.id for row in await outbox.claim_alike(lease, head, at_most=9, now=NOW)] == [sound]
    await newer.close()


async def test_a_damaged_row_does_not_end_the_sending_of_others(outbox, lease, intruder):
    first, second = await outbox.put(BOT, [ranked("a"), ranked("b", chat="2")])
    intruder.run(
        f'UPDATE outbox SET request = \'{{"method": "sealed", "params": {{"box": "?"}}}}\' WHERE id = {first}'
    )

    assert [row.id for row in await outbox.claim(lease, [first, second], now=NOW)] == [second]
    assert (await state(outbox, first))[0] is RowState.QUEUED
