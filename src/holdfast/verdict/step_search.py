"""The likeliest step of one series, and how likely it is that there is none.

A slow series without any step (a random walk, a load that breathes) looks stepped to every test that takes its
points for independent, so a step has to explain what a memory does not:

1. Levels are divided by the typical movement from point to point, which a step does not bend, and outliers are
   clipped.
2. The noise is an ARMA(1, 1) out of a grid: white, autoregressive, a random walk, and each of them under white
   noise (Granger & Morris 1976, "Time series modelling and interpretation"). For each of them the series is
   prewhitened, and a step at each point is fitted by least squares: the level shift of Box & Tiao 1975,
   "Intervention analysis". Each side of the comparison, with a step and without, takes the noise that suits it
   best.
3. A step and its return (up, and down again) are tried likewise.
4. The likelihood ratio is held against chi-square, with a degree of freedom for each step and for both
   parameters of the noise; its p-value is multiplied by the number of places and shapes tried (Bonferroni).
5. A straight line that explains more than the step does is a ramp, and a ramp has no minute.

The minute is as uncertain as its likelihood is wide: a normalised profile holds 95 % within it.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from holdfast.verdict.series import Floats, takes_part

_SHORTEST_LEVEL = 5  # points on each side of a step; fewer are an outlier or two
# Away from the median: by typical movements from point to point, and by median absolute deviations. Measured:
# wider, and bursts of a skewed series pass for steps.
_CLIPPED_AT = 3.0, 1.5
_CANDIDATES = 12
_WITHIN = 0.95
_NOTHING = 1e-9  # of standardised levels: rounding, not movement
_GRID = np.array(
    [
        (phi, theta)
        for phi in (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
        for theta in (0.0, 0.3, 0.5, 0.7, 0.8, 0.9)
        if theta < phi or theta == 0
    ]
)


@dataclass(frozen=True)
class Hit:
    """The likeliest step of one series.

    Attributes:
        point: index of the first point at the other level.
        off: how many points off that may be, at 95 %.
        back: index of the first point after a return; None without one.
        rising: whether the other level is the higher one.
        p_value: of this series alone, corrected for the places and shapes tried; may be above 1.
    """

    point: int
    off: int
    back: int | None
    rising: bool
    p_value: float


def likeliest_step(row: Floats) -> Hit | None:
    """Return the likeliest step, however unlikely; None for too little data, a constant, a ramp or a walk.

    Args:
        row: shape (n,); NaN where there is no data.
    """
    if not takes_part(row):
        return None
    seen = np.isfinite(row)
    # The last known level stands in for a gap, so that a step within one comes out at its end.
    last_seen = np.maximum.accumulate(np.where(seen, np.arange(row.size), np.argmax(seen)))
    hit = _Steps(_tamed(row[last_seen])).best()
    if hit is None:
        return None
    silent = hit.point - 1 - int(last_seen[hit.point - 1])
    return Hit(hit.point, max(hit.off, silent), hit.back, hit.rising, hit.p_value)


def _tamed(levels: Floats) -> Floats:
    """Standardise the levels with their outliers clipped; a level that lasts is no outlier."""
    movements = np.abs(np.diff(levels))
    typical = float(np.median(movements[movements > 0]))
    apart = np.abs(levels - np.median(levels))
    furthest = _CLIPPED_AT[0] * typical + _CLIPPED_AT[1] * float(np.median(apart))
    clipped = np.clip(levels - np.median(levels), -furthest, furthest)
    return np.asarray((clipped - clipped.mean()) / clipped.std(), dtype=np.float64)


class _Steps:
    """Steps in one series: matrices of noise model by place of the step."""

    def __init__(self, levels: Floats) -> None:
        self._levels, self._points = levels, levels.size
        self._basis = basis = _basis(self._points)
        whitened = _whitened(levels[np.newaxis])[:, 0]
        self._left = basis.centred(whitened)
        self._unexplained: Floats = (self._left**2).sum(axis=1)
        self._along = basis.along_steps(self._left)
        self._size = basis.size
        self._gain = _ratio(self._along**2, self._size)

    def best(self) -> Hit | None:
        """Return the likeliest step, or step with a return, however unlikely; None for a ramp or a walk."""
        alone = self._profile(self._unexplained[:, np.newaxis] - self._gain)
        place = int(alone.argmax())
        p_alone = self._points * _chi_square_tail(float(alone[place]), freedom=3)
        there_and_back = self._there_and_back(alone)
        if there_and_back is not None and there_and_back.p_value < p_alone:
            return there_and_back
        if alone[place] < self._ratio_of_line():
            return None
        model = int((self._unexplained - self._gain[:, place]).argmin())
        rising = bool(self._along[model, place] > 0)
        if rising != bool(self._levels[place:].mean() > self._levels[:place].mean()):
            return None  # a jump against the drift of a walk: no other level came of it
        return Hit(place, _off(alone, place), None, rising, 2 * p_alone)  # two shapes were tried

    def _there_and_back(self, alone: Floats) -> Hit | None:
        """Try the likeliest places with each other place."""
        peaks = np.flatnonzero((alone[1:-1] >= alone[:-2]) & (alone[1:-1] >= alone[2:]) & (alone[1:-1] > 0)) + 1
        peaks = peaks[np.argsort(alone[peaks])[::-1][:_CANDIDATES]]
        tried = [(place, *self._beside(int(place))) for place in peaks]
        best = max(tried, key=lambda pair: pair[1].max(), default=None)
        if best is None or best[1].max() <= 0:
            return None
        one, profile, rising = best
        other = int(profile.argmax())
        ratio, first_rises = float(profile[other]), bool(rising[other]) == (other < one)
        first, back = sorted((int(one), other))
        if not self._returns(first, back):
            return None
        places = self._points**2 / 2
        p_value = 2 * places * _chi_square_tail(ratio, freedom=4)
        return Hit(first, _off(self._beside(back)[0], first), back, first_rises, p_value)

    def _returns(self, first: int, back: int) -> bool:
        """Say whether the levels themselves go back, by half of the way at least, and by twice at most."""
        before, between, after = (float(part.mean()) for part in np.split(self._levels, [first, back]))
        there, again = between - before, between - after
        return there * again > 0 and abs(there) / 2 <= abs(again) <= abs(there) * 2

    def _beside(self, fixed: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return the profile of a second, opposite step beside a fixed one, and where that second one rises."""
        common = self._basis.common(fixed)
        size, along = self._size[:, [fixed]], self._along[:, [fixed]]
        second_along = self._along - along * _ratio(common, size)
        second_size = self._size - _ratio(common**2, size)
        unexplained = self._unexplained[:, np.newaxis] - self._gain[:, [fixed]]
        unexplained = unexplained - _ratio(second_along**2, second_size)
        height = _ratio(second_along, second_size)
        fixed_height = _ratio(along - height * common, size)
        chosen = unexplained.argmin(axis=0), np.arange(self._points)
        profile = self._profile(unexplained)
        profile[height[chosen] * fixed_height[chosen] >= 0] = 0
        profile[max(0, fixed - _SHORTEST_LEVEL + 1) : fixed + _SHORTEST_LEVEL] = 0
        return profile, height[chosen] > 0

    def _profile(self, unexplained: Floats) -> Floats:
        """Return the likelihood ratio of each place to no step: 0 too near to an end."""
        left = np.maximum(unexplained.min(axis=0), _NOTHING)
        profile: Floats = self._points * np.log(max(float(self._unexplained.min()), _NOTHING) / left)
        profile[:_SHORTEST_LEVEL] = 0
        profile[self._points - _SHORTEST_LEVEL + 1 :] = 0
        return np.asarray(np.maximum(profile, 0), dtype=np.float64)

    def _ratio_of_line(self) -> float:
        line = self._basis.line
        explained = (self._left * line).sum(axis=1) ** 2 / (line**2).sum(axis=1)
        left = max(float((self._unexplained - explained).min()), _NOTHING)
        return self._points * math.log(max(float(self._unexplained.min()), _NOTHING) / left)


