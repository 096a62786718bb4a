"""Kayenta's judge (NetflixACAJudge-v1.0): a class for each metric; `kayenta_score` makes a decision of them.

The rules are those of Kayenta's public source (Apache-2.0): cleaning, early exits, classifiers. This
differs on purpose where Kayenta's class depends on chance, so that the same samples always get the same class:

- The ends of the interval are exact, where Kayenta's search stops anywhere within 1e-4 of them. Where an end
  lies on the edge of the tolerance band (both are 0 where most values of both sides are the same), the test
  itself decides: the end is beyond the band if a shift of just that size is rejected.
- Kayenta adds Gaussian noise of 1e-5 of the value to two constant sides: its search cannot start without. The
  exact ends exist without noise, so nothing random is added; the class is the one that the noise tends to.

And an infinite value counts as missing, as NaN does.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from holdfast.domain.strict import Strict
from holdfast.verdict.mann_whitney import (
    Floats,
    Interval,
    cles,
    mean_ratio,
    normal_quantile,
    shift_interval,
    shift_intervals,
    standard_score,
)


class EffectSize(Strict):
    """How large a change must be to count, besides being significant.

    A bound that is not given is the measure's "no effect": 1 for `mean_ratio`, 0.5 for `cles`. Where the mean
    ratio does not exist (a mean is 0), the bounds are not applied.

    Attributes:
        measure: `mean_ratio` (experiment / control) or `cles` (how often experiment is above control).
        allowed_increase: below this the metric is not High.
        allowed_decrease: above this the metric is not Low.
        critical_increase: a High of a critical metric fails the whole canary from here on.
        critical_decrease: a Low of a critical metric fails the whole canary down from here.
    """

    measure: Literal["mean_ratio", "cles"] = "mean_ratio"
    allowed_increase: float | None = None
    allowed_decrease: float | None = None
    critical_increase: float | None = None
    critical_decrease: float | None = None

    def bound(self, given: float | None) -> float:
        """Return the bound that is given, or else the measure's "no effect"."""
        if given is not None:
            return given
        return 0.5 if self.measure == "cles" else 1.0


class ClassifierSettings(Strict):
    """How one metric is cleaned and classified; the defaults are Kayenta's.

    Attributes:
        classifier: `mann_whitney`, or `mean_inequality` to measure others against.
        tolerance: the band around 0 that the interval must leave, as a fraction of the estimated shift itself.
        confidence: of the interval, two-sided.
        direction: which change is bad.
        nan_strategy: whether missing values are removed or become 0.
        outlier_strategy: `remove` drops what lies beyond both the 1 % tails and `outlier_factor` interquartile
            ranges from the quartiles.
        critical: whether this metric alone can fail the canary.
        must_have_data: whether a side without data counts against the canary.
    """

    classifier: Literal["mann_whitney", "mean_inequality"] = "mann_whitney"
    tolerance: float = Field(default=0.25, ge=0)
    confidence: float = Field(default=0.98, gt=0, lt=1)
    direction: Literal["increase", "decrease", "either"] = "either"
    nan_strategy: Literal["remove", "replace"] = "remove"
    outlier_strategy: Literal["keep", "remove"] = "keep"
    outlier_factor: float = Field(default=3, gt=0)
    critical: bool = False
    must_have_data: bool = False
    effect_size: EffectSize = EffectSize()


class Classification(StrEnum):
    """What a metric shows, in Kayenta's words."""

    PASS = "Pass"  # noqa: S105  a verdict, not a password
    HIGH = "High"
    LOW = "Low"
    NODATA = "Nodata"
    NODATA_FAIL_METRIC = "NodataFailMetric"
    ERROR = "Error"


@dataclass(frozen=True, kw_only=True)
class MetricClass:
    """The class of one metric, with the numbers that led to it.

    Attributes:
        critical: whether it fails the whole canary, whatever the other metrics show.
        reason: one sentence for a person.
        interval: of the shift, in the metric's unit; None where no test was needed or possible.
        effect_size: by the measure of the settings; NaN where it does not exist, None without a test.
        experiment_size: how many values were judged after cleaning.
        control_size: likewise.
    """

    classification: Classification
    critical: bool
    reason: str
    experiment_size: int
    control_size: int
    interval: Interval | None = None
    effect_size: float | None = None


def classify(experiment: ArrayLike, control: ArrayLike, settings: ClassifierSettings) -> MetricClass:
    """Clean and classify one metric.

    Args:
        experiment: the canary's values, one dimension, possibly empty, NaN where missing.
        control: the control's values, likewise; the sides need not be of one length.
        settings: how to judge.

    Raises:
        ValueError: a side has more than one dimension.
    """
    sides = _cleaned(experiment, control, settings)
    early = _without_test(sides, settings)
    if early is not None:
        return early
    return _by_interval(sides, shift_interval(*sides, settings.confidence), settings)


def classify_windows(
    experiments: ArrayLike, controls: ArrayLike, settings: ClassifierSettings
) -> list[MetricClass]:
    """Classify the rows of two arrays as `classify` does, faster where there are many short ones.

    Args:
        experiments: shape (k, m), one window of one metric a row.
        controls: shape (k, n).
        settings: how to judge each row.

    Raises:
        ValueError: the numbers of rows differ, or an array has not two dimensions.
    """
    x, y = np.asarray(experiments, dtype=np.float64), np.asarray(controls, dtype=np.float64)
    rows = [_cleaned(a, b, settings) for a, b in zip(x, y, strict=True)]
    classes = {row: early for row, sides in enumerate(rows) if (early := _without_test(sides, settings))}
    of_one_size: dict[tuple[int, int], list[int]] = {}
    for row, (a, b) in enumerate(rows):
        if row not in classes:
            of_one_size.setdefault((a.size, b.size), []).append(row)
    for members in of_one_size.values():
        sides = [rows[row] for row in members]
        intervals = shift_intervals([a for a, _ in sides], [b for _, b in sides], settings.confidence)
        classes |= {row: _by_interval(rows[row], intervals[i], settings) for i, row in enumerate(members)}
    return [classes[row] for row in range(len(rows))]


