"""Which metrics stepped to another level, in which minute, and which of them at about the same time.

`correlation` links series that move together many times. An incident is often one movement only: CPU steps up
at 12:28, latency at 12:30, and both are otherwise flat.

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
   parameters of the noise; its p-value is multiplied by the number of places tried and by the number of metrics
   (Bonferroni).
5. A straight line that explains more than the step does is a ramp, and a ramp has no minute.

The minute is as uncertain as its likelihood is wide: a normalised profile holds 95 % within it. Nothing here
says what caused what.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from holdfast.domain.errors import InvalidInput
from holdfast.verdict.correlation import checked_levels, span_words
from holdfast.verdict.words import measured

Floats = npt.NDArray[np.float64]
Direction = Literal["rose", "fell"]

_FEWEST_POINTS = 20
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
class Shift:
    """One metric's step to another level.

    Attributes:
        metric: its name.
        direction: `rose` or `fell`.
        point: index of the first point at the other level.
        at: its time; None where the window's start is not given.
        uncertainty: how far off the time may be, at 95 %; at least one step.
        before: median of the points before (means stand in where the medians are no different).
        after: median of the points since, up to the return where there is one.
        p_value: after all corrections: the chance of any step in the answer if no metric had one.
        points: length of the window.
        step: distance between two points.
        back_point: index of the first point after a return; None without one.
        back_at: its time.
        back: median of the points after the return.
        unit: of the levels.
        when: `at` in words, e.g. `12:28`.
        words: the step as a sentence for a review.
    """

    metric: str
    direction: Direction
    point: int
    at: datetime | None
    uncertainty: timedelta
    before: float
    after: float
    p_value: float
    points: int
    step: timedelta
    back_point: int | None
    back_at: datetime | None
    back: float | None
    unit: str
    when: str
    words: str


@dataclass(frozen=True)
class JointStep:
    """Two metrics that stepped within minutes of each other. It says nothing about cause.

    Attributes:
        leader: the step that came first; at lag 0 the two are equals.
        follower: the other one.
        lag: how much later the follower stepped.
        uncertainty: of the lag, at 95 %.
        sure_of_order: whether the lag is longer than its uncertainty.
        coincidence: the chance that two unrelated steps in such a window are this close or closer.
        words: both as a sentence for a review.
    """

    leader: Shift
    follower: Shift
    lag: timedelta
    uncertainty: timedelta
    sure_of_order: bool
    coincidence: float
    words: str


def shifts(
    series: Mapping[str, Sequence[float | None]],
    *,
    step: timedelta = timedelta(minutes=1),
    start: datetime | None = None,
    level: float = 0.05,
    units: Mapping[str, str] | None = None,
) -> tuple[Shift, ...]:
    """Find the metrics that stepped, at most the likeliest step of each, what moved first in front.

    Series with data in fewer than half of the points, or in fewer than 20, take no part. A step needs five
    points on each side.

    Args:
        series: points of each metric at the same times, oldest first; None, NaN and infinities are no data.
        step: distance between the points.
        start: time of the first point, with its zone, which the answers keep.
        level: the chance of one false step or more in the answer.
        units: of the metrics, where they have one.

    Raises:
        InvalidInput: the series differ in length, or an argument is out of its range.
    """
    if not 0 < level < 1:
        raise InvalidInput(f"level: must be between 0 and 1, not {level}")
    levels = checked_levels(series, step=step)
    told = _Telling(step, start, levels.shape[1])
    found: list[Shift] = []
    for name, row in zip(series, levels, strict=True):
        hit = _likeliest(row)
        p_value = min(1.0, hit.p_value * len(series)) if hit else 1.0
        if hit and p_value <= level:
            found.append(told.shift(name, row, hit, p_value, (units or {}).get(name, "")))
    return tuple(sorted(found, key=lambda shift: (shift.point, shift.p_value)))


def stepped_together(
    found: Sequence[Shift], *, longest_lag: timedelta = timedelta(minutes=10)
) -> tuple[JointStep, ...]:
    """Pair the steps that lie within `longest_lag`, the closest pair first.

    Args:
        found: what `shifts` returned.
        longest_lag: from one step to the other.

    Raises:
        InvalidInput: the lag is negative.
    """
    if longest_lag < timedelta(0):
        raise InvalidInput(f"longest_lag: must not be negative, but is {longest_lag}")
    ordered = sorted(found, key=lambda shift: (shift.point, shift.p_value))
    pairs = [_joint(leader, follower) for leader, follower in combinations(ordered, 2)]
    near = [pair for pair in pairs if pair.lag <= longest_lag]
    return tuple(sorted(near, key=lambda pair: (pair.lag, pair.leader.p_value + pair.follower.p_value)))


# --- the likelihood of a step at each point -----------------------------------------------------------------


@dataclass(frozen=True)
class _Hit:
    """The likeliest step: its place, how far off that may be, its return if any, and its p-value alone."""

    point: int
    off: int
    back: int | None
    rising: bool
    p_value: float


def _likeliest(row: Floats) -> _Hit | None:
    seen = np.isfinite(row)
    if seen.sum() < max(_FEWEST_POINTS, row.size / 2) or np.ptp(row[seen]) == 0:
        return None
    # The last known level stands in for a gap, so that a step within one comes out at its end.
    last_seen = np.maximum.accumulate(np.where(seen, np.arange(row.size), np.argmax(seen)))
    hit = _Steps(_tamed(row[last_seen])).best()
    if hit is None:
        return None
    silent = hit.point - 1 - int(last_seen[hit.point - 1])
    return _Hit(hit.point, max(hit.off, silent), hit.back, hit.rising, hit.p_value)


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

    def best(self) -> _Hit | None:
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
        return _Hit(place, _off(alone, place), None, rising, 2 * p_alone)  # two shapes were tried

    def _there_and_back(self, alone: Floats) -> _Hit | None:
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
        return _Hit(first, _off(self._beside(back)[0], first), back, first_rises, p_value)

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


# --- words --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Telling:
    """Turns places into times, levels into words."""

    step: timedelta
    start: datetime | None
    points: int

    def shift(self, name: str, row: Floats, hit: _Hit, p_value: float, unit: str) -> Shift:
        """Describe one step."""
        parts = row[: hit.point], row[hit.point : hit.back], row[hit.back :] if hit.back else np.zeros(0)
        before, after, *back = _levels([part[np.isfinite(part)] for part in parts], rising=hit.rising)
        off = max(1, hit.off) * self.step
        words = f"{name} {_change(before, after, unit, rising=hit.rising)} at {self.when(hit.point)}"
        words += f" (± {span_words(off)})"
        if hit.back and back:
            words += f", and was back at {measured(back[0], unit)} at {self.when(hit.back)}"
        return Shift(
            metric=name,
            direction="rose" if hit.rising else "fell",
            point=hit.point,
            at=self.at(hit.point),
            uncertainty=off,
            before=before,
            after=after,
            p_value=p_value,
            points=self.points,
            step=self.step,
            back_point=hit.back,
            back_at=self.at(hit.back) if hit.back else None,
            back=back[0] if back else None,
            unit=unit,
            when=self.when(hit.point),
            words=words,
        )

    def at(self, point: int) -> datetime | None:
        """Return the time of a point."""
        return None if self.start is None else self.start + point * self.step

    def when(self, point: int) -> str:
        """Write the time of a point; without a start, how long after the first one."""
        at = self.at(point)
        if at is None or self.start is None:
            return f"{span_words(point * self.step)} after the start"
        seconds = "" if not (self.start.second or self.step % timedelta(minutes=1)) else ":%S"
        one_day = self.start.date() == (self.start + (self.points - 1) * self.step).date()
        return f"{at:{'%H:%M' if one_day else '%Y-%m-%d %H:%M'}{seconds}}"


def _levels(parts: Sequence[Floats], *, rising: bool) -> list[float]:
    """Return the medians of the parts that have points; means where the medians do not show the step."""
    medians = [float(np.median(part)) for part in parts if part.size]
    if (medians[1] > medians[0]) if rising else (medians[1] < medians[0]):
        return medians
    return [sum(part.tolist()) / part.size for part in parts if part.size]


def _change(before: float, after: float, unit: str, *, rising: bool) -> str:
    texts = [measured(value, unit) for value in (before, after)]
    if texts[0] == texts[1]:  # three digits do not tell them apart
        texts = [f"{value:.6g} {unit}".rstrip() for value in (before, after)]
    return f"{'rose' if rising else 'fell'} from {texts[0]} to {texts[1]}"


def _joint(leader: Shift, follower: Shift) -> JointStep:
    step, apart = leader.step, follower.point - leader.point
    off = math.hypot(leader.uncertainty / step, follower.uncertainty / step)
    sure = apart > off
    # Two places drawn from `points`: how many of all pairs are this close.
    coincidence = ((2 * apart + 1) * leader.points - apart * (apart + 1)) / leader.points**2
    return JointStep(
        leader=leader,
        follower=follower,
        lag=apart * step,
        uncertainty=off * step,
        sure_of_order=sure,
        coincidence=min(1.0, coincidence),
        words=_joint_words(leader, follower, sure=sure),
    )


def _joint_words(leader: Shift, follower: Shift, *, sure: bool) -> str:
    first, second = (
        f"{s.metric} {_change(s.before, s.after, s.unit, rising=s.direction == 'rose')}"
        for s in (leader, follower)
    )
    lag, off = (follower.point - leader.point) * leader.step, span_words(leader.uncertainty)
    instant = "minute" if leader.step == timedelta(minutes=1) else "time"
    told = f"{span_words(lag)} before ({leader.when} ± {off})" if lag else f"at the same {instant} (± {off})"
    doubt = "" if sure or not lag else ", too close to be sure which was first"
    return f"{second} at {follower.when}; {first} {told}{doubt}"
