"""The newest verdict as a small table that a phone shows without breaking its lines."""

from aiogram.utils.formatting import Bold, Pre, Text

from holdfast.adapters.telegram.wording import clip
from holdfast.domain.view import MetricLine, VerdictView

_LEVEL_EMOJI = {"green": "🟢", "yellow": "🟡", "red": "🔴"}
_WORST_FIRST = ("red", "yellow", "", "green")
_HEADER = ("metric", "now", "usual", "used")
_NAME_UNITS = 30
_NUMBER_UNITS = 9
_MARK_COLUMNS = 2
_PHONE_COLUMNS = 36  # what fits a line of monospace on a telephone


def verdict_block(verdict: VerdictView | None, *, rows: int, reason_units: int) -> list[Text]:
    """Return the lines of the verdict: what it says, why, and at most `rows` metrics, the worst first."""
    if verdict is None:
        return []
    head = f"📊 {verdict.at:%H:%M:%S} at {verdict.share_percent} %: {verdict.outcome}, risk {verdict.risk}"
    lines: list[Text] = [Bold(clip(head, 120))]
    if verdict.reason:
        lines.append(Text(clip(verdict.reason, reason_units)))
    if rows and verdict.lines:
        lines.append(_table(verdict.lines, rows))
    return lines


def _table(lines: list[MetricLine], rows: int) -> Text:
    worst_first = sorted(lines, key=lambda line: _WORST_FIRST.index(_level(line)))[:rows]
    # Every row begins with one emoji, so that the columns stand in line however wide the font draws it.
    marks = ["📏", *[_LEVEL_EMOJI.get(_level(line), "⚪") for line in worst_first]]
    table = _aligned(marks, [_HEADER, *[_cells(line) for line in worst_first]])
    hidden = len(lines) - len(worst_first)
    return Pre("\n".join([*table, f"… and {hidden} more"] if hidden else table))


def _level(line: MetricLine) -> str:
    level = line.level.lower()
    return level if level in _LEVEL_EMOJI else ""


def _cells(line: MetricLine) -> tuple[str, ...]:
    numbers = (clip(text, _NUMBER_UNITS) or "–" for text in (line.value, line.baseline, line.used))
    return (clip(line.metric, _NAME_UNITS), *numbers)


def _aligned(marks: list[str], rows: list[tuple[str, ...]]) -> list[str]:
    """Align the columns; where they are too wide for a phone, the numbers go below their metric's name."""
    name_width, *widths = (max(len(row[i]) for row in rows) for i in range(len(_HEADER)))
    numbers = [
        "".join(f" {cell.rjust(width)}" for cell, width in zip(row[1:], widths, strict=True)) for row in rows
    ]
    if _MARK_COLUMNS + 1 + name_width + len(numbers[0]) <= _PHONE_COLUMNS:
        names = [f" {row[0].ljust(name_width)}" for row in rows]
    else:
        names = ["", *[f" {row[0]}\n  " for row in rows[1:]]]
    return [f"{mark}{name}{cells}" for mark, name, cells in zip(marks, names, numbers, strict=True)]
