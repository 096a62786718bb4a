"""What an SLO's status says to people, in English; Russian is in the catalogue `slo`."""

from datetime import timedelta
from typing import Final, Literal

from holdfast.slo.spec import BurnAlert
from holdfast.slo.status import BurnReading

_UNITS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))
_WHOLE_FROM: Final = 99.95
_NO_BUDGET: Final = "how much of the budget is left is not known"


def burns_said(reading: BurnReading, alert: BurnAlert, left: float | None) -> str:
    """Say that a budget burns, e.g. `the error budget burns 18.2 times too fast …`."""
    rate = figure(reading.long_burn or 0)
    windows, edge = f"{span(alert.long)} and {span(alert.short)}", figure(reading.factor)
    return f"the error budget burns {rate} times too fast over {windows} (edge {edge}); {budget_said(left)}"


def holds_said(sli_percent: float | None, period: timedelta, left: float | None) -> str:
    """Say that a promise holds."""
    if sli_percent is None:
        return f"no alert burns; {_NO_BUDGET}"
    return f"{percent_good(sli_percent)} % good over {span(period)}; {budget_said(left)}"


def no_data_said(window: timedelta) -> str:
    """Say that nothing was heard."""
    return f"no data over {span(window)}, so nothing is concluded"


def no_part_said(window: timedelta, *, part: Literal["good", "bad"]) -> str:
    """Say that events are counted, and the good or the bad ones are not."""
    return (
        f"events are counted over {span(window)}, but the query '{part}' gives no number; "
        "where its series begin with the first such event, end it with 'or vector(0)'"
    )


def too_few_said(events: float, window: timedelta, needed: float) -> str:
    """Say that there is too little traffic to judge."""
    return f"too few events to judge: {figure(events)} over {span(window)}, {figure(needed)} are needed"


def budget_said(left: float | None) -> str:
    """Say how much of the budget is left."""
    if left is None:
        return _NO_BUDGET
    if left < 0:
        return f"the budget is overspent by {figure(-left)} %"
    return f"{figure(left)} % of the budget is left"


def percent_good(sli_percent: float) -> str:
    """Write the share of good events in percent, exact enough to tell it from 100."""
    return f"{sli_percent:.4f}".rstrip("0").rstrip(".")


def figure(value: float) -> str:
    """Write a number with three digits: 0.0123, 18.2, 3040."""
    return f"{value:.0f}" if abs(value) >= _WHOLE_FROM else f"{value:.3g}"


def quantity(value: float, unit: str) -> str:
    """Write a number with its unit: `0.4 s`, `14.9/s`.

    A unit that begins with a slash follows at once: behind a space chats make a command of it.
    """
    return f"{value:.3g}{unit}" if unit.startswith("/") else f"{value:.3g} {unit}".rstrip()


def span(duration: timedelta) -> str:
    """Write a duration in full, e.g. `1 h 30 min`, `51.8 s`."""
    seconds = duration.total_seconds()
    parts: list[str] = []
    for size, unit in _UNITS:
        count = int(seconds // size)
        seconds -= count * size
        parts += [f"{count} {unit}"] if count else []
    if seconds or not parts:
        parts.append(f"{seconds:.3g} s")
    return " ".join(parts)
