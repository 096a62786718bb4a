from collections import Counter
from datetime import UTC, datetime
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.errors import UnknownName
from holdfast.verdict.models import MODELS, judge, model_named
from holdfast.verdict.observation import (
    Baseline,
    Level,
    NoData,
    Observation,
    Outcome,
    SignalBaseline,
    Verdict,
)
from holdfast.verdict.settings import Metric, Scoring, Threshold

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
WEIGHTS = {
    "latency_p95": 30,
    "error_rate": 30,
    "message_volume": 20,
    "cpu_and_memory": 10,
    "database_time": 10,
}
# Above a mean of 0, where a deviation of 1 is allowed.
GREEN, YELLOW, RED = 0.5, 1.0, 1.01
SEED = Scoring(
    metrics={
        name: Metric(weight_percent=weight, query="q", threshold=Threshold(points=1))
        for name, weight in WEIGHTS.items()
    }
)


def baseline(scoring: Scoring = SEED, *, mean: float | None = 0, points: int = 60) -> Baseline:
    signal = SignalBaseline(query="q", mean=mean, standard_deviation=None if mean is None else 0, points=points)
    return Baseline(
        taken_at=NOON,
        wanted_seconds=60,
        covered_seconds=60,
        signals={name: [signal] * len(m.queries) for name, m in scoring.metrics.items()},
    )


def observed(*values: float | NoData, trouble: str = "") -> Observation:
    return Observation(
        at=NOON,
        share_percent=5,
        values={name: [value] for name, value in zip(WEIGHTS, values, strict=True)},
        trouble=trouble,
    )


def verdict(*values: float | NoData) -> Verdict:
    return judge(SEED, baseline(), [observed(*values)])


VALUE = st.sampled_from([GREEN, YELLOW, RED]) | st.floats(-5, 5)
ENTRY = VALUE | st.sampled_from([NoData.CANARY_SILENT, NoData.BOTH_SILENT])


def test_the_243_combinations_of_levels_fall_between_the_edges_as_they_should() -> None:
    verdicts = [verdict(*values) for values in product((GREEN, YELLOW, RED), repeat=5)]

    outcomes = Counter(v.outcome for v in verdicts)
    on_an_edge = Counter(v.risk_percent for v in verdicts if v.risk_percent in {50, 150})
    assert on_an_edge == {50: 12, 150: 12}
    assert outcomes == {
        Outcome.CONTINUE: 22 + on_an_edge[50],
        Outcome.PAUSE: 175 + on_an_edge[150],
        Outcome.ROLLBACK: 22,
    }


@pytest.mark.parametrize(
    ("values", "risk_percent", "outcome"),
    [
        ((GREEN, GREEN, GREEN, GREEN, GREEN), 0, Outcome.CONTINUE),
        ((YELLOW, GREEN, YELLOW, GREEN, GREEN), 50, Outcome.CONTINUE),
        ((YELLOW, YELLOW, GREEN, GREEN, GREEN), 60, Outcome.PAUSE),
        ((RED, RED, YELLOW, YELLOW, GREEN), 150, Outcome.PAUSE),
        ((RED, RED, RED, GREEN, GREEN), 160, Outcome.ROLLBACK),
        ((RED, RED, RED, RED, RED), 200, Outcome.ROLLBACK),
    ],
)
def test_the_risk_is_the_weighted_sum_of_levels(
    values: tuple[float, ...], risk_percent: int, outcome: Outcome
) -> None:
    result = verdict(*values)

    assert (result.risk_percent, result.outcome) == (risk_percent, outcome)


@pytest.mark.parametrize(
    ("weight", "values", "risk_percent", "outcome"),
    [
        (50, (YELLOW, GREEN), 50, Outcome.CONTINUE),
        (51, (YELLOW, GREEN), 51, Outcome.PAUSE),
        (50, (RED, YELLOW), 150, Outcome.PAUSE),
        (51, (RED, YELLOW), 151, Outcome.ROLLBACK),
    ],
)
def test_an_edge_itself_belongs_to_the_milder_outcome(
    weight: int, values: tuple[float, float], risk_percent: int, outcome: Outcome
) -> None:
    weights = {"first": weight, "second": 100 - weight}
    scoring = Scoring(
        metrics={
            name: Metric(weight_percent=percent, query="q", threshold=Threshold(points=1))
            for name, percent in weights.items()
        }
    )
    entries: dict[str, list[float | NoData]] = {"first": [values[0]], "second": [values[1]]}

    result = judge(scoring, baseline(scoring), [Observation(at=NOON, share_percent=5, values=entries)])

    assert (result.risk_percent, result.outcome) == (risk_percent, outcome)


