import os
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from tests.server import start_server
from workers.engine import TIME_SKIPPING_CONFIG, Engine, find_engine

# No test is to fail because the machine is busy. CI judges a change, so it tries the same examples each time.
settings.register_profile(
    "holdfast", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("holdfast")


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
