"""How many verdicts a second the `judge` model gives, beside the same test by scipy straight from its formulas.

Both judge the same seeded day of 7 metrics with ties (latencies, counts, sparse errors), in turns, in one run:

- day: one verdict over the whole day, 7 metrics of 1,440 minutes a side;
- hour: a verdict each minute over the hour before, 7 metrics of 60 minutes a side.

Every class and score must be the same, and every end of an interval the same within the tolerance of scipy's
roots. Prints a table and, as its last line, one JSON object; its ratio is the smaller of the two shapes'.
"""

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.scipy_judge import XTOL, Floats, Judged
from benchmarks.scipy_judge import judge as scipy_judge
from holdfast.verdict.kayenta import (
    Classification,
    ClassifierSettings,
    MetricClass,
    classify,
    classify_windows,
)
from holdfast.verdict.kayenta_score import GroupedMetric, ScoreSettings, weighted_score

MINUTES, HOUR = 1_440, 60
BOUND = 5.0
SETTINGS, SCORING = ClassifierSettings(), ScoreSettings()
# scipy stops within XTOL of a step, and the nearest step may be another one, as far away again.
AGREEMENT = 2 * XTOL

Metrics = dict[str, tuple[Floats, Floats]]  # experiment and control of each
Judge = Callable[[Metrics], "list[Verdict]"]


@dataclass(frozen=True)
class Verdict:
    """The class and interval of each metric, and the score of all."""

    metrics: list[Judged]
    score: float


@dataclass
class Shape:
    """What was measured of one shape: verdicts a second of each round, and what was found.

    Attributes:
        furthest: the largest difference between an end of ours and of the reference.
        wrong: what differs, in words.
    """

    name: str
    ours: list[float] = field(default_factory=list[float])
    reference: list[float] = field(default_factory=list[float])
    labels: Counter[str] = field(default_factory=Counter[str])
    furthest: float = 0.0
    wrong: list[str] = field(default_factory=list[str])

    @property
    def ratio(self) -> float:
        """How many times as many verdicts a second ours gives, by the medians of the rounds."""
        return statistics.median(self.ours) / statistics.median(self.reference)


def a_day(seed: int) -> Metrics:
    """Return 7 metrics of a day and the hour before it, with ties; some get worse in the afternoon."""
    rng = np.random.default_rng(seed)
    minutes = np.arange(MINUTES + HOUR - 1)
    busy = 1 + 0.5 * np.sin(2 * np.pi * minutes / MINUTES)
    afternoon = (minutes > 840) & (minutes < 1_080)  # noqa: PLR2004  minutes of the day
    sides: list[dict[str, Floats]] = []
    for worse in (np.where(afternoon, 1.0, 0.0), np.zeros(minutes.size)):
        noise = [rng.lognormal(0, 0.2, minutes.size) for _ in range(4)]
        errors = rng.binomial(400, 0.0005 + 0.003 * worse) / 400
        side = {
            "latency_p50_ms": np.round(80 * noise[0] * (1 + 0.1 * worse), 1),
            "latency_p95_ms": 400 * noise[1] * (1 + 0.3 * worse),
            "requests": rng.poisson(300 * busy),
            "queue_depth": rng.poisson(2 * busy * (1 + 0.5 * worse)),
            "error_percent": 100 * errors,
            "cpu_percent": np.round(40 * busy * noise[2], 0),
            "database_ms": np.round(12 * noise[3], 2),
        }
        sides.append({name: values.astype(np.float64) for name, values in side.items()})
    return {name: (sides[0][name], sides[1][name]) for name in sides[0]}


def ours_of_day(metrics: Metrics) -> list[Verdict]:
    """Give one verdict over the whole length of the metrics."""
    return [_scored({name: classify(*sides, SETTINGS) for name, sides in metrics.items()})]


def ours_of_hours(metrics: Metrics) -> list[Verdict]:
    """Give a verdict over each hour in the metrics."""
    classes = [
        classify_windows(sliding_window_view(x, HOUR), sliding_window_view(y, HOUR), SETTINGS)
        for x, y in metrics.values()
    ]
    return [
        _scored({name: of_metric[minute] for name, of_metric in zip(metrics, classes, strict=True)})
        for minute in range(len(classes[0]))
    ]


def _scored(classes: dict[str, MetricClass]) -> Verdict:
    score = weighted_score([GroupedMetric(name, ("all",), found) for name, found in classes.items()], SCORING)
    return Verdict([_judged(found) for found in classes.values()], score.summary)


def _judged(found: MetricClass) -> Judged:
    interval, label = found.interval, found.classification.value
    return Judged(label, interval.low, interval.high, interval.estimate) if interval else Judged(label)


