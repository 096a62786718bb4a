from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from holdfast.domain.campaign import TestVerdict


class LoadExit(IntEnum):
    """The exit codes of `holdfast load run` and `holdfast load watch`."""

    PASSED = 0
    FAILED = 1
    BAD_INPUT = 2
    VOID = 3
    STOPPED = 4
    UNWATCHED = 130  # as the shell has it for Ctrl-C


CODES: Final[Mapping[TestVerdict, LoadExit]] = {
    TestVerdict.PASSED: LoadExit.PASSED,
    TestVerdict.FAILED: LoadExit.FAILED,
    TestVerdict.VOID: LoadExit.VOID,
    TestVerdict.SKIPPED: LoadExit.VOID,
    TestVerdict.STOPPED: LoadExit.STOPPED,
}
