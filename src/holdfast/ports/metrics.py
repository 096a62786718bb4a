from datetime import datetime, timedelta
from typing import Protocol


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
