"""What all pictures share: canvas, ink and font, texts from outside, an axis and a legend without a frame."""

# matplotlib's annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT = "DejaVu Sans"  # comes with matplotlib, so every machine draws the same picture
INK, FAINT, LINES = "#222222", "#6f6f6f", "#e4e4e4"
_DOTS_PER_INCH = 100


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


def bare(axes: "Axes") -> None:
    """Leave of the axes only the lower one, with lines upwards from its ticks."""
    axes.set_yticks([])
    axes.xaxis.grid(visible=True, color=LINES)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def legend_below(figure: "Figure", signs: "Sequence[Artist]", *, size: int, **style: Any) -> None:
    """Explain signs in one row at the bottom left; `style` is that of matplotlib's legend."""
    figure.legend(
        handles=list(signs),
        loc="lower left",
        bbox_to_anchor=(0.02, 0.0),
        ncols=max(len(signs), 1),
        frameon=False,
        prop={"size": size},
        columnspacing=1.2,
        **style,
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
    where.text(x, y, one_line(text, most), parse_math=False, **style)


def clipped(text: str, characters: int) -> str:
    """Return the text on one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= characters else f"{line[: characters - 1].rstrip()}…"


def one_line(text: str, characters: int) -> str:
    """Return a text from outside as it can be drawn: clipped, and without signs that the font lacks."""
    from matplotlib.font_manager import FontProperties, findfont, get_font  # noqa: PLC0415  as in `canvas`

    known = get_font(findfont(FontProperties(family=[FONT]))).get_charmap()
    return "".join(char if ord(char) in known else "?" for char in clipped(text, characters))
