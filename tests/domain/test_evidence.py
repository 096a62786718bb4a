"""What an approval rests on: one digest for the same facts, and words for every change."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.evidence import Evidence

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "1", "nothing", "True"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=4,
)
facts = st.dictionaries(st.sampled_from(["rate", "pool"]), values, max_size=2)
looks = st.builds(
    Evidence,
    plan=facts,
    file=st.sampled_from(["", "f1", "nothing"]),
    risk=facts,
    target=facts,
    wanted=facts,
    taken_at=st.just(NOW),
)


def seen(**more: Any) -> Evidence:
    look = {"target": {"rate": 30}, "wanted": {"rate": 8}, "taken_at": NOW, **more}
    return Evidence.model_validate(look)


def test_the_moment_of_looking_is_not_part_of_the_digest() -> None:
    assert seen().digest == seen(taken_at=NOW + timedelta(days=90)).digest


@given(looks, looks)
def test_changes_are_told_exactly_when_the_digest_is_another(one: Evidence, other: Evidence) -> None:
    assert bool(other.changes_since(one)) == (other.digest != one.digest)


@given(looks)
def test_a_journey_as_json_changes_nothing(look: Evidence) -> None:
    sorted_by_a_store = json.dumps(json.loads(look.model_dump_json()), sort_keys=True)
    arrived = Evidence.model_validate_json(sorted_by_a_store)
    assert arrived.digest == look.digest
    assert arrived.changes_since(look) == []


def test_every_kind_of_change_is_said_in_words() -> None:
    before = seen(file="f1", plan={"stage": "pool"}, risk={"level": 1})
    after = seen(
        file="f2", plan={"stage": "queue"}, risk={}, target={"rate": 30, "pool": 8}, wanted={"rate": 9}
    )
    assert after.changes_since(before) == [
        "the runbook file: f1 → f2",
        "plan stage: pool → queue",
        "risk input level: 1 → nothing",
        "target's pool: nothing → 8",
        "wanted rate: 8 → 9",
    ]


def test_a_number_that_has_become_a_text_is_told_apart() -> None:
    assert seen(target={"rate": "30"}).changes_since(seen()) == ['target\'s rate: 30 → "30"']


def test_a_setting_that_is_empty_is_not_one_that_is_missing() -> None:
    assert seen(target={"rate": 30, "mode": ""}).changes_since(seen()) == ['target\'s mode: nothing → ""']


def test_the_diff_and_what_is_replaced_name_only_wanted_settings() -> None:
    look = seen(target={"rate": 30, "pool": 8}, wanted={"rate": 8, "queue": "on"})
    assert look.diff() == [("rate", "30", "8"), ("queue", "", "on")]
    assert look.replaced == {"rate": 30}
