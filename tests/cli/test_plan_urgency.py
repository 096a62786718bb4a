"""What `holdfast plan` says of fixes, teams and freezes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from holdfast.domain.errors import EngineUnavailable
from holdfast.ports.holds import Held, Holder
from tests.cli import test_plan
from tests.cli.test_plan import LIMIT, PEOPLE, House, stage, words

house = test_plan.house
SALE = Holder(run="campaign-1", title="Sale", until=datetime(2026, 11, 28, 22, 0, tzinfo=UTC))


async def frozen(systems: Sequence[str]) -> list[Held]:
    return [Held(system=system, by=SALE) for system in systems]


async def down(systems: Sequence[str]) -> list[Held]:
    raise EngineUnavailable(f"no server to ask about {len(systems)} systems")


def test_a_plan_says_whose_fix_it_is_and_what_it_unblocks(house: House) -> None:
    house.write("people.yaml", PEOPLE | {"teams": {"shop": {"title": "Shop", "owner": ["lead"]}}})
    house.runbook(stage("first", LIMIT), fix=True, team="shop", unblocks="customers can order")

    told = house.plan("surge")
    document = house.plan("surge", "--json").document

    assert (
        "An urgent fix of the team Shop (decided about by boris); it unblocks: customers can order."
        in words(told)
    )
    assert (document["fix"], document["team"], document["unblocks"]) == (True, "shop", "customers can order")


def test_a_plan_warns_of_what_is_frozen_and_is_no_failure(house: House) -> None:
    house.runbook(stage("first", LIMIT))
    deps = replace(house.deps(), frozen=frozen)

    told, document = house.plan("surge", deps=deps), house.plan("surge", "--json", deps=deps).document

    assert "Frozen: shop is frozen until 2026-11-28 22:00 UTC by campaign-1 (Sale). Roll it out" in words(told)
    assert document["frozen"][0].startswith("shop is frozen until")
    assert told.code == 0


def test_a_fix_is_not_warned_of_freezes(house: House) -> None:
    house.runbook(stage("first", LIMIT), fix=True)
    assert "rozen" not in house.plan("surge", deps=replace(house.deps(), frozen=frozen)).out


def test_a_server_that_does_not_answer_is_no_reason_not_to_plan(house: House) -> None:
    house.runbook(stage("first", LIMIT))
    told = house.plan("surge", deps=replace(house.deps(), frozen=down))
    assert "it is not known whether anything is frozen: no server to ask about 1 systems" in words(told)
    assert "No problem was found" in words(told)
