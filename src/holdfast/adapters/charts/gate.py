"""The verdict behind a gate as a picture for a phone: how much of what is allowed each metric has used."""

# matplotlib's annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from holdfast.domain.gates import Gate
from holdfast.domain.view import MetricLine, RunView, VerdictView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES = (9.0, 5.0)
_DOTS_PER_INCH = 100
_FONT = "DejaVu Sans"  # comes with matplotlib, so every machine draws the same picture
_ROWS = 7
_NAME_CHARACTERS = 22
_LINE_CHARACTERS = 72
_AXIS_PERCENT = 200.0  # a bar that goes further is cut off there; its number still says how far
_ALLOWED_PERCENT = 100.0
_INK, _FAINT = "#222222", "#8a8a8a"


@dataclass(frozen=True)
class _Look:
    """How a level is drawn: told apart by colour, hatching and sign."""

    colour: str
    hatch: str
    marker: str
    order: int


# Okabe and Ito's palette, "Color Universal Design" (2002): told apart by colour-blind people too.
_LOOKS = {
    "red": _Look("#d55e00", "xx", "X", 0),
    "yellow": _Look("#e69f00", "//", "^", 1),
    "green": _Look("#009e73", "", "o", 3),
}
_NO_LEVEL = _Look("#bbbbbb", "..", "s", 2)


def gate_chart(view: RunView) -> bytes | None:
    """Draw the verdict that the open gate of a run is about.

    Returns:
        A PNG of 900 × 500 pixels; None where no gate is open, or there is no verdict with metrics.
    """
    if view.gate is None or view.verdict is None or not view.verdict.lines:
        return None
    # Here and not above: matplotlib takes a while to load, and most processes never draw.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    lines = sorted(view.verdict.lines, key=lambda line: _look(line).order)
    _head(figure, view, view.verdict, view.gate)
    axes = figure.add_axes((0.35, 0.17, 0.45, 0.56))
    _bars(axes, lines[:_ROWS])
    _foot(figure, lines, hidden=len(lines) - _ROWS)
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _head(figure: "Figure", view: RunView, verdict: VerdictView, gate: Gate) -> None:
    outcome = f"{verdict.outcome.upper()} at {verdict.share_percent} %: risk {verdict.risk}"
    _text(figure, 0.03, 0.93, outcome, size=22, weight="bold")
    _text(figure, 0.03, 0.855, f"{view.title}: {gate.title}", size=14)
    _text(figure, 0.03, 0.79, f"{_thresholds(gate)}{verdict.at:%Y-%m-%d %H:%M} UTC", size=13, color=_FAINT)


def _thresholds(gate: Gate) -> str:
    """Say up to which risk the run goes on or pauses, where the evidence holds it."""
    risk = gate.basis.risk if gate.basis else {}
    go_on, pause = risk.get("continue_up_to_percent"), risk.get("pause_up_to_percent")
    if not isinstance(go_on, int | float) or not isinstance(pause, int | float):
        return ""
    return f"goes on up to {go_on / 100:.2f}, rolls back above {pause / 100:.2f} · "


def _bars(axes: "Axes", lines: list[MetricLine]) -> None:
    for row, line in enumerate(lines):
        _bar(axes, row, line)
    axes.set_xlim(0, _AXIS_PERCENT)
    axes.set_ylim(max(len(lines), 3) - 0.4, -0.6)
    axes.axvline(_ALLOWED_PERCENT, color=_INK, linewidth=2, zorder=3)
    axes.set_xticks([0, 50, 100, 150, 200], labels=["0", "", "100 % = allowed", "", "200 %"], fontfamily=_FONT)
    axes.tick_params(axis="x", labelsize=13, color=_FAINT)
    axes.set_yticks([])
    axes.xaxis.grid(visible=True, color="#e4e4e4")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _bar(axes: "Axes", row: int, line: MetricLine) -> None:
    look, used = _look(line), _used_percent(line)
    length = min(used, _AXIS_PERCENT)
    if length:
        axes.barh(row, length, height=0.62, color=look.colour, hatch=look.hatch, edgecolor="white", zorder=2)
    name = _clipped(line.metric, _NAME_CHARACTERS)
    data = axes.get_yaxis_transform()
    _text(axes, -0.10, row, name, size=14, ha="right", transform=data)
    axes.plot(
        [-0.055], [row], marker=look.marker, markersize=12, color=look.colour, transform=data, clip_on=False
    )
    _text(axes, 1.04, row - 0.19, _said(line), size=14, weight="bold", transform=data)
    numbers = f"{_clipped(line.value, 9)} vs {_clipped(line.baseline, 9)}"
    _text(axes, 1.04, row + 0.23, numbers, size=11, transform=data, color=_FAINT)


def _look(line: MetricLine) -> _Look:
    return _LOOKS.get(line.level.lower(), _NO_LEVEL)


def _said(line: MetricLine) -> str:
    """Return how much is used, or why that is not known."""
    known = _look(line) is not _NO_LEVEL
    return _clipped(line.used if known else line.level, 14)


def _used_percent(line: MetricLine) -> float:
    """Return how much of what is allowed is used; from the words where there is no number."""
    if _look(line) is _NO_LEVEL:
        return 0.0
    if line.used_percent is not None:
        return line.used_percent
    found = re.search(r"\d+(?:\.\d+)?", line.used)
    if found:
        return float(found[0])
    return 0.0 if line.level.lower() == "green" else _AXIS_PERCENT  # nothing is allowed, and it got worse


def _foot(figure: "Figure", lines: list[MetricLine], *, hidden: int) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415

    looks = {look: name for name, look in _LOOKS.items()} | {_NO_LEVEL: "not known"}
    signs = [
        Line2D([], [], linestyle="", marker=look.marker, markersize=10, color=look.colour, label=looks[look])
        for look in dict.fromkeys(_look(line) for line in lines)
    ]
    figure.legend(
        handles=signs,
        loc="lower left",
        bbox_to_anchor=(0.02, 0.0),
        ncols=len(signs),
        frameon=False,
        prop={"size": 13},
        handletextpad=0.1,
        columnspacing=1.2,
    )
    more = f"and {hidden} more · " if hidden > 0 else ""
    _text(figure, 0.98, 0.045, f"{more}canary vs usual", size=13, ha="right", color=_FAINT)


def _text(where: Any, x: float, y: float, text: str, **style: Any) -> None:
    """Write a text from outside: on one line, not read as a formula, without signs that the font lacks."""
    style = {"color": _INK, "va": "center", "family": _FONT} | style
    where.text(x, y, _drawable(_clipped(text, _LINE_CHARACTERS)), parse_math=False, **style)


def _clipped(text: str, characters: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= characters else f"{line[: characters - 1].rstrip()}…"


def _drawable(text: str) -> str:
    from matplotlib.font_manager import FontProperties, findfont, get_font  # noqa: PLC0415

    known = get_font(findfont(FontProperties(family=[_FONT]))).get_charmap()
    return "".join(char if ord(char) in known else "?" for char in text)
