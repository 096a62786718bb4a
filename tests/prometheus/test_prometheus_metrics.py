import asyncio
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from holdfast.adapters.prometheus import PrometheusMetrics
from holdfast.domain.errors import InvalidInput, MetricsUnavailable
from holdfast.verdict.query import resolve

SECOND = timedelta(seconds=1)


def now() -> datetime:
    return datetime.now(UTC)


async def test_a_query_gives_its_single_number(metrics: PrometheusMetrics) -> None:
    assert await metrics.instant('shop_latency_seconds{side="canary"}', at=now()) == 2.31


async def test_a_bare_number_is_a_number_too(metrics: PrometheusMetrics) -> None:
    assert await metrics.instant("scalar(vector(7)) * 6", at=now()) == 42


async def test_the_time_asked_for_is_the_time_answered(metrics: PrometheusMetrics) -> None:
    at = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)

    assert await metrics.instant("time()", at=at) == at.timestamp()


@pytest.mark.parametrize(
    "query",
    [
        'shop_latency_seconds{side="nobody"}',
        "shop_ratio",
        "shop_infinite",
        "-shop_infinite",
        "scalar(shop_ratio)",
        "rate(shop_requests_total[1m]) / rate(shop_requests_total[1m])",
    ],
)
async def test_an_empty_answer_and_a_number_that_is_none_are_no_data(
    metrics: PrometheusMetrics, query: str
) -> None:
    assert await metrics.instant(query, at=now()) is None
    assert await metrics.series(query, start=now() - 2 * SECOND, end=now(), step=SECOND) == []


@pytest.mark.parametrize("window", [timedelta(seconds=8), timedelta(seconds=4.5), timedelta(days=7)])
async def test_a_resolved_query_is_understood(metrics: PrometheusMetrics, window: timedelta) -> None:
    query = 'avg_over_time(shop_latency_seconds{side="$side", job=~"shop$"}[$window])'

    assert await metrics.instant(resolve(query, side="canary", window=window), at=now()) == 2.31


async def test_zero_is_data(metrics: PrometheusMetrics) -> None:
    assert await metrics.instant("rate(shop_requests_total[1m])", at=now()) == 0


async def test_a_series_has_one_number_a_step(metrics: PrometheusMetrics) -> None:
    end = datetime(2026, 3, 2, 12, tzinfo=UTC)

    points = await metrics.series("time()", start=end - 3 * SECOND, end=end, step=SECOND)

    assert points == [end.timestamp() - ago for ago in (3, 2, 1, 0)]


async def test_a_scraped_series_comes_back(metrics: PrometheusMetrics) -> None:
    query = 'shop_latency_seconds{side="stable"}'

    points = await metrics.series(query, start=now() - timedelta(minutes=5), end=now(), step=SECOND)

    assert len(points) >= 2
    assert set(points) == {0.41}


async def test_gaps_in_a_series_are_left_out(metrics: PrometheusMetrics) -> None:
    end = datetime(2026, 3, 2, 12, tzinfo=UTC)
    every_odd_second = "(time() % 2) / (time() % 2)"

    points = await metrics.series(every_odd_second, start=end - 10 * SECOND, end=end, step=SECOND)

    assert points == [1.0] * 5


async def test_a_long_range_is_widened_to_at_most_5000_points(metrics: PrometheusMetrics) -> None:
    end = datetime(2026, 3, 2, 12, tzinfo=UTC)

    points = await metrics.series("time()", start=end - timedelta(days=7), end=end, step=SECOND)

    assert len(points) == 4999
    assert points[1] - points[0] == 121


async def test_points_come_with_their_times(metrics: PrometheusMetrics) -> None:
    end = datetime(2026, 3, 2, 12, tzinfo=UTC)

    points = await metrics.points("time()", start=end - 3 * SECOND, end=end, step=SECOND)

    assert points == [(at, at.timestamp()) for at in (end - ago * SECOND for ago in (3, 2, 1, 0))]


async def test_a_vector_has_every_series_with_its_labels(metrics: PrometheusMetrics) -> None:
    found = await metrics.vector("sum by (side) (shop_latency_seconds)", at=now())

    assert sorted((one.labels["side"], one.value) for one in found) == [("canary", 2.31), ("stable", 0.41)]
    assert await metrics.vector("shop_nothing", at=now()) == []


async def test_a_series_without_a_number_is_in_the_vector_without_one(metrics: PrometheusMetrics) -> None:
    [one] = await metrics.vector("shop_ratio", at=now())

    assert (one.labels["__name__"], one.value) == ("shop_ratio", None)


async def test_a_matrix_has_the_finite_numbers_of_every_series(metrics: PrometheusMetrics) -> None:
    query = 'sum by (side) (shop_latency_seconds) or label_replace(shop_ratio, "side", "nobody", "", "")'

    found = await metrics.matrix(query, start=now() - 2 * SECOND, end=now(), step=SECOND)

    numbers = {one.labels["side"]: set(one.numbers) for one in found}
    assert numbers == {"canary": {2.31}, "stable": {0.41}, "nobody": set()}


