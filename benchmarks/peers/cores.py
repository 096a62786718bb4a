"""How much of a core other programs took: a figure from a disturbed run says little."""

import os
import resource
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq; see proc(5)


class CoreWatch:
    """Watches one core from now on."""

    def __init__(self, core: int) -> None:
        self._core = f"cpu{core} "
        self._began = time.monotonic()
        self._busy, self._children = self._busy_seconds(), _children_seconds()

    def others_percent(self) -> float:
        """Return the percentage that neither was idle nor went to children of ours that have ended since."""
        others = self._busy_seconds() - self._busy - (_children_seconds() - self._children)
        return max(0.0, 100 * others / (time.monotonic() - self._began))

    def _busy_seconds(self) -> float:
        line = next(each for each in _STAT.read_text().splitlines() if each.startswith(self._core))
        ticks = [int(word) for word in line.split()[1:]]
        return sum(ticks[place] for place in _BUSY) / os.sysconf("SC_CLK_TCK")


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
