from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

# An edge query of a busy system gives dozens; thousands are a query that forgot to aggregate.
MOST_SERIES: Final = 500


@dataclass(frozen=True)
class Labelled:
    """One series at one moment; `value` is None where its number is none (NaN, infinite)."""

    labels: dict[str, str]
    value: float | None


@dataclass(frozen=True)
class LabelledSeries:
    """One series over a range: its finite numbers, oldest first."""

    labels: dict[str, str]
    numbers: list[float] = field(default_factory=list[float])


class MetricsSource(Protocol):
    """A time series database that answers PromQL."""

    async def instant(self, query: str, *, at: datetime) -> float | None:
        """Return the single number the query gives at that time, or None where there is no data.

        Raises:
            MetricsUnavailable: the database does not answer.
            InvalidInput: the query is wrong, or gives several series.
        """
        ...

    async def series(self, query: str, *, start: datetime, end: datetime, step: timedelta) -> list[float]:
        """Return the numbers of the query's single series, oldest first, gaps left out; errors as above."""
        ...

    async def points(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[tuple[datetime, float]]:
        """Return the same numbers, each with its time (UTC); errors as above."""
        ...

    async def vector(self, query: str, *, at: datetime) -> list[Labelled]:
        """Return every series the query gives at that time.

        Raises:
            MetricsUnavailable: the database does not answer.
            InvalidInput: the query is wrong, or gives more than `MOST_SERIES` series.
        """
        ...

    async def matrix(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[LabelledSeries]:
        """Return every series the query gives over a range; errors as for `vector`."""
        ...
