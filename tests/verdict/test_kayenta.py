import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.verdict.kayenta import (
    Classification,
    ClassifierSettings,
    EffectSize,
    classify,
    classify_windows,
)

PASS, HIGH, LOW = Classification.PASS, Classification.HIGH, Classification.LOW
NODATA, NODATA_FAIL, ERROR = Classification.NODATA, Classification.NODATA_FAIL_METRIC, Classification.ERROR
PLAIN = ClassifierSettings()
NAN = math.nan

DATA = Path(os.environ.get("HOLDFAST_DATA") or Path(__file__).parents[3] / "shared" / "data")
CASES = DATA / "kayenta" / "mann_whitney_cases.json"


def kayenta_cases() -> list[Any]:
    if not CASES.is_file():
        absent = f"Kayenta's own cases are not at {CASES}; HOLDFAST_DATA names the folder that has them"
        return [pytest.param({}, marks=pytest.mark.skip(reason=absent), id="absent")]
    return [pytest.param(case, id=case["name"]) for case in json.loads(CASES.read_text())]


def kayenta_settings(case: dict[str, Any]) -> ClassifierSettings:
    params = case["params"]
    allowed, critical = params.get("eff", (None, None)), params.get("crit", (None, None))
    return ClassifierSettings(
        classifier="mann_whitney" if case["kind"] == "MannWhitney" else "mean_inequality",
        tolerance=params["tol"],
        confidence=params["conf"],
        direction=params["direction"],
        nan_strategy=params["nan"],
        critical=params["critical"],
        effect_size=EffectSize(
            measure=params.get("measure", "mean_ratio"),
            allowed_decrease=allowed[0],
            allowed_increase=allowed[1],
            critical_decrease=critical[0],
            critical_increase=critical[1],
        ),
    )


@pytest.mark.parametrize("case", kayenta_cases())
def test_kayentas_own_case_gets_the_class_that_kayenta_expects(case: dict[str, Any]) -> None:
    found = classify(case["experiment"], case["control"], kayenta_settings(case))

    # The one case without a class asks for the reason of missing data.
    assert found.classification == (case["expected"] or NODATA)
    assert case["expected"] or "missing data" in found.reason
    assert case["expected_critical"] in {None, found.critical}


def near(middle: float, size: int = 60, seed: int = 7) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).normal(middle, 1, size)]


CONTROL = near(20, seed=1)


@pytest.mark.parametrize(
    ("middle", "direction", "expected"),
    [
        (20, "either", PASS),
        (30, "either", HIGH),
        (30, "increase", HIGH),
        (30, "decrease", PASS),
        (10, "either", LOW),
        (10, "decrease", LOW),
        (10, "increase", PASS),
    ],
)
def test_only_a_shift_in_the_bad_direction_is_a_class(
    middle: float, direction: Any, expected: Classification
) -> None:
    found = classify(near(middle), CONTROL, ClassifierSettings(direction=direction))

    assert found.classification is expected
    assert found.interval is not None
    assert found.interval.estimate == pytest.approx(middle - 20, abs=0.5)


def test_a_class_says_the_numbers_it_rests_on() -> None:
    found = classify([8, 9, 10, NAN], [1, 2, 3], PLAIN)

    assert (found.experiment_size, found.control_size, found.effect_size) == (3, 3, 4.5)
    assert found.reason == "shift +7, 98 % sure of +5 to +9 (band ±1.75); mean ratio 4.5"


@pytest.mark.parametrize(
    ("bounds", "expected", "critical"),
    [
        (EffectSize(), HIGH, True),
        (EffectSize(allowed_increase=1.4), HIGH, True),
        (EffectSize(allowed_increase=1.6), PASS, False),
        (EffectSize(critical_increase=1.6), HIGH, False),
        (EffectSize(measure="cles"), HIGH, True),
        (EffectSize(measure="cles", allowed_increase=1), HIGH, True),
        (EffectSize(measure="cles", allowed_increase=1.01), PASS, False),
    ],
)
def test_a_rise_counts_only_from_the_allowed_effect_and_fails_all_only_from_the_critical(
    bounds: EffectSize, expected: Classification, *, critical: bool
) -> None:
    found = classify(near(30), CONTROL, ClassifierSettings(critical=True, effect_size=bounds))

    assert (found.classification, found.critical) == (expected, critical)