@dataclass(frozen=True)
class _Basis:
    """A constant, a line and steps after each noise model's prewhitening, for series of one length.

    Attributes:
        constant: rows are noise models. A step at k is the constant, k points later.
        line: orthogonal to the constant.
        overlap: of the constant with a step at each point.
        size: squared length of a step at each point, orthogonal to the constant.
    """

    constant: Floats
    line: Floats
    overlap: Floats
    size: Floats

    def centred(self, rows: Floats) -> Floats:
        """Take the constant out."""
        along = (rows * self.constant).sum(axis=1, keepdims=True)
        return np.asarray(rows - along / self.overlap[:, [0]] * self.constant, dtype=np.float64)

    def along_steps(self, rows: Floats) -> Floats:
        """Return the product of each row with a step at each point."""
        return _along_steps(rows, self.constant)

    def common(self, place: int) -> Floats:
        """Return the product of a step at one place with one at each point, both orthogonal to the constant."""
        late = np.zeros_like(self.constant)
        late[:, place:] = self.constant[:, : self.constant.shape[1] - place]
        constant: Floats = self.overlap[:, [place]] * self.overlap / self.overlap[:, [0]]
        return self.along_steps(late) - constant


@lru_cache(maxsize=4)
def _basis(points: int) -> _Basis:
    whitened = _whitened(np.stack([np.ones(points), np.linspace(-1, 1, points)]))
    constant, line = whitened[:, 0], whitened[:, 1]
    overlap = _along_steps(constant, constant)
    lengths = (constant**2).cumsum(axis=1)[:, ::-1]
    size = lengths - overlap**2 / overlap[:, [0]]
    raw = _Basis(constant, line, overlap, size)
    return _Basis(constant, raw.centred(line), overlap, size)