def theirs_of_day(metrics: Metrics) -> list[Verdict]:
    """Do what `ours_of_day` does with scipy."""
    judged = [scipy_judge(*sides) for sides in metrics.values()]
    passed = sum(found.label == Classification.PASS for found in judged)
    return [Verdict(judged, round(100 * passed / len(judged), 2))]


def theirs_of_hours(metrics: Metrics, every: int) -> list[Verdict]:
    """Do what `ours_of_hours` does with scipy, for the first of `every` so many hours."""
    hours = len(metrics["requests"][0]) - HOUR + 1
    return [theirs_of_day(part_of(metrics, start, HOUR))[0] for start in range(0, hours, every)]


def part_of(metrics: Metrics, start: int, minutes: int) -> Metrics:
    """Return some consecutive minutes of both sides of every metric."""
    part = slice(start, start + minutes)
    return {name: (x[part], y[part]) for name, (x, y) in metrics.items()}


def measure(name: str, ours: Judge, theirs: Judge, rounds: Sequence[Metrics], every: int = 1) -> Shape:
    """Take both sides' verdicts in turns, time them, and compare theirs with the same ones of ours."""
    shape = Shape(name)
    hour = part_of(rounds[0], 0, HOUR)
    for judge in (ours, theirs):
        judge(hour)  # a first call pays for what is set up once
    for number, metrics in enumerate(rounds, 1):
        print(f"{name}: round {number} of {len(rounds)}", file=sys.stderr)
        found = _timed(ours, metrics, shape.ours)
        expected = _timed(theirs, metrics, shape.reference)
        for minute, (mine, right) in enumerate(zip(found[::every], expected, strict=True)):
            compare(shape, f"{name}, round {number}, minute {every * minute}", mine, right, list(metrics))
    return shape


def _timed(judge: Judge, metrics: Metrics, rates: list[float]) -> list[Verdict]:
    began = time.perf_counter()
    verdicts = judge(metrics)
    rates.append(len(verdicts) / (time.perf_counter() - began))
    return verdicts


def compare(shape: Shape, where: str, mine: Verdict, right: Verdict, names: list[str]) -> None:
    """Note every class, score or end that differs."""
    for name, a, b in zip(names, mine.metrics, right.metrics, strict=True):
        shape.labels[b.label] += 1
        ends = zip((a.low, a.high, a.estimate), (b.low, b.high, b.estimate), strict=True)
        # Where neither needed a test, there is nothing to be apart: NaN on both sides.
        apart = max(abs(p - q) if p == p or q == q else 0.0 for p, q in ends)  # noqa: PLR0124  not NaN
        shape.furthest = max(shape.furthest, apart)
        if a.label != b.label or not apart <= AGREEMENT:
            shape.wrong.append(f"{where}, {name}: {a} is not {b}")
    if mine.score != right.score:
        shape.wrong.append(f"{where}: the score {mine.score} is not {right.score}")


def report(shapes: Sequence[Shape]) -> int:
    """Print the table and the JSON object, and return 0 when results agree and the bound holds."""
    table = Table("verdicts of 7 metrics a second", "ours", "scipy", "ratio", "classes", "ends apart, at most")
    for shape in shapes:
        rates = (f"{statistics.median(side):.1f}" for side in (shape.ours, shape.reference))
        classes = ", ".join(f"{count} {label}" for label, count in shape.labels.most_common())
        table.add_row(shape.name, *rates, f"{shape.ratio:.1f}", classes, f"{shape.furthest:.1e}")
    Console(width=110).print(table)
    wrong = [line for shape in shapes for line in shape.wrong]
    for line in wrong[:10]:
        print(line, file=sys.stderr)
    worst = min(shapes, key=lambda shape: shape.ratio)
    result = {
        "name": "verdict_speed",
        "ours": round(statistics.median(worst.ours), 2),
        "reference": round(statistics.median(worst.reference), 2),
        "ratio": round(worst.ratio, 2),
        "bound": BOUND,
        "holds": worst.ratio >= BOUND and not wrong,
    }
    print(json.dumps(result))
    return 0 if result["holds"] else 1


def main() -> int:
    """Measure both shapes, print, and return 0 when results agree and the bound holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds, and every 18th hour by scipy")
    parser.add_argument("--seed", type=int, default=1, help="of the day that is judged (default: 1)")
    said = parser.parse_args()
    days, every, blocks = (2, 18, 4) if said.quick else (7, 1, 8)
    whole = [part_of(a_day(said.seed + day), HOUR - 1, MINUTES) for day in range(days)]
    metrics, length = a_day(said.seed), MINUTES // blocks
    hours = [part_of(metrics, block * length, length + HOUR - 1) for block in range(blocks)]
    by_scipy = partial(theirs_of_hours, every=every)
    return report(
        [
            measure("day: 1,440 points a side", ours_of_day, theirs_of_day, whole),
            measure("hour: 60 points a side", ours_of_hours, by_scipy, hours, every),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