@pytest.mark.parametrize(
    ("bounds", "expected", "critical"),
    [
        (EffectSize(allowed_decrease=0.6), LOW, True),
        (EffectSize(allowed_decrease=0.4), PASS, False),
        (EffectSize(critical_decrease=0.4), LOW, False),
        (EffectSize(measure="cles", allowed_decrease=0), LOW, True),
        (EffectSize(measure="cles", allowed_decrease=-0.01), PASS, False),
    ],
)
def test_a_fall_counts_only_down_from_the_allowed_effect(
    bounds: EffectSize, expected: Classification, *, critical: bool
) -> None:
    found = classify(near(10), CONTROL, ClassifierSettings(critical=True, effect_size=bounds))

    assert (found.classification, found.critical) == (expected, critical)


def test_without_a_mean_ratio_the_bounds_of_the_effect_are_not_applied() -> None:
    strict = EffectSize(allowed_increase=1e9, critical_increase=1e9)
    found = classify([5, 6, 5, 6, 7], [0] * 5, ClassifierSettings(critical=True, effect_size=strict))

    assert (found.classification, found.critical) == (HIGH, True)
    assert found.effect_size is not None
    assert math.isnan(found.effect_size)


def test_an_interval_that_does_not_leave_the_tolerance_band_passes() -> None:
    settings = ClassifierSettings(tolerance=0.95)
    found = classify(near(21), CONTROL, settings)

    assert found.interval is not None
    assert 0 < found.interval.low < 0.95 * found.interval.estimate
    assert found.classification is PASS
    assert classify(near(21), CONTROL, PLAIN).classification is HIGH


def test_where_most_values_are_zero_the_test_of_no_shift_decides() -> None:
    few, many = [0.0] * 170 + near(3, 10), [0.0] * 120 + near(3, 60)
    more, same = classify(many, few, PLAIN), classify(few, [*few, 0.0], PLAIN)

    assert more.interval is not None
    assert (more.interval.low, more.interval.estimate) == (0, 0)
    assert (more.classification, classify(few, many, PLAIN).classification) == (HIGH, LOW)
    assert same.classification is PASS


@pytest.mark.parametrize("settings", [PLAIN, ClassifierSettings(effect_size=EffectSize(measure="cles"))])
@pytest.mark.parametrize(("value", "expected"), [(10, HIGH), (0, LOW), (-5, LOW), (1 + 1e-9, HIGH)])
def test_two_constant_sides_are_told_apart_without_noise_so_always_alike(
    value: float, expected: Classification, settings: ClassifierSettings
) -> None:
    settings = settings.model_copy(update={"tolerance": 0.1})
    found = [classify([value] * 5, [1] * 6, settings) for _ in range(3)]

    assert found[0].classification is expected
    assert found[0] == found[1] == found[2]
    assert found[0].interval is not None
    assert found[0].interval.low == found[0].interval.high == value - 1


def test_two_constant_sides_pass_where_the_band_is_as_wide_as_the_shift() -> None:
    assert classify([2] * 5, [1] * 5, ClassifierSettings(tolerance=1)).classification is PASS


@pytest.mark.parametrize(("x", "y"), [([1, 2, 3], [3, 1, 2]), ([4, 4], [4, 4, 4]), ([NAN, 4], [4, NAN])])
def test_the_same_values_pass_without_a_test(x: list[float], y: list[float]) -> None:
    found = classify(x, y, ClassifierSettings(critical=True))

    assert (found.classification, found.critical, found.interval) == (PASS, False, None)


@pytest.mark.parametrize("critical", [False, True])
def test_one_value_a_side_is_too_little_to_compare(*, critical: bool) -> None:
    found = classify([3], [4], ClassifierSettings(critical=critical))

    assert (found.classification, found.critical) == (ERROR, critical)


@pytest.mark.parametrize("classifier", ["mann_whitney", "mean_inequality"])
@pytest.mark.parametrize("sides", [([], [1, 2]), ([1, 2], [NAN]), ([], [])])
@pytest.mark.parametrize(
    ("said", "expected", "critical"),
    [
        ({}, NODATA, False),
        ({"critical": True}, NODATA, True),
        ({"must_have_data": True}, NODATA_FAIL, False),
        ({"must_have_data": True, "critical": True}, NODATA, True),
    ],
)
def test_a_side_without_data_is_no_data_as_the_settings_say(
    classifier: str,
    sides: tuple[list[float], list[float]],
    said: dict[str, bool],
    expected: Classification,
    *,
    critical: bool,
) -> None:
    found = classify(*sides, ClassifierSettings.model_validate({"classifier": classifier, **said}))

    assert (found.classification, found.critical) == (expected, critical)
    assert found.reason.startswith("missing data: no value of")


