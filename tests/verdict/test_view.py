from datetime import UTC, datetime

import pytest

from holdfast.verdict.observation import Level, MetricReading, NoData, Outcome, Verdict
from holdfast.verdict.view import to_view
from holdfast.verdict.words import number


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
