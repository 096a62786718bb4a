"""Times and spans as a person reads them."""

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_DAY: Final = 86400
_HOUR: Final = 3600


def moment(at: datetime, zone: ZoneInfo) -> str:
    """Write a moment on a person's own clock, e.g. `Sat 21 Nov 2026, 04:12 CET`."""
    return f"{at.astimezone(zone):%a %d %b %Y, %H:%M %Z}"


def clock(at: datetime, zone: ZoneInfo) -> str:
    """Write a moment of the timeline, e.g. `21 Nov 04:12:40`."""
    return f"{at.astimezone(zone):%d %b %H:%M:%S}"


def brief(at: datetime, zone: ZoneInfo) -> str:
    """Write a moment for a table, e.g. `21 Nov, 04:12`."""
    return f"{at.astimezone(zone):%d %b, %H:%M}"


def distance(at: datetime, now: datetime) -> str:
    """Say how far a moment is away, e.g. `in 2 d 3 h` or `4 min ago`."""
    span = _span(abs(at - now))
    return f"in {span}" if at > now else f"{span} ago"


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    days, hours, minutes = seconds // _DAY, seconds % _DAY // _HOUR, seconds % _HOUR // 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else "less than a minute"


def latency(seconds: float | None) -> str:
    """Write a latency, e.g. `85 ms`, `1.85 s`; a dash where nothing was answered."""
    if seconds is None:
        return "–"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def veiled(address: str) -> str:
    """Write an e-mail address so that only its owner recognises it, e.g. `o…@example.com`."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}…@{domain}"