def _along_steps(rows: Floats, constant: Floats) -> Floats:
    """Multiply by the constant shifted to each point, which is a correlation: by Fourier transform."""
    points = rows.shape[1]
    spectrum = np.fft.rfft(rows, 2 * points) * np.fft.rfft(constant, 2 * points).conj()
    return np.asarray(np.fft.irfft(spectrum, 2 * points)[:, :points], dtype=np.float64)


def _whitened(columns: Floats) -> Floats:
    """Return the innovations of each series under each noise model, from zero before the first point."""
    phi, theta = _GRID[:, [0]], _GRID[:, [1]]
    innovations = np.zeros((len(_GRID), *columns.shape))
    previous, innovation = np.zeros(len(columns)), np.zeros((len(_GRID), len(columns)))
    for i in range(columns.shape[1]):
        innovation = columns[:, i] - phi * previous + theta * innovation
        innovations[:, :, i], previous = innovation, columns[:, i]
    return innovations


def _ratio(above: Floats, below: Floats) -> Floats:
    """Divide, with 0 where a step is nothing but rounding: at the first point, or beside itself."""
    safe = np.where(below > _NOTHING, below, math.inf)
    return np.asarray(above / safe, dtype=np.float64)


def _chi_square_tail(value: float, *, freedom: Literal[3, 4]) -> float:
    half = value / 2
    if freedom == 4:  # noqa: PLR2004  degrees of freedom, as in the signature
        return math.exp(-half) * (1 + half)
    return math.erfc(math.sqrt(half)) + 2 * math.sqrt(half / math.pi) * math.exp(-half)


def _off(profile: Floats, place: int) -> int:
    """Return how many points off the place may be: 95 % of the normalised likelihood lie as near."""
    likelihood: Floats = np.exp((profile - profile.max()) / 2) * (profile > 0)
    apart = np.abs(np.arange(profile.size) - place)
    within: Floats = np.asarray(np.bincount(apart, weights=likelihood).cumsum(), dtype=np.float64)
    return int((within < _WITHIN * within[-1]).sum())
