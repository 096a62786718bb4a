from datetime import UTC, datetime

import pytest

from holdfast.domain.view import RunView, VerdictView
from holdfast.verdict.observation import (
    Baseline,
    EdgeFinding,
    Level,
    MetricReading,
    NoData,
    Observation,
    Outcome,
    SignalBaseline,
    Verdict,
)
from holdfast.verdict.settings import Metric, Scoring, SickBaseline, Threshold
from holdfast.verdict.view import settings_in_words, to_view
from holdfast.verdict.words import measured, number, reason_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.012345, "0.0123"),
        (0.41, "0.41"),
        (2.314, "2.31"),
        (-0.5, "-0.5"),
        (99.96, "100"),
        (999.6, "1000"),
        (1234.5, "1234"),
        (12_345, "12.3 k"),
        (999_900, "1000 k"),
        (1_288_490_188, "1.29 G"),
        (-2.5e12, "-2.5 T"),
        (0.0000123, "1.23e-05"),
    ],
)
def test_numbers_are_written_with_three_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.314, "", "2.31"),
        (2.314, "s", "2.31 s"),
        (0, "s", "0 s"),
        (0.00025, "s", "250 µs"),
        (86_400, "s", "86400 s"),
        (6, "%", "6.0 %"),
        (-6, "%", "-6.0 %"),
        (0.41, "%", "0.41 %"),
        (0, "%", "0 %"),
        (100, "%", "100 %"),
        (0.06, "ratio", "6.0 %"),
        (1.4, "ratio", "140 %"),
        (400e6, "B", "400 MB"),
        (1_288_490_188, "bytes", "1.29 GB"),
        (1234, "B", "1234 B"),
        (25_000, "B/s", "25 kB/s"),
        (12, "/s", "12/s"),
        (12_345, "/s", "12.3 k/s"),
        (7, "messages", "7 messages"),
        (70_000, "messages", "70 k messages"),
    ],
)
def test_numbers_are_written_with_their_unit(value: float, unit: str, text: str) -> None:
    assert measured(value, unit) == text


def test_a_view_shows_each_metric_in_words() -> None:
    verdict = Verdict(
        model="weighted-seed",
        at=datetime(2026, 3, 2, 12, tzinfo=UTC),
        share_percent=5,
        outcome=Outcome.PAUSE,
        risk_percent=80,
        reason="why",
        readings=[
            MetricReading(
                metric="latency_p95",
                weight_percent=30,
                value=2.314,
                baseline_mean=0.41,
                allowed=0.21,
                used_percent=907,
                level=Level.RED,
            ),
            MetricReading(
                metric="error_rate",
                weight_percent=30,
                value=0.01,
                baseline_mean=0,
                allowed=0,
                level=Level.RED,
            ),
            MetricReading(
                metric="cpu", weight_percent=10, value=9, baseline_mean=1, used_percent=5000, level=Level.RED
            ),
            MetricReading(
                metric="message_volume", weight_percent=20, baseline_mean=40, no_data=NoData.CANARY_SILENT
            ),
            MetricReading(metric="database_time", weight_percent=10, value=0.2),
        ],
    )

    view = to_view(verdict)

    assert (view.outcome, view.risk, view.reason, view.share_percent) == ("pause", "at least 0.80", "why", 5)
    assert [(x.metric, x.value, x.baseline, x.used, x.level) for x in view.lines] == [
        ("latency_p95", "2.31", "0.41", "907 %", "red"),
        ("error_rate", "0.01", "0", "none allowed", "red"),
        ("cpu", "9", "1", "over 999 %", "red"),
        ("message_volume", "–", "40", "–", "canary silent"),
        ("database_time", "0.2", "–", "–", "no baseline"),
    ]
    assert [(x.canary, x.base, x.used_percent) for x in view.lines] == [
        (2.314, 0.41, 907),
        (0.01, 0, None),
        (9, 1, 5000),
        (None, 40, None),
        (0.2, None, None),
    ]


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def a_verdict(*readings: MetricReading, **changes: object) -> Verdict:
    verdict = Verdict(
        model="weighted",
        at=NOON,
        share_percent=5,
        outcome=Outcome.PAUSE,
        risk_percent=80,
        readings=list(readings),
    )
    return verdict.model_copy(update=changes)


