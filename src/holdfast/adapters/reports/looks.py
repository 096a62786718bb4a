"""What the watch saw over a whole campaign, as columns of numbers: a month of looks in a few megabytes."""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from holdfast.slo.status import KpiStatus, Level, Moment, SloStatus

Floats = npt.NDArray[np.float64]
Key = tuple[str, str]
LEVELS: Final = tuple(Level)
_NONE: Final = float("nan")
_LONGEST_GAP: Final = 3  # usual distances; a look says nothing about a longer silence after it


def _column() -> "array[float]":
    return array("d")


@dataclass
class SloColumns:
    """One SLO; each column has a number for each look, NaN where there was none.

    Attributes:
        first: as it was first seen: promise, objective, journey.
        burn: the fastest burn rate of any window.
        recent: the burn rate of the shortest window.
        counted, counted_bad: events since the window opened; counted_at: up to when, in seconds of the epoch.
        level: place in `LEVELS`, NaN where the look had none of it.
    """

    first: SloStatus
    sli: "array[float]" = field(default_factory=_column)
    left: "array[float]" = field(default_factory=_column)
    events: "array[float]" = field(default_factory=_column)
    bad: "array[float]" = field(default_factory=_column)
    burn: "array[float]" = field(default_factory=_column)
    recent: "array[float]" = field(default_factory=_column)
    level: "array[float]" = field(default_factory=_column)
    counted: "array[float]" = field(default_factory=_column)
    counted_bad: "array[float]" = field(default_factory=_column)
    counted_at: "array[float]" = field(default_factory=_column)

    def add(self, status: SloStatus | None) -> None:
        """Put one look at the end of each column."""
        for column, value in zip(self._columns, _slo_values(status), strict=True):
            column.append(_NONE if value is None else value)

    @property
    def _columns(self) -> "tuple[array[float], ...]":
        seen = (self.sli, self.left, self.events, self.bad, self.burn, self.recent, self.level)
        return *seen, self.counted, self.counted_bad, self.counted_at


@dataclass
class KpiColumns:
    """One KPI or resource, likewise."""

    first: KpiStatus
    value: "array[float]" = field(default_factory=_column)
    baseline: "array[float]" = field(default_factory=_column)
    used: "array[float]" = field(default_factory=_column)
    level: "array[float]" = field(default_factory=_column)

    def add(self, status: KpiStatus | None) -> None:
        """Put one look at the end of each column."""
        values: tuple[float | None, ...] = (None, None, None, None)
        if status is not None:
            values = (status.value, status.baseline, status.used_percent, LEVELS.index(status.level))
        for column, value in zip((self.value, self.baseline, self.used, self.level), values, strict=True):
            column.append(_NONE if value is None else value)


_Columns = TypeVar("_Columns", SloColumns, KpiColumns)


class Looks:
    """All looks of a campaign, oldest first; add moments in their order, then read."""

    def __init__(self, moments: Iterable[Moment] = ()) -> None:
        """Begin with these."""
        self._at = array("d")
        self._silent: list[bool] = []
        self.slos: dict[Key, SloColumns] = {}
        self.kpis: dict[Key, KpiColumns] = {}
        for moment in moments:
            self.add(moment)

    def __len__(self) -> int:
        return len(self._at)

    def add(self, moment: Moment) -> None:
        """Put one moment at the end."""
        slos = {(status.context, status.slo): status for status in moment.slos}
        kpis = {(status.context, status.name): status for status in moment.kpis}
        for key, status in slos.items():
            if key not in self.slos:
                self.slos[key] = self._late(SloColumns(status))
        for key, kpi in kpis.items():
            if key not in self.kpis:
                self.kpis[key] = self._late(KpiColumns(kpi))
        self._at.append(moment.at.timestamp())
        self._silent.append(bool(moment.silent))
        for key, columns in self.slos.items():
            columns.add(slos.get(key))
        for key, of_kpi in self.kpis.items():
            of_kpi.add(kpis.get(key))

    def at(self, index: int) -> datetime:
        """Return when a look was."""
        return datetime.fromtimestamp(self._at[index], UTC)

    @property
    def silent(self) -> int:
        """How many looks got no answer at all."""
        return sum(self._silent)

    @cached_property
    def seconds(self) -> Floats:
        """When each look was, in seconds of the epoch."""
        return np.array(self._at)

    @cached_property
    def step(self) -> float:
        """The usual distance of two looks in seconds; a minute where there are not two."""
        gaps = np.diff(self.seconds)
        gaps = gaps[gaps > 0]
        return float(np.median(gaps)) if gaps.size else 60.0

    @cached_property
    def minutes(self) -> Floats:
        """For how long each look stands: up to the next one, or the usual distance where that is long away."""
        gaps = np.append(np.diff(self.seconds), self.step)
        return np.asarray(np.clip(gaps, 0, self.step * _LONGEST_GAP) / 60, dtype=np.float64)

    def _late(self, columns: _Columns) -> _Columns:
        """Fill up something that was not there from the beginning."""
        for _ in range(len(self._at)):
            columns.add(None)
        return columns


def known(column: "array[float] | Floats") -> Floats:
    """Return the numbers of a column that are there."""
    values = np.asarray(column, dtype=np.float64)
    return values[np.isfinite(values)]


def last(column: "array[float]") -> float | None:
    """Return the newest number that is there."""
    values = known(column)
    return float(values[-1]) if values.size else None


def summary(values: Floats, how: Callable[[Floats], float]) -> float | None:
    """Return a figure of the numbers; None where there are none."""
    return float(how(values)) if values.size else None


def _slo_values(status: SloStatus | None) -> tuple[float | None, ...]:
    if status is None:
        return (None,) * 10
    rates = [rate for burn in status.burn for rate in (burn.long_burn, burn.short_burn) if rate is not None]
    recent = status.burn[0].short_burn if status.burn else None
    count = status.window
    counted_at = count.at.timestamp() if count and count.at else None
    return (
        *(status.sli_percent, status.budget_left_percent, status.events, status.bad_events),
        max(rates, default=None),
        recent,
        LEVELS.index(status.level),
        *((count.events, count.bad_events) if count else (None, None)),
        counted_at,
    )
