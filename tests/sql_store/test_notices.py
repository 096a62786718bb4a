import asyncio
from datetime import UTC, datetime, timedelta

from holdfast.domain.view import MessageRef
from holdfast.ports.notices import NoticeKind, SentNotice

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MESSAGE = MessageRef(chat="1002", message_id="7", uncertain=True)


def notice(number: int = 1, **changes) -> SentNotice:
    fields = {
        "key": f"rollout-a/1-limit/reminder/{number}/boris/telegram",
        "run": "rollout-a",
        "gate": "1-limit",
        "person": "boris",
        "channel": "telegram",
        "kind": NoticeKind.REMINDER,
        "at": NOW + timedelta(hours=number),
    }
    return SentNotice.model_validate(fields | changes)


async def test_a_notice_is_begun_once(store):
    assert await store.notices.begin(notice())
    assert not await store.notices.begin(notice(state="sent"))

    assert await store.notices.of_gate("rollout-a", "1-limit") == [notice(state="sending")]


async def test_of_two_who_begin_at_once_only_one_sends(store):
    begun = await asyncio.gather(*(store.notices.begin(notice()) for _ in range(8)))

    assert begun.count(True) == 1


async def test_what_became_of_a_notice_is_kept_with_its_message(store):
    key = notice().key
    await store.notices.begin(notice())
    await store.notices.finish(key, state="sent", message=MESSAGE)
    assert await store.notices.of_gate("rollout-a", "1-limit") == [notice(state="sent", message=MESSAGE)]

    await store.notices.finish(key, state="retired")
    assert await store.notices.of_gate("rollout-a", "1-limit") == [notice(state="retired", message=MESSAGE)]


async def test_what_was_not_sent_may_be_tried_again(store):
    await store.notices.begin(notice())
    await store.notices.finish(notice().key, state="unsent")

    assert await store.notices.of_gate("rollout-a", "1-limit") == []
    assert await store.notices.begin(notice())


async def test_notices_of_a_gate_are_listed_oldest_first(store):
    for each in (notice(3), notice(1), notice(2), notice(4, gate="2-pool"), notice(5, run="rollout-b")):
        await store.notices.begin(each)

    assert await store.notices.of_gate("rollout-a", "1-limit") == [notice(1), notice(2), notice(3)]
