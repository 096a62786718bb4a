import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from tests.server import start_server
from workers.engine import TIME_SKIPPING_CONFIG, Engine, find_engine

_TESTS = Path(__file__).parent

# No test is to fail because the machine is busy. CI judges a change, so it tries the same examples each time.
settings.register_profile(
    "holdfast", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("holdfast")


# Folders whose tests mostly wait for servers and processes; what is not named here is over in seconds.
_LONG = (
    "sim_shop",
    "telegram",
    "workflows",
    "loadgen",
    "browser",
    "domain",
    "bot",
    "runbook",
    "cli",
    "sql_store",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no process is left with it when the others are done.

    Of the whole system's tests that is told by the time that each of them is given.
    """

    def order(item: pytest.Item) -> tuple[float, int]:
        folder = item.path.relative_to(_TESTS).parts[0]
        given = item.get_closest_marker("timeout") if folder == "system" else None
        return -given.args[0] if given else 0, _LONG.index(folder) if folder in _LONG else len(_LONG)

    items.sort(key=order)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Keep bytes out of the names of tests: what an archive or a picture holds may differ in each process."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The Temporal server that scripts/setup obtained."""
    return find_engine()


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A real server for the whole session, in memory, that can skip time."""
    async with await start_server(TIME_SKIPPING_CONFIG) as environment:
        yield environment


@pytest.fixture(scope="session")
def client(temporal: WorkflowEnvironment) -> Client:
    return temporal.client
