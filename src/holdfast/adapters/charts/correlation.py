"""The series of an incident under each other, as a picture for a phone: what stepped, and what did first."""

# matplotlib's annotations are partial.
# pyright: reportUnknownMemberType=false

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from holdfast.adapters.charts.drawing import FAINT, FONT, INK, bare, canvas, clipped, legend_below, png, write
from holdfast.verdict.change_points import JointStep, Shift
from holdfast.verdict.words import measured, span_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_INCHES = 9.0
_HEAD_INCHES, _ROW_INCHES, _FOOT_INCHES = 1.15, 0.95, 0.8
_ROWS = 10
_TITLE_CHARACTERS, _LINE_CHARACTERS, _NAME_CHARACTERS, _TOLD_CHARACTERS = 46, 84, 30, 56
# Okabe and Ito's palette, "Color Universal Design" (2002), and a sign: told apart by colour-blind people too.
_ROSE, _FELL = ("#d55e00", "^"), ("#0072b2", "v")
_SERIES = "#555555"
_LOW, _HIGH = 0.92, 0.40  # where in its row a series has its lowest and its highest point
_TICKS = [timedelta(minutes=m) for m in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880)]
_MOST_TICKS = 7


def correlation_chart(  # noqa: PLR0917  the command hands them over in this order
    series: Mapping[str, Sequence[float | None]],
    steps: Sequence[Shift],
    joint: Sequence[JointStep],
    start: datetime,
    step: timedelta,
    title: str,
) -> bytes:
    """Draw the series on one time axis, each in its own height, what stepped first on top.

    Args:
        series: points of each metric at the same times.
        steps: what `shifts` found in them.
        joint: what `stepped_together` made of that; an arrow goes from one step to the next of a pair.
        start: time of the first point; the axis is in its zone.
        step: distance between the points.
        title: which runbook, which side.

    Returns:
        A PNG of 900 pixels by 195 and 95 for each series, at most ten.
    """
    stepped = [shift.metric for shift in steps]
    names = [*stepped, *(name for name in series if name not in stepped)]
    shown = names[:_ROWS]
    height = _HEAD_INCHES + len(shown) * _ROW_INCHES + _FOOT_INCHES
    figure = canvas((_WIDTH_INCHES, height))
    points = max([1, *map(len, series.values())])
    _head(figure, height, steps, f"{title} · {_window(start, start + (points - 1) * step)}")
    axes = figure.add_axes((0.03, _FOOT_INCHES / height, 0.94, len(shown) * _ROW_INCHES / height))
    by_name = {shift.metric: shift for shift in steps}
    for row, name in enumerate(shown):
        _series(axes, row, series[name])
        _labels(axes, row, name, by_name.get(name))
        if name in by_name:
            _mark(axes, row, by_name[name])
    _arrows(axes, [shift for shift in steps if shift.metric in shown], joint)
    _scale(axes, rows=len(shown), points=points, start=start, step=step)
    _foot(figure, height, hidden=len(names) - len(shown))
    return png(figure)


def _head(figure: "Figure", height: float, steps: Sequence[Shift], under: str) -> None:
    write(figure, 0.03, 1 - 0.36 / height, _headline(steps), most=_TITLE_CHARACTERS, size=21, weight="bold")
    write(figure, 0.03, 1 - 0.78 / height, under, most=_LINE_CHARACTERS, size=13, color=FAINT)


def _headline(steps: Sequence[Shift]) -> str:
    if not steps:
        return "Nothing stepped"
    first, name = steps[0], clipped(steps[0].metric, 22)
    together = [s for s in steps if s.point - first.point <= math.hypot(_off(s), _off(first))]
    if len(together) == 1:
        return f"{name} moved first, at {_time(first, first.at)}"
    others = f"{len(together) - 1} more" if len(together) > 2 else clipped(together[1].metric, 14)  # noqa: PLR2004  a pair
    return f"First: {name} and {others}"


def _time(shift: Shift, at: datetime | None) -> str:
    """Return the time of day; the axis has the date."""
    return f"{at:{'%H:%M:%S' if shift.step % timedelta(minutes=1) else '%H:%M'}}" if at else shift.when


def _off(shift: Shift) -> float:
    return shift.uncertainty / shift.step


def _window(start: datetime, end: datetime) -> str:
    one_day = start.date() == end.date()
    return f"{start:%Y-%m-%d %H:%M} to {end:{'%H:%M' if one_day else '%Y-%m-%d %H:%M'}} {end:%Z}"


def _series(axes: "Axes", row: int, points: Sequence[float | None]) -> None:
    """Draw a line between its own lowest and highest point, with gaps where there is no data."""
    values: npt.NDArray[np.float64] = np.array([math.nan if v is None else v for v in points], dtype=np.float64)
    values[~np.isfinite(values)] = math.nan
    known = values[np.isfinite(values)]
    if row:
        axes.axhline(row, color="#dddddd", linewidth=1, zorder=0)
    if not known.size:
        write(axes, 0.004, row + 0.66, "no data", size=13, color=FAINT, transform=axes.get_yaxis_transform())
        return
    low, high = known.min(), known.max()
    parts = (values - low) / (high - low) if high > low else values * 0 + 0.5
    axes.plot(row + _LOW + (_HIGH - _LOW) * parts, color=_SERIES, linewidth=1.6, zorder=2, label="_")