def a_reading(**changes: object) -> MetricReading:
    reading = MetricReading(
        metric="volume",
        weight_percent=100,
        value=8,
        baseline_mean=12,
        allowed=2.4,
        used_percent=167,
        level=Level.RED,
        unit="/s",
        compared_with="control now",
        control=12,
        past=11.5,
        query="sum(rate(messages[60s]))",
    )
    return reading.model_copy(update=changes)


def scoring(**changes: object) -> Scoring:
    volume = Metric(weight_percent=100, query="q", bad_when="falling", unit="/s")
    return Scoring(metrics={"volume": volume}).model_copy(update=changes)


def test_every_number_of_a_view_has_its_unit_its_comparison_and_its_query() -> None:
    [line] = to_view(a_verdict(a_reading()), scoring()).lines

    assert (line.value, line.baseline, line.allowed) == ("8/s", "12/s", "down to 9.6/s")
    assert (line.unit, line.compared_with, line.control, line.past) == ("/s", "control now", 12, 11.5)
    assert (line.query, line.weight_percent) == ("sum(rate(messages[60s]))", 100)
    assert line.comparison == "12/s (control now)"


def test_a_unit_that_the_reading_lacks_is_taken_from_the_file() -> None:
    reading = a_reading(unit="")
    assert to_view(a_verdict(reading), scoring()).lines[0].value == "8/s"
    assert to_view(a_verdict(reading)).lines[0].value == "8"


def test_a_query_that_the_reading_lacks_is_the_one_of_the_file() -> None:
    two = Metric(weight_percent=100, query=("a{side='$side'}", "b"))
    reading = a_reading(query="")
    assert to_view(a_verdict(reading), scoring(metrics={"volume": two})).lines[0].query == "a{side='$side'}\nb"
    assert to_view(a_verdict(reading)).lines[0].query == ""


def test_a_model_that_allows_no_deviation_by_number_does_not_say_that_none_is_allowed() -> None:
    [line] = to_view(a_verdict(a_reading(allowed=None, used_percent=None))).lines
    assert (line.used, line.level, line.allowed) == ("–", "red", "")


def test_without_the_file_it_is_said_how_far_off_is_allowed() -> None:
    assert to_view(a_verdict(a_reading())).lines[0].allowed == "2.4/s off"
    assert to_view(a_verdict(a_reading(baseline_mean=None))).lines[0].allowed == ""


def test_a_comparison_that_is_not_named_is_with_the_baseline() -> None:
    [line] = to_view(a_verdict(a_reading(compared_with="", control=None, past=None))).lines
    assert (line.compared_with, line.past) == ("baseline", 12)
    [nothing] = to_view(a_verdict(a_reading(compared_with="", baseline_mean=None, past=None))).lines
    assert (nothing.compared_with, nothing.baseline, nothing.past) == ("", "–", None)


def test_a_view_says_how_much_it_rests_on() -> None:
    counted = a_verdict(canary_requests=41.6, control_requests=79_000)
    assert to_view(counted).rests_on == "rests on 42 requests of the canary, 79 k of the control"
    thin = to_view(counted, scoring(minimum_requests=50)).rests_on
    assert thin.endswith("79 k of the control (at least 50 of the canary are wanted)")
    assert to_view(a_verdict(canary_requests=1)).rests_on == "rests on 1 request of the canary"
    assert to_view(a_verdict(control_requests=9)).rests_on == ""


def test_a_view_carries_what_is_held_against_the_edges_and_the_edges_between_verdicts() -> None:
    finding = EdgeFinding(caller="a", callee="b", outcome=Outcome.PAUSE, words="a → b: 5 % fail")
    view = to_view(a_verdict(edges=[finding], warming=True), scoring())
    assert (view.edges, view.said) == (["a → b: 5 % fail"], "pause (too early to judge)")
    assert view.thresholds == "goes on up to 0.50, rolls back above 1.50"
    assert (
        to_view(a_verdict(model="judge"), scoring()).thresholds == "goes on up to 0.10, rolls back above 0.50"
    )
    assert to_view(a_verdict()).thresholds == ""