_Sides = tuple[Floats, Floats]


def _cleaned(experiment: ArrayLike, control: ArrayLike, settings: ClassifierSettings) -> _Sides:
    return _cleaned_side(experiment, settings), _cleaned_side(control, settings)


def _cleaned_side(side: ArrayLike, settings: ClassifierSettings) -> Floats:
    values = np.asarray(side, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"the values of one metric have one dimension, not {values.ndim}")
    finite = np.isfinite(values)
    if not finite.all():
        values = values[finite] if settings.nan_strategy == "remove" else np.where(finite, values, 0.0)
    if settings.outlier_strategy == "remove" and values.size:
        values = _without_outliers(values, settings.outlier_factor)
    return values


def _without_outliers(values: Floats, factor: float) -> Floats:
    p1, q1, q3, p99 = (float(p) for p in np.percentile(values, (1, 25, 75, 99)))
    reach = factor * (q3 - q1)
    return values[(values >= min(p1, q1 - reach)) & (values <= max(p99, q3 + reach))]


def _without_test(sides: _Sides, settings: ClassifierSettings) -> MetricClass | None:
    """Return the class where no interval is needed, or None."""
    x, y = sides
    if not x.size or not y.size:
        return _without_data(sides, settings)
    if settings.classifier == "mean_inequality":
        return _by_means(sides, settings)
    if x.size == y.size and np.array_equal(np.sort(x), np.sort(y)):
        return _class(sides, Classification.PASS, "experiment and control have the same values")
    if x.size == y.size == 1:
        # All there is to rank is tied at the one shift there is: Kayenta's search ends in an error, too.
        reason = "one value a side is too little to compare"
        return _class(sides, Classification.ERROR, reason, critical=settings.critical)
    if x.min() == x.max() == y.min() == y.max():
        return _class(sides, Classification.PASS, "all values of both sides are the same")
    return None


def _without_data(sides: _Sides, settings: ClassifierSettings) -> MetricClass:
    silent = [name for name, side in zip(("experiment", "control"), sides, strict=True) if not side.size]
    reason = f"missing data: no value of {' and '.join(silent)}"
    if settings.nan_strategy == "replace":
        return _class(sides, Classification.PASS, f"{reason}; missing counts as 0")
    if settings.must_have_data and not settings.critical:
        return _class(sides, Classification.NODATA_FAIL_METRIC, f"{reason}, which this metric must have")
    return _class(sides, Classification.NODATA, reason, critical=settings.critical)


def _by_means(sides: _Sides, settings: ClassifierSettings) -> MetricClass:
    x, y = (float(np.mean(side)) for side in sides)
    label = Classification.PASS
    if x > y and settings.direction != "decrease":
        label = Classification.HIGH
    elif x < y and settings.direction != "increase":
        label = Classification.LOW
    critical = settings.critical and label is not Classification.PASS
    reason = f"the means are {x:.4g} (experiment) and {y:.4g} (control)"
    return _class(sides, label, reason, critical=critical, effect_size=mean_ratio(*sides))


def _by_interval(sides: _Sides, interval: Interval, settings: ClassifierSettings) -> MetricClass:
    size = settings.effect_size
    effect = cles(*sides) if size.measure == "cles" else mean_ratio(*sides)
    band = settings.tolerance * abs(interval.estimate)
    up = settings.direction != "decrease" and _is_above(sides, interval.low, band, settings)
    down = settings.direction != "increase" and _is_above((sides[1], sides[0]), -interval.high, band, settings)
    label, critical = Classification.PASS, False
    if up and not effect < size.bound(size.allowed_increase):
        label, critical = Classification.HIGH, not effect < size.bound(size.critical_increase)
    elif down and not effect > size.bound(size.allowed_decrease):
        label, critical = Classification.LOW, not effect > size.bound(size.critical_decrease)
    return _class(
        sides,
        label,
        _shift_in_words(interval, band, effect, settings),
        critical=settings.critical and critical,
        interval=interval,
        effect_size=effect,
    )


def _is_above(sides: _Sides, low: float, band: float, settings: ClassifierSettings) -> bool:
    """Say whether the interval from `low` on leaves the band (a fall is a rise of the sides exchanged)."""
    if low == band:
        return standard_score(*sides, band) > normal_quantile(settings.confidence)
    return low > band


def _shift_in_words(interval: Interval, band: float, effect: float, settings: ClassifierSettings) -> str:
    shift = f"shift {interval.estimate:+.4g}, {100 * settings.confidence:g} % sure of "
    ends = f"{interval.low:+.4g} to {interval.high:+.4g} (band ±{band:.4g})"
    if math.isnan(effect):
        return f"{shift}{ends}; a mean is 0, so there is no ratio"
    name = "common language effect size" if settings.effect_size.measure == "cles" else "mean ratio"
    return f"{shift}{ends}; {name} {effect:.4g}"


def _class(
    sides: _Sides,
    classification: Classification,
    reason: str,
    *,
    critical: bool = False,
    interval: Interval | None = None,
    effect_size: float | None = None,
) -> MetricClass:
    return MetricClass(
        classification=classification,
        critical=critical,
        reason=reason,
        experiment_size=sides[0].size,
        control_size=sides[1].size,
        interval=interval,
        effect_size=effect_size,
    )
