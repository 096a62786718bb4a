"""One verdict in full as a picture: where its risk lies, and each metric with its numbers."""

# matplotlib's annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from typing import TYPE_CHECKING, Final

from holdfast.adapters.charts.drawing import FAINT, FONT, INK, canvas, clipped, png, write
from holdfast.adapters.charts.metric_bars import LOOKS, draw_bars, draw_legend, draw_sign, said, worst_first
from holdfast.domain.view import MetricLine, VerdictView
from holdfast.verdict.words import measured_or_dash

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH: Final = 12.0
_ROW, _LINE = 0.46, 0.30  # inches
_HEAD, _RISK, _FOOT = 1.35, 1.05, 0.95
_MOST_ROWS, _MOST_EDGES = 16, 5
_HIGHEST_RISK: Final = 2.0
_LEFT, _RIGHT = 0.22, 0.42  # of the width: where the bars begin and end
_SIDE = 0.03
# From the bars' right end, in parts of their width.
_COLUMNS: Final = (("used", 0.06), ("canary", 0.42), ("control", 0.93), ("past", 1.44), ("allowed", 1.95))
_BANDS: Final = (("green", "continue"), ("yellow", "pause"), ("red", "roll back"))


def verdict_chart(verdict: VerdictView, title: str) -> bytes:
    """Draw one verdict.

    Args:
        verdict: what to draw; one of an older record, which lacks some numbers, is drawn without them.
        title: whose it is.

    Returns:
        A PNG, 1200 pixels wide; its height grows with the metrics and the findings on call edges.
    """
    lines = worst_first(verdict.lines)[:_MOST_ROWS]
    edges = verdict.edges[:_MOST_EDGES]
    rows = _ROW * (max(len(lines), 3) + 1)
    height = _HEAD + _RISK + rows + _LINE * len(edges) + _FOOT
    figure = canvas((_WIDTH, height))
    _head(figure, verdict, title, height)
    y = height - _HEAD - _RISK
    _risk(figure.add_axes((_LEFT, (y + 0.45) / height, 1 - _LEFT - _SIDE, 0.42 / height)), verdict)
    write(figure, _SIDE, (y + 0.66) / height, f"risk {verdict.risk}", size=15, weight="bold")
    if lines:
        axes = figure.add_axes((_LEFT, (y - rows) / height, _RIGHT - _LEFT, (rows - _ROW) / height))
        _metrics(axes, lines)
    for number, words in enumerate(edges):
        below = (y - rows - 0.55 - _LINE * number) / height
        write(figure, _SIDE, below, f"• {words}", most=125, size=12)
    _foot(figure, verdict, lines, height)
    return png(figure)


def _head(figure: "Figure", verdict: VerdictView, title: str, height: float) -> None:
    early = ", too early to judge" if verdict.warming else ""
    outcome = f"{verdict.outcome.upper()}{early} at {verdict.share_percent} %"
    write(figure, _SIDE, 1 - 0.35 / height, outcome, size=22, weight="bold")
    model = f" · model {verdict.model}" if verdict.model else ""
    write(figure, _SIDE, 1 - 0.75 / height, f"{title}{model}", most=110, size=14)
    basis = f" · {verdict.basis}" if verdict.basis else ""
    at = f"{verdict.at:%Y-%m-%d %H:%M:%S} UTC{basis}"
    write(figure, _SIDE, 1 - 1.08 / height, at, most=125, size=12, color=FAINT)


def _risk(axes: "Axes", verdict: VerdictView) -> None:
    """Draw the scale of the risk from 0 to 2 with what each part of it leads to."""
    axes.set_xlim(0, _HIGHEST_RISK)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    ticks = [0.0, _HIGHEST_RISK]
    if verdict.continue_up_to_percent is not None and verdict.pause_up_to_percent is not None:
        edges = (verdict.continue_up_to_percent / 100, verdict.pause_up_to_percent / 100)
        _bands(axes, (0.0, *edges, _HIGHEST_RISK))
        ticks += edges
    risk = _risk_of(verdict)
    if risk is not None:
        axes.axvline(risk, color=INK, linewidth=4, zorder=4)
        axes.plot([risk], [1.0], marker="v", markersize=14, color=INK, zorder=5, clip_on=False)
    shown = sorted(set(ticks))
    axes.set_xticks(shown, labels=[f"{tick:.2f}" for tick in shown], fontfamily=FONT)
    axes.tick_params(axis="x", labelsize=12, color=FAINT)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _bands(axes: "Axes", edges: tuple[float, ...]) -> None:
    for (level, what), low, high in zip(_BANDS, edges, edges[1:], strict=False):
        if high <= low:
            continue
        look = LOOKS[level]
        axes.axvspan(low, high, facecolor=look.colour, hatch=look.hatch, edgecolor="white", alpha=0.35)
        if high - low > 0.15:  # noqa: PLR2004  narrower than its word
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 2}
            write(axes, (low + high) / 2, 0.5, what, size=12, ha="center", bbox=box)


def _risk_of(verdict: VerdictView) -> float | None:
    if verdict.risk_percent is not None:
        return min(verdict.risk_percent / 100, _HIGHEST_RISK)
    try:
        return min(float(verdict.risk.rpartition(" ")[2]), _HIGHEST_RISK)
    except ValueError:
        return None


def _metrics(axes: "Axes", lines: list[MetricLine]) -> None:
    draw_bars(axes, lines, font_size=12)
    data = axes.get_yaxis_transform()
    for heading, x in _COLUMNS:
        write(axes, 1 + x, -0.95, heading, size=12, color=FAINT, transform=data)
    for row, line in enumerate(lines):
        write(axes, -0.12, row, line.metric, most=24, size=13, ha="right", transform=data)
        draw_sign(axes, -0.06, row, line)
        compared = "control" if line.compared_with.startswith("control") else "past"
        for cell, (heading, x) in zip(_cells(line), _COLUMNS, strict=True):
            same = heading == compared and cell == line.baseline
            weight = "bold" if same or heading == "used" else "normal"
            write(axes, 1 + x, row, cell, most=20, size=12, weight=weight, transform=data)


def _cells(line: MetricLine) -> tuple[str, ...]:
    control, past = (measured_or_dash(value, line.unit) for value in (line.control, line.past))
    if line.control is None and line.past is None:
        past = line.baseline  # of a record that does not tell them apart
    return said(line), *(clipped(text, 11) for text in (line.value, control, past)), line.allowed or "–"


def _foot(figure: "Figure", verdict: VerdictView, lines: list[MetricLine], height: float) -> None:
    if lines:
        draw_legend(figure, lines, font_size=12)
    counts = {"metrics": len(verdict.lines) - _MOST_ROWS, "call edges": len(verdict.edges) - _MOST_EDGES}
    hidden = " and ".join(f"{count} more {what}" for what, count in counts.items() if count > 0)
    bold = "bold: what the canary is compared with" if lines else ""
    text = " · ".join(part for part in (hidden, bold) if part)
    write(figure, 1 - _SIDE, 0.22 / height, text, size=12, ha="right", color=FAINT)
