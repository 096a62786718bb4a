"""What all pictures of a verdict share: how levels look, and bars of what is used."""

# matplotlib's annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.adapters.charts.drawing import FAINT, FONT, INK, bare, clipped, legend_below
from holdfast.domain.view import MetricLine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AXIS_PERCENT = 200.0  # a bar that goes further is cut off there; its number still says how far
_ALLOWED_PERCENT = 100.0


@dataclass(frozen=True)
class Look:
    """How a level is drawn: told apart by colour, hatching and sign; `order` sorts the worst first."""

    colour: str
    hatch: str
    marker: str
    order: int


# Okabe and Ito's palette, "Color Universal Design" (2002): told apart by colour-blind people too.
LOOKS = {
    "red": Look("#d55e00", "xx", "X", 0),
    "yellow": Look("#e69f00", "//", "^", 1),
    "green": Look("#009e73", "", "o", 3),
}
NO_LEVEL = Look("#bbbbbb", "..", "s", 2)


def look_of(line: MetricLine) -> Look:
    """Return how a metric's level is drawn."""
    return LOOKS.get(line.level.lower(), NO_LEVEL)


def worst_first(lines: Iterable[MetricLine]) -> list[MetricLine]:
    """Sort metrics for a picture that may not have room for all."""
    return sorted(lines, key=lambda line: look_of(line).order)


def draw_bars(axes: "Axes", lines: list[MetricLine], *, font_size: int) -> None:
    """Draw a bar a metric: how much of what is allowed it has used, on an axis to 200 %."""
    for row, line in enumerate(lines):
        look, length = look_of(line), min(_used_percent(line), _AXIS_PERCENT)
        if length:
            axes.barh(
                row, length, height=0.62, color=look.colour, hatch=look.hatch, edgecolor="white", zorder=2
            )
    axes.set_xlim(0, _AXIS_PERCENT)
    axes.set_ylim(max(len(lines), 3) - 0.4, -0.6)
    axes.axvline(_ALLOWED_PERCENT, color=INK, linewidth=2, zorder=3)
    axes.set_xticks([0, 50, 100, 150, 200], labels=["0", "", "100 % = allowed", "", "200 %"], fontfamily=FONT)
    axes.tick_params(axis="x", labelsize=font_size, color=FAINT)
    bare(axes)


def draw_sign(axes: "Axes", x: float, row: int, line: MetricLine) -> None:
    """Draw the sign of a metric's level beside its bar, `x` in parts of the axes' width."""
    look, data = look_of(line), axes.get_yaxis_transform()
    axes.plot([x], [row], marker=look.marker, markersize=12, color=look.colour, transform=data, clip_on=False)


def said(line: MetricLine) -> str:
    """Return how much is used, or the level where that is not known."""
    known = look_of(line) is not NO_LEVEL and line.used != "–"
    return clipped(line.used if known else line.level, 14)


def _used_percent(line: MetricLine) -> float:
    """Return how much of what is allowed is used; from the words where there is no number."""
    if look_of(line) is NO_LEVEL:
        return 0.0
    if line.used_percent is not None:
        return line.used_percent
    found = re.search(r"\d+(?:\.\d+)?", line.used)
    if found:
        return float(found[0])
    if line.level.lower() == "green" or line.used == "–":
        return 0.0
    return _AXIS_PERCENT  # nothing is allowed, and it got worse


def draw_legend(figure: "Figure", lines: Iterable[MetricLine], *, font_size: int) -> None:
    """Explain at the bottom left the signs of those levels that occur."""
    from matplotlib.lines import Line2D  # noqa: PLC0415  loaded only where something is drawn

    names = {look: name for name, look in LOOKS.items()} | {NO_LEVEL: "not known"}
    signs = [
        Line2D([], [], linestyle="", marker=look.marker, markersize=10, color=look.colour, label=names[look])
        for look in dict.fromkeys(look_of(line) for line in lines)
    ]
    legend_below(figure, signs, size=font_size, handletextpad=0.1)
