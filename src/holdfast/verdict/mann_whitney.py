"""Mann-Whitney: the confidence interval of a shift between two samples, and two effect sizes.

The interval is that of R's `wilcox.test(conf.int=TRUE, exact=FALSE, correct=TRUE)`, which Kayenta derives its
judge from. With `x` the m experiment values, `y` the n control values and `W` the rank sum of `x - shift` among
`(x - shift, y)`, its ends are the roots of

    D(shift, q) = (W - m(m+1)/2 - mn/2 - sign/2) / sigma - q       at q = z and q = -z,
    sigma² = mn/12 · ((m+n+1) - Σ(t³-t) / ((m+n)(m+n-1)))          t: how many observations share a value,

and the Hodges-Lehmann estimate is the root at q = 0.

D falls in steps, at shifts that equal one of the mn differences x - y. Between two neighbouring differences no
x - shift equals a y, so sigma is the same everywhere, and D > 0 says just that more than mn/2 + 1/2 + z·sigma
differences are above the shift. The roots are therefore order statistics of the differences, and the root at
q = 0 is their median. R and Kayenta look for the same steps with Brent's method and stop within 1e-4 of them;
here they are selected exactly, at any scale of the metric.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# So few differences are sorted rather than counted: it costs less.
_SORTED_AT_ONCE = 4_096
# Points a side of the coarse sample that says where to look for an order statistic.
_COARSE_POINTS = 64
# How far from its place in the coarse sample a difference is looked for first: this fraction of the sample.
_NEAR, _FAR = 1 / 512, 1 / 64
# How many differences a batch holds in memory at a time (2 MB, about a cache).
_BATCH_DIFFERENCES = 1 << 18


@dataclass(frozen=True)
class Interval:
    """A confidence interval of the shift (experiment minus control) and its Hodges-Lehmann estimate."""

    low: float
    high: float
    estimate: float


@dataclass(frozen=True)
class Intervals:
    """The intervals of a batch: three arrays of shape (k,)."""

    low: Floats
    high: Floats
    estimate: Floats

    def __getitem__(self, row: int) -> Interval:
        return Interval(float(self.low[row]), float(self.high[row]), float(self.estimate[row]))


def shift_interval(experiment: ArrayLike, control: ArrayLike, confidence: float = 0.98) -> Interval:
    """Return the interval of the shift from control to experiment.

    Where the samples are too small for the confidence, an end is the smallest or largest difference, as Kayenta
    does it. Memory is linear in m + n.

    Args:
        experiment: m finite values, in any order.
        control: n finite values, likewise.
        confidence: two-sided, between 0 and 1.

    Raises:
        ValueError: a side is empty, not one-dimensional or not finite, or the confidence is out of range.
    """
    x = _distinct(_checked(experiment, "experiment", 1))
    y = _distinct(_checked(control, "control", 1))
    pairs = _Pairs(x, y, int(x.counts.sum()), int(y.counts.sum()))
    ties = np.array([_cubes(x.counts) + _cubes(y.counts)], dtype=np.float64)
    positions = _positions(pairs.m, pairs.n, ties, confidence)[0]
    low, below, above, high = _select(pairs, positions)
    return Interval(low, high, below + (above - below) / 2)


def shift_intervals(experiments: ArrayLike, controls: ArrayLike, confidence: float = 0.98) -> Intervals:
    """Return what `shift_interval` gives for each row, faster where rows are short (an hour of minutes).

    Args:
        experiments: shape (k, m), finite.
        controls: shape (k, n), finite.
        confidence: two-sided, between 0 and 1.

    Raises:
        ValueError: as for `shift_interval`, or the numbers of rows differ.
    """
    x, y = _checked(experiments, "experiments", 2), _checked(controls, "controls", 2)
    if len(x) != len(y):
        raise ValueError(f"as many experiments as controls are needed, not {len(x)} and {len(y)}")
    m, n = x.shape[1], y.shape[1]
    if m * n > _BATCH_DIFFERENCES:
        each = [shift_interval(a, b, confidence) for a, b in zip(x, y, strict=True)]
        return Intervals(*(np.array([getattr(i, end) for i in each]) for end in ("low", "high", "estimate")))
    positions = _positions(m, n, _tie_sums(np.sort(x)) + _tie_sums(np.sort(y)), confidence)
    found = np.empty((len(x), 4))
    rows = _BATCH_DIFFERENCES // (m * n)
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        differences = (x[part, :, None] - y[part, None, :]).reshape(-1, m * n)
        differences.sort()
        found[part] = np.take_along_axis(differences, positions[part], axis=1)
    return Intervals(found[:, 0], found[:, 3], found[:, 1] + (found[:, 2] - found[:, 1]) / 2)


def normal_quantile(confidence: float) -> float:
    """Return the z that a standard normal stays within, both sides, with this confidence.

    Raises:
        ValueError: the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"the confidence must be between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf(1 - (1 - confidence) / 2)


