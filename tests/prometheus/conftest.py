import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from holdfast.adapters.prometheus import PrometheusMetrics

_CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@contextmanager
def _running(config: Path) -> Generator[tuple[str, subprocess.Popen[bytes]]]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.fail("these tests need Prometheus: apt-get install --no-install-recommends prometheus")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={config.parent / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (config.parent / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        _wait_for(lambda: httpx.get(f"http://{address}/-/ready").status_code == 200)
        yield f"http://{address}", process
    finally:
        process.kill()
        process.wait()


def _wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"not ready after {seconds} s")


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
    config = tmp_path_factory.mktemp("prometheus") / "prometheus.yml"
    config.write_text(_CONFIG.format(port=exporter_port))

    def scraped_three_times() -> bool:
        query = {"query": "count_over_time(shop_ratio[1m])"}
        answer = httpx.post(f"{url}/api/v1/query", data=query).json()
        return any(float(series["value"][1]) >= 3 for series in answer["data"]["result"])

    with _running(config) as (url, _):
        _wait_for(scraped_three_times)
        yield url


@pytest.fixture
def killable_prometheus(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    config = tmp_path / "prometheus.yml"
    config.write_text("scrape_configs: []")
    with _running(config) as running:
        yield running


@pytest.fixture
async def metrics(prometheus_url: str) -> AsyncIterator[PrometheusMetrics]:
    source = PrometheusMetrics(prometheus_url)
    yield source
    await source.aclose()
