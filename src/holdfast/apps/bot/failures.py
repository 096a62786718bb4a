"""What the log says of a handler that failed, and when it is tried again."""

import random
import traceback

from aiogram.exceptions import TelegramRetryAfter
from pydantic import ValidationError

_LONGEST_PAUSE_SECONDS = 10


def where(error: Exception) -> str:
    """Name the error and the fields it is about, without what people wrote into them."""
    if not isinstance(error, ValidationError):
        return type(error).__name__
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors()[:5])


def trace(error: Exception) -> str:
    """Return the innermost calls that led to it."""
    # Not `exc_info`: a renderer that shows local variables would show tokens, and takes seconds meanwhile.
    return "".join(traceback.format_exception(error, limit=-5))


def pause_before_retry(error: Exception, seconds: float) -> float:
    """Return these seconds with jitter, or what Telegram asks for, if that is short."""
    if isinstance(error, TelegramRetryAfter):
        return min(float(error.retry_after), _LONGEST_PAUSE_SECONDS)
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311  jitter is no secret
