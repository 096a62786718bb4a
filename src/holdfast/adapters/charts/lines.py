"""Lines over time as SVG for a page: no script, no file from elsewhere, colours by the page's style sheet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from html import escape
from typing import Final

Points = Sequence[tuple[datetime, float | None]]

_WIDTH, _HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 28, 14, 34
_ABOVE_MARKS: Final = 1.1  # room for their names
COLOURS: Final = 6  # classes `line-0` to `line-5`, in the style sheet
_TICKS: Final = 5
_STEPS: Final = tuple(
    timedelta(minutes=m) for m in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14400, 43200)
)
_MOST_TIMES: Final = 8


@dataclass(frozen=True)
class Line:
    """One line; values are None in gaps."""

    name: str
    points: Points


@dataclass(frozen=True)
class Band:
    """A stretch of time that is shaded, e.g. a breach."""

    since: datetime
    until: datetime
    name: str


@dataclass(frozen=True)
class Mark:
    """A level across the plot with its name."""

    value: float
    name: str


@dataclass(frozen=True)
class Plot:
    """What is drawn.

    Attributes:
        lowest, highest: what the value axis spans at least.
        unit: behind the numbers of the value axis.
        clip_below: what is lower is drawn at this value.
    """

    title: str
    lines: Sequence[Line]
    since: datetime
    until: datetime
    zone: tzinfo
    bands: Sequence[Band] = ()
    marks: Sequence[Mark] = ()
    lowest: float = 0.0
    highest: float | None = None
    unit: str = ""
    clip_below: float | None = None


def plot_svg(plot: Plot) -> str:
    """Return the plot as an `<svg>` element of 960 × 300 units that grows with its place."""
    low, high = _span(plot)
    draw = _Drawing(plot, low, high)
    parts = [
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(plot.title)}">',
        f"<title>{escape(plot.title)}</title>",
        *(draw.band(band) for band in plot.bands),
        *draw.values(),
        *draw.times(),
        *(draw.mark(mark) for mark in plot.marks),
        *(draw.line(line, number) for number, line in enumerate(plot.lines)),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


def _span(plot: Plot) -> tuple[float, float]:
    values = [v for line in plot.lines for _, v in line.points if v is not None and math.isfinite(v)]
    values += [mark.value * _ABOVE_MARKS for mark in plot.marks]
    low, high = (
        min([plot.lowest, *values]),
        max([*values, plot.highest if plot.highest is not None else plot.lowest]),
    )
    if plot.clip_below is not None:
        low = max(low, plot.clip_below)
    return (low, high) if high > low else (low, low + 1)


class _Drawing:
    """Knows where a moment and a value are."""

    def __init__(self, plot: Plot, low: float, high: float) -> None:
        self._plot = plot
        step = _nice((high - low) / _TICKS)
        self._low, self._high = math.floor(low / step) * step, math.ceil(high / step) * step
        self._step = step

    def _x(self, at: datetime) -> float:
        whole = max((self._plot.until - self._plot.since).total_seconds(), 1.0)
        part = (at - self._plot.since).total_seconds() / whole
        return _LEFT + min(max(part, 0.0), 1.0) * (_WIDTH - _LEFT - _RIGHT)

    def _y(self, value: float) -> float:
        part = (min(max(value, self._low), self._high) - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM)

    def band(self, band: Band) -> str:
        x, end = self._x(band.since), self._x(band.until)
        box = f'x="{x:.1f}" y="{_TOP}" width="{max(end - x, 2):.1f}" height="{_HEIGHT - _TOP - _BOTTOM}"'
        return f'<rect class="band" {box}><title>{escape(band.name)}</title></rect>'

    def mark(self, mark: Mark) -> str:
        y = self._y(mark.value)
        line = f'<line class="mark" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        return f'{line}<text class="mark-name" x="{_LEFT + 6}" y="{y - 5:.1f}">{escape(mark.name)}</text>'

    def values(self) -> list[str]:
        parts: list[str] = []
        for number in range(round((self._high - self._low) / self._step) + 1):
            value = self._low + number * self._step
            y = self._y(value)
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            text = f"{value:g} {self._plot.unit}".strip() if abs(value) > self._step / 1e6 else "0"
            parts.append(f'<text class="tick value" x="{_LEFT - 6}" y="{y + 4:.1f}">{escape(text)}</text>')
        return parts

    def times(self) -> list[str]:
        """Mark whole hours or days on the client's clock."""
        lasts = self._plot.until - self._plot.since
        step = next((s for s in _STEPS if lasts / s <= _MOST_TIMES), lasts / _MOST_TIMES)
        local = self._plot.since.astimezone(self._plot.zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        at = midnight + math.ceil((local - midnight) / step) * step
        form = (
            "%d.%m" if step >= timedelta(days=1) else "%d.%m %H:%M" if lasts > timedelta(hours=20) else "%H:%M"
        )
        parts: list[str] = []
        while at <= self._plot.until and len(parts) <= 2 * _MOST_TIMES:
            x, foot = self._x(at), _HEIGHT - _BOTTOM
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{foot}"/>')
            parts.append(f'<text class="tick time" x="{x:.1f}" y="{foot + 18}">{at:{form}}</text>')
            at += step
        return parts

    def line(self, line: Line, number: int) -> str:
        stretches: list[list[str]] = [[]]
        for at, value in line.points:
            if value is None or not math.isfinite(value):
                stretches.append([])
            else:
                stretches[-1].append(f"{self._x(at):.1f},{self._y(value):.1f}")
        shown = [" ".join(points if len(points) > 1 else points * 2) for points in stretches if points]
        style = f'class="line line-{number % COLOURS}"'
        return "".join(f'<polyline {style} points="{points}"/>' for points in shown)


def _nice(step: float) -> float:
    """Round up to 1, 2, 2.5 or 5 times a power of ten."""
    if not math.isfinite(step) or step <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= step * 0.999)