def standard_score(experiment: ArrayLike, control: ArrayLike, shift: float = 0.0) -> float:
    """Return D(shift, 0): by how many standard deviations the rank sum speaks for more than that shift.

    A shift is rejected where this is beyond plus or minus `normal_quantile(confidence)`. At an end of
    `shift_interval` it says whether the end itself is still inside.

    Raises:
        ValueError: as for `shift_interval`.
    """
    x, y = _checked(experiment, "experiment", 1) - shift, np.sort(_checked(control, "control", 1))
    _, t = np.unique(np.concatenate((x, y)), return_counts=True)
    variance = _variance(x.size, y.size, np.array([_cubes(t)]))[0]
    above = (np.searchsorted(y, x, "left").sum() + np.searchsorted(y, x, "right").sum()) / 2
    excess = float(above) - x.size * y.size / 2
    # Also where all observations are tied, and the variance is 0 as well.
    return (excess - math.copysign(0.5, excess)) / math.sqrt(variance) if excess else 0.0


def mean_ratio(experiment: ArrayLike, control: ArrayLike) -> float:
    """Return mean(experiment) / mean(control), or NaN where either mean is 0 (Kayenta's `meanRatio`).

    Raises:
        ValueError: a side is empty, not one-dimensional or not finite.
    """
    above = float(_checked(experiment, "experiment", 1).mean())
    below = float(_checked(control, "control", 1).mean())
    return above / below if above and below else math.nan


def cles(experiment: ArrayLike, control: ArrayLike) -> float:
    """Return the common language effect size: how often an experiment value is above a control value.

    Ties count half; 0.5 is no effect (Vargha and Delaney 2000; Kayenta's `cles`).

    Raises:
        ValueError: a side is empty, not one-dimensional or not finite.
    """
    x, y = _checked(experiment, "experiment", 1), np.sort(_checked(control, "control", 1))
    twice = int(np.searchsorted(y, x, "left").sum() + np.searchsorted(y, x, "right").sum())
    return twice / (2 * x.size * y.size)


class _Distinct(NamedTuple):
    values: Floats  # ascending
    counts: Integers
    before: Integers  # how many observations are below values[i]; one entry more than values


class _Pairs(NamedTuple):
    """All mn differences x - y, never spelled out."""

    x: _Distinct
    y: _Distinct
    m: int
    n: int


class _Cut(NamedTuple):
    """A shift that parts the differences: how many are up to it, and from which y on, for each x."""

    shift: float
    up_to: int
    first: Integers


class _Part(NamedTuple):
    """The differences between two cuts, ascending, and how many of all differences are up to each."""

    differences: Floats
    up_to: Integers


_NOTHING = _Part(np.zeros(0), np.zeros(1, dtype=np.int64))


