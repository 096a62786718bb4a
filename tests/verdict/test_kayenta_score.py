from typing import Any

import pytest
from pydantic import ValidationError

from holdfast.verdict.kayenta import Classification, MetricClass
from holdfast.verdict.kayenta_score import Decision, GroupedMetric, ScoreSettings, weighted_score

PASS, HIGH, LOW = Classification.PASS, Classification.HIGH, Classification.LOW
NODATA, NODATA_FAIL, ERROR = Classification.NODATA, Classification.NODATA_FAIL_METRIC, Classification.ERROR


def metric(label: Classification, *groups: str, critical: bool = False, muted: bool = False) -> GroupedMetric:
    result = MetricClass(
        classification=label, critical=critical, reason="why", experiment_size=60, control_size=60
    )
    return GroupedMetric(f"{label.value} metric", groups or ("all",), result, muted)


@pytest.mark.parametrize(
    ("metrics", "weights", "summary"),
    [
        ([metric(PASS)], {}, 100),
        ([metric(HIGH)], {}, 0),
        ([metric(PASS), metric(HIGH)], {}, 50),
        ([metric(PASS), metric(HIGH), metric(LOW)], {}, 33.33),
        ([metric(PASS), metric(PASS), metric(LOW)], {}, 66.67),
        ([metric(PASS), metric(NODATA_FAIL)], {}, 50),
        ([metric(PASS), metric(PASS), metric(NODATA)], {}, 100),
        ([metric(PASS), metric(ERROR)], {}, 100),
        ([metric(PASS, "a"), metric(PASS, "a"), metric(HIGH, "b")], {"a": 75, "b": 25}, 75),
        ([metric(PASS, "a"), metric(HIGH, "a"), metric(HIGH, "b")], {"a": 50, "b": 50}, 25),
        ([metric(HIGH, "a"), metric(LOW, "a"), metric(PASS, "a"), metric(HIGH, "b")], {"a": 15, "b": 85}, 5),
        ([metric(PASS, "a"), metric(HIGH, "b"), metric(PASS, "c")], {"a": 40}, 70),
        ([metric(PASS, "a", "b"), metric(HIGH, "b")], {"a": 60, "b": 40}, 80),
        ([metric(PASS, "a"), metric(PASS, "a"), metric(NODATA, "b")], {"b": 50}, 100),
        ([metric(PASS, "a"), metric(HIGH, "b"), metric(NODATA, "a")], {"a": 50, "b": 50}, 50),
        ([metric(PASS, "a")], {"a": 60, "b": 40}, 60),
        ([metric(PASS), metric(HIGH, muted=True)], {}, 100),
        ([metric(PASS), metric(PASS, critical=True)], {}, 100),
    ],
)
def test_the_score_is_the_weighted_share_of_what_passes(
    metrics: list[GroupedMetric], weights: dict[str, float], summary: float
) -> None:
    assert weighted_score(metrics, ScoreSettings(group_weights=weights)).summary == summary


@pytest.mark.parametrize("label", [HIGH, LOW, NODATA, ERROR])
def test_a_critical_metric_that_does_not_pass_makes_the_score_zero(label: Classification) -> None:
    found = weighted_score([*[metric(PASS)] * 9, metric(label, critical=True)], ScoreSettings())

    assert (found.summary, found.decision) == (0, Decision.FAIL)
    assert found.reason == f"critical metric {label.value} metric is {label.value}: why"


@pytest.mark.parametrize(("silent", "summary"), [(1, 100), (2, 0), (3, 0)])
def test_half_of_the_metrics_without_data_makes_the_score_zero(silent: int, summary: float) -> None:
    metrics = [*[metric(NODATA)] * silent, *[metric(PASS)] * (4 - silent)]
    found = weighted_score(metrics, ScoreSettings())

    assert found.summary == summary
    assert (f"{silent} of 4 metrics have no data" == found.reason) == (summary == 0)


def test_a_muted_metric_is_neither_critical_nor_without_data_for_the_score() -> None:
    muted = [metric(HIGH, critical=True, muted=True), metric(NODATA, muted=True), metric(NODATA, muted=True)]

    assert weighted_score([*muted, metric(PASS)], ScoreSettings()).summary == 100


def test_a_group_without_data_shows_no_score_and_counts_as_passed() -> None:
    found = weighted_score(
        [metric(PASS, "a"), metric(PASS, "a"), metric(HIGH, "a"), metric(NODATA, "b")], ScoreSettings()
    )

    assert [(group.name, round(group.score), group.no_data) for group in found.groups] == [
        ("a", 67, False),
        ("b", 0, True),
    ]
    assert found.summary == 83.33


@pytest.mark.parametrize(
    ("passing", "decision"),
    [(4, Decision.PASS), (3, Decision.PASS), (2, Decision.MARGINAL), (1, Decision.FAIL)],
)
def test_a_score_on_an_edge_gets_the_better_decision(passing: int, decision: Decision) -> None:
    metrics = [*[metric(PASS)] * passing, *[metric(HIGH)] * (4 - passing)]

    assert weighted_score(metrics, ScoreSettings(pass_from=75, marginal_from=50)).decision is decision


@pytest.mark.parametrize("metrics", [[], [metric(PASS, muted=True)]])
def test_a_score_of_nothing_is_refused(metrics: list[GroupedMetric]) -> None:
    with pytest.raises(ValueError, match="not muted"):
        weighted_score(metrics, ScoreSettings())


def test_a_metric_that_counts_in_no_group_is_refused_by_name() -> None:
    lost = GroupedMetric("lost", (), metric(PASS).result)

    with pytest.raises(ValueError, match="needs a group: lost"):
        weighted_score([metric(PASS), lost], ScoreSettings())


@pytest.mark.parametrize(
    "said",
    [
        {"group_weights": {"a": 60, "b": 41}},
        {"group_weights": {"a": -1}},
        {"pass_from": 40, "marginal_from": 50},
    ],
)
def test_score_settings_that_do_not_fit_together_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"group_weights must|marginal_from must"):
        ScoreSettings.model_validate(said)
