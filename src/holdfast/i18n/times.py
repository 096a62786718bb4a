"""Moments and spans in words, in the language that is spoken."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from holdfast.i18n import SOURCE, language, plural

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# How runs write a moment into what they say to everybody at once.
_IN_UTC: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d)(:\d\d)? UTC")


def moment(at: datetime, zone: tzinfo) -> str:
    """Write a moment on somebody's clock, e.g. `Sat 21 Nov 2026, 03:12 MSK`, `сб 21 ноя 2026, 03:12 MSK`."""
    local = at.astimezone(zone)
    return f"{_dated(f'{local:%a}')} {local:%d} {_dated(f'{local:%b}')} {local:%Y, %H:%M %Z}"


def on_clock(text: str, zone: tzinfo) -> str:
    """Put the moments in a text, like `2026-11-21 20:39 UTC`, on somebody's clock: `2026-11-21 23:39 MSK`."""

    def local(found: re.Match[str]) -> str:
        try:
            at = datetime.fromisoformat(f"{found[1]}{found[2] or ''}").replace(tzinfo=UTC).astimezone(zone)
        except (ValueError, OverflowError):
            return found[0]
        return f"{at:%Y-%m-%d %H:%M:%S %Z}" if found[2] else f"{at:%Y-%m-%d %H:%M %Z}"

    return _IN_UTC.sub(local, text)


def span(duration: timedelta) -> str:
    """Write a span in its largest sensible unit, e.g. `3 days`, `3 дня`; what is negative counts as nothing."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds >= 2 * _DAY:
        return _counted("{n} day", "{n} days", seconds // _DAY)
    if seconds >= 2 * _HOUR:
        return _counted("{n} hour", "{n} hours", seconds // _HOUR)
    if seconds >= _MINUTE:
        return _counted("{n} minute", "{n} minutes", seconds // _MINUTE)
    return _counted("{n} second", "{n} seconds", seconds)


def _counted(one: str, many: str, count: int) -> str:
    return plural(one, many, count).format(n=count)


def _dated(name: str) -> str:
    """Return the short name of a day or month."""
    if language() == SOURCE:
        return name
    from holdfast.i18n.catalogue import catalogue_of  # noqa: PLC0415  English shall cost nothing

    return catalogue_of(language()).pgettext("date", name)
