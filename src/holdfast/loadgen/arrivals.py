"""When the sessions of a load test begin: exact offsets from the agreed start, by file and seed alone.

The rates of the phases add up to the expected number of arrivals until a moment, which is a function that
grows. Arrivals are drawn on that axis, where they come at a rate of one, and taken back to time by its inverse:
for `even` they stand at 0.5, 1.5, 2.5, …; for `poisson` they are a unit Poisson process (time rescaling of a
non-homogeneous process, Daley and Vere-Jones, *An Introduction to the Theory of Point Processes*, 7.4).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.runbook.kinds.load import LoadSpec, Phase

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
# Expected arrivals that are made at once: some 100 kB of memory, and a tenth of a second at high rates.
_BLOCK = 8192


@dataclass(frozen=True)
class Chunk:
    """Arrivals one after the other.

    Attributes:
        numbers: of the arrivals in the whole test, from 0.
        offsets: seconds from the agreed start, never falling.
    """

    numbers: Integers
    offsets: Floats


class Rates:
    """The rate of sessions over the time of a test: straight pieces, each with a rate at either end.

    Attributes:
        total: expected number of arrivals.
        lasts: seconds.
    """

    def __init__(self, phases: tuple[Phase, ...]) -> None:
        pieces = list(_pieces(phases))
        self._lengths = np.array([length for length, _, _ in pieces])
        self._first = np.array([first for _, first, _ in pieces])
        self._last = np.array([last for _, _, last in pieces])
        self._starts = np.concatenate([[0.0], np.cumsum(self._lengths)])
        areas = self._lengths * (self._first + self._last) / 2
        self._before = np.concatenate([[0.0], np.cumsum(areas)])
        self.total = float(self._before[-1])
        self.lasts = float(self._starts[-1])

    def at(self, offset: float) -> float:
        """Return the rate at a moment, sessions a second."""
        if not 0 <= offset < self.lasts:
            return 0.0
        i = int(np.searchsorted(self._starts, offset, side="right")) - 1
        part = (offset - self._starts[i]) / self._lengths[i]
        return float(self._first[i] + (self._last[i] - self._first[i]) * part)

    def expected(self, offset: float) -> float:
        """Return how many arrivals are expected until a moment."""
        if offset <= 0:
            return 0.0
        if offset >= self.lasts:
            return self.total
        i = int(np.searchsorted(self._starts, offset, side="right")) - 1
        since = offset - self._starts[i]
        return float(self._before[i] + since * (self._first[i] + self.at(offset)) / 2)

    def moments(self, expected: Floats) -> Floats:
        """Return when so many arrivals are expected to have come; the inverse of `expected`."""
        i = np.searchsorted(self._before, expected, side="right") - 1
        i = np.clip(i, 0, len(self._lengths) - 1)
        rest = np.maximum(expected - self._before[i], 0.0)
        slope = (self._last[i] - self._first[i]) / self._lengths[i]
        # The root of `first·t + slope·t²/2 = rest` in the form that loses no digits where the slope is small.
        root = np.sqrt(np.maximum(self._first[i] ** 2 + 2 * slope * rest, 0.0))
        below = self._first[i] + root
        since = np.divide(2 * rest, below, out=np.zeros_like(rest), where=below > 0)
        return np.asarray(self._starts[i] + np.minimum(since, self._lengths[i]), dtype=np.float64)


class Arrivals:
    """The arrivals of one test.

    Args:
        spec: the test.
    """

    def __init__(self, spec: LoadSpec) -> None:
        self.rates = Rates(spec.all_phases)
        self._seed = spec.seed
        self._poisson = spec.arrivals == "poisson"

    def chunks(self, *, shard: int = 0, shards: int = 1, from_offset: float = 0.0) -> Iterator[Chunk]:
        """Yield the arrivals of a shard that are due at `from_offset` or later, in order.

        Whatever `from_offset` is, an arrival has the same number and the same offset; where it begins costs
        nothing for what was before.
        """
        for chunk in self._random(from_offset) if self._poisson else self._even(from_offset):
            mine = (chunk.numbers % shards == shard) & (chunk.offsets >= from_offset)
            if mine.any():
                yield Chunk(chunk.numbers[mine], chunk.offsets[mine])

    def _even(self, from_offset: float) -> Iterator[Chunk]:
        total = math.floor(self.rates.total + 0.5)
        # One earlier than the first that fits, so that rounding loses none.
        first = max(0, math.ceil(self.rates.expected(from_offset) - 0.5) - 1)
        for low in range(first, total, _BLOCK):
            numbers = np.arange(low, min(low + _BLOCK, total), dtype=np.int64)
            yield Chunk(numbers, self.rates.moments(numbers.astype(np.float64) + 0.5))

    def _random(self, from_offset: float) -> Iterator[Chunk]:
        # A Poisson process falls into independent blocks: how many points a block has is drawn first, where
        # they are afterwards and evenly. So a later block needs nothing of the earlier ones but their numbers.
        total = self.rates.total
        blocks = math.ceil(total / _BLOCK)
        widths = np.full(blocks, float(_BLOCK))
        if blocks:
            widths[-1] = total - (blocks - 1) * _BLOCK
        counts = np.random.default_rng([self._seed, 0]).poisson(widths)
        before = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        for block in range(int(self.rates.expected(from_offset) / _BLOCK), blocks):
            places: Floats = np.random.default_rng([self._seed, 1, block]).random(int(counts[block]))
            places.sort()
            numbers = np.arange(before[block], before[block + 1], dtype=np.int64)
            yield Chunk(numbers, self.rates.moments(block * _BLOCK + places * widths[block]))


def _pieces(phases: tuple[Phase, ...]) -> Iterator[tuple[float, float, float]]:
    """Yield length in seconds, and the rate at the beginning and at the end, of each straight piece."""
    before = 0.0
    for phase in phases:
        seconds = phase.lasts.total_seconds()
        if phase.shape == "constant":
            yield seconds, phase.rate, phase.rate
        elif phase.shape == "ramp":
            yield seconds, before, phase.rate
        else:
            for i in range(1, phase.steps + 1):
                rate = before + (phase.rate - before) * i / phase.steps
                yield seconds / phase.steps, rate, rate
        before = phase.rate
