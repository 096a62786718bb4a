"""A backtest as a picture: how soon each model caught the bad releases, which faults, and whom it stopped."""

# matplotlib's annotations are partial.
# pyright: reportUnknownMemberType=false

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.adapters.charts.drawing import FAINT, INK, LINES, canvas, one_line, png, write
from holdfast.verdict.scores import Judged, ModelScore
from holdfast.verdict.words import decimals_or_dash

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _ROW, _LEAST_HEIGHT = 13.0, 0.42, 6.4
_FAULT_CHARACTERS = 18


@dataclass(frozen=True)
class _Look:
    """How a model is drawn: told apart by colour, line, marker and hatching."""

    colour: str
    line: str
    marker: str
    hatch: str


# Okabe and Ito's palette, "Color Universal Design" (2002): told apart by colour-blind people too.
_LOOKS = (
    _Look("#0072b2", "-", "o", ""),
    _Look("#d55e00", "--", "s", "//"),
    _Look("#009e73", "-.", "^", "xx"),
    _Look("#cc79a7", ":", "D", ".."),
)


def backtest_chart(judged: Sequence[Judged], scores: Sequence[ModelScore]) -> bytes | None:
    """Draw how labelled releases were judged.

    Args:
        judged: the releases; those without a label are left out.
        scores: the models, in the order of the legend.

    Returns:
        A PNG, 1300 pixels wide; None where no bad release is labelled, or no model is given.
    """
    bad = [j for j in judged if j.label == "bad"]
    if not bad or not scores:
        return None
    faults = sorted({j.fault for j in bad})
    height = max(_LEAST_HEIGHT, 2.7 + _ROW * len(faults))
    figure = canvas((_WIDTH, height))
    _head(figure, judged, scores, height)
    top, bottom = 1 - 2.0 / height, 0.7 / height
    over_time = figure.add_axes((0.06, bottom, 0.43, top - bottom))
    _caught_over_time(over_time, judged, scores)
    handles, labels = over_time.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0.055, 1 - 0.8 / height),
        ncols=2,
        fontsize=11,
        frameon=False,
        handlelength=4,
    )
    _by_fault(figure.add_axes((0.66, bottom, 0.31, top - bottom)), scores, faults)
    return png(figure)


def _head(figure: "Figure", judged: Sequence[Judged], scores: Sequence[ModelScore], height: float) -> None:
    bad, good = (sum(j.label == label for j in judged) for label in ("bad", "good"))
    title = "F1: " + ", ".join(f"{s.model} {decimals_or_dash(s.f1)}{' (decides)' * s.deciding}" for s in scores)
    write(figure, 0.06, 1 - 0.35 / height, title, most=110, size=14, weight="bold")
    said = f"{_count(bad, 'bad')} and {_count(good, 'good')}, replayed minute by minute"
    write(figure, 0.06, 1 - 0.68 / height, said, size=11, color=FAINT)


def _count(number: int, kind: str) -> str:
    return f"{number} {kind} release{'s' * (number != 1)}"


def _caught_over_time(axes: "Axes", judged: Sequence[Judged], scores: Sequence[ModelScore]) -> None:
    bad = sum(j.label == "bad" for j in judged)
    end = max(1.0, *(j.observed_minutes for j in judged))
    for row, (score, look) in enumerate(zip(scores, _cycled(len(scores)), strict=True)):
        minutes = _minutes(judged, score.model, "bad")
        caught = [100 * n / bad for n in range(len(minutes) + 1)]
        axes.plot(
            [0.0, *minutes, end],
            [*caught, caught[-1]],
            drawstyle="steps-post",
            color=look.colour,
            linestyle=look.line,
            linewidth=2.6 if score.deciding else 1.8,
            marker=look.marker,
            markersize=4,
            markevery=slice(1, len(minutes) + 1),
            label=_record(score),
        )
        # Below the axis of the curve, so that no mark hides another model's.
        wrong = _minutes(judged, score.model, "good")
        axes.plot(
            wrong,
            [-4.0 - 3.5 * row] * len(wrong),
            linestyle="",
            marker="x",
            markersize=7,
            markeredgewidth=1.8,
            color=look.colour,
        )
    lowest = -6.0 - 3.5 * len(scores)
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.set_xlim(0, end * 1.02)
    axes.set_ylim(lowest, 104)
    axes.set_yticks([0, 20, 40, 60, 80, 100])
    axes.set_xlabel("minutes since the first step   (× below the line: a good release was stopped)", size=11)
    axes.set_title("Bad releases stopped so far, %", loc="left", size=12, color=INK)
    _quiet(axes)


def _record(score: ModelScore) -> str:
    return f"{score.model}: {score.true_positives} of {score.bad} bad stopped, and {score.false_positives} good"


def _minutes(judged: Sequence[Judged], model: str, label: str) -> list[float]:
    stops = (j.stops.get(model) for j in judged if j.label == label)
    return sorted(stop.minutes for stop in stops if stop)


def _by_fault(axes: "Axes", scores: Sequence[ModelScore], faults: Sequence[str]) -> None:
    thick = 0.8 / len(scores)
    totals = {f.fault: f.total for f in scores[0].faults}
    for place, (score, look) in enumerate(zip(scores, _cycled(len(scores)), strict=True)):
        caught = {f.fault: f.caught for f in score.faults}
        rows = [row - 0.4 + thick * (place + 0.5) for row in range(len(faults))]
        axes.barh(
            rows,
            [caught.get(fault, 0) for fault in faults],
            height=thick * 0.9,
            color=look.colour,
            hatch=look.hatch,
            edgecolor="white",
            label=score.model,
        )
    for row, fault in enumerate(faults):  # how many there were to catch
        axes.plot([totals.get(fault, 0)] * 2, [row - 0.42, row + 0.42], color=INK, linewidth=2.5)
    most = max(totals.values(), default=1)
    names = [one_line(fault or "not said", _FAULT_CHARACTERS) for fault in faults]
    axes.set_yticks(range(len(faults)), names, parse_math=False)
    axes.set_ylim(len(faults) - 0.4, -0.6)
    axes.set_xlim(0, most * 1.05)
    axes.set_xticks(range(0, most + 1, max(1, math.ceil(most / 8))))
    axes.set_xlabel("releases stopped   (black line: how many there were)", size=11)
    axes.set_title("By kind of fault", loc="left", size=12, color=INK)
    _quiet(axes)


def _cycled(count: int) -> list[_Look]:
    return [_LOOKS[place % len(_LOOKS)] for place in range(count)]


def _quiet(axes: "Axes") -> None:
    axes.grid(visible=True, color=LINES)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
