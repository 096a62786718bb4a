"""A real Prometheus for tests."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

_CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["{target}"]}}]
"""


@contextmanager
def running(directory: Path, *, scraping: str = "") -> Generator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a Prometheus, which may scrape one address each second; yields its URL and its process."""
    config = directory / "prometheus.yml"
    config.write_text(_CONFIG.format(target=scraping) if scraping else "scrape_configs: []")
    program = shutil.which("prometheus")
    if program is None:
        pytest.fail("these tests need Prometheus: apt-get install --no-install-recommends prometheus")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        wait_for(lambda: httpx.get(f"http://{address}/-/ready").status_code == 200)
        yield f"http://{address}", process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something that a server may not be there for yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"not ready after {seconds} s")
