"""Policies as runbooks write them, and the approvals that they need."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.domain.people import People, Person
from holdfast.domain.signoff import SignOff, Slot, can_be_met, match, slots_of

PEOPLE = People(
    people=(
        Person(name="anna", title="Anna", roles=("lead",), groups=("board",)),
        Person(name="boris", title="Boris", roles=("lead", "cto")),
        Person(name="vera", title="Vera", groups=("board",)),
    )
)


def slots(requester: str = "", **policy: Any) -> tuple[Slot, ...]:
    return slots_of(SignOff.model_validate(policy), PEOPLE, requester=requester)


def holders(requester: str = "", **policy: Any) -> list[tuple[str, ...]]:
    return [slot.holders for slot in slots(requester, **policy)]


def test_the_short_form_is_one_step_of_the_long_one() -> None:
    assert slots(approvers=["lead"], quorum=2) == slots(steps=[{"any": 2, "of": ["lead"]}])


def test_any_of_several_is_any_holder_once_in_the_order_of_the_file() -> None:
    assert holders(steps=[{"any": 2, "of": ["board", "lead", "boris"]}]) == [("anna", "boris", "vera")] * 2


def test_all_of_needs_one_holder_of_each_role_and_every_member_of_each_group() -> None:
    assert holders(steps=[{"all_of": ["lead", "board"]}]) == [("anna", "boris"), ("anna",), ("vera",)]


def test_the_requester_holds_no_approval_unless_allowed() -> None:
    assert holders("anna", approvers=["lead"]) == [("boris",)]
    assert holders("anna", approvers=["lead"], requester_may_approve=True) == [("anna", "boris")]


@pytest.mark.parametrize(
    ("policy", "requester", "possible"),
    [
        ({"approvers": ["lead"], "quorum": 2}, "", True),
        ({"approvers": ["lead"], "quorum": 3}, "", False),
        ({"approvers": ["lead"], "quorum": 2}, "anna", False),
        ({"steps": [{"of": ["lead"]}, {"of": ["cto"]}]}, "", True),
        ({"steps": [{"of": ["lead"]}, {"of": ["cto"]}]}, "anna", False),  # boris has one vote, not two
        ({"steps": [{"all_of": ["board"]}]}, "vera", False),
        ({"approvers": ["nobody"]}, "", False),
    ],
)
def test_a_policy_can_be_met_only_by_enough_different_people(
    policy: dict[str, Any], requester: str, *, possible: bool
) -> None:
    assert can_be_met(slots(requester, **policy)) == possible


CONTRADICTIONS: list[dict[str, Any]] = [
    {},
    {"approvers": ["lead"], "steps": [{"of": ["lead"]}]},
    {"steps": [{"of": ["lead"]}], "quorum": 2},
    {"steps": [{}]},
    {"steps": [{"of": ["lead"], "all_of": ["cto"]}]},
    {"steps": [{"all_of": ["lead"], "any": 2}]},
    {"approvers": ["lead"], "deadline": {"after": "1d", "warn_before": ["1d"]}},
    {"approvers": ["lead"], "remind": {"after": ["2d", "1d"]}},
    {"approvers": ["lead"], "escalate": [{"after": "2d", "to": ["cto"]}, {"after": "1d", "to": ["cto"]}]},
    {"approvers": ["lead"], "escalate": [{"after": "2d", "to": []}]},
]


@pytest.mark.parametrize("policy", CONTRADICTIONS)
def test_a_policy_that_contradicts_itself_is_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SignOff.model_validate(policy)


def test_a_policy_is_said_in_a_few_words() -> None:
    policy = SignOff.model_validate(
        {"steps": [{"any": 2, "of": ["lead"]}, {"all_of": ["cto", "board"]}, {"of": ["vera"]}]}
    )
    assert policy.describe() == "2 of lead, then all of cto, board, then vera"


@given(st.lists(st.frozensets(st.integers(0, 3)), max_size=4), st.integers(0, 4))
def test_matching_finds_an_assignment_exactly_when_trying_all_finds_one(
    approvals: list[frozenset[int]], slots: int
) -> None:
    within = [frozenset(s for s in a if s < slots) for a in approvals]
    tried = any(
        all(slot in able for slot, able in zip(order, within, strict=True))
        for order in permutations(range(slots), len(within))
    )
    assert match(within, slots) == tried
