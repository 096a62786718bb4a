"""The stretches of a test that figures are taken over, and how many sessions should begin in each second."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from holdfast.loadgen.arrivals import Arrivals, Chunk
from holdfast.runbook.kinds.load import LoadSpec, Phase

_MOST_PARTS = 10
_SHORTEST_PART_SECONDS = 5.0
# As generators count: an arrival that is due at a whole second may be computed as a trifle before it.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Stretch:
    """A phase, or a part of one whose rate changes. Seconds from the start; rates in sessions a second.

    Attributes:
        phase: number of its phase, from 0.
        name: of the phase, with the rate of this part where it has several.
    """

    phase: int
    name: str
    begins: float
    ends: float
    rate_from: float
    rate_to: float

    @property
    def rate(self) -> float:
        """The mean rate."""
        return (self.rate_from + self.rate_to) / 2


def stretches(spec: LoadSpec) -> list[Stretch]:
    """Return the stretches in order: each constant phase, each step of `steps`, up to ten parts of a ramp."""
    found: list[Stretch] = []
    begins = before = 0.0
    for number, phase in enumerate(spec.all_phases):
        found += _parts(number, phase, begins, before)
        begins += phase.lasts.total_seconds()
        before = phase.rate
    return _told_apart(found)


class Planned:
    """How many sessions should begin, second by second; computed as far as it is asked for."""

    def __init__(self, spec: LoadSpec) -> None:
        self._chunks: Iterator[Chunk] = Arrivals(spec).chunks()
        self._counts = np.zeros(math.ceil(spec.lasts.total_seconds()) + 1, dtype=np.int64)
        self._known_until = -1  # every second up to this one is complete

    def in_second(self, second: int) -> int:
        """Return how many should begin from this second to the next."""
        self._compute(second)
        return int(self._counts[second]) if 0 <= second < self._counts.size else 0

    def before(self, second: int) -> int:
        """Return how many should begin before this second."""
        self._compute(second - 1)
        return int(self._counts[: max(second, 0)].sum())

    @property
    def total(self) -> int:
        """All sessions of the test."""
        return self.before(self._counts.size)

    def _compute(self, second: int) -> None:
        while self._known_until < min(second, self._counts.size - 1):
            chunk = next(self._chunks, None)
            if chunk is None:
                self._known_until = self._counts.size
                return
            seconds = (chunk.offsets + _ROUNDING).astype(np.int64)
            self._counts += np.bincount(seconds, minlength=self._counts.size)[: self._counts.size]
            self._known_until = int(seconds[-1]) - 1


def _told_apart(found: list[Stretch]) -> list[Stretch]:
    """Return them with a number behind each name that was there before."""
    seen: Counter[str] = Counter()
    named: list[Stretch] = []
    for stretch in found:
        seen[stretch.name] += 1
        again = f" ({seen[stretch.name]})" if seen[stretch.name] > 1 else ""
        named.append(replace(stretch, name=stretch.name + again))
    return named


def _parts(number: int, phase: Phase, begins: float, before: float) -> Iterator[Stretch]:
    name = phase.name or f"{phase.rate:g}/s"
    lasts = phase.lasts.total_seconds()
    if phase.shape == "constant":
        yield Stretch(number, name, begins, begins + lasts, phase.rate, phase.rate)
        return
    stairs = phase.shape == "steps"
    count = phase.steps if stairs else min(_MOST_PARTS, max(1, int(lasts / _SHORTEST_PART_SECONDS)))
    for i in range(count):
        low, high = (before + (phase.rate - before) * (i + j) / count for j in (0, 1))
        ends = begins + lasts * (i + 1) / count
        told = f"{name}, {high:g}/s" if count > 1 else name
        yield Stretch(number, told, begins + lasts * i / count, ends, high if stairs else low, high)