@given(st.tuples(*[ENTRY] * 5), st.integers(0, 4), st.floats(0, 5))
def test_a_worse_value_never_lowers_the_risk(
    values: tuple[float | NoData, ...], which: int, worse_by: float
) -> None:
    value = values[which]
    worse = value if isinstance(value, NoData) else value + worse_by

    before = verdict(*values)
    after = verdict(*values[:which], worse, *values[which + 1 :])

    assert after.risk_percent >= before.risk_percent


@given(st.tuples(*[VALUE] * 5), st.sets(st.integers(0, 4), min_size=1))
def test_losing_data_never_raises_the_risk_and_never_lets_a_rollout_continue(
    values: tuple[float, ...], lost: set[int]
) -> None:
    before = verdict(*values)
    after = verdict(*[NoData.CANARY_SILENT if i in lost else value for i, value in enumerate(values)])

    assert after.risk_percent <= before.risk_percent
    assert after.outcome is not Outcome.CONTINUE


@given(st.tuples(*[ENTRY] * 5), st.sets(st.integers(0, 4), min_size=1))
def test_while_the_provider_is_down_every_verdict_is_inconclusive(
    values: tuple[float | NoData, ...], down: set[int]
) -> None:
    entries = [NoData.PROVIDER_DOWN if i in down else value for i, value in enumerate(values)]

    assert verdict(*entries).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("silence", [NoData.CANARY_SILENT, NoData.BOTH_SILENT])
def test_a_total_silence_is_inconclusive(silence: NoData) -> None:
    result = verdict(*[silence] * 5)

    assert (result.outcome, result.risk_percent) == (Outcome.INCONCLUSIVE, 0)


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ((GREEN, GREEN, GREEN, GREEN), Outcome.INCONCLUSIVE),
        ((RED, GREEN, GREEN, GREEN), Outcome.PAUSE),
        ((RED, RED, RED, GREEN), Outcome.ROLLBACK),
    ],
)
def test_what_is_known_is_enough_to_pause_or_roll_back(values: tuple[float, ...], outcome: Outcome) -> None:
    assert verdict(*values, NoData.BOTH_SILENT).outcome is outcome


def test_a_metric_without_a_baseline_has_no_level_and_says_why() -> None:
    result = judge(SEED, baseline(mean=None, points=3), [observed(*[RED] * 5)])

    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.readings[0].level is None
    assert result.readings[0].value == RED
    assert "latency_p95: its baseline has 3 points, at least 5 are needed" in result.reason


def test_the_reason_names_what_moved_with_its_numbers_heaviest_first() -> None:
    result = verdict(GREEN, YELLOW, RED, GREEN, NoData.CANARY_SILENT)

    assert result.reason == (
        "risk at least 0.70 at 5 %: "
        "message_volume is 1.01, allowed up to 1 (baseline 0, 101 % used: red); "
        "error_rate is 1, allowed up to 1 (baseline 0, 100 % used: yellow); "
        "nothing known of database_time: the canary is silent while the control speaks"
    )


def test_the_reason_of_a_calm_verdict_says_that_nothing_moved() -> None:
    assert verdict(*[GREEN] * 5).reason == (
        "risk 0.00 at 5 %: no metric used more than 50 % of its allowed deviation"
    )


def test_the_reason_during_an_outage_is_the_outage() -> None:
    observation = observed(*[NoData.PROVIDER_DOWN] * 5, trouble="Prometheus at http://p does not answer")

    assert judge(SEED, baseline(), [observation]).reason == (
        "no verdict at 5 %: Prometheus at http://p does not answer"
    )


def test_a_verdict_survives_its_journey_as_json() -> None:
    result = verdict(GREEN, YELLOW, RED, NoData.BOTH_SILENT, NoData.CANARY_SILENT)

    copy = Verdict.model_validate_json(result.model_dump_json())

    assert copy == result
    assert copy.readings[2].level is Level.RED


def test_the_table_has_every_model_that_a_file_may_name() -> None:
    assert set(MODELS) == set(get_args(Scoring.model_fields["model"].annotation))


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UnknownName, match="unknown scoring model 'oracle'; known: attributed, judge, weighted, weighted-seed"
    ):
        model_named("oracle")
