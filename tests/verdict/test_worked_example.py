"""The worked example of docs/verdicts.md; whoever changes one changes the other."""

from datetime import UTC, datetime
from pathlib import Path

from holdfast.verdict.baseline import signal_baseline
from holdfast.verdict.models import judge
from holdfast.verdict.observation import Baseline, Level, NoData, Observation, Outcome, SignalBaseline
from holdfast.verdict.settings import Metric, Scoring, Threshold

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HALF_AGAIN = Threshold(sigmas=2, at_least_percent=50)
PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"

SCORING = Scoring(
    metrics={
        "latency_p95": Metric(weight_percent=30, query="q", threshold=HALF_AGAIN),
        "error_rate": Metric(weight_percent=30, query="q", threshold=Threshold(sigmas=2, points=0.05)),
        "message_volume": Metric(
            weight_percent=20,
            query="q",
            bad_when="falling",
            threshold=Threshold(sigmas=2, at_least_percent=20),
        ),
        "cpu_and_memory": Metric(weight_percent=10, query=("cpu", "memory"), threshold=HALF_AGAIN),
        "database_time": Metric(weight_percent=10, query="q", threshold=HALF_AGAIN),
    }
)


def seen(mean: float, standard_deviation: float) -> SignalBaseline:
    return SignalBaseline(query="q", mean=mean, standard_deviation=standard_deviation, points=60)


BASELINE = Baseline(
    taken_at=NOON,
    wanted_seconds=3600,
    covered_seconds=3600,
    signals={
        "latency_p95": [seen(0.41, 0.035)],
        "error_rate": [seen(0.004, 0.001)],
        "message_volume": [seen(12, 0.8)],
        "cpu_and_memory": [seen(0.3, 0.02), seen(400e6, 5e6)],
        "database_time": [seen(0.05, 0.004)],
    },
)
VALUES: dict[str, list[float | NoData]] = {
    "latency_p95": [2.31],
    "error_rate": [0.06],
    "message_volume": [10.2],
    "cpu_and_memory": [0.35, 420e6],
    "database_time": [0.08],
}


def test_the_worked_example_of_the_page_is_what_happens() -> None:
    verdict = judge(SCORING, BASELINE, [Observation(at=NOON, share_percent=5, values=VALUES)])

    assert [(r.used_percent, r.level) for r in verdict.readings] == [
        (927, Level.RED),
        (112, Level.RED),
        (75, Level.YELLOW),
        (34, Level.GREEN),
        (120, Level.RED),
    ]
    assert (verdict.risk_percent, verdict.outcome) == (160, Outcome.ROLLBACK)
    for part in verdict.reason.split("; "):
        assert part in PAGE.read_text()


def test_a_baseline_of_a_steady_series_allows_what_the_floor_allows() -> None:
    steady = signal_baseline("q", [0.4] * 60, minimum_points=5)
    scoring = Scoring(metrics={"latency": Metric(weight_percent=100, query="q", threshold=HALF_AGAIN)})
    baseline = BASELINE.model_copy(update={"signals": {"latency": [steady]}})

    verdict = judge(scoring, baseline, [Observation(at=NOON, share_percent=5, values={"latency": [0.45]})])

    assert (verdict.readings[0].allowed, verdict.outcome) == (0.2, Outcome.CONTINUE)