@pytest.mark.parametrize("classifier", ["mann_whitney", "mean_inequality"])
def test_a_side_without_data_passes_where_missing_values_count_as_zero(classifier: Any) -> None:
    settings = ClassifierSettings(classifier=classifier, nan_strategy="replace", critical=True)

    assert classify([], [1, 2], settings).classification is PASS


def test_missing_and_infinite_values_are_removed_or_become_zero() -> None:
    experiment = [*near(20), *[NAN] * 100, math.inf, -math.inf]
    removed = classify(experiment, CONTROL, PLAIN)
    replaced = classify(experiment, CONTROL, ClassifierSettings(nan_strategy="replace"))

    assert (removed.classification, removed.experiment_size) == (PASS, 60)
    assert (replaced.classification, replaced.experiment_size) == (LOW, 162)


def test_outliers_are_dropped_only_beyond_both_the_tails_and_the_quartiles() -> None:
    values = [float(i % 10) for i in range(300)]
    drop = ClassifierSettings(outlier_strategy="remove")

    # The quartiles are 2 and 7, so the fences are at -13 and 22; two of 302 are beyond the 99th percentile.
    assert classify([*values, 1e6, -1e6], CONTROL, drop).experiment_size == 300
    assert classify([*values, 22.0, -13.0], CONTROL, drop).experiment_size == 302
    assert classify([*values[:30], 1e6], CONTROL, drop).experiment_size == 30
    assert classify([*values, 1e6, -1e6], CONTROL, PLAIN).experiment_size == 302
    # A tenth of the values is no outlier, however far away.
    assert classify([*values, *[1e6] * 30], CONTROL, drop).experiment_size == 330


@pytest.mark.parametrize(
    ("x", "direction", "expected"),
    [
        ([2, 3], "either", HIGH),
        ([2, 3], "decrease", PASS),
        ([0, 1], "either", LOW),
        ([0, 1], "increase", PASS),
        ([1, 2], "either", PASS),
    ],
)
def test_the_mean_classifier_calls_any_difference_of_means_a_class(
    x: list[float], direction: Any, expected: Classification
) -> None:
    settings = ClassifierSettings(classifier="mean_inequality", direction=direction, critical=True)
    found = classify(x, [1, 2], settings)

    assert (found.classification, found.critical) == (expected, expected is not PASS)


@given(
    seed=st.integers(0, 2**32),
    classifier=st.sampled_from(["mann_whitney", "mean_inequality"]),
    outliers=st.booleans(),
)
def test_windows_get_the_class_they_get_alone(seed: int, classifier: Any, *, outliers: bool) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.poisson(2, (12, 15)).astype(np.float64), rng.poisson(3, (12, 10)).astype(np.float64)
    x[rng.random(x.shape) < 0.1] = NAN
    x[0], y[1], x[2] = NAN, 0, 0
    settings = ClassifierSettings(classifier=classifier, outlier_strategy="remove" if outliers else "keep")

    # As texts, because a NaN of an effect size is not equal to itself.
    alone = [repr(classify(a, b, settings)) for a, b in zip(x, y, strict=True)]
    assert [repr(found) for found in classify_windows(x, y, settings)] == alone


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=30), st.lists(st.integers(0, 9), min_size=2, max_size=30)
)
def test_exchanging_the_sides_turns_high_into_low(x: list[int], y: list[int]) -> None:
    settings = ClassifierSettings(effect_size=EffectSize(measure="cles"))
    there, back = (classify(*sides, settings).classification for sides in ((x, y), (y, x)))

    assert back is {HIGH: LOW, LOW: HIGH}.get(there, there)


def test_values_of_two_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="one dimension"):
        classify([[1, 2]], [1, 2], PLAIN)


@pytest.mark.parametrize("said", [{"confidence": 98}, {"tolerance": -1}, {"direction": "up"}, {"toleranse": 1}])
def test_settings_that_mean_nothing_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(said))):
        ClassifierSettings.model_validate(said)