async def test_a_query_of_too_many_series_is_refused_with_the_remedy(metrics: PrometheusMetrics) -> None:
    many = " or ".join(f'label_replace(vector(1), "pod", "p{n}", "", "")' for n in range(501))

    with pytest.raises(InvalidInput, match=r"gives 501 series, at most 500 are taken: .*pod=.*sum by"):
        await metrics.vector(many, at=now())
    with pytest.raises(InvalidInput, match="gives 501 series"):
        await metrics.matrix(many, start=now() - SECOND, end=now(), step=SECOND)


async def test_a_vector_of_a_bare_number_is_refused(metrics: PrometheusMetrics) -> None:
    with pytest.raises(InvalidInput, match="gives a scalar, not one number for each series"):
        await metrics.vector("time()", at=now())


async def test_several_series_are_refused_with_the_remedy(metrics: PrometheusMetrics) -> None:
    told = r"query 'shop_latency_seconds' gives 2 series, such as .*side=\"canary\".*: aggregate them"

    with pytest.raises(InvalidInput, match=told):
        await metrics.instant("shop_latency_seconds", at=now())
    with pytest.raises(InvalidInput, match=told):
        await metrics.series("shop_latency_seconds", start=now() - SECOND, end=now(), step=SECOND)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("rate(shop_latency_seconds", "refuses the query 'rate.*': .*parse error: unclosed left parenthesis"),
        ("label_replace(shop_latency_seconds, 'side', 'x', '', '')", "refuses the query .* same labelset"),
        ("shop_latency_seconds[1m]", r"gives a matrix, not a number: wrap a range in rate\("),
        ("'text'", "gives a string, not a number"),
    ],
)
async def test_a_bad_query_is_told_in_prometheuss_own_words(
    metrics: PrometheusMetrics, query: str, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        await metrics.instant(query, at=now())


async def test_a_long_query_is_no_problem(metrics: PrometheusMetrics) -> None:
    query = " + ".join(["vector(1)"] * 2_000)

    assert await metrics.instant(query, at=now()) == 2_000


async def test_a_path_prefix_and_a_shared_client_are_respected(prometheus_url: str) -> None:
    async with httpx.AsyncClient() as client:
        source = PrometheusMetrics(f"{prometheus_url}/", client)
        await source.aclose()

        assert await source.instant("vector(1)", at=now()) == 1
        with pytest.raises(MetricsUnavailable, match="404"):
            await PrometheusMetrics(f"{prometheus_url}/prefix", client).instant("vector(1)", at=now())


async def test_a_killed_prometheus_is_unavailable(
    killable_prometheus: tuple[str, subprocess.Popen[bytes]],
) -> None:
    url, process = killable_prometheus
    async with httpx.AsyncClient() as client:
        source = PrometheusMetrics(url, client)
        assert await source.instant("vector(1)", at=now()) == 1

        process.kill()
        process.wait()

        with pytest.raises(MetricsUnavailable, match=f"Prometheus at {url} does not answer"):
            await source.instant("vector(1)", at=now())
        with pytest.raises(MetricsUnavailable):
            await source.series("vector(1)", start=now() - SECOND, end=now(), step=SECOND)
        with pytest.raises(MetricsUnavailable):
            await source.vector("vector(1)", at=now())


Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def in_the_place_of_prometheus(serve: Serve) -> AsyncGenerator[PrometheusMetrics]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await serve(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    async with server, httpx.AsyncClient() as client:
        url = f"http://someone:secret@{address[0]}:{address[1]}"
        yield PrometheusMetrics(url, client, instant_timeout_seconds=0.3)


def answering(status: str, content_type: str, body: str) -> Serve:
    async def serve(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()

    return serve


async def _trickle(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()


@pytest.mark.parametrize(
    ("serve", "told"),
    [
        (answering("502 Bad Gateway", "text/html", "<html>\n bad gateway"), "HTTP 502, '<html> bad gateway'"),
        (answering("200 OK", "text/html", "<html>log in first</html>"), "HTTP 200, '<html>log in first"),
        (answering("302 Found", "text/plain", ""), "HTTP 302"),
        (answering("401 Unauthorized", "text/plain", "who are you?"), "HTTP 401, 'who are you"),
        (
            answering(
                "503 Service Unavailable",
                "application/json",
                '{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}',
            ),
            "has trouble: timeout: query timed out",
        ),
        (
            answering(
                "500 Internal Server Error",
                "application/json",
                '{"status":"error","errorType":"internal","error":"no space left on device"}',
            ),
            "has trouble: internal: no space left",
        ),
        (_trickle, "did not answer within 0.3 s"),
        (_hang_up, "does not answer"),
    ],
)
async def test_trouble_on_the_other_side_is_unavailability_and_never_a_number(serve: Serve, told: str) -> None:
    async with in_the_place_of_prometheus(serve) as source:
        with pytest.raises(MetricsUnavailable, match=told) as raised:
            await source.instant("vector(1)", at=now())

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("address", ["prometheus:9090", "localhost", "", "ftp://p:9090", "http://p:port"])
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(InvalidInput, match="the address of Prometheus is not"):
        PrometheusMetrics(address)
