"""Fitting texts into what Telegram takes: its lengths count UTF-16 units, so most emoji count twice."""

from datetime import UTC, datetime, tzinfo

from holdfast.i18n import translate

MESSAGE_LIMIT = 4096


def say(template: str, **values: object) -> str:
    """Put the values into a text in the reader's language."""
    return translate(template).format(**values)


def zone_name(zone: tzinfo) -> str:
    """Return what people call a time zone, e.g. `UTC`, `Europe/Berlin`."""
    return "UTC" if zone is UTC else str(zone)


def clock(at: datetime, zone: tzinfo) -> str:
    """Write the time of day on somebody's clock, to the second."""
    return f"{at.astimezone(zone):%H:%M:%S}"


def units(text: str) -> int:
    """Return the length of a text as Telegram counts it."""
    return len(text.encode("utf-16-le")) // 2


def clip(text: str, limit: int) -> str:
    """Return the text on one line and at most `limit` units long, cut between words where that is possible."""
    line = " ".join(text.split())
    if units(line) <= limit:
        return line
    cut = line.encode("utf-16-le")[: 2 * (limit - 1)].decode("utf-16-le", errors="ignore")
    words, _, rest = cut.rpartition(" ")
    return (words if words and len(rest) < len(cut) // 2 else cut).rstrip() + "…"


def shorten(text: str, limit: int) -> str:
    """Return the text with its lines as they are, and at most `limit` units long."""
    if units(text) <= limit:
        return text
    return text.encode("utf-16-le")[: 2 * (limit - 1)].decode("utf-16-le", errors="ignore").rstrip() + "…"
