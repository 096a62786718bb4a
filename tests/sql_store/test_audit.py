import hashlib
import json
import logging
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.exc import DBAPIError

from holdfast.domain.errors import HoldfastError
from holdfast.ports.audit import AuditEntry, AuditKind
from tests.sql_store.conftest import SECRET
from tests.sql_store.processes import at_once

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def entry(key: str, **changes) -> AuditEntry:
    fields = {"at": NOW, "kind": AuditKind.DECISION, "run": "rollout-a", "gate": "1-limit"}
    return AuditEntry.model_validate(fields | {"key": key, "text": f"about {key}"} | changes)


@pytest.fixture
async def five(store, intruder):
    """A chain of five entries whose triggers an intruder has dropped."""
    await store.audit.append([entry(f"k{number}") for number in range(1, 6)])
    intruder.drop_triggers()
    return store.audit


async def test_entries_are_kept_as_they_were_said_in_their_order(store):
    said = entry(
        "k1",
        kind=AuditKind.REFUSAL,
        person="boris",
        channel="telegram",
        text="Нет — 'not now'; \"never\"",
        data={"proofs": ["telegram", "totp"], "votes": {"2": 1.5}, "none": None},
    )
    await store.audit.append([said, entry("k2")])
    await store.audit.append([entry("k3")])

    first, *others = store.audit.read()
    assert first.model_dump(include=set(AuditEntry.model_fields)) == said.model_dump()
    assert [(e.number, e.key) for e in [first, *others]] == [(1, "k1"), (2, "k2"), (3, "k3")]
    assert [e.previous for e in others] == [first.hash, others[0].hash]


async def test_an_empty_log_is_whole(store):
    report = await store.audit.verify()

    assert (report.entries, report.head, report.broken_at) == (0, "", None)
    assert list(store.audit.read()) == []


async def test_the_head_is_the_hash_of_the_newest(store):
    await store.audit.append([])
    await store.audit.append([entry("k1"), entry("k2")])

    report = await store.audit.verify()
    assert (report.entries, report.broken_at, report.problem) == (2, None, "")
    assert report.head == list(store.audit.read())[-1].hash


async def test_a_repeated_step_records_once(store):
    await store.audit.append([entry("k1"), entry("k2"), entry("k1", text="again")])
    await store.audit.append([entry("k2", text="again"), entry("k3")])

    assert [e.number for e in store.audit.read()] == [1, 2, 3]
    assert [e.text for e in store.audit.read()] == ["about k1", "about k2", "about k3"]
    assert (await store.audit.verify()).broken_at is None


async def test_a_batch_is_recorded_whole_or_not_at_all(store):
    naive = entry("k2", at=NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="zone"):
        await store.audit.append([entry("k1"), naive])

    assert list(store.audit.read()) == []


async def test_a_run_or_a_gate_is_read_alone(store):
    places = [("rollout-a", "1-x"), ("rollout-a", "2-y"), ("rollout-b", "1-x")]
    await store.audit.append([entry(f"{r}/{g}", run=r, gate=g) for r, g in places])

    assert [e.gate for e in store.audit.read(run="rollout-a")] == ["1-x", "2-y"]
    assert [e.run for e in store.audit.read(gate="1-x")] == ["rollout-a", "rollout-b"]
    assert [e.number for e in store.audit.read(run="rollout-b", gate="1-x")] == [3]
    assert list(store.audit.read(run="rollout-c")) == []


async def test_times_are_kept_to_the_microsecond_whatever_their_zone(store):
    await store.audit.append([entry("k1", at=NOW.astimezone(timezone(timedelta(hours=3))))])

    (kept,) = store.audit.read()
    assert kept.at == NOW
    assert kept.at.utcoffset() == timedelta(0)


async def test_odd_characters_do_not_stop_the_record(store):
    odd = "a\0b\ud800c"
    await store.audit.append([entry("k1", text=odd, person=odd, data={"reason": odd})])

    (kept,) = store.audit.read()
    assert kept.text == kept.data["reason"] == "a\N{REPLACEMENT CHARACTER}b?c"
    assert (await store.audit.verify()).broken_at is None


async def test_a_log_of_many_pages_is_read_whole(store):
    await store.audit.append([entry(f"k{number}") for number in range(2500)])

    assert [e.number for e in store.audit.read()] == list(range(1, 2501))
    assert (await store.audit.verify()).entries == 2500


async def test_anybody_can_check_a_hash_without_us(store):
    await store.audit.append([entry("k1", data={"b": "ü", "a": [1, 2.5, True]})])

    (kept,) = store.audit.read()
    fields = kept.model_dump(mode="json", exclude={"hash"}) | {"at": "2026-03-01T12:00:00.123456+00:00"}
    plain = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    assert kept.hash == hashlib.sha256(plain.encode()).hexdigest()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET text = 'approved' WHERE number = 1",
        "DELETE FROM audit WHERE number = 2",
        "DELETE FROM audit",
    ],
)
async def test_the_database_refuses_to_change_what_is_recorded(store, intruder, statement):
    await store.audit.append([entry("k1"), entry("k2")])

    with pytest.raises(DBAPIError, match="append-only"):
        intruder.run(statement)
    assert (await store.audit.verify()).entries == 2