def _labels(axes: "Axes", row: int, name: str, shift: Shift | None) -> None:
    beside = axes.get_yaxis_transform()
    style = {"transform": beside, "zorder": 6}
    write(axes, 0.004, row + 0.19, name, most=_NAME_CHARACTERS, size=14, weight="bold", **style)
    if shift is None:
        return
    before, after = (measured(value, shift.unit) for value in (shift.before, shift.after))
    back = f", back {_time(shift, shift.back_at)}" if shift.back_at else ""
    when = f"{_time(shift, shift.at)} ± {span_words(shift.uncertainty)}"
    told = f"{shift.direction} {before} → {after}, {when}{back}"
    write(
        axes,
        0.996,
        row + 0.19,
        told,
        most=_TOLD_CHARACTERS,
        size=12.5,
        ha="right",
        color=_look(shift)[0],
        **style,
    )


def _look(shift: Shift) -> tuple[str, str]:
    return _ROSE if shift.direction == "rose" else _FELL


def _place(shift: Shift) -> float:
    """Return the moment between the last point before and the first one after."""
    return shift.point - 0.5


def _mark(axes: "Axes", row: int, shift: Shift) -> None:
    """Mark where a step is, how uncertain that is, and where it returned."""
    (colour, marker), x, off = _look(shift), _place(shift), _off(shift)
    axes.fill_betweenx(
        [row + 0.34, row + 0.97], x - off, x + off, color=colour, alpha=0.22, linewidth=0, zorder=1
    )
    axes.plot([x, x], [row + 0.34, row + 0.97], color=colour, linewidth=2, zorder=3)
    axes.plot([x], [row + 0.66], marker=marker, markersize=12, color=colour, markeredgecolor="white", zorder=5)
    if shift.back_point is not None:
        back = shift.back_point - 0.5
        axes.plot([back, back], [row + 0.34, row + 0.97], color=colour, linewidth=2, linestyle=":", zorder=3)


def _arrows(axes: "Axes", steps: Sequence[Shift], joint: Sequence[JointStep]) -> None:
    """Join each step with the one below it where they are a pair, with the time between."""
    pairs = {(pair.leader.metric, pair.follower.metric): pair for pair in joint}
    for row, (upper, lower) in enumerate(pairwise(steps)):
        pair = pairs.get((upper.metric, lower.metric))
        if pair is None:
            continue
        start, end = (_place(upper), row + 0.72), (_place(lower), row + 1.58)
        line = "-" if pair.sure_of_order else (0, (2, 1.5))
        arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.8, "linestyle": line, "mutation_scale": 16}
        axes.annotate("", xy=end, xytext=start, arrowprops=arrow | {"shrinkA": 4, "shrinkB": 5}, zorder=4)
        told = f"+{span_words(pair.lag)}" if pair.lag else "same time"
        _beside(axes, end[0], row + 0.83, told, points=upper.points)


def _beside(axes: "Axes", x: float, y: float, text: str, *, points: int) -> None:
    """Write at the right of a place, or at its left near the right edge."""
    left = x > 0.8 * points
    away = -0.012 * points if left else 0.012 * points
    box = {"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1.2}
    write(axes, x + away, y, text, size=12.5, ha="right" if left else "left", bbox=box, zorder=6)


def _scale(axes: "Axes", *, rows: int, points: int, start: datetime, step: timedelta) -> None:
    axes.set_xlim(-0.5, points - 0.5)
    axes.set_ylim(max(rows, 1), 0)
    ticks = _ticks(start, points, step)
    days = len({tick.date() for tick in ticks}) > 1
    if days:  # their texts are too wide for the edges
        ticks = [tick for tick in ticks if 0.06 < (tick - start) / (points * step) < 0.94]  # noqa: PLR2004  parts
    places = [(tick - start) / step for tick in ticks]
    texts = [f"{tick:{'%d %b %H:%M' if days else '%H:%M'}}" for tick in ticks]
    axes.set_xticks(places, labels=texts, fontfamily=FONT)
    axes.tick_params(axis="x", labelsize=11 if days else 13, color=FAINT)
    bare(axes)


def _ticks(start: datetime, points: int, step: timedelta) -> list[datetime]:
    """Return round times within the window, as many as a phone has room for."""
    length = (points - 1) * step
    apart = next((tick for tick in _TICKS if length / tick < _MOST_TICKS), _TICKS[-1])
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight + math.ceil((start - midnight) / apart) * apart
    return [first + n * apart for n in range(math.floor((start + length - first) / apart) + 1)]


def _foot(figure: "Figure", height: float, *, hidden: int) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415  loaded only where something is drawn

    signs = [
        Line2D([], [], linestyle="", marker=marker, markersize=11, color=colour, label=label)
        for (colour, marker), label in ((_ROSE, "rose"), (_FELL, "fell"))
    ]
    signs.append(Line2D([], [], color=INK, linestyle=":", linewidth=2, label="back"))
    legend_below(figure, signs, size=13)
    more = f"and {hidden} more · " if hidden > 0 else ""
    text = clipped(f"{more}each in its own height; first is not cause", 60)
    write(figure, 0.98, 0.21 / height, text, size=12, ha="right", color=FAINT)
