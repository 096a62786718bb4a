"""Series without anything in common, as metrics make them."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Make = Callable[[np.random.Generator, int], Floats]


def autoregressive(rng: np.random.Generator, points: int, memory: float = 0.0) -> Floats:
    """Return an AR(1) series of variance 1, after a burn-in of 200 points."""
    shocks = rng.normal(size=points + 200) * math.sqrt(1 - memory**2)
    for i in range(1, shocks.size):
        shocks[i] += memory * shocks[i - 1]
    return shocks[200:]


def remembering(memory: float) -> Make:
    return lambda rng, points: autoregressive(rng, points, memory)


def random_walk(rng: np.random.Generator, points: int) -> Floats:
    return rng.normal(size=points).cumsum()


def noisy_walk(rng: np.random.Generator, points: int) -> Floats:
    return random_walk(rng, points) + rng.normal(size=points) * 4


def rare_errors(rng: np.random.Generator, points: int) -> Floats:
    return rng.poisson(0.1, size=points).astype(np.float64)
