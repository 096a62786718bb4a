import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import httpx

from holdfast.adapters.prometheus.answers import (
    Matrix,
    MatrixSeries,
    Single,
    Vector,
    VectorSeries,
    finite,
    read_answer,
)
from holdfast.domain.errors import InvalidInput, MetricsUnavailable
from holdfast.ports.metrics import MOST_SERIES, Labelled, LabelledSeries
from holdfast.verdict.baseline import affordable_step

Series = TypeVar("Series", VectorSeries, MatrixSeries)


class PrometheusMetrics:
    """Asks a Prometheus, or whatever speaks its HTTP API. Never retries: that is the caller's policy.

    Args:
        base_url: e.g. `http://127.0.0.1:9090`, with a path prefix where there is one.
        client: an HTTP client to share, which stays the caller's to close; None for an own one.
        instant_timeout_seconds: for a whole answer, however slowly it trickles in.
        series_timeout_seconds: likewise for series, which may span a week.

    Raises:
        InvalidInput: `base_url` is not an HTTP address.
    """

    def __init__(
        self,
        base_url: str,
        client: httpx.AsyncClient | None = None,
        *,
        instant_timeout_seconds: float = 5,
        series_timeout_seconds: float = 10,
    ) -> None:
        url = _checked(base_url)
        self._api = f"{str(url).rstrip('/')}/api/v1"
        self._backend = f"Prometheus at {url.copy_with(userinfo=b'')}"
        self._client = client or httpx.AsyncClient()
        self._owns_client = client is None
        self._instant_timeout_seconds = instant_timeout_seconds
        self._series_timeout_seconds = series_timeout_seconds

    async def aclose(self) -> None:
        """Close the connections, unless the client was handed in."""
        if self._owns_client:
            await self._client.aclose()

    async def instant(self, query: str, *, at: datetime) -> float | None:
        """Return the single finite number the query gives at that time, or None; see the port for errors."""
        form = {"query": query, "time": f"{at.timestamp():.3f}"}
        match await self._ask("query", form, self._instant_timeout_seconds):
            case Vector(result=series):
                only = _only(series, query)
                return finite(only.value) if only else None
            case Single(result_type="scalar", result=sample):
                return finite(sample)
            case other:
                raise InvalidInput(
                    f"query '{query}' gives a {other.result_type}, not a number: "
                    "wrap a range in rate(…) or avg_over_time(…)"
                )

    async def series(self, query: str, *, start: datetime, end: datetime, step: timedelta) -> list[float]:
        """Return the finite numbers of the query's single series, oldest first; see the port for errors.

        A step that would give more than 5,000 points is widened until it does not (`affordable_step`).
        """
        return [number for _, number in await self.points(query, start=start, end=end, step=step)]

    async def points(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[tuple[datetime, float]]:
        """Return the same with times; the step is widened likewise."""
        only = _only(await self._range(query, start=start, end=end, step=step), query)
        found = [(sample[0], finite(sample)) for sample in only.values] if only else []
        return [(datetime.fromtimestamp(at, UTC), number) for at, number in found if number is not None]

    async def vector(self, query: str, *, at: datetime) -> list[Labelled]:
        """Return every series at that time; see the port for errors."""
        form = {"query": query, "time": f"{at.timestamp():.3f}"}
        result = await self._ask("query", form, self._instant_timeout_seconds)
        if not isinstance(result, Vector):
            raise InvalidInput(
                f"query '{query}' gives a {result.result_type}, not one number for each series with its labels"
            )
        return [Labelled(one.metric, finite(one.value)) for one in _few(result.result, query)]

    async def matrix(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[LabelledSeries]:
        """Return every series over a range; the step is widened as in `series`, see the port for errors."""
        found = _few(await self._range(query, start=start, end=end, step=step), query)
        numbers = [[finite(sample) for sample in one.values] for one in found]
        return [
            LabelledSeries(one.metric, [number for number in its if number is not None])
            for one, its in zip(found, numbers, strict=True)
        ]

    async def _range(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[MatrixSeries]:
        form = {
            "query": query,
            "start": f"{start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "step": f"{affordable_step(end - start, step).total_seconds():.3f}",
        }
        result = await self._ask("query_range", form, self._series_timeout_seconds)
        if not isinstance(result, Matrix):
            raise MetricsUnavailable(f"{self._backend} answered a range with a {result.result_type}")
        return result.result

    async def _ask(self, path: str, form: dict[str, str], seconds: float) -> Vector | Matrix | Single:
        try:
            async with asyncio.timeout(seconds):
                # The timeout above is for the whole answer; httpx only has one for each read.
                response = await self._client.post(f"{self._api}/{path}", data=form, timeout=None)
        except TimeoutError:
            raise MetricsUnavailable(f"{self._backend} did not answer within {seconds:g} s") from None
        except httpx.HTTPError as error:
            what = str(error) or type(error).__name__
            raise MetricsUnavailable(f"{self._backend} does not answer: {what}") from error
        return read_answer(response, query=form["query"], backend=self._backend)


def _checked(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise InvalidInput(f"the address of Prometheus is not a URL: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise InvalidInput("the address of Prometheus is not an HTTP one: write http://host:9090")
    return url


def _only(series: Sequence[Series], query: str) -> Series | None:
    if len(series) > 1:
        raise InvalidInput(
            f"query '{query}' gives {len(series)} series, such as {_labels(series[0])} and "
            f"{_labels(series[1])}: aggregate them into one, for example with sum(…) or max(…)"
        )
    return series[0] if series else None


def _few(series: list[Series], query: str) -> list[Series]:
    if len(series) > MOST_SERIES:
        raise InvalidInput(
            f"query '{query}' gives {len(series)} series, at most {MOST_SERIES} are taken: such as "
            f"{_labels(series[0])}; aggregate them with sum by (…) or choose fewer by label"
        )
    return series


def _labels(series: VectorSeries | MatrixSeries) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in series.metric.items()) + "}"
