"""How a command ends: one sentence on stderr and a number that scripts can rely on."""

import os
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum

from holdfast.domain.errors import DecisionRefused, DeliveryUncertain, HoldfastError, Unavailable


class Exit(IntEnum):
    """The exit codes of `holdfast`."""

    DONE = 0
    OTHERWISE = 1  # it was understood, but did not end as asked: not promoted, or a decision that did not count
    BAD_INPUT = 2
    NO_ANSWER = 3
    BUG = 4


@contextmanager
def sentences() -> Generator[None]:
    """Turn whatever goes wrong inside into a sentence for a person and an exit code."""
    try:
        yield
    except HoldfastError as error:
        _leave(str(error), _code(error))
    except Exception as error:  # noqa: BLE001  a person is told in words; scripts get a code of its own
        if os.environ.get("HOLDFAST_TRACEBACK"):
            traceback.print_exc()
        _leave(
            f"a bug in Holdfast, nobody's mistake at the keyboard: {type(error).__name__}: {error}. "
            "Please report it; with HOLDFAST_TRACEBACK=1 the command shows where.",
            Exit.BUG,
        )


def _code(error: HoldfastError) -> Exit:
    match error:
        case Unavailable() | DeliveryUncertain():
            return Exit.NO_ANSWER
        case DecisionRefused():
            return Exit.OTHERWISE
        case _:
            return Exit.BAD_INPUT


def _leave(sentence: str, code: Exit) -> None:
    sys.stderr.write(f"{sentence}\n")
    raise SystemExit(code)
