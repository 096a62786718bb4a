from datetime import UTC, datetime, timedelta, timezone

import pytest

from holdfast.adapters.sql_store import SqlStore
from holdfast.ports.identity import Intent

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def intent(person: str = "boris", chat: str = "1002", **changes) -> Intent:
    fields = {"kind": "totp", "data": {"run": "rollout-a", "reason": "a\0 «b»"}, "expires_at": NOW}
    return Intent.model_validate({"person": person, "chat": chat, **fields, **changes})


@pytest.fixture
def just_before() -> datetime:
    return NOW - timedelta(microseconds=1)


async def test_an_intent_is_taken_once_even_after_a_restart(store, url, keyring, just_before):
    await store.intents.put(intent())
    restarted = SqlStore(url, keyring)

    assert await restarted.intents.take("boris", "1002", now=just_before) == intent()
    assert await store.intents.take("boris", "1002", now=just_before) is None
    await restarted.close()


async def test_the_newest_intent_of_a_person_and_chat_counts(store, just_before):
    newest = intent(kind="reason", data={})
    await store.intents.put(intent())
    await store.intents.put(newest)

    assert await store.intents.take("boris", "1002", now=just_before) == newest
    assert await store.intents.take("boris", "1002", now=just_before) is None


async def test_what_is_looked_at_stays_until_it_is_taken_or_too_old(store, just_before):
    await store.intents.put(intent())

    assert await store.intents.peek("boris", "1002", now=just_before) == intent()
    assert await store.intents.peek("boris", "9", now=just_before) is None
    assert await store.intents.peek("boris", "1002", now=NOW) is None
    assert await store.intents.take("boris", "1002", now=just_before) == intent()
    assert await store.intents.peek("boris", "1002", now=just_before) is None


async def test_people_and_chats_do_not_mix(store, just_before):
    other = intent("vera", kind="reason")
    await store.intents.put(intent())
    await store.intents.put(other)

    assert await store.intents.take("boris", "9", now=just_before) is None
    assert await store.intents.take("vera", "1002", now=just_before) == other
    assert await store.intents.take("boris", "1002", now=just_before) == intent()


async def test_an_intent_that_is_too_old_is_forgotten(store, just_before):
    await store.intents.put(intent(expires_at=NOW.astimezone(timezone(timedelta(hours=-5)))))

    assert await store.intents.take("boris", "1002", now=NOW) is None
    assert await store.intents.take("boris", "1002", now=just_before) is None
