import math
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.loadgen.arrivals import Arrivals, Rates
from holdfast.loadgen.draws import Draws
from holdfast.runbook.kinds.load import LoadSpec, Phase
from holdfast.runbook.kinds.load_scenario import Scenario
from tests.loadgen.engine_targets import get, load_of


def _phase(rate: float, seconds: float, shape: str = "constant") -> dict[str, Any]:
    return {"rate": rate, "for": timedelta(seconds=seconds), "shape": shape}


PHASES = st.lists(
    st.builds(
        _phase,
        st.one_of(st.just(0.0), st.floats(0.1, 900)),
        st.floats(0.5, 30),
        st.sampled_from(["constant", "ramp", "steps"]),
    ),
    min_size=1,
    max_size=4,
).filter(lambda phases: any(phase["rate"] for phase in phases))
EITHER = pytest.mark.parametrize("arrivals", ["even", "poisson"])


def _spec(phases: list[dict[str, Any]], arrivals: str, seed: int = 1) -> LoadSpec:
    return load_of("http://127.0.0.1:1", phases=phases, arrivals=arrivals, seed=seed)


def _all(spec: LoadSpec, **which: Any) -> tuple[np.ndarray, np.ndarray]:
    chunks = list(Arrivals(spec).chunks(**which))
    if not chunks:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    return np.concatenate([c.numbers for c in chunks]), np.concatenate([c.offsets for c in chunks])


def _integral(phases: list[dict[str, Any]], until: float) -> float:
    """Add up the rates in small slices, as by hand."""
    total = before = start = 0.0
    for phase in phases:
        length = phase["for"].total_seconds()
        part = min(max(until - start, 0.0), length)
        if phase["shape"] == "constant":
            total += part * phase["rate"]
        elif phase["shape"] == "ramp":
            total += part * before + (phase["rate"] - before) / length * part**2 / 2
        else:
            for i in range(5):
                slice_ = min(max(part - i * length / 5, 0.0), length / 5)
                total += slice_ * (before + (phase["rate"] - before) * (i + 1) / 5)
        before = phase["rate"]
        start += length
    return total


@given(PHASES, st.floats(0, 1))
def test_even_arrivals_until_any_moment_are_as_many_as_the_rates_add_up_to(
    phases: list[dict[str, Any]], part: float
) -> None:
    spec = _spec(phases, "even")
    until = part * spec.lasts.total_seconds()

    numbers, offsets = _all(spec)

    assert abs((offsets <= until).sum() - _integral(phases, until)) <= 0.5 + 1e-6
    assert numbers.tolist() == list(range(len(numbers)))
    assert (np.diff(offsets) >= 0).all()


@given(PHASES, st.floats(0, 1))
def test_the_moment_of_an_expected_number_is_when_so_many_are_expected(
    phases: list[dict[str, Any]], part: float
) -> None:
    rates = Rates(tuple(Phase.model_validate(phase) for phase in phases))
    wanted = part * rates.total

    moment = rates.moments(np.array([wanted]))[0]

    assert 0 <= moment <= rates.lasts
    assert math.isclose(rates.expected(moment), wanted, rel_tol=1e-6, abs_tol=1e-6)


@EITHER
@given(phases=PHASES, shards=st.integers(1, 5), seed=st.integers(0, 2**40))
def test_the_shards_together_make_each_arrival_once(
    arrivals: str, phases: list[dict[str, Any]], shards: int, seed: int
) -> None:
    spec = _spec(phases, arrivals, seed)
    numbers, offsets = _all(spec)

    parts = [_all(spec, shard=shard, shards=shards) for shard in range(shards)]

    together = sorted(pair for part in parts for pair in zip(part[0].tolist(), part[1].tolist(), strict=True))
    assert together == list(zip(numbers.tolist(), offsets.tolist(), strict=True))
    assert all((part[0] % shards == shard).all() for shard, part in enumerate(parts))


@EITHER
@given(phases=PHASES, part=st.floats(0, 1))
def test_a_generator_that_goes_on_makes_the_same_arrivals_from_there(
    arrivals: str, phases: list[dict[str, Any]], part: float
) -> None:
    spec = _spec(phases, arrivals)
    numbers, offsets = _all(spec)
    since = part * spec.lasts.total_seconds()

    later_numbers, later_offsets = _all(spec, from_offset=since)

    assert later_numbers.tolist() == numbers[offsets >= since].tolist()
    assert later_offsets.tolist() == offsets[offsets >= since].tolist()


def test_a_late_beginning_skips_the_blocks_before_without_making_them() -> None:
    spec = _spec([_phase(900, 3600)], "poisson")

    first = next(Arrivals(spec).chunks(from_offset=3500))

    assert first.numbers[0] > 3_100_000
    assert len(first.numbers) < 9000


@pytest.mark.parametrize("seed", range(3))
def test_poisson_arrivals_have_the_mean_and_the_spread_of_poisson(seed: int) -> None:
    spec = _spec([_phase(100, 200), _phase(300, 200, "ramp")], "poisson", seed)

    _, offsets = _all(spec)

    assert abs(len(offsets) - 60_000) < 5 * math.sqrt(60_000)
    counts = np.bincount(offsets[offsets < 200].astype(int), minlength=200)
    assert 0.6 < counts.var() / counts.mean() < 1.5
    gaps = np.diff(offsets[offsets < 200])
    assert abs(gaps.std() / gaps.mean() - 1) < 0.05


def test_another_seed_is_another_test_and_the_same_seed_the_same() -> None:
    one, same, other = (_all(_spec([_phase(50, 10)], "poisson", seed))[1].tolist() for seed in (7, 7, 8))

    assert one == same
    assert one != other


def test_scenarios_are_chosen_by_weight() -> None:
    draws = Draws(3, _scenarios({"weight": 1}, {"weight": 3}))

    chosen = draws.scenarios(np.arange(40_000))

    assert abs(chosen.mean() - 0.75) < 0.01


@given(st.integers(0, 2**63), st.integers(0, 2**50))
def test_one_draw_is_the_same_alone_and_among_many(seed: int, number: int) -> None:
    draws = Draws(seed, _scenarios({"weight": 1}, {"weight": 1}))

    among = draws.scenarios(np.array([0, number]))[1]

    assert among == (draws.one(0, number) >= 0.5)


def test_a_drawn_number_reaches_both_ends_of_its_range_evenly() -> None:
    draws = Draws(1, _scenarios({"variables": {"n": {"from": 1, "to": 6}, "who": ["ann", "bob"]}}))

    drawn = [draws.variables(0, number) for number in range(6000)]

    counts = np.bincount([each["n"] for each in drawn], minlength=7)
    assert counts[0] == 0
    assert (abs(counts[1:] - 1000) < 150).all()
    # Two variables of a session have nothing to do with each other.
    anns = sum(each["who"] == "ann" for each in drawn if each["n"] == 1)
    assert abs(anns / counts[1] - 0.5) < 0.06


def _scenarios(*more: dict[str, Any]) -> tuple[Scenario, ...]:
    return tuple(
        Scenario.model_validate({"name": f"s{i}", "steps": [get(f"s{i}")]} | each)
        for i, each in enumerate(more)
    )
