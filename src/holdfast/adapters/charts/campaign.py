"""A whole campaign as one picture for a phone: the budgets, the load against the plan, the breaches."""

# matplotlib's annotations are partial.
# pyright: reportUnknownMemberType=false

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Final

from holdfast.adapters.charts.drawing import FAINT, FONT, INK, LINES, canvas, clipped, png, write
from holdfast.adapters.reports.figures import Analysis, SloFigures
from holdfast.adapters.reports.page import cards
from holdfast.adapters.reports.parts import breach_bands, zone_of
from holdfast.adapters.reports.words import lead
from holdfast.i18n import times, translate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 10.8, 12.8
# Okabe and Ito's palette, "Color Universal Design" (2002): told apart by colour-blind people too.
_GOOD, _WARN, _BAD, _LOAD = "#009e73", "#e69f00", "#d55e00", "#0072b2"
_SPENT: Final = "#f3c7ae"  # of a budget that is gone
_SLOS: Final = 6
_QUARTER: Final = 25
_SIDES = (0.06, 0.94)


def campaign_chart(analysis: Analysis) -> bytes:
    """Draw budgets, load against the plan and breaches, in the language that is spoken.

    Returns:
        A PNG of 1080 × 1280 pixels, which Telegram shows without shrinking it.
    """
    figure = canvas((_WIDTH, _HEIGHT))
    _head(figure, analysis)
    _numbers(figure, analysis)
    _budgets(figure, analysis.slos)
    _load(figure, analysis)
    return png(figure)


def _head(figure: "Figure", analysis: Analysis) -> None:
    zone = zone_of(analysis)
    title = f"{analysis.title}, {analysis.client}" if analysis.client else analysis.title
    write(figure, _SIDES[0], 0.962, title, most=42, size=30, weight="bold")
    stretch = f"{times.moment(analysis.opens, zone)} – {times.moment(analysis.closes, zone)}"
    write(figure, _SIDES[0], 0.928, stretch, most=80, size=17, color=FAINT)
    for number, sentence in enumerate(lead(analysis)[:3]):
        write(figure, _SIDES[0], 0.893 - 0.030 * number, sentence, most=78, size=19)


def _numbers(figure: "Figure", analysis: Analysis) -> None:
    tones = {"good": _GOOD, "warn": _WARN, "bad": _BAD}
    for number, card in enumerate(cards(analysis)[:4]):
        x = _SIDES[0] + number * 0.225
        write(
            figure, x, 0.792, clipped(card.value, 14), size=22, weight="bold", color=tones.get(card.tone, INK)
        )
        write(figure, x, 0.764, clipped(card.title, 20), size=15, color=FAINT)


def _budgets(figure: "Figure", slos: list[SloFigures]) -> None:
    write(figure, _SIDES[0], 0.715, translate("Error budget of the window left, %"), size=21, weight="bold")
    # The least first: whoever looks only at the top sees what matters.
    known = sorted(slos, key=lambda s: (s.budget_left_percent is None, s.budget_left_percent or 0))
    axes = figure.add_axes((0.42, 0.44, 0.38, 0.255))
    axes.set_xlim(0, 100)
    axes.set_ylim(max(len(known[:_SLOS]), 3) - 0.5, -0.5)
    axes.set_axis_off()
    for row, slo in enumerate(known[:_SLOS]):
        _budget(axes, row, slo)
    if not known:
        write(figure, _SIDES[0], 0.66, translate("not measured"), size=19, color=FAINT)
    if len(known) > _SLOS:
        more = translate("and {n} more").format(n=len(known) - _SLOS)
        write(figure, _SIDES[1], 0.715, more, size=16, ha="right", color=FAINT)