async def test_the_database_refuses_the_ways_round_that_too(store, url, intruder):
    await store.audit.append([entry("k1"), entry("k2")])
    statement = "TRUNCATE audit"
    if url.startswith("sqlite"):
        columns = "at, kind, run, gate, person, channel, text, data, '', ''"
        statement = f"REPLACE INTO audit SELECT 2, 'k9', {columns} FROM audit"

    with pytest.raises(DBAPIError, match="append-only"):
        intruder.run(statement)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", "approved by boris"),
        ("at", "2026-03-01T12:00:00.000000+00:00"),
        ("at", "yesterday"),
        ("kind", "nonsense"),
        ("person", "vera"),
        ("key", "other"),
        ("data", '{"proofs":["totp"]}'),
        ("data", "{}{"),
        ("data", "{ }"),
        ("hash", "0" * 64),
        ("previous", ""),
    ],
)
async def test_a_changed_entry_is_named(five, intruder, column, value):
    head = list(five.read())[1].hash
    intruder.run(f"UPDATE audit SET {column} = '{value}' WHERE number = 3")

    report = await five.verify()
    assert (report.broken_at, report.entries) == (3, 3)
    assert report.problem == "its content is not what it was when it was written"
    assert report.head == head


async def test_a_removed_entry_is_named(five, intruder):
    intruder.run("DELETE FROM audit WHERE number IN (3)")
    report = await five.verify()
    assert (report.broken_at, report.problem) == (4, "entry 3 is missing before it")

    intruder.run("DELETE FROM audit WHERE number IN (1, 2)")
    report = await five.verify()
    assert (report.broken_at, report.problem) == (4, "entries 1 to 3 are missing before it")


async def test_an_inserted_entry_is_named(five, intruder):
    intruder.run(
        "UPDATE audit SET number = -number WHERE number > 2",
        "UPDATE audit SET number = 1 - number WHERE number < 0",
        "INSERT INTO audit SELECT 3, 'new', at, kind, run, gate, person, channel, text, data, previous, hash "
        "FROM audit WHERE number = 2",
    )
    report = await five.verify()
    assert (report.broken_at, report.problem) == (3, "its content is not what it was when it was written")

    intruder.run("UPDATE audit SET number = 0 WHERE number = 3")
    assert (await five.verify()).problem == "it stands before the first entry"


async def test_swapped_entries_are_named(five, intruder):
    intruder.run(
        "UPDATE audit SET number = 99 WHERE number = 2",
        "UPDATE audit SET number = 2 WHERE number = 4",
        "UPDATE audit SET number = 4 WHERE number = 99",
    )
    assert (await five.verify()).broken_at == 2


async def test_an_entry_that_was_written_anew_does_not_fit_the_next(five, intruder):
    third = list(five.read())[2]
    fields = third.model_dump(mode="json", exclude={"hash"}) | {"text": "no", "at": third.at.isoformat()}
    plain = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    new = hashlib.sha256(plain.encode()).hexdigest()
    intruder.run(f"UPDATE audit SET text = 'no', hash = '{new}' WHERE number = 3")

    report = await five.verify()
    assert report.broken_at == 4
    assert report.problem == "it does not follow the entry 3 that is there now: one of them was written anew"


async def test_a_cut_off_end_is_found_by_the_head_that_was_kept(five, intruder):
    head = (await five.verify()).head
    earlier = list(five.read())[2].hash
    intruder.run("DELETE FROM audit WHERE number > 3")

    assert (await five.verify()).broken_at is None
    assert (await five.verify(expected_head=earlier)).broken_at is None
    report = await five.verify(expected_head=head)
    assert (report.broken_at, report.entries, report.head) == (4, 3, earlier)
    assert head in report.problem


async def test_an_entry_that_cannot_be_read_is_told_in_a_sentence(five, intruder):
    intruder.run("UPDATE audit SET kind = 'nonsense' WHERE number = 2")

    with pytest.raises(HoldfastError, match=r"entry 2 of the audit log cannot be read.*holdfast audit verify"):
        list(five.read())


async def test_two_processes_append_at_once_and_the_chain_holds(store, url):
    said = at_once(url, SECRET, ("append", "left", "60"), ("append", "right", "60"))

    assert said == ["done", "done"]
    report = await store.audit.verify()
    assert (report.entries, report.broken_at) == (240, None)
    for name in ("left", "right"):
        keys = [e.key for e in store.audit.read(run=name)]
        assert keys == [k for n in range(60) for k in (f"{name}/{n}", f"{name}/{n}/too")]


async def test_what_is_recorded_is_not_logged(store, caplog):
    with caplog.at_level(logging.DEBUG):
        await store.audit.append([entry("k1", text="between us")])

    assert "between us" not in caplog.text
