"""What is drawn for each session: its scenario, its variables, its thinking. By seed and number alone.

Every draw is a hash of (seed, what it is for, number of the session), so any generator draws the same for the
same session, in any order. The hash is SplitMix64's finaliser (Steele, Lea and Flood, *Fast splittable
pseudorandom number generators*, 2014).
"""

from collections.abc import Container
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.loadgen.arrivals import Integers
from holdfast.runbook.kinds.load_scenario import Range, Scenario

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_MASK = (1 << 64) - 1
_SCENARIO = 0
_VARIABLES = 1
_THINKING = 1 << 20


class Draws:
    """The draws of one test.

    Args:
        seed: of the test.
        scenarios: those of the test.
    """

    def __init__(self, seed: int, scenarios: tuple[Scenario, ...]) -> None:
        self._seed = seed
        self._scenarios = scenarios
        weights = np.array([scenario.weight for scenario in scenarios])
        self._keys: dict[int, int] = {}
        self._bounds = np.cumsum(weights / weights.sum())[:-1]

    def scenarios(self, numbers: Integers) -> Integers:
        """Return for each session the index of its scenario."""
        return np.searchsorted(self._bounds, self._even(_SCENARIO, numbers), side="right").astype(np.int64)

    def variables(self, scenario: int, number: int, wanted: Container[str] | None = None) -> dict[str, Any]:
        """Return the drawn variables of one session, or those that are wanted; none depends on the others."""
        base = _VARIABLES + (scenario << 8)
        return {
            name: _drawn(choice, self.one(base + i, number))
            for i, (name, choice) in enumerate(self._scenarios[scenario].variables.items())
            if wanted is None or name in wanted
        }

    def think(self, step: int, number: int, low: float, high: float) -> float:
        """Return how long a session thinks after a step, in seconds."""
        return low + (high - low) * self.one(_THINKING + step, number)

    def one(self, purpose: int, number: int) -> float:
        """Return an even draw from [0, 1)."""
        return (_mix(self._key(purpose) + number * _GOLDEN) >> 11) * 2.0**-53

    def _key(self, purpose: int) -> int:
        key = self._keys.get(purpose)
        if key is None:
            key = self._keys[purpose] = _mix(_mix(self._seed + _GOLDEN) + purpose * _GOLDEN)
        return key

    def _even(self, purpose: int, numbers: Integers) -> NDArray[np.float64]:
        """Draw as `one` does, for many sessions at once."""
        mixed = np.uint64(self._key(purpose)) + numbers.astype(np.uint64) * np.uint64(_GOLDEN)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_MIX_1)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_MIX_2)
        mixed ^= mixed >> np.uint64(31)
        return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _drawn(choice: Range | tuple[str | int | float, ...], draw: float) -> Any:
    if isinstance(choice, Range):
        return choice.low + int(draw * (choice.high - choice.low + 1))
    return choice[int(draw * len(choice))]


def _mix(value: int) -> int:
    value &= _MASK
    value = ((value ^ (value >> 30)) * _MIX_1) & _MASK
    value = ((value ^ (value >> 27)) * _MIX_2) & _MASK
    return value ^ (value >> 31)