def _checked(values: ArrayLike, name: str, dimensions: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != dimensions or not array.shape[-1]:
        shape = "one dimension" if dimensions == 1 else "two dimensions"
        raise ValueError(f"{name}: an array of {shape} with values is needed, not of shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: every value must be finite")
    return array


def _distinct(values: Floats) -> _Distinct:
    ordered = np.sort(values)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    before = np.append(starts, ordered.size)
    return _Distinct(ordered[starts], np.diff(before), before)


def _cubes(counts: Integers) -> float:
    # In floats: a cube of some millions of equal values does not fit an integer of 64 bits.
    t = counts.astype(np.float64)
    return float((t * t * t - t).sum())


def _tie_sums(ordered: Floats) -> Floats:
    """Return the sum of t³ - t for each ascending row."""
    starts = np.ones(ordered.shape, dtype=np.bool_)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    at = np.flatnonzero(starts)
    t = np.diff(np.append(at, ordered.size)).astype(np.float64)
    rows = at // ordered.shape[1]
    return np.bincount(rows, weights=t * t * t - t, minlength=len(ordered)).astype(np.float64)


def _variance(m: int, n: int, ties: Floats) -> Floats:
    both = m + n
    return m * n / 12 * (both + 1 - ties / (both * (both - 1)))


def _positions(m: int, n: int, ties: Floats, confidence: float) -> Integers:
    """Return which differences, from the smallest (0), make low end, two middle ones and high end: (k, 4)."""
    pairs = m * n
    reach = normal_quantile(confidence) * np.sqrt(_variance(m, n, ties))
    high = np.minimum(np.floor(pairs / 2 + 0.5 + reach), pairs - 1).astype(np.int64)
    below, above = np.full_like(high, (pairs - 1) // 2), np.full_like(high, pairs // 2)
    return np.stack((pairs - 1 - high, below, above, high), axis=1)


def _select(pairs: _Pairs, positions: Integers) -> list[float]:
    """Return the differences at the ascending positions."""
    none = _Cut(-math.inf, 0, np.full(pairs.x.values.size, pairs.y.values.size))
    every = _Cut(math.inf, pairs.m * pairs.n, np.zeros(pairs.x.values.size, dtype=np.int64))
    if pairs.x.values.size * pairs.y.values.size <= _SORTED_AT_ONCE:
        part = _spelled_out(pairs, none, every)
        return [_at(part, position) for position in positions.tolist()]
    coarse, part, found = _coarse(pairs), _NOTHING, list[float]()
    for position in positions.tolist():
        if position >= part.up_to[-1]:
            part = _spelled_out(pairs, *_bracket(pairs, none, every, position, coarse))
        found.append(_at(part, position))
    return found


def _spelled_out(pairs: _Pairs, low: _Cut, high: _Cut) -> _Part:
    lengths = low.first - high.first
    ends = np.cumsum(lengths)
    rows = np.repeat(np.arange(lengths.size), lengths)
    columns = np.arange(int(ends[-1])) - np.repeat(ends - lengths - high.first, lengths)
    differences = pairs.x.values[rows] - pairs.y.values[columns]
    order = np.argsort(differences)
    counts = pairs.x.counts[rows] * pairs.y.counts[columns]
    return _Part(differences[order], low.up_to + np.cumsum(counts[order]))


def _at(part: _Part, position: int) -> float:
    return float(part.differences[np.searchsorted(part.up_to, position, "right")])


def _cut(pairs: _Pairs, shift: float) -> _Cut:
    first = np.searchsorted(pairs.y.values, pairs.x.values - shift)
    above = int(pairs.x.counts @ pairs.y.before[first])
    return _Cut(shift, pairs.m * pairs.n - above, first)


def _coarse(pairs: _Pairs) -> Floats:
    """Return the ascending differences of a few quantiles of both sides."""
    x, y = (_quantiles(pairs.x, pairs.m), _quantiles(pairs.y, pairs.n))
    return np.sort(np.subtract.outer(x, y), axis=None)


def _quantiles(side: _Distinct, size: int) -> Floats:
    positions = (np.arange(_COARSE_POINTS) + 0.5) * size / _COARSE_POINTS
    return side.values[np.searchsorted(side.before, positions, "right") - 1]


def _bracket(pairs: _Pairs, low: _Cut, high: _Cut, position: int, coarse: Floats) -> tuple[_Cut, _Cut]:
    """Narrow two cuts around the position until few enough differences lie between them."""
    for shift in _guesses(pairs, position, coarse):
        if low.shift < shift < high.shift:
            low, high = _tightened(low, high, _cut(pairs, shift), position)
    low, high = _finite(pairs, low, high)
    # One shift can be a difference of every row, so fewer cannot always be reached.
    enough = max(_SORTED_AT_ONCE, 2 * pairs.x.values.size)
    while int((low.first - high.first).sum()) > enough:
        shift = low.shift + (high.shift - low.shift) / 2
        if not low.shift < shift < high.shift:
            break
        low, high = _tightened(low, high, _cut(pairs, shift), position)
    return low, high


def _guesses(pairs: _Pairs, position: int, coarse: Floats) -> list[float]:
    """Return shifts on both sides of the position in the coarse sample, the nearest first."""
    place = position / (pairs.m * pairs.n)
    indexes = (int((place + aside) * coarse.size) for aside in (-_NEAR, _NEAR, -_FAR, _FAR))
    return [float(coarse[index]) for index in indexes if 0 <= index < coarse.size]


def _tightened(low: _Cut, high: _Cut, cut: _Cut, position: int) -> tuple[_Cut, _Cut]:
    return (low, cut) if cut.up_to > position else (cut, high)


def _finite(pairs: _Pairs, low: _Cut, high: _Cut) -> tuple[_Cut, _Cut]:
    """Put the outermost differences where an end is still infinite."""
    x, y = pairs.x.values, pairs.y.values
    below = math.nextafter(float(x[0] - y[-1]), -math.inf)
    low = low._replace(shift=below) if math.isinf(low.shift) else low
    return low, high._replace(shift=float(x[-1] - y[0])) if math.isinf(high.shift) else high
