"""The chain by itself, over whatever entries there can be."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.sql_store import chain
from holdfast.ports.audit import AuditEntry, AuditKind

_TEXT = st.text(st.characters(codec=None), max_size=20)  # surrogates included
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_ZONES = st.integers(-12 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
ENTRIES = st.builds(
    AuditEntry,
    key=st.text(min_size=1, max_size=20),
    at=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=_ZONES),  # noqa: DTZ001
    kind=st.sampled_from(AuditKind),
    run=_TEXT,
    gate=_TEXT,
    person=_TEXT,
    channel=_TEXT,
    text=_TEXT,
    data=st.dictionaries(_TEXT, _JSON, max_size=3),
)


def chained(entries):
    rows, previous = [], chain.BEFORE_THE_FIRST
    for number, entry in enumerate(entries, start=1):
        rows.append(chain.link(entry, number=number, previous=previous))
        previous = rows[-1]["hash"]
    return rows


def walked(rows, *, expected_head=""):
    walk = chain.Walk(expected_head=expected_head)
    for row in rows:
        if not walk.broken:
            walk.step(row)
    return walk.end()


@given(st.lists(ENTRIES, max_size=5))
def test_every_chain_that_was_written_is_whole_and_read_back(entries):
    rows = chained(entries)

    report = walked(rows, expected_head=rows[-1]["hash"] if rows else "")
    assert (report.entries, report.broken_at, report.problem) == (len(entries), None, "")
    for row, entry in zip(rows, entries, strict=True):
        read = chain.entry_of(row)
        assert read.at == entry.at.astimezone(UTC)
        assert (read.kind, read.text) == (entry.kind, chain.storable(entry.text))
        assert chain.link(read, number=read.number, previous=read.previous) == row


@given(st.lists(ENTRIES, min_size=2, max_size=5), st.data())
def test_every_change_of_a_field_is_found_where_it_is(entries, data):
    rows = chained(entries)
    at = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from([n for n in rows[at] if n != "number"]))
    rows[at] = rows[at] | {name: data.draw(st.text(max_size=5).filter(lambda new: new != rows[at][name]))}

    assert walked(rows).broken_at == at + 1


@given(st.lists(ENTRIES, min_size=2, max_size=6), st.data())
def test_every_other_order_and_every_gap_is_found(entries, data):
    rows = chained(entries)
    kept = data.draw(st.lists(st.sampled_from(rows), max_size=len(rows), unique_by=lambda row: row["number"]))
    report = walked(kept, expected_head=rows[-1]["hash"])

    assert (report.broken_at is None) == (kept == rows)
