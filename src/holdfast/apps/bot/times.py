"""Moments and spans as people write and read them, on their own clock."""

import re
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from holdfast.apps.bot import gate_texts
from holdfast.apps.bot.texts import say
from holdfast.domain.errors import InvalidInput
from holdfast.i18n import times

_SPAN = re.compile(r"\+(\d{1,4})\s*([mhdwмчдн])", re.IGNORECASE)
_MINUTE, _HOUR, _DAY, _WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
_UNITS = {"m": _MINUTE, "h": _HOUR, "d": _DAY, "w": _WEEK, "м": _MINUTE, "ч": _HOUR, "д": _DAY, "н": _WEEK}
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})(?:\.(\d{4}))?")
_CLOCK = re.compile(r"\d{1,2}:\d\d")
_DAY_BEGINS, _DAY_ENDS = time(0, 0), time(23, 59)
_NAMES_OF_DAYS = {"today": 0, "tomorrow": 1, "сегодня": 0, "завтра": 1, "послезавтра": 2}


class Words:
    """The words of a command, taken one after the other."""

    def __init__(self, typed: str) -> None:
        self._words = typed.split()

    def next(self) -> str:
        """Take the next word; empty when there is none."""
        return self._words.pop(0) if self._words else ""

    def rest(self) -> str:
        """Take all that is left."""
        rest, self._words = " ".join(self._words), []
        return rest

    def moment(
        self, field: str, *, zone: ZoneInfo, now: datetime, base: datetime | None = None, begins: bool = False
    ) -> datetime | None:
        """Take a moment: a date, a date and a time, or a span such as `+7d`; None when nothing is left.

        Args:
            field: what the argument is called, in the person's language.
            zone: whose dates they are.
            now: for `today` and `tomorrow`, in either language, and for dates without a year.
            base: what a span is counted from; `now` if not given.
            begins: whether a date alone means the beginning of that day instead of its end.

        Raises:
            InvalidInput: it is none; names the field and the word.
        """
        word = self.next()
        if not word:
            return None
        if span := _SPAN.fullmatch(word):
            return (base or now) + int(span[1]) * _UNITS[span[2].lower()]
        clock = self.next() if self._words and _CLOCK.fullmatch(self._words[0]) else ""
        try:
            local = _read(word, clock, now.astimezone(zone).date(), _DAY_BEGINS if begins else _DAY_ENDS)
        except ValueError:
            typed = f"{word} {clock}".strip()
            raise InvalidInput(say(gate_texts.NOT_A_TIME, field=field, word=typed)) from None
        return local if local.tzinfo else local.replace(tzinfo=zone)


def _read(word: str, clock: str, today: date, at: time) -> datetime:
    if word.lower() in _NAMES_OF_DAYS:
        day = today + timedelta(days=_NAMES_OF_DAYS[word.lower()])
    elif "T" in word.upper():
        return datetime.fromisoformat(word)
    elif found := _DAY_FIRST.fullmatch(word):
        day = _next_such_day(int(found[1]), int(found[2]), found[3], today)
    else:
        day = date.fromisoformat(word)
    return datetime.combine(day, time.fromisoformat(clock.zfill(5)) if clock else at)


def _next_such_day(day: int, month: int, year: str | None, today: date) -> date:
    """Return the day; without a year the next one, today included."""
    if year:
        return date(int(year), month, day)
    this_year = date(today.year, month, day)
    return this_year if this_year >= today else date(today.year + 1, month, day)


def shown(at: datetime, zone: ZoneInfo) -> str:
    """Write a moment on somebody's clock, e.g. `Sat 21 Nov 2026, 03:12 CET`."""
    return times.moment(at, zone)


def in_words(span: timedelta) -> str:
    """Write a span in its largest sensible unit, e.g. `3 days`."""
    return times.span(span)
