"""What is counted, by step and by second of the intended start.

The hot loop only appends a float and adds one; histograms are made of whole arrays when a report is due.
"""

from array import array
from collections.abc import Sequence

import numpy as np

from holdfast.loadgen.histogram import Histogram
from holdfast.loadgen.report import Second, StepSecond


class Cell:
    """One step in one second, since the last report.

    Attributes:
        good: latencies in seconds, of answers that held all checks.
        bad: latencies of the others that were answered.
        due, late, unsent, errors, sent, received: as in `StepSecond`.
    """

    __slots__ = ("bad", "due", "errors", "good", "late", "received", "sent", "unsent")

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.good = array("d")
        self.bad = array("d")
        self.due = self.late = self.unsent = self.sent = self.received = 0
        self.errors: dict[str, int] = {}

    def failed(self, kind: str) -> None:
        """Count a request that got no answer."""
        self.errors[kind] = self.errors.get(kind, 0) + 1

    def take(self) -> StepSecond | None:
        """Return what is counted and begin anew; None if nothing is."""
        if not (self.due or self.good or self.errors or self.unsent or self.received or self.late):
            return None
        latencies = np.array(self.good + self.bad, dtype=np.float64)
        taken = StepSecond(
            due=self.due,
            late=self.late,
            unsent=self.unsent,
            good=len(self.good),
            errors=self.errors,
            sent_bytes=self.sent,
            received_bytes=self.received,
            latency=Histogram.of(latencies * 1e6).encoded() if latencies.size else "",
        )
        self._clear()
        return taken


class Ledger:
    """All cells of one generator.

    Args:
        steps: names, by their number.
        kept_seconds: how long after its second a cell may still get answers.
    """

    def __init__(self, steps: Sequence[str], kept_seconds: float) -> None:
        self._steps = steps
        self._kept_seconds = kept_seconds
        self._seconds: dict[int, list[Cell | None]] = {}

    def cell(self, step: int, second: int) -> Cell:
        """Return the cell of a step, by its number, in a second."""
        row = self._seconds.get(second)
        if row is None:
            row = self._seconds[second] = [None] * len(self._steps)
        cell = row[step]
        if cell is None:
            cell = row[step] = Cell()
        return cell

    def take(self, offset: float) -> list[Second]:
        """Return what was counted since the last time; `offset` is the moment."""
        taken: list[Second] = []
        for number in sorted(self._seconds):
            row = self._seconds[number]
            found = {name: cell.take() for name, cell in zip(self._steps, row, strict=True) if cell}
            steps = {name: counted for name, counted in found.items() if counted}
            if steps:
                taken.append(Second(number=number, steps=steps))
            elif number < offset - self._kept_seconds:
                del self._seconds[number]
        return taken
