"""How tables and times look on a terminal."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from rich.table import Table
from rich.text import Text

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def table(columns: Iterable[str], rows: Iterable[Iterable[str | Text]], *, title: str | None = None) -> Table:
    """Lay out rows; text is shown as it is, whatever brackets it holds."""
    grid = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return grid


def span(duration: timedelta) -> str:
    """Say how long in the two largest units, e.g. `3 d 4 h`."""
    seconds = max(0, int(duration.total_seconds()))
    parts: list[str] = []
    for size, unit in _UNITS:
        if seconds >= size:
            parts.append(f"{seconds // size} {unit}")
        elif parts:
            break
        seconds %= size
    return " ".join(parts[:2]) or "less than a minute"


def moment(at: datetime, now: datetime) -> str:
    """Say when something is or was, e.g. `2026-03-08 12:00 UTC (in 3 d 4 h)`."""
    distance = f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"
    return f"{at:%Y-%m-%d %H:%M} UTC ({distance})"
