"""How well each model judged, as a picture for a phone: the deciding model and those that judge beside it."""

# matplotlib's annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.adapters.charts.drawing import FAINT, FONT, LINES, bare, canvas, clipped, legend_below, png, write
from holdfast.verdict.comparison import Agreement, Comparison, Recommendation
from holdfast.verdict.scores import ModelScore
from holdfast.verdict.words import decimals_or_dash

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_INCHES = 9.0
_HEAD_INCHES, _MODEL_INCHES, _FOOT_INCHES = 1.5, 1.45, 0.95
_MODELS = 6
_NAME_CHARACTERS = 17
_BAR = 0.24  # of the height of a model


@dataclass(frozen=True)
class _Measure:
    """One bar of each model: told apart by place, colour, hatching and its sign in the foot."""

    field: str
    name: str
    colour: str
    hatch: str
    marker: str


# Okabe and Ito's palette, "Color Universal Design" (2002): told apart by colour-blind people too.
_MEASURES = (
    _Measure("precision", "precision", "#0072b2", "//", "^"),
    _Measure("recall", "recall", "#e69f00", "..", "s"),
    _Measure("f1", "F1 (both)", "#009e73", "", "o"),
)


def comparison_chart(comparison: Comparison) -> bytes:
    """Draw precision, recall, F1, median minutes and agreement of each model.

    Returns:
        A PNG of 900 pixels by 245 and 145 for each model (at least one, at most six, the champion first).
    """
    scores = comparison.scores[:_MODELS]
    rows = max(1, len(scores))
    height = _HEAD_INCHES + rows * _MODEL_INCHES + _FOOT_INCHES
    figure = canvas((_WIDTH_INCHES, height))
    _head(figure, comparison, height)
    axes = figure.add_axes((0.27, _FOOT_INCHES / height, 0.40, rows * _MODEL_INCHES / height))
    agreements = {c.challenger.model: c.agreement for c in comparison.challenges}
    for row, score in enumerate(scores):
        _model(axes, row, score, agreements.get(score.model))
    _scale(axes, rows)
    _foot(figure, height, hidden=len(comparison.scores) - len(scores))
    return png(figure)


def _head(figure: "Figure", comparison: Comparison, height: float) -> None:
    lines: tuple[tuple[float, str, dict[str, Any]], ...] = (
        (0.38, _headline(comparison.recommendation), {"size": 22, "weight": "bold"}),
        (0.78, _reason(comparison), {"size": 14}),
        (1.10, _basis(comparison), {"size": 13, "color": FAINT}),
    )
    for inches, text, style in lines:
        write(figure, 0.03, 1 - inches / height, text, **style)


def _headline(recommendation: Recommendation) -> str:
    model = clipped(recommendation.model, _NAME_CHARACTERS)
    match recommendation.decision:
        case "switch":
            return f"Switch to {model}"
        case "keep":
            return f"Keep {model}"
        case "wait":
            return f"Keep {model} for now"
        case "add_challenger":
            return f"Only {model} judges"
        case "nothing_judged":
            return "No release was judged yet"


def _reason(comparison: Comparison) -> str:
    recommendation = comparison.recommendation
    match recommendation.decision:
        case "switch":
            challenge = next(c for c in comparison.challenges if c.challenger.model == recommendation.model)
            differed = challenge.agreement.challenger_right + challenge.agreement.champion_right
            right = f"right on {challenge.agreement.challenger_right} of the {differed} where they differ"
            return f"{right}, p = {challenge.agreement.p_value:.2g}"
        case "keep":
            return "no other model is better beyond chance"
        case "wait":
            bad = f", {recommendation.missing_bad} of them bad" if recommendation.missing_bad else ""
            return f"{recommendation.missing_labelled} labelled releases are missing{bad}"
        case "add_challenger":
            return "let another judge beside it: 'shadow:' in the runbook file"
        case "nothing_judged":
            return "nothing to compare"


def _basis(comparison: Comparison) -> str:
    return f"{comparison.releases} releases · {comparison.labelled} labelled · {comparison.bad} of them bad"


def _model(axes: "Axes", row: int, score: ModelScore, agreement: Agreement | None) -> None:
    for place, measure in enumerate(_MEASURES):
        _bar(axes, row + (place - 1) * (_BAR + 0.03), measure, getattr(score, measure.field))
    beside = axes.get_yaxis_transform()
    name = clipped(score.model, _NAME_CHARACTERS)
    write(axes, -0.04, row - 0.11, name, size=14, weight="bold", ha="right", transform=beside)
    role = "decides" if score.deciding else "beside it"
    write(axes, -0.04, row + 0.16, role, size=12, ha="right", transform=beside, color=FAINT)
    for place, text in enumerate(_beside(score, agreement)):
        write(axes, 1.19, row + (place - 1) * (_BAR + 0.03), text, size=13, transform=beside)


def _bar(axes: "Axes", y: float, measure: _Measure, value: float | None) -> None:
    if value:
        colour, hatch = measure.colour, measure.hatch
        axes.barh(y, value, height=_BAR, color=colour, hatch=hatch, edgecolor="white", zorder=2)
    write(axes, (value or 0) + 0.02, y, decimals_or_dash(value), size=12)


def _beside(score: ModelScore, agreement: Agreement | None) -> tuple[str, str, str]:
    """Say what is no ratio: how fast it stops, what it undid for nothing, how often it agrees."""
    minutes = score.median_minutes
    stops = "stopped no bad one" if minutes is None else f"stops after {minutes:.3g} min"
    undone = f"{score.auto_rollbacks_of_good} good rolled back"
    if agreement is None or agreement.percent is None:
        return stops, undone, ""
    return stops, undone, f"agrees on {agreement.percent:.0f} %"


def _scale(axes: "Axes", rows: int) -> None:
    axes.set_xlim(0, 1.0)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xticks([0, 0.5, 1], labels=["0", "0.5", "1 = perfect"], fontfamily=FONT)
    axes.tick_params(axis="x", labelsize=13, color=FAINT)
    bare(axes)
    for row in range(1, rows):
        axes.axhline(row - 0.5, color=LINES, linewidth=1)


def _foot(figure: "Figure", height: float, *, hidden: int) -> None:
    from matplotlib.patches import Patch  # noqa: PLC0415

    signs = [Patch(facecolor=m.colour, hatch=m.hatch, edgecolor="white", label=m.name) for m in _MEASURES]
    legend_below(figure, signs, size=13)
    more = f"and {hidden} more · " if hidden > 0 else ""
    write(figure, 0.98, 0.26 / height, f"{more}median minutes", size=13, ha="right", color=FAINT)
