"""The seed model over many minutes at once gives what it gives minute by minute."""

from decimal import Decimal
from math import inf, nextafter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.verdict.minutes import minutes_of
from holdfast.verdict.observation import Baseline, NoData, Observation, Outcome, SignalBaseline
from holdfast.verdict.seed_replay import outcomes_of
from holdfast.verdict.settings import Metric, Scoring, Threshold
from holdfast.verdict.weighted_seed import weighted_seed
from tests.verdict.shares import Value, baseline, minute, only, scoring

GREEN, YELLOW, RED = Outcome.CONTINUE, Outcome.PAUSE, Outcome.ROLLBACK

decimals = st.decimals(min_value="0.001", max_value="1000", places=3)
parts = st.sampled_from([Decimal("0.5"), Decimal(1), Decimal("0.25"), Decimal(2)])
nudges = st.sampled_from([Decimal(0), Decimal("1e-6"), Decimal("-1e-6"), Decimal("1e-12"), Decimal("-1e-12")])


def alone(threshold: Threshold, bad_when: str = "rising") -> Scoring:
    """One metric whose level shows as the outcome: green continues, yellow pauses, red rolls back."""
    metric = Metric.model_validate(
        {"weight_percent": 100, "query": "q", "threshold": threshold, "bad_when": bad_when}
    )
    return Scoring(metrics={"latency": metric})


def before(mean: float | None, deviation: float | None = 0.0) -> Baseline:
    signal = SignalBaseline(query="q", mean=mean, standard_deviation=deviation, points=60)
    return baseline().model_copy(update={"signals": {"latency": [signal]}})


def both_ways(chosen: Scoring, usual: Baseline, seen: list[Observation]) -> tuple[list[Outcome], list[Outcome]]:
    return (
        outcomes_of(chosen, usual, minutes_of(seen)),
        [weighted_seed(chosen, usual, each).outcome for each in seen],
    )


def values(*canary: Value) -> list[Observation]:
    return [minute(number, {"latency": value}) for number, value in enumerate(canary)]


@given(
    mean=decimals,
    allowed=decimals,
    moves=st.lists(st.tuples(parts, nudges), min_size=1, max_size=6),
    way=st.sampled_from(["rising", "falling"]),
)
@example(mean=Decimal("0.7"), allowed=Decimal("0.05"), moves=[(Decimal(1), Decimal(0))], way="rising")
@example(mean=Decimal("0.7"), allowed=Decimal("0.1"), moves=[(Decimal("0.5"), Decimal(0))], way="rising")
def test_a_decimal_on_or_beside_an_edge_gets_the_level_that_a_person_reads(
    mean: Decimal, allowed: Decimal, moves: list[tuple[Decimal, Decimal]], way: str
) -> None:
    chosen, sign = alone(Threshold(points=float(allowed)), way), 1 if way == "rising" else -1
    moved = [(part * allowed + nudge) * sign for part, nudge in moves]
    seen = values(*(float(mean + move) for move in moved))

    replayed, live = both_ways(chosen, before(float(mean)), seen)

    assert replayed == live


@given(
    mean=st.decimals(min_value="1e6", max_value="1e12", places=2),
    allowed=st.decimals(min_value="0.001", max_value="0.05", places=3),
    move=st.tuples(parts, st.sampled_from([-1, 0, 1])),
    way=st.sampled_from([-1, 1]),
)
@example(mean=Decimal(10**9), allowed=Decimal("0.05"), move=(Decimal(1), 0), way=1)
@example(mean=Decimal(10**9), allowed=Decimal("0.05"), move=(Decimal("0.5"), 0), way=1)
def test_a_small_allowance_of_a_large_number_has_the_same_edges(
    mean: Decimal, allowed: Decimal, move: tuple[Decimal, int], way: int
) -> None:
    """Bytes and counts: the distance between two floats is a good part of what is allowed."""
    chosen = alone(Threshold(points=float(allowed)), "rising" if way == 1 else "falling")
    value = float(mean + way * move[0] * allowed)
    seen = values(nextafter(value, inf * move[1]) if move[1] else value)

    replayed, live = both_ways(chosen, before(float(mean)), seen)

    assert replayed == live


@given(
    mean=st.decimals(min_value=-1000, max_value=1000, places=3),
    deviation=decimals,
    sigmas=st.decimals(min_value="0.1", max_value="9", places=1),
    percent=st.decimals(min_value=0, max_value=100, places=1),
    move=st.tuples(parts, nudges),
)
def test_a_threshold_of_sigmas_and_percents_has_the_same_edges(
    mean: Decimal, deviation: Decimal, sigmas: Decimal, percent: Decimal, move: tuple[Decimal, Decimal]
) -> None:
    chosen = alone(Threshold(sigmas=float(sigmas), at_least_percent=float(percent)))
    allowed = max(sigmas * deviation, percent * abs(mean) / 100)
    seen = values(float(mean + move[0] * allowed + move[1]))

    replayed, live = both_ways(chosen, before(float(mean), float(deviation)), seen)

    assert replayed == live


def test_percents_of_a_negative_mean_are_of_its_size() -> None:
    replayed, live = both_ways(alone(Threshold(at_least_percent=50)), before(-10.0), values(-7.0, -4.0))

    assert replayed == live == [YELLOW, RED]


@pytest.mark.parametrize(
    ("value", "outcome"),
    [(0.45, GREEN), (0.4500000000000001, YELLOW), (0.5, YELLOW), (0.5000000000000001, RED)],
)
def test_the_last_decimal_decides(value: float, outcome: Outcome) -> None:
    chosen = alone(Threshold(points=0.1))

    assert both_ways(chosen, before(0.4), values(value)) == ([outcome], [outcome])


def test_where_nothing_is_allowed_the_last_decimal_decides_too() -> None:
    chosen = alone(Threshold(points=0))

    replayed, live = both_ways(chosen, before(0.3), values(0.3, 0.1 + 0.2, 0.2))

    assert replayed == live == [GREEN, RED, GREEN]


def test_the_worst_query_counts_and_a_missing_one_unless_another_is_red() -> None:
    missing = NoData.BOTH_SILENT
    chosen = scoring(metrics=only("errors"))
    errors: list[list[Value]] = [[1.0, 0.0], [1.0, 60.0], [60.0, missing], [4.5, missing], [1.0, missing]]
    seen = [minute(number, {"errors": each}) for number, each in enumerate(errors)]

    replayed, live = both_ways(chosen, baseline(chosen), seen)

    assert replayed == live == [GREEN, RED, RED, Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE]


def test_a_missing_metric_is_inconclusive_where_nothing_is_bad() -> None:
    replayed, live = both_ways(alone(Threshold(points=1)), before(0.4), values(NoData.BOTH_SILENT, 0.4))

    assert replayed == live == [Outcome.INCONCLUSIVE, Outcome.CONTINUE]


def test_a_metric_without_a_baseline_has_no_level() -> None:
    replayed, live = both_ways(alone(Threshold(points=1)), before(None, None), values(9.0))

    assert replayed == live == [Outcome.INCONCLUSIVE]


def test_while_the_provider_is_down_nothing_is_decided() -> None:
    seen = [minute(0, {"latency": 9.0, "cpu": NoData.PROVIDER_DOWN})]

    replayed, live = both_ways(alone(Threshold(points=1)), before(0.4), seen)

    assert replayed == live == [Outcome.INCONCLUSIVE]


def test_every_minute_is_judged_by_itself() -> None:
    replayed = outcomes_of(alone(Threshold(points=1)), before(0.4), minutes_of(values(9.0, 0.4, 9.0)))

    assert replayed == [RED, GREEN, RED]
