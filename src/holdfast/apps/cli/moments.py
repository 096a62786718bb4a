"""Moments as people type them."""

from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from holdfast.domain.errors import InvalidInput
from holdfast.domain.strict import Duration

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
_UNITS = "smhd"
_LATER = "2026-12-31T12:00+01:00, or +7d from now"


def until(typed: str) -> datetime:
    """Read a coming moment: `2026-12-31T12:00+01:00`, or `+7d` from now; to the second.

    Raises:
        InvalidInput: it cannot be read, has no time zone, or has passed.
    """
    now = datetime.now(UTC)
    at = now + _span(typed) if typed.startswith("+") else _moment("--until", typed, _LATER)
    if at <= now:
        raise InvalidInput(f"--until: {at:%Y-%m-%d %H:%M %Z} has passed already")
    return at.replace(microsecond=0)


def _span(typed: str) -> timedelta:
    try:
        return _DURATION.validate_python(typed[1:])
    except ValidationError:
        raise InvalidInput(f"--until: '{typed}' is no span of time; write e.g. +90m, +12h or +7d") from None


def past_moment(option: str, typed: str) -> datetime:
    """Read a moment such as `2026-03-08T12:00Z`, which keeps its zone.

    Raises:
        InvalidInput: it cannot be read, or has no time zone; the text names the option.
    """
    return _moment(option, typed, "2026-03-08T12:00Z")


def moment_since(typed: str) -> datetime:
    """Read what `--since` gives: a date or a moment, in UTC where it names no zone, or how long ago it was.

    Raises:
        InvalidInput: it cannot be read.
    """
    try:
        if typed[-1] in _UNITS:
            return datetime.now(UTC) - _DURATION.validate_python(typed)
        at = datetime.fromisoformat(typed)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"--since: '{typed}' is no moment; write 2026-03-01, or 90d for the last 90 days"
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def span_typed(option: str, typed: str) -> timedelta:
    """Read a span of time such as `60s` or `10m`.

    Raises:
        InvalidInput: it cannot be read; the text names the option.
    """
    try:
        return _DURATION.validate_python(typed)
    except ValidationError:
        raise InvalidInput(f"{option}: '{typed}' is no span of time; write e.g. 60s or 10m") from None


def _moment(option: str, typed: str, example: str) -> datetime:
    try:
        at = datetime.fromisoformat(typed)
    except ValueError:
        raise InvalidInput(f"{option}: '{typed}' is no moment; write one like {example}") from None
    if at.tzinfo is None:
        raise InvalidInput(
            f"{option}: '{typed}' has no time zone; write {typed}Z for UTC, or e.g. {typed}+01:00"
        )
    return at
