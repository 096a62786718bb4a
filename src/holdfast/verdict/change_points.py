"""Which metrics stepped to another level, in which minute, and which of them at about the same time.

`correlation` links series that move together many times. An incident is often one movement only: CPU steps up
at 12:28, latency at 12:30, and both are otherwise flat. `step_search` says by which method a step is found.
Nothing here says what caused what.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import Literal

import numpy as np

from holdfast.domain.errors import InvalidInput
from holdfast.verdict.series import Floats, checked_levels
from holdfast.verdict.step_search import Hit, likeliest_step
from holdfast.verdict.words import measured, span_words

Direction = Literal["rose", "fell"]


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
    levels = checked_levels(series, step=step, level=level)
    told = _Telling(step, start, levels.shape[1])
    found: list[Shift] = []
    for name, row in zip(series, levels, strict=True):
        hit = likeliest_step(row)
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


# --- words --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Telling:
    """Turns places into times, levels into words."""

    step: timedelta
    start: datetime | None
    points: int

    def shift(self, name: str, row: Floats, hit: Hit, p_value: float, unit: str) -> Shift:
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
