"""The newest verdict as a small table that a phone shows without breaking its lines."""

from datetime import UTC, tzinfo

from aiogram.utils.formatting import Bold, Pre, Text

from holdfast.adapters.telegram import card_texts as texts
from holdfast.adapters.telegram.wording import clip, clock, say
from holdfast.domain.view import MetricLine, VerdictView
from holdfast.i18n import understood

_LEVEL_EMOJI = {"green": "🟢", "yellow": "🟡", "red": "🔴"}
_MOST_EDGES = 3
_WORST_FIRST = ("red", "yellow", "", "green")
_HEADINGS = {"control now": texts.CONTROL}
_NAME_UNITS = 30
_NUMBER_UNITS = 11
_COMPARED_UNITS = 16
_MARK_COLUMNS = 2
_PHONE_COLUMNS = 36  # what fits a line of monospace on a telephone


def verdict_block(
    verdict: VerdictView | None, *, rows: int, reason_units: int, zone: tzinfo = UTC
) -> list[Text]:
    """Return the lines of the verdict: what it says, why, and at most `rows` metrics, the worst first."""
    if verdict is None:
        return []
    head = say(
        texts.VERDICT,
        at=clock(verdict.at, zone),
        share=verdict.share_percent,
        said=understood(verdict.said),
        risk=verdict.risk,
    )
    lines: list[Text] = [Bold(clip(head, 120))]
    if verdict.reason:
        lines.append(Text(clip(understood(verdict.reason), reason_units)))
    lines += _edges(verdict.edges, most=_MOST_EDGES if rows else 1)
    if verdict.basis:
        lines.append(Text(clip(understood(f"{verdict.basis}."), 160)))
    if rows and verdict.lines:
        lines.append(_table(verdict, rows))
    return lines


def _edges(edges: list[str], *, most: int) -> list[Text]:
    hidden = len(edges) - most
    more = [Text(say(texts.MORE_EDGES, count=hidden))] if hidden > 0 else []
    return [*[Text("🔗 ", clip(understood(words), 160)) for words in edges[:most]], *more]


def _table(verdict: VerdictView, rows: int) -> Text:
    worst_first = sorted(verdict.lines, key=lambda line: _WORST_FIRST.index(_level(line)))[:rows]
    marks = [_LEVEL_EMOJI.get(_level(line), "⚪") for line in worst_first]
    # Every row begins with one emoji, so that the columns stand in line however wide the font draws it.
    table = [*_columns(verdict, ["📏", *marks], worst_first)]
    if any(line.compared_with for line in worst_first) and not (verdict.compared_with and _fits(table)):
        table = [row for mark, line in zip(marks, worst_first, strict=True) for row in _spelled(mark, line)]
    hidden = len(verdict.lines) - len(worst_first)
    return Pre("\n".join([*table, say(texts.MORE_METRICS, count=hidden)] if hidden else table))


def _fits(table: list[str]) -> bool:
    return not any("\n" in row for row in table)


def _spelled(mark: str, line: MetricLine) -> tuple[str, str]:
    """Say on two lines what a value is compared with: a table has no column for it."""
    used = clip(understood(line.used), 14)
    said = say(texts.PART_USED, part=used) if "%" in used else used
    value, baseline = (clip(text, _NUMBER_UNITS) or "–" for text in (line.value, line.baseline))
    compared = _short(line.compared_with)
    against = say(texts.VERSUS, value=value, baseline=baseline, compared=compared) if compared else value
    name = f"{mark} {clip(line.metric, _NAME_UNITS)}"
    known = _level(line) and line.used != "–"
    return f"{name}: {said if known else clip(understood(line.level), 14)}", f"   {against}"


def _short(compared_with: str) -> str:
    """Shorten what something is compared with: of `past weeks, same hour` to the hour, of the control to it."""
    if compared_with.startswith("control,"):
        return say(texts.CONTROL)
    return clip(understood(compared_with.rpartition(", ")[2]), _COMPARED_UNITS)


def _level(line: MetricLine) -> str:
    level = line.level.lower()
    return level if level in _LEVEL_EMOJI else ""


def _columns(verdict: VerdictView, marks: list[str], lines: list[MetricLine]) -> list[str]:
    heading = _HEADINGS.get(verdict.compared_with)
    compared = say(heading) if heading else _short(verdict.compared_with)
    names = (say(texts.CANARY), compared) if compared else (say(texts.NOW), say(texts.USUAL))
    header = (say(texts.METRIC), *names, say(texts.USED))
    return _aligned(marks, [header, *[_cells(line) for line in lines]])


def _cells(line: MetricLine) -> tuple[str, ...]:
    numbers = (clip(text, _NUMBER_UNITS) or "–" for text in (line.value, line.baseline, understood(line.used)))
    return (clip(line.metric, _NAME_UNITS), *numbers)


def _aligned(marks: list[str], rows: list[tuple[str, ...]]) -> list[str]:
    """Align the columns; where they are too wide for a phone, the numbers go below their metric's name."""
    name_width, *widths = (max(len(row[i]) for row in rows) for i in range(len(rows[0])))
    numbers = [
        "".join(f" {cell.rjust(width)}" for cell, width in zip(row[1:], widths, strict=True)) for row in rows
    ]
    if _MARK_COLUMNS + 1 + name_width + len(numbers[0]) <= _PHONE_COLUMNS:
        names = [f" {row[0].ljust(name_width)}" for row in rows]
    else:
        names = ["", *[f" {row[0]}\n  " for row in rows[1:]]]
    return [f"{mark}{name}{cells}" for mark, name, cells in zip(marks, names, numbers, strict=True)]
