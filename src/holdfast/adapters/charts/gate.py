"""The verdict behind a gate as a picture for a phone: how much of what is allowed each metric has used."""

# matplotlib's annotations are partial.
# pyright: reportUnknownMemberType=false

from typing import TYPE_CHECKING

from holdfast.adapters.charts.drawing import FAINT, canvas, clipped, png, write
from holdfast.adapters.charts.metric_bars import draw_bars, draw_legend, draw_sign, said, worst_first
from holdfast.domain.gates import Gate
from holdfast.domain.view import MetricLine, RunView, VerdictView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES = (9.0, 5.0)
_ROWS = 7
_NAME_CHARACTERS = 22
_NUMBER_CHARACTERS = 9
_LINE_CHARACTERS = 84
_TOP, _BOTTOM, _LINE_HEIGHT = 0.73, 0.17, 0.05
_MARKS = ("", "*", "**", "***")


def gate_chart(view: RunView) -> bytes | None:
    """Draw the verdict that the open gate of a run is about.

    Returns:
        A PNG of 900 × 500 pixels; None where no gate is open, or there is no verdict with metrics.
    """
    if view.gate is None or view.verdict is None or not view.verdict.lines:
        return None
    figure = canvas(_INCHES)
    lines = worst_first(view.verdict.lines)
    _head(figure, view, view.verdict, view.gate)
    top, rows = _beside(figure, view.verdict)
    axes = figure.add_axes((0.35, _BOTTOM, 0.45, top - _BOTTOM))
    draw_bars(axes, lines[:rows], font_size=13)
    marks = _marks(lines[:rows])
    for row, line in enumerate(lines[:rows]):
        _row(axes, row, line, mark=marks.get(line.compared_with, ""))
    draw_legend(figure, lines, font_size=13)
    hidden = f"and {len(lines) - rows} more · " if len(lines) > rows else ""
    write(figure, 0.98, 0.045, f"{hidden}{_compared(marks)}", most=58, size=11, ha="right", color=FAINT)
    return png(figure)


def _head(figure: "Figure", view: RunView, verdict: VerdictView, gate: Gate) -> None:
    outcome = f"{verdict.outcome.upper()} at {verdict.share_percent} %: risk {verdict.risk}"
    write(figure, 0.03, 0.93, outcome, size=22, weight="bold")
    write(figure, 0.03, 0.855, f"{view.title}: {gate.title}", size=14)
    early = "too early to judge · " if verdict.warming else ""
    limits = _thresholds(gate) or (f"{verdict.thresholds} · " if verdict.thresholds else "")
    write(figure, 0.03, 0.79, f"{early}{limits}{verdict.at:%Y-%m-%d %H:%M} UTC", size=13, color=FAINT)


def _thresholds(gate: Gate) -> str:
    """Say up to which risk the run goes on or pauses, where the evidence holds it."""
    risk = gate.basis.risk if gate.basis else {}
    go_on, pause = risk.get("continue_up_to_percent"), risk.get("pause_up_to_percent")
    if not isinstance(go_on, int | float) or not isinstance(pause, int | float):
        return ""
    return f"goes on up to {go_on / 100:.2f}, rolls back above {pause / 100:.2f} · "


def _beside(figure: "Figure", verdict: VerdictView) -> tuple[float, int]:
    """Write what the numbers rest on and the first finding on an edge; return what is left for the bars.

    Returns:
        The upper end of the bars, in parts of the height, and for how many there is room.
    """
    more = f" (and {len(verdict.edges) - 1} more)" if len(verdict.edges) > 1 else ""
    edge = f"{clipped(verdict.edges[0], _LINE_CHARACTERS - len(more))}{more}" if verdict.edges else ""
    rests_on = f"{verdict.rests_on[:1].upper()}{verdict.rests_on[1:]}"
    texts = [text for text in (rests_on, edge) if text]
    for number, text in enumerate(texts):
        write(figure, 0.03, 0.735 - number * _LINE_HEIGHT, text, most=_LINE_CHARACTERS, size=13)
    return _TOP - len(texts) * _LINE_HEIGHT, _ROWS - len(texts)


def _row(axes: "Axes", row: int, line: MetricLine, *, mark: str) -> None:
    data = axes.get_yaxis_transform()
    write(axes, -0.10, row, line.metric, most=_NAME_CHARACTERS, size=14, ha="right", transform=data)
    draw_sign(axes, -0.055, row, line)
    write(axes, 1.04, row - 0.19, said(line), size=14, weight="bold", transform=data)
    value, baseline = (clipped(text, _NUMBER_CHARACTERS) for text in (line.value, line.baseline))
    write(axes, 1.04, row + 0.23, f"{value} vs {baseline}{mark}", size=11, transform=data, color=FAINT)


def _marks(lines: list[MetricLine]) -> dict[str, str]:
    """Give each comparison its footnote mark, the most frequent one none."""
    named = [line.compared_with for line in lines if line.compared_with]
    frequent_first = sorted(dict.fromkeys(named), key=named.count, reverse=True)
    return dict(zip(frequent_first, _MARKS, strict=False))


def _compared(marks: dict[str, str]) -> str:
    """Say what the numbers at the right are compared with."""
    return f"canary vs {'; '.join(f'{mark} {name}'.strip() for name, mark in marks.items()) or 'usual'}"
