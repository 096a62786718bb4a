"""How our errors become Temporal failures: what is retried, and what a person must look at."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

from temporalio.exceptions import ApplicationError

from holdfast.domain.errors import HoldfastError, Unavailable


@contextmanager
def as_failures() -> Generator[None]:
    """Turn Holdfast's errors into `ApplicationError`s: `Unavailable` is retried, everything else is final."""
    try:
        yield
    except Unavailable as error:
        wait = error.retry_after_seconds
        raise ApplicationError(
            str(error),
            type=type(error).__name__,
            next_retry_delay=None if wait is None else timedelta(seconds=wait),
        ) from None
    except HoldfastError as error:
        raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from None
