from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.errors import InvalidInput
from holdfast.outbox.message import ANSWERS
from holdfast.outbox.order import FairQueue, Order, Room, ranked
from holdfast.outbox.store import Head
from tests.outbox.virtual import message, shipped_policy

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
POLICY = shipped_policy()
WEIGHTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1000), min_size=2)


def heads(lane: str, count: int, *, first: int = 0) -> list[Head]:
    return [Head(i, f"{lane}{i}", lane, "escalation", "", NOW) for i in range(first, first + count)]


def anybody(_: Head) -> bool:
    return True


@given(WEIGHTS, st.integers(1, 400))
def test_lanes_that_always_wait_share_the_turns_by_weight(weights: dict[str, int], turns: int) -> None:
    queue, had = FairQueue(weights), Counter[str]()
    for _ in range(turns):
        lane = queue.first(weights)
        assert lane is not None
        queue.served(lane)
        had[lane] += 1
    # The bound of start-time fair queueing: no two lanes are further apart than one turn of each.
    for (one, weight), (other, against) in product(weights.items(), repeat=2):
        assert abs(had[one] / weight - had[other] / against) <= 1 / weight + 1 / against + 1e-6


@given(WEIGHTS, st.lists(st.sets(st.sampled_from("abcdef")), max_size=60), st.integers(10, 200))
def test_a_lane_that_was_away_saves_up_nothing(
    weights: dict[str, int], history: list[set[str]], turns: int
) -> None:
    queue = FairQueue(weights)
    for present in history:
        if lane := queue.first(present & weights.keys()):
            queue.served(lane)
    had = Counter[str]()
    for _ in range(turns):
        lane = queue.first(weights)
        assert lane is not None
        queue.served(lane)
        had[lane] += 1
    for (one, weight), (other, against) in product(weights.items(), repeat=2):
        assert had[one] / weight - had[other] / against <= 1 / weight + 2 / against + 1e-6


def test_the_order_chooses_each_lanes_first_and_one_of_each_chat() -> None:
    same = [Head(1, "5", "gold", "page", "", NOW), Head(2, "5", "silver", "card", "", NOW)]
    other = [Head(3, "6", "silver", "card", "", NOW)]
    chosen = Order(POLICY).choose([*same, *other], Room(10, 10), 0, moment=NOW, servable=anybody)
    assert [head.id for head in chosen] == [1, 3]


def test_a_lane_without_a_servable_head_is_passed_over() -> None:
    waiting = [*heads("gold", 3), *heads("bronze", 3, first=10)]
    chosen = Order(POLICY).choose(waiting, Room(2, 2), 0, moment=NOW, servable=lambda head: head.tier != "gold")
    assert [head.tier for head in chosen] == ["bronze", "bronze"]


def test_answers_go_first_up_to_their_share_and_compete_beyond_it() -> None:
    order, served = Order(POLICY), Counter[str]()
    for turn in range(2500):
        waiting = [*heads(ANSWERS, 1), *heads("gold", 1, first=10), *heads("bronze", 1, first=20)]
        (head,) = order.choose(waiting, Room(1, 1), turn * 40_000_000, moment=NOW, servable=anybody)
        served[head.tier] += 1
    rest = 2500 * 0.8 / (6 + 6 + 1)
    assert served[ANSWERS] == pytest.approx(500 + 6 * rest, abs=8)
    assert served["gold"] == pytest.approx(6 * rest, abs=8)
    assert served["bronze"] == pytest.approx(rest, abs=8)


def test_only_answers_within_their_share_may_take_the_reserve() -> None:
    order = Order(POLICY)
    assert order.choose(heads("gold", 2), Room(1, 0), 0, moment=NOW, servable=anybody) == []
    first = order.choose(heads(ANSWERS, 9), Room(9, 0), 0, moment=NOW, servable=anybody)
    assert len(first) == 4
    assert order.choose(heads(ANSWERS, 9), Room(9, 0), 0, moment=NOW, servable=anybody) == []


def test_a_lower_tier_that_waited_too_long_weighs_more() -> None:
    def bronze_turns(moment: datetime) -> int:
        order = Order(POLICY)
        waiting = [*heads("silver", 300), *heads("bronze", 300, first=1000)]
        chosen = order.choose(waiting, Room(200, 200), 0, moment=moment, servable=anybody)
        return sum(head.tier == "bronze" for head in chosen)

    assert bronze_turns(NOW) == 50
    # Silver is as late against its own deadline, but has not waited as long.
    assert bronze_turns(NOW + timedelta(seconds=15)) == 100


def test_rows_of_a_tier_that_the_policy_has_lost_are_served() -> None:
    chosen = Order(POLICY).choose(heads("platinum", 1), Room(1, 1), 0, moment=NOW, servable=anybody)
    assert [head.tier for head in chosen] == ["platinum"]


def test_a_message_is_due_at_its_arrival_plus_offsets_minus_its_value() -> None:
    silver = ranked(message("a", value=500_000), POLICY, NOW)
    assert (silver.tier, silver.due) == ("silver", NOW + timedelta(seconds=15 - 5))
    bronze = ranked(message("b", tier="bronze", value=9e9), POLICY, NOW)
    assert (bronze.tier, bronze.due) == ("bronze", NOW + timedelta(seconds=45 - 10))


def test_the_offset_of_a_kind_is_added_to_the_tiers() -> None:
    kinds = POLICY.kinds | {
        "escalation": POLICY.kinds["escalation"].model_copy(update={"offset": timedelta(seconds=7)})
    }
    policy = POLICY.model_copy(update={"kinds": kinds})
    assert ranked(message("a"), policy, NOW).due == NOW + timedelta(seconds=22)


@pytest.mark.parametrize(
    ("kind", "tier", "lane"),
    [
        ("escalation", "wood", "silver"),
        ("escalation", ANSWERS, "silver"),
        ("page", "", "gold"),
        ("page", "bronze", "bronze"),
        ("answer", "", ANSWERS),
        ("answer", "gold", ANSWERS),
    ],
)
def test_a_message_waits_in_the_lane_of_its_tier_or_kind(kind: str, tier: str, lane: str) -> None:
    assert ranked(message("a", kind=kind, tier=tier), POLICY, NOW).tier == lane


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match=r"kind of message 'gossip'; known: answer, card, .*reminder"):
        ranked(message("a", kind="gossip"), POLICY, NOW)
