"""What the report's sections are made of: tables, lists, plots."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from holdfast.adapters.charts.lines import Band, Line, Mark, Plot, plot_svg
from holdfast.adapters.reports.figures import Analysis, Curve

Tone = Literal["", "good", "warn", "bad"]


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    tone: Tone = ""


Row = Sequence[Cell | str]


@dataclass(frozen=True)
class Table:
    """A table; without rows `empty` is said instead."""

    head: Sequence[str]
    rows: Sequence[Row]
    empty: str = ""
    kind: str = "table"


@dataclass(frozen=True)
class Figure:
    """A plot with its legend."""

    svg: str
    title: str
    names: Sequence[str]
    bands: bool = False
    kind: str = "figure"


@dataclass(frozen=True)
class Sentences:
    """A list of sentences."""

    said: Sequence[str]
    empty: str = ""
    kind: str = "list"


@dataclass(frozen=True)
class Card:
    """A number at the top."""

    title: str
    value: str
    tone: Tone = ""


@dataclass(frozen=True)
class Section:
    """A heading and what is below it; `id` is its anchor, the same in all languages."""

    id: str
    title: str
    parts: Sequence[Table | Figure | Sentences] = field(default_factory=tuple)
    note: str = ""


def zone_of(analysis: Analysis) -> ZoneInfo:
    """Return the client's time zone; UTC where it is not known here."""
    try:
        return ZoneInfo(analysis.zone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def plot_of(
    analysis: Analysis,
    title: str,
    curves: Sequence[Curve],
    *,
    marks: Sequence[Mark] = (),
    highest: float | None = None,
    unit: str = "",
    clip_below: float | None = None,
) -> Figure:
    """Return lines over the window, with the breaches shaded; see `Plot` for the rest."""
    bands = breach_bands(analysis)
    lines = [Line(_name(curve), curve.points) for curve in curves]
    since, until = _stretch(analysis, curves)
    plot = Plot(
        title=title,
        lines=lines,
        since=since,
        until=until,
        zone=zone_of(analysis),
        bands=bands,
        marks=marks,
        highest=highest,
        unit=unit,
        clip_below=clip_below,
    )
    names = [line.name for line in lines] if len(lines) > 1 else []
    return Figure(plot_svg(plot), title, names, bands=bool(bands))


def breach_bands(analysis: Analysis) -> list[Band]:
    """Return the stretches in which something was broken."""
    until = analysis.closes if analysis.ended else max(analysis.opens, analysis.made_at)
    return [Band(i.began, i.ended or max(until, i.began), i.title) for i in analysis.incidents]


def _stretch(analysis: Analysis, curves: Iterable[Curve]) -> tuple[datetime, datetime]:
    """Return the window, up to where it was seen while it is open."""
    seen = [at for curve in curves for at, _ in curve.points]
    return analysis.opens, analysis.closes if analysis.ended else max(seen, default=analysis.closes)


def _name(curve: Curve) -> str:
    return f"{curve.context}: {curve.name}" if curve.context else curve.name
