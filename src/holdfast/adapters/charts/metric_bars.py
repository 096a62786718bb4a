"""What all pictures of a verdict share: how levels look, texts from outside, bars of what is used."""

# matplotlib's annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from holdfast.domain.view import MetricLine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT = "DejaVu Sans"  # comes with matplotlib, so every machine draws the same picture
INK, FAINT = "#222222", "#6f6f6f"
_DOTS_PER_INCH = 100
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


def canvas(inches: tuple[float, float]) -> "Figure":
    """Return an empty white figure of 100 dots an inch, which belongs to no window and no other thread."""
    # Here and not above: matplotlib takes a while to load, and most processes never draw.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=inches, dpi=_DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def png(figure: "Figure") -> bytes:
    """Return the figure as a PNG."""
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


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
    axes.set_yticks([])
    axes.xaxis.grid(visible=True, color="#e4e4e4")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


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
    figure.legend(
        handles=signs,
        loc="lower left",
        bbox_to_anchor=(0.02, 0.0),
        ncols=max(len(signs), 1),
        frameon=False,
        prop={"size": font_size},
        handletextpad=0.1,
        columnspacing=1.2,
    )


def write(where: Any, x: float, y: float, text: str, *, most: int = 72, **style: Any) -> None:
    """Write a text from outside: on one line, not read as a formula, without signs that the font lacks.

    Args:
        where: a figure or axes.
        x: in the coordinates of `where`, or of `transform` in `style`.
        y: likewise.
        text: is cut off after `most` characters.
        most: see there.
        style: of matplotlib's `Text`.
    """
    style = {"color": INK, "va": "center", "family": FONT} | style
    where.text(x, y, _drawable(clipped(text, most)), parse_math=False, **style)


def clipped(text: str, characters: int) -> str:
    """Return the text on one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= characters else f"{line[: characters - 1].rstrip()}…"


def _drawable(text: str) -> str:
    from matplotlib.font_manager import FontProperties, findfont, get_font  # noqa: PLC0415  as above

    known = get_font(findfont(FontProperties(family=[FONT]))).get_charmap()
    return "".join(char if ord(char) in known else "?" for char in text)
