"""Shares for the tests of the models: settings, baselines and minutes that are easy to read."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.verdict.observation import (
    Baseline,
    EdgeBaseline,
    EdgeSample,
    NoData,
    Observation,
    SignalBaseline,
)
from holdfast.verdict.settings import Metric, Scoring, Threshold

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

Value = float | NoData

METRICS = {
    "latency": Metric(weight_percent=30, query="l", unit="s", threshold=Threshold(at_least_percent=50)),
    "errors": Metric(
        weight_percent=30, query=("e1", "e2"), unit="%", threshold=Threshold(points=5), veto="rollback"
    ),
    "volume": Metric(
        weight_percent=20, query="v", bad_when="falling", threshold=Threshold(at_least_percent=20), veto="pause"
    ),
    "cpu": Metric(
        weight_percent=10, query="c", threshold=Threshold(sigmas=2, at_least_percent=50), worst_level="yellow"
    ),
    "database": Metric(weight_percent=10, query="d", threshold=Threshold(sigmas=2)),
}
USUAL: dict[str, list[float]] = {
    "latency": [0.4],
    "errors": [1.0, 0.0],
    "volume": [12.0],
    "cpu": [30.0],
    "database": [0.05],
}


def metric(name: str, **changes: Any) -> Metric:
    """Return one of the usual metrics, changed as asked."""
    return Metric.model_validate({**dict(METRICS[name]), **changes})


def with_metric(name: str, **changes: Any) -> dict[str, Metric]:
    """Return the usual metrics, one of them changed as asked."""
    return {**METRICS, name: metric(name, **changes)}


def only(name: str, **changes: Any) -> dict[str, Metric]:
    """Return one of the usual metrics alone, with all of the weight, changed as asked."""
    return {name: metric(name, weight_percent=100, **changes)}


def scoring(**settings: Any) -> Scoring:
    """Return settings with the five usual metrics, changed as asked."""
    return Scoring.model_validate({"metrics": METRICS, **settings})


def baseline(settings: Scoring | None = None, *, edges: Sequence[EdgeBaseline] = (), **kept: Any) -> Baseline:
    """Return a baseline of the usual values, with a spread of a twentieth."""
    metrics = (settings or scoring()).metrics
    return Baseline(
        taken_at=NOON,
        wanted_seconds=3600,
        covered_seconds=3600,
        signals={
            name: [
                SignalBaseline(query="q", mean=mean, standard_deviation=mean / 20, points=60, median=mean)
                for mean in USUAL[name]
            ]
            for name in metrics
        },
        edges=list(edges),
        **kept,
    )


def minute(
    number: int = 0,
    canary: Mapping[str, Value | Sequence[Value]] | None = None,
    control: Mapping[str, Value | Sequence[Value]] | None = None,
    **other: Any,
) -> Observation:
    """Return one observation, usual except for what is given; a number stands for all queries of its metric."""
    return Observation(
        at=NOON + number * MINUTE,
        share_percent=5,
        values=_filled(canary or {}),
        control=_filled(control or {}),
        **other,
    )


def share(*minutes: Mapping[str, Value | Sequence[Value]], **other: Any) -> list[Observation]:
    """Return observations of a share, one a minute, whose control is as usual."""
    return [minute(number, canary, **other) for number, canary in enumerate(minutes)]


def edge(
    caller: str, callee: str, canary: Sequence[float | None], control: Sequence[float | None], **calls: float
) -> EdgeSample:
    """Return one edge of a system that is called `shop`, in one minute."""
    return EdgeSample(
        caller=caller,
        callee=callee,
        inbound=callee == "shop",
        canary=list(canary),
        control=list(control),
        canary_calls=calls.get("canary_calls"),
        control_calls=calls.get("control_calls"),
    )


def _filled(given: Mapping[str, Value | Sequence[Value]]) -> dict[str, list[Value]]:
    filled: dict[str, list[Value]] = {}
    for name, usual in USUAL.items():
        value = given.get(name, usual)
        filled[name] = [value] * len(usual) if isinstance(value, float | int | NoData) else list(value)
    return filled
