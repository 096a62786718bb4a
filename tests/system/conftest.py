from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.demo.stack import Ports, Stack
from workers.engine import Engine, find_prometheus


@pytest.fixture
def stack(engine: Engine, tmp_path: Path) -> Iterator[Stack]:
    """The whole system as own processes: file database, real Prometheus, simulators, worker and bot."""
    stack = Stack(
        tmp_path,
        Ports.pick(familiar=False),
        engine=engine,
        prometheus=find_prometheus(),
        scrape_seconds=1,
        pace="rehearsal",
        runbook_dirs=(Path(__file__).parent / "runbooks",),
        rate=15,
    )
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
