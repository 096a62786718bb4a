import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from holdfast.adapters.prometheus import PrometheusMetrics
from tests.prometheus.server import running, wait_for


@pytest.fixture(scope="session")
def exporter_port() -> Iterator[int]:
    registry = CollectorRegistry()
    latency = Gauge("shop_latency_seconds", "p95", ["side"], registry=registry)
    latency.labels(side="stable").set(0.41)
    latency.labels(side="canary").set(2.31)
    Gauge("shop_ratio", "a ratio of nothing", registry=registry).set(float("nan"))
    Gauge("shop_infinite", "a number over nothing", registry=registry).set(float("inf"))
    Counter("shop_requests", "never any", registry=registry)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def prometheus_url(exporter_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("prometheus")

    def scraped_three_times() -> bool:
        query = {"query": "count_over_time(shop_ratio[1m])"}
        answer = httpx.post(f"{url}/api/v1/query", data=query).json()
        return any(float(series["value"][1]) >= 3 for series in answer["data"]["result"])

    with running(directory, scraping=f"127.0.0.1:{exporter_port}") as (url, _):
        wait_for(scraped_three_times)
        yield url


@pytest.fixture
def killable_prometheus(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with running(tmp_path) as (url, process):
        yield url, process


@pytest.fixture
async def metrics(prometheus_url: str) -> AsyncIterator[PrometheusMetrics]:
    source = PrometheusMetrics(prometheus_url)
    yield source
    await source.aclose()
