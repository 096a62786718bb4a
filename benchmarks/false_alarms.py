"""How often each detector alarms on healthy minutes, beside the formula, and how late it sees a shift.

Healthy minutes are seeded Gaussian, heavy-tailed (Student t4), autocorrelated (AR(1), 0.7), all of unit
variance, and with a day's swing. Prints two tables and, as its last line, one JSON object.
"""

import json
import math
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.signal import lfilter

from holdfast.verdict.alarm_rates import MINUTES_PER_DAY, Healthy, per_day
from holdfast.verdict.detector_settings import (
    Detector,
    Ewma,
    Fixed,
    Hysteresis,
    MovingAverage,
    Seasonal,
    Sigmas,
    ZScore,
)
from holdfast.verdict.detectors import judge_series

Series: TypeAlias = NDArray[np.float64]
Source: TypeAlias = Callable[[np.random.Generator, int], Series]

SEED = 20260302
BOUND = 1.15
DAYS = 60
SHORT_BASELINES = 400
JUDGED_DAYS = 50_000
PROFILE_DAYS = 14
RUNS = 40
WATCH = 60
START = np.datetime64("2026-01-05T00:00")
AT_ONCE = Hysteresis(bad=1, of=1)
STANDARD = Healthy(mean=0, standard_deviation=1)


def gaussian(rng: np.random.Generator, size: int) -> Series:
    """Return independent minutes."""
    return rng.standard_normal(size)


def heavy(rng: np.random.Generator, size: int) -> Series:
    """Return Student t4, scaled to unit variance."""
    return np.asarray(rng.standard_t(4, size) / math.sqrt(2), dtype=np.float64)


def resembling(rng: np.random.Generator, size: int) -> Series:
    """Return AR(1) with 0.7, scaled to unit variance."""
    shocks = rng.standard_normal(size) * math.sqrt(1 - 0.7**2)
    shocks[:1] /= math.sqrt(1 - 0.7**2)
    return np.asarray(lfilter([1.0], [1.0, -0.7], shocks), dtype=np.float64)


def daily(rng: np.random.Generator, size: int) -> Series:
    """Return independent minutes on a day's swing of three standard deviations up and down."""
    swing: Series = 3 * np.sin(np.arange(size) * 2 * math.pi / MINUTES_PER_DAY)
    return rng.standard_normal(size) + swing


SOURCES: dict[str, Source] = {
    "Gaussian": gaussian,
    "t4": heavy,
    "AR(1) 0.7": resembling,
    "day's swing": daily,
}
ROWS: list[tuple[str, Detector, int | None]] = [
    ("fixed, 3 sd, 1 of 1", Fixed(limit=3, hysteresis=AT_ONCE), None),
    ("fixed, 3 sd", Fixed(limit=3), None),
    ("sigmas, k 2, 1 of 1", Sigmas(k=2, hysteresis=AT_ONCE), PROFILE_DAYS * MINUTES_PER_DAY),
    ("sigmas, k 2", Sigmas(k=2), PROFILE_DAYS * MINUTES_PER_DAY),
    ("sigmas, k 2, 3 of 5", Sigmas(k=2, hysteresis=Hysteresis(bad=3, of=5)), PROFILE_DAYS * MINUTES_PER_DAY),
    ("sigmas (default)", Sigmas(), PROFILE_DAYS * MINUTES_PER_DAY),
    ("sigmas, 10 points", Sigmas(), 10),
    ("zscore, k 2", ZScore(k=2), None),
    ("zscore (default)", ZScore(), None),
    ("ewma (default)", Ewma(), None),
    ("ewma, k 4", Ewma(k=4), None),
    ("moving_average (default)", MovingAverage(), None),
    ("moving_average, k 4", MovingAverage(k=4), None),
    ("seasonal, k 2", Seasonal(k=2), 120),
    ("seasonal (default)", Seasonal(), 120),
]


def times(size: int) -> Any:
    """Return the minutes of a series, from a Monday on."""
    return START + np.arange(size) * np.timedelta64(1, "m")