def _budget(axes: "Axes", row: int, slo: SloFigures) -> None:
    beside, left = axes.get_yaxis_transform(), slo.budget_left_percent
    write(axes, -0.03, row - 0.16, clipped(slo.slo, 24), size=18, ha="right", transform=beside)
    write(axes, -0.03, row + 0.20, clipped(slo.title, 28), size=14, ha="right", transform=beside, color=FAINT)
    axes.barh(row, 100, height=0.42, color=LINES if left is None or left > 0 else _SPENT)
    if left is None:
        write(axes, 1.03, row, translate("not measured"), most=14, size=16, transform=beside, color=FAINT)
        return
    colour = _BAD if left <= 0 else _WARN if left < _QUARTER else _GOOD
    axes.barh(row, min(max(left, 0), 100), height=0.42, color=colour)
    write(axes, 1.03, row, f"{left:.0f} %", size=20, weight="bold", transform=beside, color=colour)


def _load(figure: "Figure", analysis: Analysis) -> None:
    write(
        figure, _SIDES[0], 0.395, translate("Load against the plan, requests a second"), size=21, weight="bold"
    )
    axes = figure.add_axes((0.09, 0.105, 0.85, 0.265))
    since, until = analysis.opens, analysis.closes
    curve = analysis.load.curve
    if curve is None:
        axes.set_axis_off()
        write(figure, _SIDES[0], 0.34, translate("The load was not measured."), size=19, color=FAINT)
        return
    if not analysis.ended:
        until = max((at for at, _ in curve.points), default=until)
    for band in breach_bands(analysis):
        _band(axes, band.since, band.until, since, until)
    offsets = [_part(at, since, until) for at, _ in curve.points]
    values = [float("nan") if value is None else value for _, value in curve.points]
    axes.plot(offsets, values, color=_LOAD, linewidth=2.5)
    top = _plan(axes, analysis, [value for value in values if value == value])  # noqa: PLR0124  NaN is not itself
    axes.set_xlim(0, 1)
    axes.set_ylim(0, top * 1.12)
    _axes(axes, since, until, zone_of(analysis))
    _signs(figure, breaches=bool(analysis.incidents))


def _band(axes: "Axes", begins: datetime, ends: datetime, since: datetime, until: datetime) -> None:
    begin, end = _part(begins, since, until), _part(ends, since, until)
    if end >= 0 and begin <= 1:
        axes.axvspan(max(begin, 0), min(max(end, begin + 0.004), 1), color=_BAD, alpha=0.28, linewidth=0)


def _plan(axes: "Axes", analysis: Analysis, values: list[float]) -> float:
    """Draw the planned peak with and without its factor; return the highest thing on the plot."""
    highest = max(values, default=1.0) or 1.0
    for with_factor, name in ((False, translate("expected peak")), (True, translate("with its safety factor"))):
        planned = analysis.load.planned(with_factor=with_factor)
        if planned is None:
            continue
        highest = max(highest, planned)
        axes.axhline(planned, color=INK, linewidth=1.6, linestyle=":" if with_factor else "--")
        transform = axes.get_yaxis_transform()
        write(axes, 0.99, planned, name, size=15, ha="right", va="bottom", transform=transform)
    return highest


def _axes(axes: "Axes", since: datetime, until: datetime, zone: tzinfo) -> None:
    places = (0.0, 0.25, 0.5, 0.75, 1.0)
    moments = [(since + (until - since) * place).astimezone(zone) for place in places]
    days = (until - since).total_seconds() > 20 * 3600
    axes.set_xticks(places, [f"{at:%d.%m\n%H:%M}" if days else f"{at:%H:%M}" for at in moments], family=FONT)
    axes.tick_params(labelsize=15, colors=FAINT, length=0, pad=8)
    axes.grid(visible=True, color=LINES)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _signs(figure: "Figure", *, breaches: bool) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415  as in `drawing`
    from matplotlib.patches import Patch  # noqa: PLC0415

    signs: list[Line2D | Patch] = [Line2D([], [], color=_LOAD, linewidth=3, label=translate("load"))]
    if breaches:
        signs.append(Patch(color=_BAD, alpha=0.28, label=translate("breach")))
    style = {"family": FONT, "size": 16}
    figure.legend(
        handles=signs, loc="lower left", bbox_to_anchor=(0.05, 0.005), ncols=2, frameon=False, prop=style
    )


def _part(at: datetime, since: datetime, until: datetime) -> float:
    return (at - since).total_seconds() / max((until - since).total_seconds(), 1.0)
