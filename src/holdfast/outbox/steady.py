"""Keeps to what a file said last when somebody breaks the file while we run."""

import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import structlog

from holdfast.domain.errors import HoldfastError

T = TypeVar("T")

_LOOK_AGAIN_SECONDS: Final = 1.0
_TELL_AGAIN_SECONDS: Final = 300.0
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class LastGood(Generic[T]):
    """Gives what was read last without an error, and says so while it is not what the file says.

    Args:
        read: reads it anew each time; a `HoldfastError` or `OSError` of it means that the file is broken.
        default: what counts until it was read once.
        what: names it in the log.
        clock: seconds of a monotonic clock.
    """

    def __init__(
        self, read: Callable[[], T], default: T, *, what: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._good: T = default
        self._found: T = default
        self._what = what
        self._clock = clock
        self._broken = ""
        self._look_at = clock()
        self._tell_at = clock()

    def __call__(self) -> T:
        """Return it; the same object for as long as nothing has changed."""
        # A broken file is not parsed for each message: that would slow down everything.
        if self._broken and self._clock() < self._look_at:
            return self._good
        try:
            found = self._read()
        except (HoldfastError, OSError) as error:
            self._tell(str(error))
            return self._good
        if self._broken:
            _log.info("file is good again", what=self._what)
            self._broken = ""
        if found is not self._found:  # most often it is, and comparing would cost something
            self._found = found
            self._good = self._good if found == self._good else found
        return self._good

    def _tell(self, why: str) -> None:
        now = self._clock()
        if why != self._broken or now >= self._tell_at:
            _log.error("file is broken, what it said last goes on counting", what=self._what, why=why)
            self._tell_at = now + _TELL_AGAIN_SECONDS
        self._broken = why
        self._look_at = now + _LOOK_AGAIN_SECONDS
