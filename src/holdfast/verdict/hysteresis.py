"""From bad minutes to breaches: so many bad ones of so many begin one, so many good ones in a row end it."""

from collections import deque
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.verdict.detector_settings import Hysteresis

Bools: TypeAlias = NDArray[np.bool_]


def hold(settings: Hysteresis, raw: Bools, known: Bools, *, forgetful: bool = False) -> tuple[Bools, Bools]:
    """Turn bad minutes into breaches: which minutes are in one, and in which it begins.

    Minutes without data are neither bad nor good. What lies `2 * of` minutes back or more does not count; a
    longer silence ends a breach.

    Args:
        settings: how many bad of how many, and how many good to clear.
        raw: bad minutes, shape (n,).
        known: minutes with data, shape (n,).
        forgetful: let a breach go on only from bad minutes that would begin it anew, so that it never depends
            on minutes further back than `2 * of * (clear + 1)`; else any bad minute keeps it up.
    """
    memory = Memory(settings)
    at = np.flatnonzero(known)
    seen = np.flatnonzero(raw[at])
    # A breach is over with the `clear`-th good minute after its last bad one, or with the first silence.
    silences = np.append(np.flatnonzero(np.diff(at) > memory.reach) + 1, at.size)
    silent = silences[np.searchsorted(silences, seen, side="right")]
    held, begun = np.zeros(at.size, np.bool_), np.zeros(at.size, np.bool_)
    last, quiet = 0, 0
    for number, minute, until in zip(seen.tolist(), at[seen].tolist(), silent.tolist(), strict=True):
        memory.on = memory.on and number <= last + memory.clear and number < quiet
        memory.add_bad(number, minute)
        begun[number] = memory.begun
        if memory.renewed or (memory.on and not forgetful):
            held[number : min(number + memory.clear, until)] = True
        if memory.renewed or not forgetful:
            last, quiet = number, until
    breach, begins = np.zeros_like(raw), np.zeros_like(raw)
    breach[at], begins[at] = held, begun
    return breach, begins


class Memory:
    """The hysteresis of one series, minute by minute. It only has to remember the bad ones.

    Attributes:
        on: whether the minute that was taken last is in a breach.
        begun: whether the breach begins there.
        renewed: whether the newest bad minute would begin a breach, whatever was before.
        clear: how many good minutes in a row end a breach.
        reach: a silence longer than so many minutes ends one too.
    """

    __slots__ = ("_bads", "_good", "_last", "_need", "_of", "_seen", "begun", "clear", "on", "reach", "renewed")

    def __init__(self, settings: Hysteresis) -> None:
        """Begin in no breach."""
        self.on = self.begun = self.renewed = False
        self.clear = settings.clear_minutes
        self.reach = 2 * settings.of
        self._need, self._of = settings.bad, settings.of
        self._bads: deque[tuple[int, int]] = deque()
        self._seen = self._good = 0
        self._last = 0

    def see(self, minute: int, *, bad: bool) -> bool:
        """Take one minute with data and say whether it is in a breach."""
        if minute - self._last > self.reach:
            self.on = False
        self._last = minute
        self._seen += 1
        self.begun = False
        if bad:
            self._good = 0
            self.add_bad(self._seen, minute)
        else:
            self._good += 1
            if self._good >= self.clear:
                self.on = False
        return self.on

    def forget(self) -> None:
        """Begin again, in no breach."""
        self.on = False
        self._bads.clear()

    def add_bad(self, number: int, minute: int) -> None:
        """Note a bad minute, the `number`-th with data, and turn on where there are enough of them."""
        bads = self._bads
        bads.append((number, minute))
        while bads[0][0] <= number - self._of or bads[0][1] <= minute - self.reach:
            bads.popleft()
        self.renewed = len(bads) >= self._need
        self.begun = not self.on and self.renewed
        self.on = self.on or self.begun
