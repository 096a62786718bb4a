"""Fitting texts into what Telegram takes: its lengths count UTF-16 units, so most emoji count twice."""

MESSAGE_LIMIT = 4096


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
