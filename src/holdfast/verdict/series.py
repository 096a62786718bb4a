"""Series of metrics as rows of numbers, for those who look back at an incident."""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from holdfast.domain.errors import InvalidInput

Floats = npt.NDArray[np.float64]

FEWEST_POINTS = 20


def checked_levels(series: Mapping[str, Sequence[float | None]], *, step: timedelta, level: float) -> Floats:
    """Return the series as rows, NaN where there is no data.

    Raises:
        InvalidInput: the series differ in length, the step is not positive, or the level is no chance.
    """
    if not 0 < level < 1:
        raise InvalidInput(f"level: must be between 0 and 1, not {level}")
    lengths = {name: len(points) for name, points in series.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {points}" for name, points in lengths.items())
        raise InvalidInput(f"series: all must have the same number of points, but {listed}")
    if step <= timedelta(0):
        raise InvalidInput(f"step: must be longer than nothing, not {step}")
    rows = [[math.nan if v is None else v for v in points] for points in series.values()]
    levels = np.array(rows, dtype=np.float64).reshape(len(rows), next(iter(lengths.values()), 0))
    levels[~np.isfinite(levels)] = math.nan
    return levels


def takes_part(levels: Floats) -> bool:
    """Say whether a series moves, and has data in at least half of its points and in 20 of them."""
    known = levels[np.isfinite(levels)]
    return known.size >= max(FEWEST_POINTS, levels.size / 2) and bool(np.ptp(known) > 0)