def test_what_all_metrics_are_compared_with_is_said_once() -> None:
    control, past = a_reading(), a_reading(compared_with="past weeks, same hour")
    nothing = a_reading(baseline_mean=None, compared_with="")
    assert to_view(a_verdict(control, nothing)).basis == "Canary vs control now"
    assert to_view(a_verdict(control, past)).basis == ""
    assert to_view(a_verdict(control, past, canary_requests=9)).basis == "Rests on 9 requests of the canary"


def test_a_view_from_before_these_fields_still_reads() -> None:
    old = {
        "at": NOON.isoformat(),
        "outcome": "pause",
        "risk": "0.85",
        "reason": "why",
        "share_percent": 5,
        "lines": [{"metric": "m", "value": "2.91", "baseline": "1.20", "used": "131 %", "level": "red"}],
    }
    run = {"run_id": "r", "runbook": "b", "title": "t", "requested_by": "a", "started_at": NOON, "verdict": old}
    verdict = RunView.model_validate(run).verdict
    assert isinstance(verdict, VerdictView)
    assert (verdict.said, verdict.compared_with, verdict.basis, verdict.thresholds) == ("pause", "", "", "")
    assert (verdict.lines[0].comparison, verdict.lines[0].unit) == ("1.20", "")


def test_a_reason_tells_numbers_with_their_units_and_what_they_are_compared_with() -> None:
    baseline = Baseline(
        taken_at=NOON,
        wanted_seconds=60,
        covered_seconds=60,
        signals={"volume": [SignalBaseline(query="q", mean=12, standard_deviation=1, points=9)]},
    )
    observation = Observation(at=NOON, share_percent=5, values={"volume": [8.0]})
    assert reason_of(a_verdict(a_reading()), scoring(), baseline, observation) == (
        "risk 0.80 at 5 %: volume is 8/s, allowed down to 9.6/s (control now 12/s, 167 % used: red)"
    )


def words(model: str, **changes: object) -> str:
    return " ".join(settings_in_words(scoring(**changes), model))


def test_the_settings_of_the_seed_are_its_weights_and_edges() -> None:
    told = words("weighted-seed", yellow_from_percent=40, pause_up_to_percent=120)
    assert "yellow 1 (more than 40 % of what is allowed is used), red 2 (more than 100 %)" in told
    assert "Up to 0.50 the rollout continues, up to 1.20 it pauses" in told
    assert "newest 3 verdicts" not in told
    assert "Silence" not in told


def test_the_settings_of_the_other_models_name_what_they_add() -> None:
    strict = Metric(
        weight_percent=60, query="q", veto="rollback", no_data="rollback", threshold=Threshold(points=1)
    )
    mild = Metric(weight_percent=40, query="q", worst_level="yellow", no_data="ignore")
    told = words("weighted", metrics={"errors": strict, "cpu": mild}, minimum_requests=50, shadow=("judge",))
    for sentence in (
        "2 of the newest 3 verdicts with data",
        "Red alone means rollback: errors.",
        "Never worse than yellow: cpu.",
        "silent for 5 verdicts in a row while the control speaks means rollback for errors; nothing for cpu.",
        "With fewer than 50 requests of the canary",
    ):
        assert sentence in told
    assert "percentage points" not in told
    assert "rise by 5 percentage points" in words("attributed")
    edges = Metric(weight_percent=100, query="q", by_edges=True)
    assert "they speak for errors instead of the weight" in words("attributed", metrics={"errors": edges})
    assert "they speak" not in words("weighted", metrics={"errors": edges})
    assert "95 % continue, 75 % pause" in words("judge")
    assert "weight × level" not in words("judge")


def test_the_settings_name_the_models_beside_it_and_a_fix_for_a_sick_system() -> None:
    several = words("weighted-seed", shadow=("weighted", "judge"), sick=SickBaseline(metrics=("volume",)))
    assert "Beside it weighted and judge judge too, and decide nothing." in several
    assert "volume must get better by 25 % of the way back to the healthy past" in several
    assert "Beside it weighted judges too, and decides nothing." in words("weighted-seed", shadow=("weighted",))
    assert "Beside it" not in words("weighted", shadow=("weighted",))