def history_size(detector: Detector, points: int | None) -> int:
    """Return how many minutes come before the judged ones."""
    if isinstance(detector, Sigmas) and points is not None:
        return points
    return (PROFILE_DAYS if isinstance(detector, Seasonal) else 1) * MINUTES_PER_DAY


def episodes(detector: Detector, source: Source, before: int, judged: int, rng: np.random.Generator) -> int:
    """Count breaches that begin in healthy minutes, which go on from a healthy history."""
    series = source(rng, before + judged)
    seen = judge_series(
        detector, "rising", series[before:], times=times(before + judged)[before:], history=series[:before]
    )
    return int(seen.begins.sum())


def measured_per_day(detector: Detector, source: Source, points: int | None) -> float:
    """Measure one cell of the table; short baselines are drawn anew many times."""
    rng = np.random.default_rng(SEED)
    before = history_size(detector, points)
    if before >= MINUTES_PER_DAY:
        return episodes(detector, source, before, DAYS * MINUTES_PER_DAY, rng) / DAYS
    counts = [episodes(detector, source, before, MINUTES_PER_DAY, rng) for _ in range(SHORT_BASELINES)]
    return sum(counts) / SHORT_BASELINES


def default_measured_per_day() -> tuple[float, int]:
    """Measure the default settings on Gaussian minutes, in portions with a baseline each."""
    rng = np.random.default_rng(SEED)
    portion, baseline = 500, PROFILE_DAYS * MINUTES_PER_DAY
    count = 0
    for _ in range(JUDGED_DAYS // portion):
        history, series = gaussian(rng, baseline), gaussian(rng, portion * MINUTES_PER_DAY)
        count += int(judge_series(Sigmas(), "rising", series, history=history).begins.sum())
    return count / JUDGED_DAYS, count


def delay(detector: Detector, points: int | None, sigmas: float) -> str:
    """Return the median minutes until a breach shows a lasting shift, and the share of shifts it shows."""
    rng = np.random.default_rng(SEED)
    before = history_size(detector, points)
    waits: list[int] = []
    for _ in range(RUNS):
        series = gaussian(rng, before + WATCH)
        at = times(series.size)[before:]
        seen = judge_series(detector, "rising", series[before:] + sigmas, times=at, history=series[:before])
        waits.extend((np.flatnonzero(seen.breach)[:1] + 1).tolist())
    if not waits:
        return "never"
    missed = "" if len(waits) == RUNS else f" ({100 * len(waits) // RUNS} %)"
    return f"{np.median(waits):.0f}{missed}"


def rate(value: float) -> str:
    """Write episodes a day with two digits."""
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"  # noqa: PLR2004  two digits either way


def main() -> int:
    """Measure, print, and return 0 when formula and measurement agree."""
    alarms = Table("false-alarm episodes per metric-day", "formula", *SOURCES)
    delays = Table("minutes until a lasting shift is a breach", "3 sd", "5 sd")
    for title, detector, points in ROWS:
        formula = per_day(detector, points=points, healthy=STANDARD)
        cells = (rate(measured_per_day(detector, source, points)) for source in SOURCES.values())
        alarms.add_row(title, rate(formula), *cells)
        delays.add_row(title, *(delay(detector, points, sigmas) for sigmas in (3, 5)))
    console = Console(width=110)
    console.print(alarms, delays)
    for k in (2, 3):
        console.print(
            f"sigmas, k {k}, AR(1) 0.7, by formula: {rate(per_day(Sigmas(k=k), autocorrelation=0.7))}"
        )
    ours, count = default_measured_per_day()
    reference = per_day(Sigmas(), points=PROFILE_DAYS * MINUTES_PER_DAY)
    console.print(f"default settings: {count} episodes in {JUDGED_DAYS} metric-days of Gaussian minutes")
    ratio = ours / reference
    result = {
        "name": "false_alarms",
        "ours": round(ours, 6),
        "reference": round(reference, 6),
        "ratio": round(ratio, 3),
        "bound": BOUND,
        "holds": 1 / BOUND <= ratio <= BOUND,
    }
    print(json.dumps(result))
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
