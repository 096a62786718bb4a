"""Which metrics moved together, and which of them moved first: ranked links for a review.

Two series that each have a memory (random walks, a shared daily season) look correlated without anything in
common, so levels are never compared. Each series is first reduced to what its own past does not foretell:

1. Levels become ranks (Conover & Iman 1981), which no outlier and no unit can bend, and a line stays a line.
2. A line and all cosines slower than three hours are regressed out: trend, day and tide (the cosine drift model
   of brain imaging; Friston et al. 1995).
3. An autoregression of at most order 10, the order by AICc (Hurvich & Tsai 1989), is fitted, and its residuals
   are kept: the double prewhitening of Haugh 1976, "Checking the independence of two covariance-stationary time
   series".

The residuals of each two series are correlated at each lag by Spearman's rank correlation. Its p-value is
Student's, with an effective number of points: fewer for autocorrelation that is left (Pyper & Peterman 1998,
lags up to n/5), for each fitted parameter, and for volatility that both share, as in an incident (studentising
as in DiCiccio & Romano 2017). It is multiplied by the number of all pairs and lags tried (Bonferroni), so that
`level` bounds the chance of any false link in the whole answer.

What follows from that: a link rests on many small movements. A single joint step, however large, is one event;
two unrelated series have one at about the same time too often, so it makes no link; `change_points` is for
steps. A shared day whose noise is
a hundredth of its size still makes some: no fit of slow waves is that good.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations

import numpy as np
import numpy.typing as npt

from holdfast.domain.errors import InvalidInput
from holdfast.verdict.series import FEWEST_POINTS, Floats, checked_levels, takes_part
from holdfast.verdict.words import span_words

_SLOW = timedelta(hours=3)
_MOST_PAST = 10
# With fewer, no normal approximation holds for rare events that meet (Cochran's rule for two-by-two tables).
_FEWEST_EXPECTED_TOGETHER = 5
_FLAT = 1e-9  # of standardised ranks: rounding, not movement


@dataclass(frozen=True)
class Link:
    """Two metrics that moved together more than chance allows. It says nothing about cause.

    Attributes:
        leader: the one that moved first; at lag 0 the two are equals, in the order they were given.
        follower: the other one.
        lag: how much later the follower moved.
        coefficient: Spearman's, -1 to 1, of what the past of each series does not foretell.
        points: how many common minutes it rests on.
        p_value: after all corrections: the chance of such a link anywhere in the answer if all were unrelated.
        words: the link as a sentence for a review.
    """

    leader: str
    follower: str
    lag: timedelta
    coefficient: float
    points: int
    p_value: float
    words: str


def moved_together(
    series: Mapping[str, Sequence[float | None]],
    *,
    step: timedelta = timedelta(minutes=1),
    longest_lag: int = 5,
    around: slice | None = None,
    level: float = 0.05,
    weakest: float = 0.2,
) -> tuple[Link, ...]:
    """Find the metrics that moved together, the strongest link first, at most one a pair: at its best lag.

    Series that are constant, or have data in fewer than half of the points, take no part; nor do pairs with
    fewer than 20 common points, or with so few moving ones that their meeting says nothing.

    Args:
        series: points of each metric at the same times, oldest first; None, NaN and infinities are no data.
        step: distance between the points.
        longest_lag: in steps; each lag up to it is tried in both directions, and each costs certainty.
        around: the points of interest; only a follower's points in there count, the others serve to learn what
            is usual. None for all.
        level: the chance of one false link or more in the answer.
        weakest: links with a smaller coefficient are left out: sure, but of no use in a review.

    Raises:
        InvalidInput: the series differ in length, or an argument is out of its range.
    """
    levels = checked_levels(series, step=step, level=level)
    _check(longest_lag=longest_lag, around=around)
    if len(series) < 2:  # noqa: PLR2004  a pair
        return ()
    names = list(series)
    first, end, _ = (around or slice(None)).indices(levels.shape[1])
    window = slice(first, max(first, end))
    found = _Search(levels, step, longest_lag, window).best(level=level, weakest=weakest)
    found.sort(key=lambda hit: (-abs(hit.coefficient), hit.p_value))
    return tuple(_link(hit, names, levels, step, window) for hit in found)


def _check(*, longest_lag: int, around: slice | None) -> None:
    if longest_lag < 0:
        raise InvalidInput(f"longest_lag: must be 0 or more steps, not {longest_lag}")
    if around is not None and around.step not in (None, 1):
        raise InvalidInput(f"around: must hold every point of its range, not every {around.step}th")


# --- what the past does not foretell ------------------------------------------------------------------------


def _innovations(levels: Floats, step: timedelta) -> tuple[Floats, int]:
    """Return one series' innovations, NaN where there is none, and how many parameters were fitted."""
    nothing = np.full(levels.shape, math.nan), 0
    seen = np.isfinite(levels)
    if not takes_part(levels):
        return nothing
    places = np.arange(levels.size)
    # A gap is bridged by a straight line: only for the memory of the points after it, never as a point itself.
    ranks = _ranks(levels[seen])
    heights: Floats = np.interp(places, places[seen], ranks / ranks.size)
    slow = _slow_waves(levels.size, step)
    heights -= slow @ _fit(slow[seen], heights[seen])
    past = _past_of(heights, min(_MOST_PAST, levels.size // 8))
    weights = _autoregression(heights, past, seen)
    left = heights - past[:, : weights.size] @ weights
    left[~seen] = math.nan
    left[: weights.size] = math.nan
    return left, slow.shape[1] + weights.size


def _fit(columns: Floats, target: Floats) -> Floats:
    """Return the least-squares weights of the columns."""
    return np.asarray(np.linalg.lstsq(columns, target, rcond=None)[0], dtype=np.float64)


def _ranks(values: Floats) -> Floats:
    """Rank from 1, equal values by the mean of their ranks."""
    ordered = np.sort(values)
    below, up_to = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (below + up_to + 1) / 2


def _slow_waves(points: int, step: timedelta) -> Floats:
    """Return as columns a line and the slow cosines of a discrete cosine transform, a constant among them."""
    waves = min(int(2 * points * step / _SLOW), points // 10)
    times = (np.arange(points) + 0.5) / points
    cosines = np.cos(np.pi * np.outer(times, np.arange(waves + 1)))
    return np.column_stack([cosines, 2 * times - 1])


def _past_of(heights: Floats, order: int) -> Floats:
    """Return the heights 1, 2, ... `order` points earlier as columns; zeros before the beginning."""
    past = np.zeros((heights.size, order))
    for lag in range(1, order + 1):
        past[lag:, lag - 1] = heights[:-lag]
    return past


def _autoregression(heights: Floats, past: Floats, seen: npt.NDArray[np.bool_]) -> Floats:
    """Fit weights of the past by least squares, as many as the corrected Akaike criterion asks for."""
    usable = seen.copy()
    usable[: past.shape[1]] = False
    target, known = heights[usable], past[usable]
    best: tuple[float, Floats] = math.inf, np.zeros(0)
    for order in range(past.shape[1] + 1):
        weights = _fit(known[:, :order], target)
        left = target - known[:, :order] @ weights
        spare = target.size - order - 2
        if spare < 1:
            break
        variance = max(float(left @ left) / target.size, np.finfo(float).tiny)
        penalty = 2 * (order + 1) * target.size / spare
        best = min(best, (target.size * math.log(variance) + penalty, weights), key=lambda fit: fit[0])
    return best[1]


# --- the search ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Hit:
    leader: int
    follower: int
    lag: int
    coefficient: float
    points: int
    p_value: float


class _Search:
    """All pairs of series at all lags, as matrices of leader by follower, one a lag."""

    def __init__(self, levels: Floats, step: timedelta, longest_lag: int, window: slice) -> None:
        """Rank the innovations of each series over the window and the lags before it."""
        count, length = levels.shape
        self._window, self._longest_lag = window, min(longest_lag, max(0, length - 1))
        near = slice(max(0, window.start - self._longest_lag), window.stop)
        self._ranks, self._seen = np.zeros((count, length)), np.zeros((count, length))
        self._fitted, self._movers = np.zeros(count), np.zeros(count)
        for i, row in enumerate(levels):
            left, self._fitted[i] = _innovations(row, step)
            inside = np.flatnonzero(np.isfinite(left[near])) + near.start
            if inside.size >= FEWEST_POINTS and np.ptp(left[inside]) > 0:
                ranks = _ranks(left[inside])
                self._ranks[i, inside] = (ranks - ranks.mean()) / ranks.std()
                self._seen[i, inside] = 1
                self._movers[i] = inside.size - np.unique(row[inside], return_counts=True)[1].max()
        self._thinning = self._thinned(near)

    def best(self, *, level: float, weakest: float) -> list[_Hit]:
        """Return the best lag of each pair, where it stands after the correction for everything tried."""
        every = [self._at_lag(lag) for lag in range(self._longest_lag + 1)]
        z, coefficient, points = (np.array(part) for part in zip(*every, strict=True))
        count = z.shape[1]
        z[:, np.eye(count, dtype=bool)] = math.nan
        z[0, np.tri(count, dtype=bool)] = math.nan  # at lag 0 a pair is one test, not two
        tried = max(1, int(np.isfinite(z).sum()))
        hits: list[_Hit] = []
        for one, other in combinations(range(count), 2):
            both = np.nan_to_num(np.stack([z[:, one, other], z[:, other, one]], axis=1))
            lag, direction = divmod(int(both.argmax()), 2)
            leader, follower = (one, other) if direction == 0 else (other, one)
            p_value = min(1.0, tried * math.erfc(both.max() / math.sqrt(2)))
            rho = float(coefficient[lag, leader, follower])
            if p_value <= level and abs(rho) >= weakest:
                hits.append(_Hit(leader, follower, lag, rho, int(points[lag, leader, follower]), p_value))
        return hits

    def _thinned(self, near: slice) -> Floats:
        """Say by which factor autocorrelation thins the points of each pair out; never below 1."""
        ranks, seen = self._ranks[:, near], self._seen[:, near]
        length = ranks.shape[1]
        factor = np.ones((len(ranks), len(ranks)))
        for lag in range(1, length // 5 + 1):
            common = np.maximum(1, (seen[:, lag:] * seen[:, :-lag]).sum(axis=1))
            own = (ranks[:, lag:] * ranks[:, :-lag]).sum(axis=1) / common
            factor += 2 * (1 - lag / length) * np.outer(own, own)
        return np.maximum(1, factor)

    def _at_lag(self, lag: int) -> tuple[Floats, Floats, Floats]:
        """Return how unlikely each pair is in standard normal units, NaN where not tried, rho, and points."""
        start = max(lag, self._window.start)
        early, late = slice(start - lag, max(start, self._window.stop) - lag), slice(start, self._window.stop)
        x, in_x = self._ranks[:, early], self._seen[:, early]
        y, in_y = self._ranks[:, late], self._seen[:, late]
        points = in_x @ in_y.T
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_x, mean_y = x @ in_y.T / points, in_x @ y.T / points
            spread = (x**2 @ in_y.T / points - mean_x**2) * (in_x @ (y**2).T / points - mean_y**2)
            rho = np.clip((x @ y.T / points - mean_x * mean_y) / np.sqrt(spread), -1, 1)
            shared_volatility = np.maximum(1, x**2 @ (y**2).T / points / spread - rho**2)
            # Parameters were fitted to the whole length; a window of it bears its part.
            fitted = np.maximum.outer(self._fitted, self._fitted) * points / self._ranks.shape[1]
            free = points / (self._thinning * shared_volatility) - fitted - 2
            meet = np.outer(self._movers, self._movers) / points
            enough = (points >= FEWEST_POINTS) & (meet >= _FEWEST_EXPECTED_TOGETHER)
            tried = enough & (spread > _FLAT) & (free >= 1)
            z = np.where(tried, _as_normal(rho, free), math.nan)
        return z, rho, points


def _as_normal(rho: Floats, free: Floats) -> Floats:
    """Turn |rho| into a standard normal deviate of the same p-value as Student's t (Wallace 1959)."""
    unexplained = np.maximum(1 - rho**2, 1e-12)  # t² is free · rho² / unexplained
    return (8 * free + 1) / (8 * free + 3) * np.sqrt(-free * np.log(unexplained))


# --- words --------------------------------------------------------------------------------------------------


def _link(hit: _Hit, names: Sequence[str], levels: Floats, step: timedelta, window: slice) -> Link:
    leader, follower, lag = names[hit.leader], names[hit.follower], hit.lag * step
    ways = [_direction(levels[i], window) for i in (hit.leader, hit.follower)]
    moved = _moved(leader, follower, ways, together=hit.coefficient > 0)
    instant = "minute" if step == timedelta(minutes=1) else "time"
    when = f"; {leader} moved first, by {span_words(lag)}" if lag else f" at the same {instant}"
    rests_on = f"rank correlation {hit.coefficient:.2f} over {span_words(hit.points * step)}"
    return Link(
        leader=leader,
        follower=follower,
        lag=lag,
        coefficient=hit.coefficient,
        points=hit.points,
        p_value=hit.p_value,
        words=f"{moved}{when} ({rests_on})",
    )


def _moved(leader: str, follower: str, ways: Sequence[int], *, together: bool) -> str:
    """Say who rose or fell where the levels went the way of the correlation; else only that they moved."""
    verbs = {1: "rose", -1: "fell"}
    agree = ways[0] * ways[1] == (1 if together else -1)
    if together:
        return f"{follower} {verbs[ways[1]] if agree else 'moved'} with {leader}"
    if agree:
        return f"{follower} {verbs[ways[1]]} while {leader} {verbs[ways[0]]}"
    return f"{follower} moved against {leader}"


def _direction(levels: Floats, window: slice) -> int:
    """Return 1 for a rise of the window against the rest, -1 for a fall, 0 for neither.

    Where there is little rest, the window's last quarter is held against its first. The medians have to be
    apart by more than twice the robust standard deviation of what they are held against.
    """
    inside = levels[window]
    outside = np.concatenate([levels[: window.start], levels[window.stop :]])
    outside, inside = outside[np.isfinite(outside)], inside[np.isfinite(inside)]
    if inside.size < FEWEST_POINTS:
        return 0
    if outside.size < FEWEST_POINTS:
        quarter = inside.size // 4
        outside, inside = inside[:quarter], inside[-quarter:]
    usual = float(np.median(outside))
    noise = 1.4826 * float(np.median(np.abs(outside - usual)))
    moved = float(np.median(inside)) - usual
    return 0 if abs(moved) <= 2 * noise else int(math.copysign(1, moved))
