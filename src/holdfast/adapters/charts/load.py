"""A load test over time, as a picture for a phone: how fast it answered, and how much was asked."""

# matplotlib's annotations are partial.
# pyright: reportUnknownMemberType=false

import math
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from holdfast.adapters.charts.drawing import FAINT, FONT, LINES, canvas, legend_below, png, write
from holdfast.domain.campaign import TestVerdict
from holdfast.i18n import translate
from holdfast.loadgen import words
from holdfast.loadgen.result import LoadResult, Point
from holdfast.runbook.kinds.load import ANY_STEP

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES = (9.0, 7.2)
_TITLE_CHARACTERS, _LINE_CHARACTERS, _LINES = 50, 100, 3
# Okabe and Ito's palette, "Color Universal Design" (2002).
_P50, _P95, _P99 = "#56b4e9", "#0072b2", "#222222"
_DUE, _ENDED, _FAILED = "#999999", "#009e73", "#d55e00"
_VERDICTS = {TestVerdict.PASSED: _ENDED, TestVerdict.FAILED: _FAILED}


def load_chart(result: LoadResult) -> bytes:
    """Draw latency percentiles above, requests due, answered and failed a second below.

    Args:
        result: of a test; one without any request gives a picture that says so.

    Returns:
        A PNG of 900 pixels by 720.
    """
    figure = canvas(_INCHES)
    _head(figure, result)
    points = next((series.points for series in result.series if series.name == ANY_STEP), list[Point | None]())
    if not any(points):
        write(figure, 0.5, 0.5, translate("No request was made."), size=16, ha="center", color=FAINT)
        return png(figure)
    upper = figure.add_axes((0.09, 0.46, 0.88, 0.35))
    lower = figure.add_axes((0.09, 0.14, 0.88, 0.25), sharex=upper)
    signs = [*_latencies(upper, points, result.every_seconds), *_rates(lower, points, result.every_seconds)]
    for axes, text in ((upper, translate("latency")), (lower, translate("requests a second"))):
        _dress(axes, text)
        _knee(axes, result)
    upper.tick_params(labelbottom=False)
    lower.xaxis.set_major_formatter(lambda seconds, _: words.clock(max(0.0, seconds)))
    legend_below(figure, signs, size=11)
    return png(figure)


def _head(figure: "Figure", result: LoadResult) -> None:
    title = f"{result.title or result.runbook}: {words.verdict_word(result.verdict)}"
    colour = _VERDICTS.get(result.verdict, FAINT)
    write(figure, 0.03, 0.955, title, most=_TITLE_CHARACTERS, size=20, weight="bold", color=colour)
    lines = [line for sentence in _said(result) for line in wrap(sentence, _LINE_CHARACTERS)]
    for row, line in enumerate(lines[:_LINES]):
        write(figure, 0.03, 0.912 - 0.03 * row, line, most=_LINE_CHARACTERS, size=10.5, color=FAINT)


def _said(result: LoadResult) -> list[str]:
    """Return what it came to, and what is known of the capacity."""
    if result.capacity is None:
        return [words.headline(result)]
    found = result.capacity.saturation
    return [
        words.headline(result),
        words.saturation_words(found) if found else words.capacity_words(result.capacity),
    ]


def _latencies(axes: "Axes", points: Sequence[Point | None], every: int) -> "list[Artist]":
    times = _times(points, every)
    lines: list[Artist] = []
    for colour, name, values in (
        (_P99, "p99", [point and point.p99 for point in points]),
        (_P95, "p95", [point and point.p95 for point in points]),
        (_P50, "p50", [point and point.p50 for point in points]),
    ):
        known = [value or math.nan for value in values]
        lines += axes.plot(times, known, color=colour, linewidth=1.8, label=name, marker=_marker(points))
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda seconds, _: words.latency(seconds))
    axes.tick_params(axis="y", which="minor", labelleft=False)
    return lines


def _rates(axes: "Axes", points: Sequence[Point | None], every: int) -> "list[Artist]":
    times = _times(points, every)
    lines: list[Artist] = []
    for colour, name, counts in (
        (_DUE, translate("due"), [point.due if point else 0 for point in points]),
        (_ENDED, translate("answered"), [point.ended if point else 0 for point in points]),
        (_FAILED, translate("errors"), [point.failed if point else 0 for point in points]),
    ):
        rates = [count / every for count in counts]
        lines += axes.plot(times, rates, color=colour, linewidth=1.8, label=name, marker=_marker(points))
    axes.set_ylim(bottom=0)
    return lines


def _marker(points: Sequence[Point | None]) -> str:
    """Mark the points where there are so few that a line could hide them."""
    return "o" if len(points) < 3 else ""  # noqa: PLR2004  two points make the first line


def _times(points: Sequence[Point | None], every: int) -> list[float]:
    return [(number + 0.5) * every for number in range(len(points))]


def _dress(axes: "Axes", text: str) -> None:
    write(axes, 0.0, 1.04, text, size=12, color=FAINT, transform=axes.transAxes)
    axes.grid(visible=True, color=LINES)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=10.5, color=FAINT, labelfontfamily=FONT)


def _knee(axes: "Axes", result: LoadResult) -> None:
    """Mark where the first context saturates."""
    found = result.capacity.saturation if result.capacity else None
    if found:
        axes.axvline(found.at, color=_FAILED, linestyle="--", linewidth=2)
