"""How long a month of minutes takes to replay, beside judging each minute alone as a live watch does.

One generated release: 43,200 minutes of seven metrics on both sides and six call edges, nothing wrong with it,
so that no model stops early. The reference judges 500 minutes one by one through `judge`, each with the memory
that the model asks for, scaled up to the month. Prints a table and, as its last line, one JSON object.
"""

import json
import random
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table

from holdfast.verdict.backtest import replay
from holdfast.verdict.models import MODELS, judge, model_named
from holdfast.verdict.observation import Baseline, EdgeBaseline, EdgeSample, NoData, Observation
from holdfast.verdict.releases import Release, summarised
from holdfast.verdict.settings import Metric, ModelName, Scoring, Threshold

MINUTES = 30 * 24 * 60
ALONE = 500
BOUND_SECONDS = 2.0
STARTED = datetime(2026, 3, 1, tzinfo=UTC)
MEANS = {
    "latency_p95": 0.4,
    "latency_p50": 0.1,
    "error_rate": 0.4,
    "message_volume": 12.0,
    "cpu": 30.0,
    "memory": 400.0,
    "database_time": 5.0,
}
EDGES = (
    ("web", "cart"),
    ("mobile", "cart"),
    ("batch", "cart"),
    ("cart", "stock"),
    ("cart", "db"),
    ("cart", "tax"),
)
DECIDING: ModelName = "attributed"


def scoring() -> Scoring:
    """Return seven metrics with floors that noise stays within."""
    weights = (20, 20, 20, 10, 10, 10, 10)
    return Scoring(
        model=DECIDING,
        metrics={
            name: Metric(
                weight_percent=weight,
                query="generated",
                threshold=Threshold(sigmas=5, at_least_percent=100),
                bad_when="falling" if name == "message_volume" else "rising",
            )
            for name, weight in zip(MEANS, weights, strict=True)
        },
    )


def month(noise: random.Random) -> Release:
    """Generate a release that is watched for a month."""
    before = [STARTED - timedelta(minutes=n) for n in range(600, 0, -1)]
    baseline = Baseline(
        taken_at=STARTED,
        wanted_seconds=36_000,
        covered_seconds=36_000,
        signals={
            name: [summarised("generated", {at: _value(mean, noise) for at in before}, minimum_points=5)]
            for name, mean in MEANS.items()
        },
        edges=[
            EdgeBaseline(
                caller=caller, callee=callee, mean_error_percent=0.2, worst_error_percent=1, points=600
            )
            for caller, callee in EDGES
        ],
    )
    return Release(
        id="month/cart",
        case="month",
        day="2026-03-01",
        service="cart",
        label="good",
        fault="",
        replicas=5,
        started_at=STARTED,
        observed_minutes=MINUTES,
        baseline=baseline,
        observations=[_observation(minute, noise) for minute in range(1, MINUTES + 1)],
    )


def _value(mean: float, noise: random.Random) -> float:
    return mean * (1 + 0.05 * noise.random())


def _side(noise: random.Random) -> dict[str, list[float | NoData]]:
    return {name: [_value(mean, noise)] for name, mean in MEANS.items()}


def _observation(minute: int, noise: random.Random) -> Observation:
    return Observation(
        at=STARTED + timedelta(minutes=minute),
        share_percent=20,
        values=_side(noise),
        control=_side(noise),
        edges=[
            EdgeSample(
                caller=caller,
                callee=callee,
                inbound=callee == "cart",
                canary=[noise.random() * 0.5],
                control=[noise.random() * 0.5 for _ in range(4)],
            )
            for caller, callee in EDGES
        ],
    )


def replay_seconds(release: Release, settings: Scoring, model: str) -> float:
    """Return how long the whole replay takes, from observations to the stop."""
    began = time.perf_counter()
    replay(release, settings, [model])
    return time.perf_counter() - began


def alone_seconds(release: Release, settings: Scoring, model: str) -> float:
    """Return how long the month would take minute by minute, from the first that have a full memory."""
    memory = model_named(model).memory(settings)
    began = time.perf_counter()
    for end in range(memory, memory + ALONE):
        judge(settings, release.baseline, release.observations[end - memory : end], model=model)
    return (time.perf_counter() - began) * MINUTES / ALONE


def main() -> int:
    """Measure, print, and return 0 when the bound holds."""
    settings, release = scoring(), month(random.Random(7))
    short = replace(release, observations=release.observations[:100])
    seconds: dict[str, tuple[float, float]] = {}
    for model in MODELS:
        replay_seconds(short, settings, model)  # loads the model
        rounds = 3 if model == DECIDING else 1
        ours = min(replay_seconds(release, settings, model) for _ in range(rounds))
        seconds[model] = (ours, alone_seconds(release, settings, model))
    table = Table(f"{MINUTES} minutes, s", "replayed", "each alone", "ratio")
    for model, (ours, reference) in seconds.items():
        table.add_row(model, f"{ours:.2f}", f"{reference:.1f}", f"{ours / reference:.4f}")
    Console().print(table)
    ours, reference = seconds[DECIDING]
    result = {
        "name": "backtest_month",
        "ours": round(ours, 3),
        "reference": round(reference, 3),
        "ratio": round(ours / reference, 5),
        "bound": BOUND_SECONDS,
        "holds": ours <= BOUND_SECONDS,
    }
    print(json.dumps(result))
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
